use super::super::Concern;
use crate::config::{Source, written};

fn between(old: &str, new: &str) -> Concern {
    let tree = |text: &str| written(&[Source { path: "t.yaml".into(), text: text.to_owned() }]);
    Concern::between(&tree(old), &tree(new))
}

fn skus(names: &[&str]) -> Concern {
    Concern::Skus(names.iter().map(|name| (*name).to_owned()).collect())
}

/// A release at 10 and at 20 permille with this condition.
#[track_caller]
fn check(condition: &str, expected: Concern) {
    let release = |permille| format!("releases: {{ r: {{ permille: {permille}, conditions: [{condition}] }} }}");
    assert_eq!(between(&release(10), &release(20)), expected, "{condition}");
    assert_eq!(between("drain: 1s", &release(10)), expected, "{condition}");
    assert_eq!(between(&release(10), "drain: 1s"), expected, "{condition}");
    assert_eq!(between(&release(10), &release(10)), Concern::Nothing);
}

#[test]
fn a_rule_concerns_the_skus_that_its_conditions_keep_it_to() {
    check("{ key: sku_id, operator: EQ, value: A1 }", skus(&["A1"]));
    check("{ key: sku_id, operator: IN, values: [A1, '7'] }", skus(&["7", "A1"]));
    check("{ key: tag, operator: EQ, value: vip }, { key: sku_id, operator: EQ, value: A1 }", skus(&["A1"]));
    check(
        "{ all: [{ key: sku_id, operator: IN, values: [A1, A2] }, { key: tag, operator: EQ, value: x }] }",
        skus(&["A1", "A2"]),
    );
    let both = "{ key: sku_id, operator: EQ, value: A1 }, { key: sku_id, operator: EQ, value: A2 }";
    check(&format!("{{ any: [{both}] }}"), skus(&["A1", "A2"]));
}

#[test]
fn a_rule_that_is_kept_to_none_concerns_all() {
    check("{ key: tag, operator: EQ, value: vip }", Concern::Everything);
    check("{ key: sku_id, operator: NE, value: A1 }", Concern::Everything);
    check("{ not: { key: sku_id, operator: EQ, value: A1 } }", Concern::Everything);
    check("{ expression: 'sku_id == \"A1\"' }", Concern::Everything);
    check(
        "{ any: [{ key: sku_id, operator: EQ, value: A1 }, { key: tag, operator: EQ, value: vip }] }",
        Concern::Everything,
    );
    assert_eq!(between("releases: { r: { permille: 1 } }", "releases: { r: { permille: 2 } }"), Concern::Everything);
}

#[test]
fn another_set_of_skus_concerns_those_before_and_those_after() {
    let release = |sku: &str| {
        format!("releases: {{ r: {{ permille: 9, conditions: [{{ key: sku_id, operator: EQ, value: {sku} }}] }} }}")
    };
    assert_eq!(between(&release("A1"), &release("A2")), skus(&["A1", "A2"]));
    let full = release("A1").replace("permille: 9", "level: full, permille: 9");
    assert_eq!(between(&release("A1"), &full), Concern::Everything);
}

#[test]
fn a_whitelist_concerns_what_differs_in_it_and_the_rest_of_a_route_everything() {
    let route = |skus: &str, lane: &str, path: &str| {
        format!(
            "routes: [{{ name: r, match: {{ path: {path} }}, \
                strategies: {{ whitelist: [{{ skus: [{skus}], lane: {lane} }}] }} }}]"
        )
    };
    let first = route("A1, A2", "gray", "/a");
    assert_eq!(between(&first, &route("A2, A3", "gray", "/a")), skus(&["A1", "A3"]));
    assert_eq!(between(&first, &route("A1, A2", "blue", "/a")), skus(&["A1", "A2"]));
    assert_eq!(between(&first, &route("A1, A2", "gray", "/b")), Concern::Everything);
    assert_eq!(between(&first, ""), Concern::Everything);
}

#[test]
fn another_snapshot_concerns_all_and_what_is_no_rule_nobody() {
    assert_eq!(between("products: { version: 41 }", "products: { version: 42 }"), Concern::Everything);
    assert_eq!(between("drain: 1s", "drain: 2s"), Concern::Nothing);
    assert_eq!(between("upstreams: { a: { idle: 1s } }", "upstreams: { a: { idle: 2s } }"), Concern::Nothing);
}

#[test]
fn it_is_told_as_a_list_or_a_star() {
    let told = |concern: Concern| serde_json::to_string(&concern).unwrap();
    assert_eq!(told(skus(&["A1", "A2"])), r#"["A1","A2"]"#);
    assert_eq!(told(Concern::Everything), r#""*""#);
    assert_eq!(told(Concern::Nothing), "[]");
}
