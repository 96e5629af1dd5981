//! `BusinessRule` documents beside the native form.

use super::super::Loaded;
use super::{BUSINESS_RULE, GOODS, check, goods, lines, load};
use crate::decide::Level;

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
