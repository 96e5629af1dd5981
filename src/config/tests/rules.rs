//! `BusinessRule` documents beside the native form.

use std::borrow::Cow;

use super::super::Loaded;
use super::{BUSINESS_RULE, GOODS, check, goods, lines, load};
use crate::decide::{FactId, Facts, Inputs, LaneId, Level, RequestParts};

/// The example with a route for a rule to govern, and the rule as `rule` makes it.
fn with_rule(rule: &str) -> String {
    let free = "    lanes: { stable: goods-stable, gray: goods-gray }\n    release: pricing-v2\n    breaker: default\n  - name: rest";
    format!("{}\n---\n{rule}", goods(free, &free.replace("    release: pricing-v2\n", "")))
}

#[track_caller]
fn loads(text: &str) -> Loaded {
    match load(text) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

/// The warnings that mention the rule.
fn warnings(loaded: &Loaded) -> String {
    lines(loaded.warnings.iter().filter(|warning| warning.message.contains("rule")))
}

#[test]
fn a_rule_governs_the_routes_of_its_service_that_have_no_release() {
    let loaded = loads(&with_rule(BUSINESS_RULE));
    assert_eq!(warnings(&loaded), "");
    let program = &loaded.settings.program;
    let rule = program.release_named("sku-price-calc-v2").expect("the rule is a release");
    let governed: Vec<&str> =
        program.routes().iter().filter(|route| route.release == Some(rule)).map(|route| route.name.as_str()).collect();
    assert_eq!(governed, ["order-create"]);
    let release = program.release(rule);
    assert_eq!(
        (release.level, release.permille.get(), release.salt.as_str()),
        (Level::Permille, 50, "sku-price-calc-v2")
    );
    assert_eq!(release.conditions.len(), 2);
    assert_eq!(loaded.settings.rollbacks[rule.index()].figures.len(), 1);
}

#[test]
fn a_rule_that_nothing_uses_is_a_warning() {
    assert_eq!(
        warnings(&loads(BUSINESS_RULE)),
        "4:3: nothing uses the rule `sku-price-calc-v2`: no routes are configured beside it"
    );
    let other = BUSINESS_RULE.replace("service: goods-core", "service: goods-cart");
    assert_eq!(
        warnings(&loads(&with_rule(&other))),
        "82:12: nothing uses the rule `sku-price-calc-v2`: this sidecar's service is `goods-core` (did you mean `goods-core`?)"
    );
    assert_eq!(
        warnings(&loads(&format!("{GOODS}\n---\n{BUSINESS_RULE}"))),
        "81:3: nothing uses the rule `sku-price-calc-v2`: no route has a gray lane and no release of its own"
    );
}

#[track_caller]
fn weight(text: &str, expected: u16) {
    let loaded = loads(&with_rule(&BUSINESS_RULE.replace("\"5%\"", text)));
    let program = &loaded.settings.program;
    let rule = program.release_named("sku-price-calc-v2").expect("the rule is a release");
    assert_eq!(program.release(rule).permille.get(), expected);
}

#[test]
fn the_weight_is_exact_to_one_permille() {
    weight("5%", 50);
    weight("\"5.5%\"", 55);
    weight("55‰", 55);
    weight("100%", 1000);
    let rule = |weight: &str| BUSINESS_RULE.replace("\"5%\"", weight);
    check(rule("0.05%"), "7:18: `0.05%` is finer than one permille, the smallest share");
    check(rule("5"), "7:18: `5` needs a unit: write `5%` or `50‰`");
    check(rule("101%"), "7:18: `101%` is more than 100%");
}

#[test]
fn a_rule_is_checked_like_everything_else() {
    let rule = |from: &str, to: &str| BUSINESS_RULE.replacen(from, to, 1);
    check(
        rule("key: category_id", "key: categry_id"),
        "9:12: `categry_id` is not a fact (did you mean `category_id`?)",
    );
    check(
        rule("trafficWeight", "trafficweight"),
        "7:3: unknown field `trafficweight` in `spec` (did you mean `trafficWeight`?)",
    );
    check(
        rule("/v1", "/v2"),
        "1:13: `gray.alibaba.com/v2` is not known here, only `gray.alibaba.com/v1` is (did you mean `gray.alibaba.com/v1`?)",
    );
    check(rule("kind: BusinessRule", "kind: ConfigMap"), "2:7: `ConfigMap` is not known here, only `BusinessRule` is");
    check(rule("\"0.85\"", "high"), "17:18: `high` is no number");
    check(rule("  service: goods-core\n", ""), "6:3: missing field `service` in `spec`");
}

#[test]
fn two_rules_cannot_govern_one_service() {
    let second = BUSINESS_RULE.replace("sku-price-calc-v2", "second");
    check(
        format!("{BUSINESS_RULE}\n---\n{second}"),
        "26:12: a second rule for service `goods-core`: which one governs its routes cannot be told; the first at t.yaml:6:12",
    );
    check(
        format!("{BUSINESS_RULE}\n---\n{BUSINESS_RULE}"),
        "24:9: rule `sku-price-calc-v2` is defined twice; first at t.yaml:4:9",
    );
    let named = BUSINESS_RULE.replace("sku-price-calc-v2", "pricing-v2");
    check(
        format!("{GOODS}\n---\n{named}"),
        "81:9: rule `pricing-v2` has the name of a release; the release at t.yaml:36:3",
    );
}

/// The buckets of a share of users, as the rule and as a release that says the same.
#[test]
fn a_rule_decides_as_a_release_that_says_the_same() {
    let native = goods(
        "releases:\n",
        "releases:\n  sku-price-calc-v2:\n    level: permille\n    permille: 50\n    conditions:\n      - { key: category_id, operator: \
         IN, values: [\"1001\", \"1002\"] }\n      - { key: stock_level, operator: GT, value: 500 }\n",
    );
    let own = "    lanes: { stable: goods-stable, gray: goods-gray }\n    release: pricing-v2\n    breaker: default\n  - name: rest";
    assert!(native.contains(own), "the example has another shape");
    let native = loads(&native.replace(own, &own.replace("pricing-v2", "sku-price-calc-v2")));
    let rule = loads(&with_rule(BUSINESS_RULE));
    let mut admitted = 0;
    for user in 0..2000 {
        let facts = Known(user.to_string(), ["1001", "9"][user % 2], ["500", "501", "700"][user % 3]);
        let decide = |loaded: &Loaded| {
            let program = &loaded.settings.program;
            let route = program.routes().iter().position(|route| route.name == "order-create").expect("the route");
            let asked = program.find(&Post, "/api/v1/orders").expect("a route").route;
            assert_eq!(asked.index(), route);
            let decision = program.decide(asked, &Inputs::of(&facts));
            (decision.lane, decision.level, decision.reason, decision.bucket)
        };
        assert_eq!(decide(&rule), decide(&native), "{facts:?}");
        admitted += usize::from(decide(&rule).0 == LaneId::GRAY);
    }
    // A third of the users fulfils both conditions, and the rule is open for a twentieth of them.
    assert!((15..=55).contains(&admitted), "{admitted}");
}

#[derive(Debug)]
struct Known(String, &'static str, &'static str);

impl Facts for Known {
    fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
        match fact {
            FactId::USER_ID => Some(Cow::Borrowed(&self.0)),
            FactId::CATEGORY_ID => Some(self.1.into()),
            FactId::STOCK_LEVEL => Some(self.2.into()),
            _ => None,
        }
    }
}

