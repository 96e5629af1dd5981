//! Composite routing as `docs/composite.md` has it: the configuration and the table are read from the page.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{check, lines, load};
use crate::decide::{Decision, FactId, Facts, Inputs, LaneId, LaneMark, Program, Reason, Reasoning, RouteId};

const PAGE: &str = include_str!("../../../docs/composite.md");

#[derive(Default)]
struct Known(HashMap<FactId, String>);

impl Facts for Known {
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
        self.0.get(&fact).map(|value| Cow::Borrowed(value.as_str()))
    }
}

fn yaml() -> &'static str {
    let start = PAGE.find("```yaml\n").expect("the page has a configuration") + 8;
    &PAGE[start..start + PAGE[start..].find("```").expect("it ends")]
}

#[track_caller]
fn program(text: &str) -> std::sync::Arc<Program> {
    match load(text) {
        Ok(loaded) => loaded.settings.program,
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

fn route(program: &Program) -> RouteId {
    struct Request;
    impl crate::decide::RequestParts for Request {
        fn method(&self) -> &str {
            "GET"
        }
        fn host(&self) -> Option<&str> {
            None
        }
        fn path(&self) -> &str {
            "/sku/SKU-1"
        }
        fn query(&self) -> Option<&str> {
            None
        }
        fn header(&self, _: &str) -> Option<&[u8]> {
            None
        }
        fn for_each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    }
    program.find(&Request, "/sku/SKU-1").expect("the route").route
}

fn known(program: &Program, facts: &[(&str, &str)]) -> Known {
    let id = |name: &str| program.facts().id(name).expect("a fact of the page");
    Known(
        facts.iter().filter(|(_, value)| *value != "-").map(|(name, value)| (id(name), (*value).to_owned())).collect(),
    )
}

fn both(program: &Program, inputs: &Inputs<'_, Known>) -> (Decision, Reasoning) {
    let route = route(program);
    let (decision, reasoning) = (program.decide(route, inputs), program.explain_decision(route, inputs));
    assert_eq!(program.lanes().name(decision.lane), reasoning.lane);
    assert_eq!((decision.reason, decision.qos), (reasoning.reason, reasoning.qos));
    (decision, reasoning)
}

#[test]
fn the_table_of_the_page_is_what_the_program_says() {
    let program = program(yaml());
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| sku | tags"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 11);
    for row in rows {
        let [sku, tags, amount, stock, conversion, weight, vip, saver, lane, qos] = row[..] else { panic!("{row:?}") };
        let facts = [
            ("sku_id", sku),
            ("tags", tags),
            ("order_amount", amount),
            ("stock_level", stock),
            ("conversion_rate", conversion),
        ];
        let known = known(&program, &facts);
        let (_, reasoning) = both(&program, &Inputs::of(&known));
        let composite = reasoning.composite.expect("the route has strategies");
        let scores: Vec<&str> = composite.strategies.iter().map(|one| one.score.as_str()).collect();
        assert_eq!((composite.sku_weight.as_str(), scores.as_slice()), (weight, [vip, saver].as_slice()), "{row:?}");
        assert_eq!(composite.greatest, "1.2");
        assert_eq!(reasoning.lane, lane, "{row:?}");
        assert_eq!(reasoning.qos.map_or("-", |qos| qos.as_str()), qos, "{row:?}");
    }
}

#[test]
fn people_and_machines_read_every_term() {
    let program = program(yaml());
    let facts = [
        ("sku_id", "SKU-1"),
        ("tags", "vip"),
        ("order_amount", "50"),
        ("stock_level", "500"),
        ("conversion_rate", "0.05"),
    ];
    let known = known(&program, &facts);
    let (_, reasoning) = both(&program, &Inputs::of(&known));
    insta::assert_snapshot!(reasoning.to_string(), @r"
    lane     gold
    level    none
    reason   score: a strategy of the route has the best score over its threshold
    decided  stable, no_release: the route has no release
    qos      gold
    route    sku
    release  -
    bucket   -

    strategies
      vip    chosen  0.625 = sku 0.2 + tags 0.175 + amount 0.25, 0.520833 of 1.2; threshold 0.6, lane gold
      saver  below   0.45 = sku 0.2 + tags 0 + amount 0.25, 0.375 of 1.2; threshold 0.55, lane bronze

    facts
      sku_id           SKU-1
      tags             vip
      order_amount     50
      stock_level      500
      conversion_rate  0.05
    ");
    insta::assert_snapshot!(serde_json::to_string(&reasoning.composite).unwrap(), @r#"{"whitelist":null,"sku_weight":"0.5","amount_bonus":"1","greatest":"1.2","strategies":[{"name":"vip","lane":"gold","qos":"gold","sku_term":"0.2","tag_match":"0.5","tag_term":"0.175","amount_term":"0.25","score":"0.625","share":"0.520833","threshold":"0.6","over":true,"chosen":true},{"name":"saver","lane":"bronze","qos":"bronze","sku_term":"0.2","tag_match":"0","tag_term":"0","amount_term":"0.25","score":"0.45","share":"0.375","threshold":"0.55","over":false,"chosen":false}]}"#);
}

/// The page's configuration with a release that everyone is in, or nobody.
fn with_release(level: &str) -> String {
    let text = yaml().replace("lanes: { stable: goods,", "release: r\n    lanes: { stable: goods, gray: goods-hot,");
    format!("{text}releases: {{ r: {{ level: {level}, developer: {{ header: x-o }} }} }}\n")
        .replace("version: 1", "version: 1\nenvironment: dev")
}

#[test]
fn a_release_keeps_its_word_and_strategies_take_what_it_leaves() {
    let hot = [("sku_id", "SKU-HOT")];
    for (level, latched, token, mark, expected) in [
        ("full", false, None, None, ("gray", Reason::Full)),
        ("full", true, None, None, ("hot", Reason::Whitelist)),
        ("full", false, Some("stable"), None, ("stable", Reason::Override)),
        ("developer", false, Some("gray"), None, ("gray", Reason::Override)),
        ("developer", false, None, None, ("hot", Reason::Whitelist)),
        ("developer", false, None, Some(("gray", Some("r"))), ("gray", Reason::LaneMark)),
        ("full", false, None, Some(("stable", Some("r"))), ("hot", Reason::Whitelist)),
        ("full", false, None, Some(("gold", None)), ("gold", Reason::LaneMark)),
        ("full", false, None, Some(("gold", Some("other"))), ("gray", Reason::Full)),
        ("full", true, None, Some(("gray", Some("r"))), ("hot", Reason::Whitelist)),
    ] {
        let program = program(&with_release(level));
        let known = known(&program, &hot);
        let mark = mark.map(|(lane, release)| LaneMark { lane, release });
        let inputs = Inputs { latched, override_token: token, mark, ..Inputs::of(&known) };
        let (decision, reasoning) = both(&program, &inputs);
        assert_eq!((&*reasoning.lane, reasoning.reason), expected, "{level} {latched} {token:?} {mark:?}");
        let strategic = matches!(expected.1, Reason::Whitelist | Reason::Score);
        assert_eq!(reasoning.composite.unwrap().skipped.is_none(), strategic, "{level} {latched} {token:?} {mark:?}");
        let fallen = decision.fall_back(Reason::BreakerOpen);
        assert_eq!((fallen.lane, fallen.qos), (LaneId::STABLE, decision.qos));
    }
}

#[test]
fn the_bucket_places_users_whatever_a_strategy_makes_of_them() {
    let text = with_release("permille").replace("level: permille", "permille: 0");
    let program = program(&text.replace("facts:\n", "facts:\n  user_id: [{ header: x-user-id }]\n"));
    let known = known(&program, &[("sku_id", "SKU-HOT"), ("user_id", "u1")]);
    let (decision, _) = both(&program, &Inputs::of(&known));
    assert_eq!((decision.reason, decision.decided.reason), (Reason::Whitelist, Reason::BucketOut));
    assert_eq!(decision.decided.lane, LaneId::STABLE);
}

#[test]
fn a_mark_for_a_pool_is_believed_where_no_release_is() {
    let program = program(yaml());
    let known = known(&program, &[("sku_id", "SKU-HOT")]);
    for (lane, expected) in [("gold", "gold"), ("stable", "hot"), ("gray", "hot"), ("moon", "hot")] {
        let mark = Some(LaneMark { lane, release: None });
        let (decision, reasoning) = both(&program, &Inputs { mark, ..Inputs::of(&known) });
        assert_eq!(reasoning.lane, expected);
        assert_eq!(decision.qos.map(|qos| qos.as_str()), Some("gold"));
    }
}

#[test]
fn an_expression_may_weigh_the_sku() {
    let weigh = |source: &str| {
        let text = yaml().replace("full_stock: 1000\n      full_conversion: 0.1", &format!("sku_weight: '{source}'"));
        let program = program(&text);
        let known = known(&program, &[("sku_id", "SKU-1"), ("stock_level", "40")]);
        let (_, reasoning) = both(&program, &Inputs::of(&known));
        reasoning.composite.unwrap().sku_weight
    };
    assert_eq!(weigh("stock_level / 100"), "0.4");
    assert_eq!(weigh("stock_level"), "1");
    assert_eq!(weigh("0 - stock_level"), "0");
    assert_eq!(weigh("order_amount / 100"), "0");
}

#[test]
fn strategies_that_make_no_sense_are_refused() {
    let change = |from: &str, to: &str| {
        assert!(yaml().contains(from), "{from}");
        yaml().replacen(from, to, 1)
    };
    check(change("lane: hot,", "lane: hott,"), "21:44: route `sku` has no lane `hott` (did you mean `hot`?)");
    check(
        change("stable: goods, hot: goods-hot", "stable: goods, gray: goods-hot, hot: goods-hot")
            .replace("lane: hot,", "lane: gray,"),
        "21:44: no strategy sends to `gray`: who sees it is the release's to say",
    );
    check(change("qos: gold }", "qos: golden }"), "21:54: `golden` is not a class of service (did you mean `gold`?)");
    check(change("threshold: 0.6", "threshold: high"), "26:76: `high` is no number");
    check(change("threshold: 0.6", "threshold: -1"), "26:76: `threshold` is from 0 to 1000000, not -1");
    check(change("full_stock: 1000", "full_stock: 0"), "23:19: `full_stock` is above 0");
    check(change("name: saver", "name: vip"), "27:19: strategy `vip` is defined twice; first at t.yaml:26:19");
    check(change("[SKU-HOT]", "[A, A]"), "21:31: `A` stands on the whitelist twice; first at t.yaml:21:28");
    check(change("tags: [coupon]", "tags: ['a,b']"), "27:60: `a,b` is no tag: write one for each, without commas");
    check(
        change("full_stock: 1000", "sku_weight: stock_level"),
        "24:24: the formula is not used beside `sku_weight`; `sku_weight` at t.yaml:23:19",
    );
}

#[test]
fn strategies_that_do_nothing_are_told() {
    let warns = |text: &str, expected: &str| {
        let loaded = load(text).unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
        let told = loaded.warnings.iter().filter(|warning| {
            ["strateg", "whitelist", "SKU", "orders", "order"].iter().any(|word| warning.message.contains(word))
        });
        super::same(&lines(told), expected);
    };
    let change = |from: &str, to: &str| {
        assert!(yaml().contains(from), "{from}");
        yaml().replacen(from, to, 1)
    };
    warns(yaml(), "");
    warns(&change("[SKU-HOT]", "['a b', SKU-HOT]"), "21:28: `a b` is no SKU code, so no request has it");
    warns(&change("[SKU-HOT]", "[]"), "21:37: this whitelist has no SKU, so nothing goes to its lane by it");
    let without = |fact: &str| {
        let line = yaml().lines().find(|line| line.trim_start().starts_with(&format!("{fact}:"))).unwrap();
        yaml().replacen(line, "", 1)
    };
    warns(&without("tags"), "26:54: fact `tags` has no source, so no strategy's tags are matched");
    warns(
        &without("conversion_rate"),
        "23:19: fact `conversion_rate` has no source, so it counts as 0 in the weight of every SKU",
    );
    warns(
        &without("order_amount"),
        "21:7: fact `order_amount` has no source, so every order counts as one of the least amounts",
    );
    // The best score takes a request, and of equal ones the first.
    let same =
        |threshold: &str| change("[coupon], threshold: 0.55", &format!("[new, vip, new], threshold: {threshold}"));
    warns(
        &same("0.6"),
        "27:19: strategy `saver` is never chosen: `vip` has the same tags and takes all of it; that strategy at t.yaml:26:19",
    );
    warns(&same("0.59"), "");
}
