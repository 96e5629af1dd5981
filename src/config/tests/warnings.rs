//! What loads and is still probably not what was meant.

use super::{goods, lines, load};

/// The warnings that hold these words.
#[track_caller]
fn warns(text: &str, words: &str, expected: &str) {
    let loaded = load(text).unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
    let told = loaded.warnings.iter().filter(|warning| warning.message.contains(words));
    assert_eq!(lines(told), expected);
}

fn rule(conditions: &str) -> String {
    goods("      - { key: stock_level, operator: GT, value: 500 }", conditions)
}

#[test]
fn a_rule_that_never_holds_is_told_at_the_condition_that_makes_it_so() {
    warns(
        &rule("      - { key: category_id, operator: EQ, value: \"9\" }"),
        "never",
        "44:11: this condition contradicts another one: they can never both hold; the other at t.yaml:43:11",
    );
    warns(
        &rule(
            "      - { all: [{ key: stock_level, operator: GT, value: 5 }, { key: stock_level, operator: LT, value: 3 }] }",
        ),
        "never",
        "44:11: this condition can never hold",
    );
    warns(
        &rule(
            "      - { any: [{ key: category_id, operator: EQ, value: \"9\" }, { key: user_tier, operator: EQ, value: VIP }] }",
        ),
        "never",
        "",
    );
    warns(
        &rule(
            "      - any:\n        - { key: user_tier, operator: EQ, value: VIP }\n        - { not: { any: [{ key: user_tier, operator: EXISTS }, { not: { key: user_tier, operator: EXISTS } }] } }",
        ),
        "never",
        "46:13: this part of `any` can never hold",
    );
    warns(&rule("      - { key: stock_level, operator: GT, value: 500 }"), "never", "");
}

#[test]
fn an_expression_that_never_holds_is_told() {
    let beside =
        |expression: &str| goods("    rollback: {", &format!("    expression: '{expression}'\n    rollback: {{"));
    for never in [
        "stock_level > 5 && stock_level < 5",
        "stock_level > 600 && 600 > stock_level",
        "!(stock_level > 600) && stock_level == 700",
        "false",
        "1 > 2",
        "-1 > 2 || category_id in []",
        "tier == \"VIP\" && tier == \"new\"",
        "tier.startsWith(\"a\") && tier in [\"b\", \"c\"]",
        "has(tier) && !has(tier)",
    ] {
        warns(&beside(never), "never", "45:17: this condition can never hold");
    }
    warns(
        &beside("stock_level < 5"),
        "never",
        "45:17: this condition contradicts another one: they can never both hold; the other at t.yaml:44:11",
    );
    for may in [
        "stock_level > 5 || false",
        "stock_level * 2 < 5",
        "tier != \"VIP\" || tier == \"VIP\"",
        "!(tier == \"VIP\")",
        "tier == \"a\" ? stock_level < 5 : true",
    ] {
        warns(&beside(may), "never", "");
    }
    warns(
        &rule("      - { expression: \"stock_level < 5 && stock_level > 7\" }"),
        "never",
        "44:11: this condition can never hold",
    );
    // An expression that cannot be computed does not hold, so under `not` it says nothing.
    warns(&rule("      - { not: { expression: \"stock_level < 5 || stock_level >= 5\" } }"), "never", "");
}