struct Post;

impl RequestParts for Post {
    fn method(&self) -> &str {
        "POST"
    }
    fn host(&self) -> Option<&str> {
        None
    }
    fn path(&self) -> &str {
        "/api/v1/orders"
    }
    fn query(&self) -> Option<&str> {
        None
    }
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }
    fn for_each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
}

#[test]
fn the_weight_is_never_rounded() {
    weight("\"0.1%\"", 1);
    weight("\"1‰\"", 1);
    weight("\"0%\"", 0);
    weight("\"99.9 %\"", 999);
    weight("\"1000‰\"", 1000);
    let rule = |weight: &str| BUSINESS_RULE.replace("\"5%\"", weight);
    check(rule("\"0.5‰\""), "7:18: `0.5‰` is finer than one permille, the smallest share");
    check(rule("\"33.333%\""), "7:18: `33.333%` is finer than one permille, the smallest share");
    check(rule("\"-5%\""), "7:18: `-5%` is no share: write `5%` or `50‰`");
    check(rule("\"five\""), "7:18: `five` is no share: write `5%` or `50‰`");
    check(rule("\"1001‰\""), "7:18: `1001‰` is more than 100%");
}

#[test]
fn operators_are_written_in_capitals_and_numbers_with_or_without_quotes() {
    let rule = |from: &str, to: &str| BUSINESS_RULE.replacen(from, to, 1);
    check(rule("operator: IN", "operator: in"), "10:17: `in` is not an operator (did you mean `IN`?)");
    for values in ["[500]", "[\"500\"]", "[\"500.0\"]"] {
        let text = with_rule(&rule("values: [\"500\"]", &format!("values: {values}")));
        assert_eq!(warnings(&loads(&text)), "", "{values}");
    }
    check(rule("values: [\"500\"]", "values: [abc]"), "14:16: GT compares numbers, and `abc` is none");
}

