//! Values that are none: fields, types, units, forms.

use super::super::Style;
use super::{check, goods, load};

#[test]
fn an_unknown_field_names_the_nearest() {
    check(
        goods("    permille: 50", "    permile: 50"),
        "38:5: unknown field `permile` in a release (did you mean `permille`?)",
    );
    check(
        goods("methods: [POST]", "method: [POST]"),
        "69:36: unknown field `method` in `match` (did you mean `methods`?)",
    );
    check(
        goods("releases:", "relases:"),
        "
            35:1: unknown field `relases` in the configuration (did you mean `releases`?)
        ",
    );
    check(goods("min_calls: 50", "zzz: 50"), "50:5: unknown field `zzz` in a breaker");
    check(goods("- bind: 127", "- bnd: 127"), "10:5: unknown field `bnd` in a listener (did you mean `bind`?)");
}

#[test]
fn a_missing_field_is_named() {
    check(goods("    lanes: { stable: goods-stable }\n", "\n"), "73:5: missing field `lanes` in a route");
    check(goods("  - name: rest\n    match:", "  - match:"), "73:5: missing field `name` in a route");
    check(goods("experiment: price-page, ", ""), "40:11: missing field `experiment` in `ab`");
}

#[test]
fn permille_is_a_whole_number_up_to_1000() {
    check(
        goods("    permille: 50", "    permille: 1001"),
        "38:15: `1001` is no permille: a whole number from 0 to 1000",
    );
    check(goods("    permille: 50", "    permille: -1"), "38:15: `-1` is no permille: a whole number from 0 to 1000");
    check(goods("    permille: 50", "    permille: 5%"), "38:15: `5%` is no permille: a whole number from 0 to 1000");
    check(goods("    permille: 50", "    permille: 0.5"), "38:15: `0.5` is no permille: a whole number from 0 to 1000");
    check(
        goods("groups: { a: 500, b: 500 }", "groups: { a: 500, b: 501 }"),
        "
            33:50: the groups of experiment `price-page` add up to 1001 permille, 1000 is the most
        ",
    );
    check(goods("    permille: 50\n", "\n"), "37:12: level `permille` needs the field `permille`");
}

#[test]
fn types_are_told_as_found_and_expected() {
    check(goods("trust: [127.0.0.0/8]", "trust: 127.0.0.0/8"), "13:8: expected a list, found a text");
    check(goods("methods: [GET, HEAD]", "methods: { GET: 1 }"), "62:53: expected a text, found a map");
    check(goods("admin: { bind: 127.0.0.1:15090 }", "admin: 15090"), "11:8: expected `admin`: a map, found a number");
    check(
        goods("timeouts: {", "timeouts: []\n    x: {"),
        "
            66:15: expected `timeouts`: a map, found a list
            67:5: unknown field `x` in a route
        ",
    );
    check(
        goods("upstreams:\n", "upstreams: none\nx:\n"),
        "
            28:12: expected a map of names, found a text
            29:1: unknown field `x` in the configuration
        ",
    );
    check(goods("min_calls: 50", "min_calls: many"), "50:16: expected a whole number, found `many`");
    check(goods("lane: stable", "lane: [stable]"), "5:7: expected a name, found a list");
    check(goods("user_tier:     [{", "user_tier:     [5, {"), "20:19: expected a source: a map, found a number");
}

#[test]
fn quantities_need_their_unit() {
    check(goods("window: 60s", "window: 60"), "49:13: `60` needs a unit: write `250ms`, `5s`, `10m` or `1h`");
    check(goods("p99: 1.2s", "p99: 1.2 sec"), "52:10: `1.2 sec` is no duration: write `250ms`, `5s`, `10m` or `1h`");
    check(goods("max_body: 64KiB", "max_body: 64"), "67:67: `64` needs a unit: write `64KiB` or `1MiB`");
    check(goods("max_body: 64KiB", "max_body: 64kb"), "67:67: `64kb` is no size: write `64KiB` or `1MiB`");
    check(goods("error_rate: 5%", "error_rate: 0.05"), "51:17: `0.05` needs a unit: write `5%` or `50‰`");
    check(
        goods("error_rate: 5%", "error_rate: 0.05%"),
        "51:17: `0.05%` is finer than one permille, the smallest share",
    );
    check(goods("error_rate: 5%", "error_rate: 101%"), "51:17: `101%` is more than 100%");
    check(goods("connect: 250ms", "connect: 0s"), "66:26: `connect` cannot be 0");
    check(goods("error_rate: 5%", "error_rate: 0%"), "51:17: `error_rate` of 0 would open at every call");
}

