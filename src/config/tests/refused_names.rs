//! Names that do not fit together: references, duplicates, routes.

use super::{check, goods};

#[test]
fn a_reference_to_nothing_names_the_nearest() {
    check(
        goods("gray: goods-gray }", "gray: goods-grey }"),
        "63:42: there is no upstream `goods-grey` (did you mean `goods-gray`?)",
    );
    check(
        goods("release: pricing-v2", "release: pricing"),
        "64:14: there is no release `pricing` (did you mean `pricing-v2`?)",
    );
    check(
        goods("breaker: default", "breaker: defualt"),
        "65:14: there is no breaker `defualt` (did you mean `default`?)",
    );
    check(
        goods("experiment: price-page", "experiment: price"),
        "40:23: there is no experiment `price` (did you mean `price-page`?)",
    );
    check(
        goods("groups: [b]", "groups: [B, x]"),
        "
            40:44: experiment `price-page` has no group `B` (did you mean `b`?)
            40:47: experiment `price-page` has no group `x`
        ",
    );
    check(goods("stable: goods-stable }", "stable: elsewhere }"), "75:22: there is no upstream `elsewhere`");
}

#[test]
fn a_route_needs_a_stable_lane() {
    check(
        goods("lanes: { stable: goods-stable }", "lanes: { stabel: goods-stable }"),
        "
            75:14: route `rest` has no lane `stable`, where everything falls back to
        ",
    );
    check(
        goods("lanes: { stable: goods-stable }", "lanes: {}"),
        "
            73:5: route `rest` has no lane `stable`, where everything falls back to
        ",
    );
}

#[test]
fn duplicates_name_both_places() {
    check(
        goods("name: order-create", "name: sku-detail"),
        "68:11: route `sku-detail` is defined twice; first at t.yaml:61:11",
    );
    check(
        goods("path: /api/v1/orders, methods: [POST]", r#"path: "/{*all}""#),
        "
            74:14: routes `order-create` and `rest` match the same requests: same host, path, method and headers; the other at t.yaml:69:14
        ",
    );
    check(
        goods("methods: [POST] }", "methods: [POST] }\n    breaker: default"),
        "
            73:5: the key `breaker` stands twice in this map; first at t.yaml:70:5
        ",
    );
    check(
        goods("  - bind: 127.0.0.1:15080", "  - bind: 127.0.0.1:15080\n  - bind: 127.0.0.1:15080"),
        "11:11: `127.0.0.1:15080` is listened on twice; first at t.yaml:10:11",
    );
    check(
        goods("  - bind: 127.0.0.1:15080", "  - bind: 127.0.0.1:15090"),
        "10:11: `127.0.0.1:15090` is the admin address",
    );
    check(
        goods("[127.0.0.1:9001]", "[127.0.0.1:9001, 127.0.0.1:9001]"),
        "
            29:47: endpoint `127.0.0.1:9001` is named twice; first at t.yaml:29:31
        ",
    );
    check(
        goods("  goods-gray: ", "  goods-stable: "),
        "
            30:3: the key `goods-stable` stands twice in this map; first at t.yaml:29:3
            63:42: there is no upstream `goods-gray`
            70:42: there is no upstream `goods-gray`
        ",
    );
}

#[test]
fn routes_match_what_can_be_matched() {
    check(
        goods("path: /api/v1/orders", "path: api/v1/orders"),
        "69:20: `api/v1/orders` is no path of a route: a path begins with `/`",
    );
    check(
        goods("path: /api/v1/orders", r#"path: "/api/{v}1/orders""#),
        "
            69:20: `/api/{v}1/orders` is no path of a route: `{v}1`: a parameter takes a whole segment, as in /sku/{sku_id}
        ",
    );
    check(
        goods("path: /api/v1/orders", r#"path: "/{*rest}/orders""#),
        "
            69:20: `/{*rest}/orders` is no path of a route: `{*rest}` takes the rest of the path, so it stands at the end
        ",
    );
    check(
        goods("path: /api/v1/orders", "path: /api/v1/orders?a=b"),
        "
            69:20: `/api/v1/orders?a=b` is no path of a route: a path has no query; match it by a condition on `query:NAME`
        ",
    );
    check(
        goods("methods: [POST]", "methods: [post]"),
        "69:46: `post`: methods are case-sensitive (did you mean `POST`?)",
    );
    check(goods("methods: [POST]", r#"methods: ["P OST"]"#), "69:46: `P OST` is no method");
    check(
        goods("methods: [POST]", r#"hosts: ["a:80", "*.*"]"#),
        "
            69:44: `a:80` is no host of a route: a host is written without a port
            69:52: `*.*` is no host of a route: a wildcard stands alone at the front, as in `*.example.com`
        ",
    );
    check(
        goods("methods: [POST]", r#"headers: { x-a: { regex: "(" } }"#),
        "69:61: `(` is no regular expression: unclosed group",
    );
    check(
        goods("methods: [POST]", "headers: { x-a: { prefix: a, exact: b } }"),
        "
            69:54: header `x-a` is matched by one of `exact`, `prefix`, `regex`, `present`
        ",
    );
    check(goods("methods: [POST]", r#"headers: { "x a": b }"#), "69:47: `x a` is no name of a header");
}

#[test]
fn names_can_be_labels_and_paths() {
    check(goods("name: rest", r#"name: "the rest""#), "73:11: `the rest` is no name");
    check(
        goods("  goods-gray: ", r#"  "goods/gray": "#),
        "
            30:3: `goods/gray` is no name for an upstream
            63:42: there is no upstream `goods-gray` (did you mean `goods/gray`?)
            70:42: there is no upstream `goods-gray` (did you mean `goods/gray`?)
        ",
    );
    check(
        goods("  pricing-v2:", "  价格:"),
        "
            36:3: `价格` is no name for a release
            64:14: there is no release `pricing-v2`
            71:14: there is no release `pricing-v2`
        ",
    );
    check(goods("lane: stable", r#"lane: """#), "5:7: `` is no name");
    check(goods("gray: goods-gray }", r#""gr ay": goods-gray }"#), "63:36: `gr ay` is no name for a lane");
}

#[test]
fn a_release_says_how_far_it_is_open() {
    check(
        goods(
            "    level: permille                  # developer | ab | region | permille | full\n    permille: 50\n",
            "",
        ),
        "36:3: release `pricing-v2` has no `level`",
    );
}

#[test]
fn overrides_need_a_place_and_a_key() {
    check(
        goods("header: x-gray-override, key_file: override.key", "header: x-gray-override"),
        "39:18: overrides need a `key_file` in environment `prod`",
    );
    check(
        goods("header: x-gray-override, key_file", "key_file"),
        "39:18: `developer` names neither a `header` nor a `cookie`",
    );
    check(goods("header: x-gray-override", r#"header: "x gray""#), "39:26: `x gray` is no name of a header");
}

#[test]
fn changes_without_a_token_stay_on_loopback() {
    check(
        goods("admin: { bind: 127.0.0.1:15090 }", "admin: { bind: 0.0.0.0:15090, insecure_changes: true }"),
        "
            11:49: changes without a token need the admin port on loopback, not on 0.0.0.0:15090
        ",
    );
    check(
        goods("admin: { bind: 127.0.0.1:15090 }", "admin: { bind: 0.0.0.0:15090 }"),
        "11:16: the admin port is on 0.0.0.0:15090, beyond loopback, and there is no token",
    );
}