#[test]
fn only_routes_with_a_gray_lane_and_no_release_are_governed() {
    let text = with_rule(BUSINESS_RULE).replacen(
        "routes:\n",
        "routes:\n  - { name: free, match: { path: /free }, lanes: { stable: goods-stable, gray: goods-gray } }\n  - { name: \
         alone, match: { path: /alone }, lanes: { stable: goods-stable } }\n",
        1,
    );
    let loaded = loads(&text);
    let program = &loaded.settings.program;
    let rule = program.release_named("sku-price-calc-v2").expect("the rule is a release");
    let governed: Vec<&str> =
        program.routes().iter().filter(|route| route.release == Some(rule)).map(|route| route.name.as_str()).collect();
    assert_eq!(governed, ["free", "order-create"]);
    let own = program.routes().iter().filter(|route| route.release.is_some() && route.release != Some(rule)).count();
    assert!(own > 0, "routes with a release of their own keep it");
}

#[test]
fn a_metric_of_others_is_kept_shown_and_warned_of_and_one_of_ours_is_judged() {
    let loaded = loads(&with_rule(BUSINESS_RULE));
    let told = lines(loaded.warnings.iter().filter(|warning| warning.message.contains("redis_hotkey_hit_rate")));
    assert!(told.contains("kept and shown, but not yet enforced"), "{told}");
    let plan = |loaded: &Loaded| {
        let rule = loaded.settings.program.release_named("sku-price-calc-v2").expect("the rule is a release");
        loaded.settings.rollbacks[rule.index()].figures[0].clone()
    };
    let shown = plan(&loaded).shown();
    assert_eq!(
        (&shown["operator"], &shown["threshold"], &shown["enforced"]),
        (&"GE".into(), &"0.85".into(), &false.into())
    );
    assert_eq!(shown["duration_seconds"], 60.0);
    let below = BUSINESS_RULE.replacen("threshold: \"0.85\"", "operator: LT\n      threshold: \"0.85\"", 1);
    assert_eq!(plan(&loads(&with_rule(&below))).operator, "LT");
    let ours = BUSINESS_RULE.replace("redis_hotkey_hit_rate", "error_rate");
    assert_eq!(plan(&loads(&with_rule(&ours))).shown()["enforced"], true);
    let falling = BUSINESS_RULE.replace("redis_hotkey_hit_rate", "success_rate");
    check(falling, "16:15: more of `graylane_success_rate` is not worse, so it needs an `operator`");
}

#[test]
fn a_rule_may_have_any_name_that_kubernetes_takes() {
    let named = |length: usize| {
        let name = "r".repeat(length);
        (BUSINESS_RULE.replacen("sku-price-calc-v2", &name, 1), name)
    };
    let (rule, name) = named(253);
    assert!(loads(&with_rule(&rule)).settings.program.release_named(&name).is_some());
    let problems = load(with_rule(&named(254).0)).unwrap_err();
    assert!(lines(problems.iter()).contains("rr` is no name"), "{}", lines(problems.iter()));
}