#[test]
fn words_come_from_a_list() {
    check(
        goods("environment: prod ", "environment: production "),
        "3:14: `production` is not an environment (did you mean `prod`?)",
    );
    check(goods("level: permille ", "level: permile "), "37:12: `permile` is not a level (did you mean `permille`?)");
    check(goods("operator: GT", "operator: GTT"), "44:39: `GTT` is not an operator (did you mean `GT`?)");
    check(goods("operator: GT", "operator: gt"), "44:39: `gt` is not an operator (did you mean `GT`?)");
    check(goods("operator: GT", "operator: LARGER"), "44:39: `LARGER` is not an operator");
    for (written, meant) in [
        ("GTE", "GE"),
        ("gte", "GE"),
        ("LTE", "LE"),
        ("NEQ", "NE"),
        ("NIN", "NOT_IN"),
        ("==", "EQ"),
        ("starts-with", "PREFIX"),
        ("Less_Than", "LT"),
    ] {
        let expected = format!("44:39: `{written}` is not an operator (did you mean `{meant}`?)");
        check(goods("operator: GT", &format!("operator: {written}")), &expected);
    }
    for (written, meant) in [(">=", "GE"), ("<=", "LE"), (">", "GT"), ("!=", "NE"), ("=~", "REGEX")] {
        let expected = format!("44:39: `{written}` is not an operator (did you mean `{meant}`?)");
        check(goods("operator: GT", &format!("operator: \"{written}\"")), &expected);
    }
    for (written, contrary) in [
        ("NOT_CONTAINS", "CONTAINS"),
        ("ncontains", "CONTAINS"),
        ("does not contain", "CONTAINS"),
        ("NOTEXISTS", "EXISTS"),
        ("not-between", "BETWEEN"),
        ("NOT_ANY_OF", "ANY_OF"),
        ("!matches", "REGEX"),
        ("NOT_MOON", "EQ"),
    ] {
        let text = goods("operator: GT", &format!("operator: \"{written}\""));
        check(text.clone(), &format!("44:39: `{written}` is not an operator"));
        let told = load(&text).unwrap_err().render(Style::Plain);
        assert!(told.contains(&format!("`not: {{ key: ..., operator: {contrary}, ... }}`")), "{told}");
        assert!(told.contains("valid: EQ, NE"), "{told}");
    }
    for (written, meant) in [("NOT IN", "NOT_IN"), ("notin", "NOT_IN"), ("IsNot", "NE"), ("NEQUALS", "NE")] {
        let expected = format!("44:39: `{written}` is not an operator (did you mean `{meant}`?)");
        check(goods("operator: GT", &format!("operator: \"{written}\"")), &expected);
    }
    check(goods("version: 1", "version: 2"), "2:10: version 2 is not known; this program reads version 1");
    check(
        goods("    permille: 50", "    permille: 50\n    hash_key: user"),
        "39:15: `user` is not a hash key (did you mean `user_id`?)",
    );
    check(
        goods("version: 1", "version: 1\naccess_log: none"),
        "3:13: `none` is not `off`, `all` or a share such as `1%`",
    );
    check(goods("version: 1", "version: 1\naccess_log: 5"), "3:13: `5` needs a unit: write `5%` or `50‰`");
    check(goods("version: 1", "version: 1\nresponse_mark: yes"), "3:16: `yes` is not a response mark");
    check(
        goods("version: 1", "version: 1\nallow_encoded: [slsh]"),
        "3:17: `slsh` is not an encoded character (did you mean `slash`?)",
    );
    check(goods("on: [connect", "on: [200"), "67:20: `200` is not `connect`, `reset` or a status from 400 to 599");
}

