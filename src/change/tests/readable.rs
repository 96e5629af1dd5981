//! Differences as people read them.

use super::*;

fn told(old: &Loaded, new: &Loaded) -> Vec<String> {
    plan(old, new).differences.iter().map(Difference::to_string).collect()
}

const FACTS: &str = "facts: { stock_level: [{ header: x }] }\n";

#[test]
fn each_value_is_told_with_its_path() {
    let old = with_release("{ permille: 50, conditions: [{ key: stock_level, operator: GT, value: 5 }] }", FACTS);
    let new = with_release(
        "{ permille: 80, conditions: [{ key: stock_level, operator: GT, value: 7 }] }\n  n: { level: developer }",
        "facts: { stock_level: [{ header: x }, { query: q }] }\ntrust: [10.0.0.0/8]\ndrain: 40s\n",
    );
    assert_eq!(
        told(&old, &new),
        [
            "drain: added 40s",
            "facts.stock_level: [{header: x}] -> [{header: x}, {query: q}]",
            "releases.n: added {level: developer}",
            "releases.r.conditions.\"stock_level GT\".value: 5 -> 7",
            "releases.r.permille: 50 -> 80",
            "trust: added [10.0.0.0/8]",
        ]
    );
}

#[test]
fn routes_upstreams_and_rules_go_by_their_names() {
    let base = "upstreams: { s: { endpoints: [127.0.0.1:1] }, t: { endpoints: [127.0.0.1:3] } }\n";
    let route = |name: &str, path: &str, upstream: &str| {
        format!("  - {{ name: {name}, match: {{ path: {path} }}, lanes: {{ stable: {upstream} }} }}\n")
    };
    let old = load(&format!("{base}routes:\n{}{}", route("a", "/a", "s"), route("b", "/b", "s")));
    let new = load(&format!("{base}routes:\n{}{}", route("c", "/c", "s"), route("b", "/b", "t")));
    let plan = plan(&old, &new);
    let told: Vec<String> = plan.differences.iter().map(Difference::to_string).collect();
    assert_eq!(
        told,
        [
            "routes.a: removed {name: a, match: {path: /a}, lanes: {stable: s}}",
            "routes.b.lanes.stable: s -> t",
            "routes.c: added {name: c, match: {path: /c}, lanes: {stable: s}}",
        ]
    );
    let names = &plan.names["routes"];
    assert!(names.added.contains("c") && names.changed.contains("b") && names.removed.contains("a"), "{names:?}");
    assert_eq!((names.added.len(), names.changed.len(), names.removed.len()), (1, 1, 1));
}

#[test]
fn the_order_of_groups_is_told() {
    let experiment = |groups: &str| format!("experiments: {{ e: {{ groups: {groups} }} }}\n");
    let of = |groups: &str| with_release("{ level: ab, ab: { experiment: e, groups: [a] } }", &experiment(groups));
    assert_eq!(
        told(&of("{ a: 300, b: 700 }"), &of("{ b: 700, a: 300 }")),
        ["experiments.e.groups.order: [a, b] -> [b, a]",]
    );
}

#[test]
fn a_changed_key_is_told_and_its_content_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("override.key");
    let mut versions = ["k", "j"].map(|letter| {
        std::fs::write(&file, letter.repeat(40)).unwrap();
        let developer = format!("{{ header: x-o, key_file: {} }}", file.display());
        with_release(&format!("{{ level: developer, developer: {developer} }}"), "")
    });
    let plan = plan(&versions[0], &versions[1]);
    assert_eq!(plan.differences.iter().map(Difference::to_string).collect::<Vec<_>>(), ["key files: changed"]);
    assert!(!serde_json::to_string(&plan).unwrap().contains("jjjj"));
    versions[1].keys = versions[0].keys.clone();
    assert!(super::plan(&versions[0], &versions[1]).is_empty());
}

#[test]
fn a_secret_is_told_as_changed_and_nothing_more() {
    let of = |password: &str| config::Source {
        path: "t.yaml".into(),
        text: format!("stores: {{ one: {{ password: {password}, url: 'redis://u:{password}@h:1' }} }}\n"),
    };
    let [old, new] = ["first-secret", "second-secret"].map(|password| config::written(&[of(password)]));
    let told: Vec<String> =
        super::super::difference::differences(&old, &new).iter().map(Difference::to_string).collect();
    assert_eq!(told, ["stores.one.password: changed", "stores.one.url: changed"]);
    let added = super::super::difference::differences(&config::Written::Map(Vec::new()), &new);
    assert_eq!(added[0].to_string(), "stores.one: added {password: ***, url: redis://***@h:1}");
}
