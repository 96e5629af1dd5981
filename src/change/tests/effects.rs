//! Who moves, counted.

use super::*;

/// Asserts the effects of a change of the release `r`, as people read them, those of the route `all` left out.
fn check(old: &str, new: &str, more: [&str; 2], expected: &[&str]) {
    let plan = plan(&with_release(old, more[0]), &with_release(new, more[1]));
    let releases = plan.effects.iter().filter(|effect| effect.subject == Subject::Release);
    let told: Vec<String> = releases.map(Effect::to_string).collect();
    assert_eq!(told, expected, "{old} -> {new}");
}

#[test]
fn a_ramp_moves_the_buckets_between() {
    let plain = ["", ""];
    check("{ permille: 50 }", "{ permille: 80 }", plain, &["release r: 30 of 1000 users to gray, 0 to stable"]);
    check("{ permille: 80 }", "{ permille: 50 }", plain, &["release r: 0 of 1000 users to gray, 30 to stable"]);
    check("{ permille: 80 }", "{ level: full }", plain, &["release r: 920 of 1000 users to gray, 0 to stable"]);
    check("{ permille: 1000 }", "{ level: full }", plain, &[]);
    check("{ permille: 50 }", "{ permille: 50 }", plain, &[]);
}

#[test]
fn another_salt_deals_all_users_anew() {
    let old = "{ permille: 500 }";
    check(old, "{ permille: 500, salt: other }", ["", ""], &["release r: 250 of 1000 users to gray, 250 to stable"]);
    check(
        old,
        "{ permille: 500, hash_key: device_id }",
        ["", ""],
        &["release r: 250 of 1000 users to gray, 250 to stable"],
    );
}

#[test]
fn groups_and_buckets_are_independent_unless_they_share_a_salt() {
    let experiment = |salt: &str| format!("experiments:\n  e: {{ salt: {salt}, groups: {{ a: 500, b: 500 }} }}\n");
    let (own, shared) = (experiment("e"), experiment("r"));
    let [only, with] = ["{ permille: 100 }", "{ permille: 100, ab: { experiment: e, groups: [a] } }"];
    check(only, with, [&own, &own], &["release r: 450 of 1000 users to gray, 0 to stable"]);
    check(only, with, [&shared, &shared], &["release r: 400 of 1000 users to gray, 0 to stable"]);
}

#[test]
fn the_order_of_groups_decides_who_is_in_them() {
    let experiment = |groups: &str| format!("experiments:\n  e: {{ groups: {groups} }}\n");
    let (one, two) = (experiment("{ a: 300, b: 700 }"), experiment("{ b: 700, a: 300 }"));
    let release = "{ level: ab, ab: { experiment: e, groups: [a] } }";
    check(release, release, [&one, &two], &["release r: 300 of 1000 users to gray, 300 to stable"]);
}

#[test]
fn conditions_give_bounds() {
    let one = "{ key: stock_level, operator: GT, value: 5 }".to_owned();
    let two = "{ key: category_id, operator: IN, values: ['1'] }".to_owned();
    let release = |permille: u16, conditions: &[&String]| {
        let list: Vec<&str> = conditions.iter().map(|text| text.as_str()).collect();
        format!("{{ permille: {permille}, conditions: [{}] }}", list.join(", "))
    };
    let facts = "facts: { stock_level: [{ header: x }], category_id: [{ header: y }] }\n";
    let check = |old: String, new: String, expected: &[&str]| check(&old, &new, [facts, facts], expected);
    check(
        release(50, &[&one]),
        release(80, &[&one]),
        &["release r: 30 of 1000 users who meet the conditions to gray, 0 to stable"],
    );
    check(release(80, &[]), release(80, &[&one]), &["release r: up to 0 of 1000 users to gray, up to 80 to stable"]);
    check(release(80, &[&one]), release(80, &[]), &["release r: up to 80 of 1000 users to gray, up to 0 to stable"]);
    check(
        release(80, &[&one]),
        release(80, &[&two]),
        &["release r: up to 80 of 1000 users to gray, up to 80 to stable"],
    );
}

#[test]
fn regions_give_bounds_and_a_smaller_list_lets_nobody_in() {
    let facts = "facts: { province_code: [{ header: x }] }\n";
    let release = |codes: &str| format!("{{ level: permille, permille: 50, regions: {{ province_code: {codes} }} }}");
    let (few, many) = (release("['330000']"), release("['330000', '440000']"));
    check(&few, &many, [facts, facts], &["release r: up to 950 of 1000 users to gray, up to 0 to stable"]);
    check(&many, &few, [facts, facts], &["release r: up to 0 of 1000 users to gray, up to 950 to stable"]);
    check(&few, "{ permille: 50 }", [facts, facts], &["release r: up to 0 of 1000 users to gray, up to 950 to stable"]);
}

#[test]
fn facts_read_from_elsewhere_may_move_anybody() {
    let facts = |header: &str| format!("facts: {{ user_id: [{{ header: {header} }}] }}\n");
    let release = "{ permille: 50 }";
    check(
        release,
        release,
        [&facts("x"), &facts("y")],
        &["release r: up to 50 of 1000 users to gray, up to 50 to stable"],
    );
}

#[test]
fn a_route_that_gets_a_release_moves_its_users() {
    let old = load(
        "upstreams: { s: { endpoints: [127.0.0.1:1] }, g: { endpoints: [127.0.0.1:2] } }\nreleases: { r: { permille: \
         70 } }\nroutes: [{ name: a, match: { path: /a }, lanes: { stable: s, gray: g }, release: r }, { name: b, \
         match: { path: /b }, lanes: { stable: s } }]\n",
    );
    let new = load(
        "upstreams: { s: { endpoints: [127.0.0.1:1] }, g: { endpoints: [127.0.0.1:2] } }\nreleases: { r: { permille: \
         70 } }\nroutes: [{ name: a, match: { path: /aa }, lanes: { stable: s, gray: g }, release: r }, { name: b, \
         match: { path: /b }, lanes: { stable: s, gray: g }, release: r }]\n",
    );
    let told: Vec<String> = plan(&old, &new).effects.iter().map(Effect::to_string).collect();
    assert_eq!(
        told,
        [
            "route a: up to 70 of 1000 users to gray, up to 70 to stable",
            "route b: 70 of 1000 users to gray, 0 to stable",
        ]
    );
}

#[test]
fn a_release_that_was_taken_back_moves_nobody_until_its_revision_does() {
    let latched = Standing { latched: ["r".to_owned()].into(), ..Standing::default() };
    let old = with_release("{ permille: 50 }", "");
    let effects = |new: &Loaded| -> Vec<String> {
        let plan = Plan::between((&old).into(), new.into(), &latched, None);
        plan.effects.iter().filter(|effect| effect.subject == Subject::Release).map(Effect::to_string).collect()
    };
    assert_eq!(effects(&with_release("{ permille: 900 }", "")), Vec::<String>::new());
    assert_eq!(
        effects(&with_release("{ permille: 60, revision: 1 }", "")),
        ["release r: 60 of 1000 users to gray, 0 to stable",]
    );
}