#[test]
fn conditions_make_sense() {
    check(
        goods("key: category_id", "key: categry_id"),
        "43:16: `categry_id` is not a fact (did you mean `category_id`?)",
    );
    check(goods("key: category_id", "key: moon"), "43:16: `moon` is not a fact");
    check(
        goods("key: category_id", r#"key: "header:""#),
        "
            43:16: `header:` is no name for a fact: `header:` is followed by the name of a header
        ",
    );
    check(goods("value: 500 }", "value: many }"), "44:50: GT compares numbers, and `many` is none");
    check(goods("value: 500 }", "values: [1, 2] }"), "44:39: GT takes exactly one value, not 2");
    check(goods(", value: 500 }", " }"), "44:39: GT takes exactly one value, not 0");
    check(
        goods("value: 500 }", "value: 500, values: [1] }"),
        "
            44:64: a condition has `value` or `values`, not both; `value` at t.yaml:44:50
        ",
    );
    check(
        goods("operator: GT, value: 500", "operator: ANY_OF, values: [a]"),
        "
            44:39: ANY_OF makes no sense for `stock_level`, which is a number; use EQ, IN, GT, GE, LT, LE or BETWEEN
        ",
    );
    check(goods("{ key: stock_level, operator: GT, value: 500 }", "{ any: [] }"), "44:11: `any` over no conditions");
    check(
        goods("{ key: stock_level, operator: GT, value: 500 }", "{ }"),
        "44:9: a condition is a test, an `expression`, or one of `all`, `any`, `not`",
    );
    check(
        goods("{ key: stock_level, operator: GT, value: 500 }", r#"{ key: user_id, operator: REGEX, value: "(" }"#),
        "44:49: `(` is no regular expression: unclosed group",
    );
    check(
        goods(
            "{ key: stock_level, operator: GT, value: 500 }",
            "{ any: [{ not: { key: client_ip, operator: CIDR, value: 10.0.0.0/33 } }] }",
        ),
        "
            44:65: `10.0.0.0/33` is no network; write one like 10.0.0.0/8 or fd00::/8
        ",
    );
    check(
        goods("{ key: stock_level, operator: GT, value: 500 }", "{ not: { key: a, operator: EQ, value: 1 }, key: b }"),
        "44:11: a condition is a test, an `expression`, or one of `all`, `any`, `not`",
    );
    check(
        goods(
            "{ key: stock_level, operator: GT, value: 500 }",
            r#"{ key: city_id, operator: IN, values: ["990000"] }"#,
        ),
        r#"
            44:48: `990000` is no region code of GB/T 2260: write six digits, such as "330000", or set `region_codes: custom`
        "#,
    );
    check(
        goods(
            "key: stock_level, operator: GT, value: 500",
            "not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { not: { key: user_id, operator: EXISTS } } } } } } } } } } } } } } } } } } } } }",
        ),
        "44:11: conditions are nested deeper than 16",
    );
}

#[test]
fn addresses_are_addresses() {
    check(
        goods("bind: 127.0.0.1:15080", "bind: localhost:15080"),
        "10:11: `localhost:15080` is no address to listen on",
    );
    check(goods("bind: 127.0.0.1:15080", "bind: 15080"), "10:11: `15080` is no address to listen on");
    check(
        goods("bind: 127.0.0.1:15080", "bind: 127.0.0.1:99999"),
        "10:11: `127.0.0.1:99999` is no address to listen on",
    );
    check(goods("bind: 127.0.0.1:15080", r#"bind: ":15080""#), "10:11: `:15080` is no address to listen on");
    check(goods("trust: [127.0.0.0/8]", "trust: [127.0.0.0/33]"), "13:9: `127.0.0.0/33` is no network");
    check(
        goods("[127.0.0.1:9001]", "[127.0.0.1]"),
        "
            29:31: `127.0.0.1` has no port: write `HOST:PORT`, `unix:/path` or `local`
        ",
    );
    check(
        goods("[127.0.0.1:9001]", r#"["http://goods:80"]"#),
        "29:31: an endpoint is written without `http://`: `goods:80`",
    );
    check(goods("[127.0.0.1:9001]", "[goods:0]"), "29:31: `0` is no port: a number from 1 to 65535");
    check(goods("[127.0.0.1:9001]", r#"["::1:80"]"#), "29:31: an IPv6 address stands in brackets: `[::1]:80`");
    check(goods("[127.0.0.1:9001]", r#"["unix:"]"#), "29:31: `unix:` is followed by the path of a socket");
    check(goods("[127.0.0.1:9001]", "[]"), "29:3: upstream `goods-stable` has no endpoints");
    check(goods("[127.0.0.1:9001]", "[local]"), "29:31: endpoint `local` needs the address of the pod's own service");
    check(goods("version: 1", "version: 1\nlocal: local"), "3:8: `local` names the pod's own service by its address");
}

#[test]
fn region_codes_exist() {
    check(
        goods(r#"["330000"]"#, r#"["990000", "330100"]"#),
        r#"41:42: `330100` is not a province; its province is "330000""#,
    );
}

#[test]
fn sources_name_one_place() {
    check(goods("{ cookie: uid }", "{ cookie: uid, query: uid }"), "16:44: a source names one place, this one names 2");
    check(goods("{ cookie: uid }", "{ }"), "16:42: a source names one place, this one names 0");
    check(
        goods("{ cookie: uid }", "{ cokie: uid }"),
        "16:44: unknown field `cokie` in a source (did you mean `cookie`?)",
    );
    check(goods("{ cookie: uid }", r#"{ cookie: "u id" }"#), "16:52: `u id` is no name of a cookie");
    check(
        goods("{ json: /amount }", "{ json: amount }"),
        "
            22:55: `amount` is no JSON pointer: it starts with `/`, as `/items/0/sku_id`
        ",
    );
    check(goods("{ geoip: city }", "{ geoip: town }"), "25:51: `geoip` gives `province` or `city`, not `town`");
    check(
        goods("user_tier:     [{ header: x-user-tier }]", "user_tier:     []"),
        "20:3: fact `user_tier` has no source",
    );
    check(
        goods("user_tier: ", "tag: "),
        "
            20:3: `tag` is no name for a fact: write letters, digits, `_`, `-` and `.`, a letter first, 64 at most; `tag` is taken
        ",
    );
}

#[test]
fn one_run_tells_every_problem() {
    check(
        goods("releases:\n", "relases: 1\nlanes: 2\nworkers: 0\nreleases:\n"),
        "
            35:1: unknown field `relases` in the configuration (did you mean `releases`?)
            36:1: unknown field `lanes` in the configuration (did you mean `lane`?)
            37:10: `workers` is a number from 1 to 1024, not 0
        ",
    );
}

#[test]
fn rules_of_worse_that_cannot_be_are_told_where_they_stand() {
    let rollback = |keys: &str| goods("rollback: { openings: 3, within: 10m }", &format!("rollback: {{ {keys} }}"));
    check(
        rollback("worse: { alpha: 50%, min_effect_errors: -0.1, min_effect_slow: 100%, min_calls: 1 }"),
        "
            45:33: alpha is 0.5, but has to be above 0 and below 0.5
            45:57: the minimum effect is -0.1, but has to be from 0 to below 1: it is a share of the calls
            45:80: the minimum effect is 1, but has to be from 0 to below 1: it is a share of the calls
            45:97: the minimum of calls is 1, but has to be at least 2
        ",
    );
    check(rollback("worse: { alpha: much }"), "45:33: `much` is no fraction: write `0.001` or `0.1%`");
    check(rollback("worse: 3"), "45:24: expected `true` or `false`, found `3`");
    check(rollback("require: both"), "45:26: `both` is not `any` or `all`");
    let alone = "45:26: `require: all` means openings and `worse` together, and one of them is not given";
    check(rollback("require: all"), alone);
    check(rollback("require: all, worse: true"), alone);
    check(rollback("require: all, openings: 3"), alone);
}

#[test]
fn a_regex_bomb_is_refused_when_it_is_loaded() {
    let start = std::time::Instant::now();
    for bomb in ["((a{100}){100}){100}", "(?:x{1000}){1000}", "(.{1000}){100}"] {
        let condition = format!("{{ key: user_id, operator: REGEX, value: \"{bomb}\" }}");
        let text = goods("{ key: stock_level, operator: GT, value: 500 }", &condition);
        let problems = super::load(text).expect_err("it is too large");
        assert!(super::lines(problems.iter()).contains("44:49: "), "{}", super::lines(problems.iter()));
        let expression = format!("{{ expression: 'user_id.matches(\"{bomb}\")' }}");
        let text = goods("{ key: stock_level, operator: GT, value: 500 }", &expression);
        super::load(text).expect_err("it is too large");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