#[test]
fn thousands_of_conditions_are_judged_in_no_time() {
    let many: String =
        (501..10_501).map(|least| format!("      - {{ key: stock_level, operator: GT, value: {least} }}\n")).collect();
    let begun = std::time::Instant::now();
    warns(
        &rule(&(many + "      - { key: stock_level, operator: LT, value: 0 }")),
        "never",
        "10044:11: this condition contradicts another one: they can never both hold; the other at t.yaml:44:11",
    );
    // Half a second or so; it was minutes.
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_route_that_is_never_reached_is_told() {
    let route = |name: &str, headers: &str| {
        format!(
            "\n  - name: {name}\n    match: {{ path: \"/x/{{id}}\", headers: {{ {headers} }} }}\n    lanes: {{ stable: goods-stable }}"
        )
    };
    let both = |first: &str, second: &str| {
        goods("\n  - name: rest", &format!("{}{}\n  - name: rest", route("one", first), route("two", second)))
    };
    let hidden = both("x-a: { prefix: ab }", "x-a: abc");
    let loaded = load(&hidden).unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
    let told = lines(loaded.warnings.iter().filter(|warning| warning.message.contains("reaches")));
    assert!(told.contains("no request reaches route `two`: `one` takes all of them; that route at "), "{told}");
    warns(&both("x-a: abc", "x-a: { prefix: ab }"), "reaches", "");
    warns(&both("x-a: abc", "x-b: abc"), "reaches", "");
}

#[test]
fn a_city_that_does_not_exist_is_told() {
    let listed = |code: &str| goods("city_id: [\"440300\"]", &format!("city_id: [\"{code}\"]"));
    warns(
        &listed("331200"),
        "city",
        "41:53: `331200` is no city of GB/T 2260: only a request with this very code has it",
    );
    warns(&listed("330000"), "city", "41:53: `330000` is a province, not a city: none of its cities is meant by it");
    warns(&listed("3301"), "city", "");
    warns(
        &rule("      - { key: city_id, operator: IN, values: [\"3301\", \"3312\"] }"),
        "city",
        "44:56: `3312` is no city of GB/T 2260: only a request with this very code has it",
    );
}

#[test]
fn an_experiment_that_leaves_buckets_over_is_told() {
    warns(
        &goods("groups: { a: 500, b: 500 }", "groups: { a: 400, b: 500 }"),
        "permille",
        "33:3: the groups of experiment `price-page` add up to 900 permille: 100 of the 1000 buckets are in no group",
    );
}

#[test]
fn what_nothing_uses_is_told() {
    warns(
        &goods("  goods-gray:", "  goods-old: { endpoints: [127.0.0.1:9003] }\n  goods-gray:"),
        "nothing uses",
        "30:3: nothing uses the upstream `goods-old`",
    );
    warns(
        &goods("releases:\n", "releases:\n  old: { level: full }\n"),
        "nothing uses",
        "36:3: nothing uses the release `old`",
    );
}

#[test]
fn the_log_takes_facts_and_neither_people_nor_secrets() {
    let with = |names: &str| goods("version: 1", &format!("version: 1\naccess_log_facts: [{names}]"));
    let loaded = load(with("stock_level, header:x-app, stock_level")).expect("it is good");
    assert_eq!(loaded.settings.access_log_facts.len(), 2);
    super::check(with("user_id"), "3:20: `user_id` is logged as a keyed hash, never as it is");
    super::check(with("sku_id"), "3:20: `sku_id` has a field of its own in every line");
    super::check(
        with("\"header:Authorization\""),
        "3:20: `header:Authorization` holds secrets, which do not belong in a log",
    );
    super::check(with("stok_level"), "3:20: `stok_level` is not a fact (did you mean `stock_level`?)");
}

#[test]
fn a_code_in_a_whitelist_that_is_none_is_told_and_lets_nobody_in() {
    const WHY: &str =
        r#"is no region code of GB/T 2260: write six digits, such as "330000", or set `region_codes: custom`"#;
    warns(&goods(r#"["330000"]"#, r#"["330000", "990000"]"#), "no region code", &format!("41:42: `990000` {WHY}"));
    warns(&goods(r#"["440300"]"#, "[44030]"), "no region code", &format!("41:53: `44030` {WHY}"));
}

#[test]
fn the_log_hides_what_it_has_and_says_what_it_has_not() {
    let with = |names: &str| {
        goods("version: 1", &format!("version: 1\naccess_log_facts: [header:x-app]\naccess_log_redact: [{names}]"))
    };
    let loaded = load(with("client, \"header:X-App\", \"path:sku_id\"")).expect("it is good");
    let redact = &loaded.settings.access_log_redact;
    assert!(redact.hides("client") && redact.hides("header:x-app") && redact.hides_parameter("sku_id"), "{redact:?}");
    super::check(
        with("clint"),
        "4:21: the access log has nothing of the name `clint` that could be hidden (did you mean `client`?)",
    );
    super::check(with("status"), "4:21: the access log has nothing of the name `status` that could be hidden");
    super::check(with("\"path:sku\""), "4:21: no route has a path parameter `sku` (did you mean `sku_id`?)");
}

#[test]
fn path_parameters_that_users_are_known_by_are_hidden_unasked() {
    let text = "version: 1\nfacts: { user_id: [{ path: user }], sku_id: [{ path: sku }] }\n\
        upstreams: { a: { endpoints: [127.0.0.1:1] } }\n\
        routes: [{ name: r, match: { path: \"/u/{user}/{sku}\" }, lanes: { stable: a } }]";
    let loaded = load(text).unwrap_or_else(|problems| panic!("{}", super::lines(problems.iter())));
    let redact = loaded.settings.access_log_redact;
    assert!(redact.hides_parameter("user") && !redact.hides_parameter("sku"), "{redact:?}");
}

#[test]
fn a_file_of_the_log_is_one_that_can_be_written() {
    let with = |keys: &str| goods("version: 1", &format!("version: 1\naccess_log: all\naccess_log_file: {{ {keys} }}"));
    let file = load(with("path: /tmp/a.log")).expect("it is good").settings.access_log_file.expect("a file");
    assert_eq!((file.size, file.keep), (100 << 20, 5));
    super::check(with("size: 1MiB"), "4:20: missing field `path` in `access_log_file`");
    super::check(with("path: /tmp"), "4:26: `/tmp` is a folder, not a file");
    super::check(with("path: /tmp/a, size: 1KiB"), "4:40: `size` of an access log is at least 128KiB");
    super::check(with("path: /tmp/a, keep: 101"), "4:40: `keep` is a number from 0 to 100, not 101");
    super::check(
        with("path: /tmp/a, kepe: 1"),
        "4:34: unknown field `kepe` in `access_log_file` (did you mean `keep`?)",
    );
    let folder = with("path: /no/such/folder/a.log");
    warns(
        &folder,
        "is not there",
        "4:26: the folder of `/no/such/folder/a.log` is not there: without it lines are dropped",
    );
    let off = goods("version: 1", "version: 1\naccess_log_file: { path: /tmp/a.log }");
    warns(&off, "nothing is written", "3:26: nothing is written to it: `access_log` is off");
}

/// A configuration whose only release has these conditions, at line 10 from column 27 on.
fn conditions(more: &str, conditions: &str) -> String {
    format!(
        "version: 1\nservice: s\n{more}\nfacts: {{ sku_id: [{{ path: sku }}], category_id: [{{ query: c }}], user_tier: [{{ query: t }}] }}\n\
         upstreams: {{ a: {{ endpoints: [127.0.0.1:1] }} }}\nroutes:\n  - name: r\n    match: {{ path: \"/u/{{sku}}\" }}\n    \
         lanes: {{ stable: a, gray: a }}\n    release: r\nreleases: {{ r: {{ level: full,\n  conditions: [{conditions}] }} }}\n"
    )
}

#[test]
fn a_value_that_no_request_can_have_is_told() {
    let told =
        |more: &str, condition: &str, expected: &str| warns(&conditions(more, condition), "no request has", expected);
    let list = "categories: [\"1001\", \"1002\"]";
    let category = "{ key: category_id, operator: IN, values: [\"1001\", \"1012\"] }";
    told(list, category, "12:67: `1012` is none of `categories`, so no request has it (did you mean `1002`?)");
    told("", category, "");
    told(list, &category.replace("IN,", "PREFIX,"), "");
    let sku = "{ key: sku_id, operator: EQ, value: \"A 7\" }";
    told("", sku, "12:52: `A 7` is no SKU code, so no request has it");
    told("sku_format: \"[A-Z] [0-9]\"", sku, "");
    told("sku_format: \"[0-9]+\"", sku, "12:52: `A 7` does not match `sku_format`, so no request has it");
    told(
        "",
        "{ not: { key: user_tier, operator: NE, value: \"\" } }",
        "12:62: no request has an empty `user_tier`: it counts as absent",
    );
}

#[test]
fn a_list_of_regions_that_no_request_is_in_is_told() {
    let text = |facts: &str, regions: &str| {
        conditions("", "")
            .replace("conditions: []", &format!("regions: {{ {regions} }}"))
            .replace("{ sku_id", &format!("{{ {facts}sku_id"))
    };
    let both = "province_code: [\"330000\"], city_id: [\"440300\"]";
    warns(
        &text("", both),
        "admitted by this list",
        "12:30: fact `province_code` has no source, so nobody is admitted by this list\n\
         12:51: fact `city_id` has no source, so nobody is admitted by this list",
    );
    warns(
        &text("province_code: [{ query: p }], ", both),
        "admitted by this list",
        "12:51: fact `city_id` has no source, so nobody is admitted by this list",
    );
    warns(&text("city_id: [{ query: p }], ", both), "admitted by this list", "");
}

#[test]
fn lists_and_groups_that_admit_nobody_are_told() {
    let regions = |lists: &str| goods("city_id: [\"440300\"]", &format!("city_id: {lists}"));
    warns(&regions("[]"), "`regions` lists", "");
    let none = regions("[]").replacen("province_code: [\"330000\"]", "province_code: []", 1);
    warns(&none, "`regions` lists", "41:16: `regions` lists no province and no city, so nobody is admitted by region");
    warns(
        &goods("groups: { a: 500, b: 500 }", "groups: { a: 0, b: 1000 }"),
        "buckets",
        "33:53: group `a` has 0 of the 1000 buckets, so nobody is in it",
    );
    warns(
        &goods("releases:", "functions: { in_stock: -1 }\nreleases:"),
        "isInStock",
        "35:24: `in_stock` of -1: `isInStock()` then holds of a stock of 0 too",
    );
}

#[test]
fn a_refused_share_of_a_group_is_told_once() {
    super::check(
        goods("groups: { a: 500, b: 500 }", "groups: { a: -1, b: 1001 }"),
        "33:53: `-1` is no permille: a whole number from 0 to 1000\n33:60: `1001` is no permille: a whole number from 0 to 1000",
    );
}
