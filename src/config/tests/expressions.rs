//! Expressions where a configuration may have them, and what is said of bad ones at their place.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{BUSINESS_RULE, check, goods, lines, load};

/// The example with an expression for the release, from line 45, column 17 on.
fn with(expression: &str) -> String {
    goods("    rollback: {", &format!("    expression: {expression}\n    rollback: {{"))
}

#[track_caller]
fn loads(text: &str) {
    if let Err(problems) = load(text) {
        panic!("{}", lines(problems.iter()));
    }
}

#[test]
fn an_expression_stands_beside_conditions_and_inside_them() {
    loads(&with("'category_id in [\"1001\"] && stock_level > 500 && tier == \"VIP\"'"));
    let inside = |condition: &str| {
        goods("      - { key: stock_level", &format!("      - {condition}\n      - {{ key: stock_level"))
    };
    loads(&inside("{ expression: stock_level > 1 }"));
    loads(&inside("any: [{ expression: stock_level > 1 }, { not: { expression: 'tier == \"VIP\"' } }]"));
    check(
        inside("{ expression: stock_level > 1, key: tag }"),
        "44:11: a condition is a test, an `expression`, or one of `all`, `any`, `not`",
    );
    let rule = BUSINESS_RULE
        .replace("  conditions:\n", "  expression: stock_level > 500 && order_amount > 1\n  conditions:\n");
    loads(&rule);
    check(
        rule.replace("order_amount", "order_amont"),
        "8:36: `order_amont` is not a fact (did you mean `order_amount`?)",
    );
}

#[test]
fn what_is_wrong_is_shown_at_its_place() {
    check(with("'true && stok_level > 500'"), "45:26: `stok_level` is not a fact (did you mean `stock_level`?)");
    check(with("stok_level > 500"), "45:17: `stok_level` is not a fact (did you mean `stock_level`?)");
    check(
        with("'\"abc\" > 500'"),
        "45:18: `\"abc\"` is a text and `500` is a number: they are never compared; codes stand between quotation marks",
    );
    check(with("'user_id.mtches(\"a\")'"), "45:26: there is no function `mtches` (did you mean `matches`?)");
    check(with(r#"'user_id.matches("(a{50}){50}{50}")'"#), "45:26: the pattern is too large when compiled");
    check(with("[1, 2]"), "45:17: expected a text, found a list");
    check(
        with("'[1].all(x, x > 0)'"),
        "45:22: `all()` loops, and an expression does not; use `in`, or ANY_OF and ALL_OF",
    );
}

#[test]
fn values_are_numbers_by_name() {
    let values = |values: &str| goods("upstreams:\n", &format!("values: {{ {values} }}\nupstreams:\n"));
    loads(&values("half: stock_level / 2, quarter: half / 2"));
    check(values("half: quarter / 2, quarter: stock_level / 4"), "28:17: `quarter` is not a fact");
    check(values("stock_level: 1 + 1"), "28:11: `stock_level` is a fact already");
    check(values("a: stock_level > 1"), "28:14: a part is true or false, and a number is wanted");
    check(values("a-b: 1 + 1"), "28:11: `a-b` is no name for a value: write letters, digits and `_`");
    // Each value uses the one before it twice: the steps double until they are too many.
    let doubling = (1..8).map(|n| format!("v{n}: v{0} * v{0}", n - 1)).collect::<Vec<_>>().join(", ");
    let problems = load(values(&format!("v0: stock_level + 1, {doubling}"))).expect_err("it is too much");
    let told = lines(problems.iter());
    assert!(told.contains("steps; 20000 is the most") || told.contains("8 is the deepest"), "{told}");
}

#[test]
fn tables_of_functions_are_checked() {
    let functions = |functions: &str| goods("upstreams:\n", &format!("functions: {{ {functions} }}\nupstreams:\n"));
    loads(&functions(
        "in_stock: 5, discount_by_tier: { VIP: 0.2 }, tag_score: { a: -1 }, promotions: { x: { off: 1 } }",
    ));
    check(functions("discount_by_tier: { VIP: 20 }"), "28:39: `20` is no share: write 0.2 for 20%");
    check(functions("promotions: { x: { off: -1 } }"), "28:38: `-1` is below 0");
    check(functions("promotions: { x: { over: 1 } }"), "28:28: promotion `x` has neither `share` nor `off`");
    check(functions("tag_score: { a: NaN }"), "28:30: `NaN` is no number");
}

#[test]
fn no_expression_can_stall_or_crash_the_loader() {
    let start = Instant::now();
    let mut loops = String::from("true");
    for _ in 0..5 {
        loops = format!("[1,2,3,4,5,6,7,8,9,10].all(x, {loops})");
    }
    for source in [
        loops,
        format!("{}true{}", "(".repeat(1000), ")".repeat(1000)),
        "!".repeat(2000),
        "-".repeat(2000),
        "a.".repeat(250) + "a",
        "a ? b : ".repeat(8) + "c",
        format!("stock_level > {}", "9".repeat(400)),
        format!("stock_level > 0.{}", "9".repeat(400)),
        String::from("stock_level > NaN"),
        String::from("1.0 / 0 > 0 == true"),
        "(".repeat(2048),
        "\u{1}\u{2}é".repeat(100),
        String::from("user_id == \"\\"),
    ] {
        let written = serde_json::to_string(&source).expect("a text");
        drop(load(with(&written)));
    }
    drop(load(
        with("'user_id == \"\u{e9}\"'")
            .replace('\u{e9}', "?")
            .into_bytes()
            .iter()
            .map(|b| if *b == b'?' { 0xe9 } else { *b })
            .collect::<Vec<_>>(),
    ));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// What `make fuzz` does for longer: any words in any order are refused or evaluate.
    #[test]
    fn words_in_any_order_never_panic(words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..24)) {
        crate::config::check_expression(words.join(" ").as_bytes());
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::config::check_expression(&bytes);
        crate::config::check_bytes(&bytes);
    }
}

const WORDS: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "?",
    ":",
    ",",
    ".",
    "in",
    "0",
    "1",
    "2.5",
    "true",
    "'a'",
    "\"1001\"",
    "has",
    "size",
    "tags",
    "stock_level",
    "category_id",
    "tier",
    "header",
    "x",
    "startsWith",
    "matches",
    "isInStock",
    "discountByTier",
    "tagScore",
];
