//! Which route a request meets.

use crate::harness::{Origin, Plan, Response, Sidecar, answer};

/// Answers with the request line it saw, and the route's name is in the upstream's.
fn mirror(name: &'static str) -> Origin {
    Origin::answering(move |received| {
        answer("200 OK", &format!("x-upstream: {name}\r\n"), received.head.target().as_bytes())
    })
}

struct Scene {
    sidecar: Sidecar,
    _origins: Vec<Origin>,
}

/// Routes given as (match in flow style), named a, b, c ... each with an upstream of the same name.
fn scene(matches: &[&str], more: &str) -> Scene {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let mut plan = Plan::new().more(more);
    let mut origins = Vec::new();
    for (matching, name) in matches.iter().zip(NAMES) {
        let origin = mirror(name);
        plan = plan.upstream(name, origin.address()).route_matching(name, matching, &format!("stable: {name}"), "");
        origins.push(origin);
    }
    Scene { sidecar: Sidecar::start(&plan), _origins: origins }
}

impl Scene {
    fn ask(&self, line: &str, host: &str, fields: &str) -> Response {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        self.sidecar.client().exchange(request.as_bytes())
    }

    fn check(&self, line: &str, host: &str, fields: &str, expected: &str) {
        let response = self.ask(line, host, fields);
        assert_eq!(response.status(), 200, "{line} {host} {response:?}");
        assert_eq!(response.get("x-upstream").as_deref(), Some(expected), "{line} {host} {fields}");
    }
}

#[test]
fn an_exact_segment_comes_before_a_parameter_before_a_wildcard() {
    let scene =
        scene(&["path: \"/{*rest}\"", "path: \"/sku/{id}\"", "path: /sku/hot", "path: \"/sku/{id}/price\""], "");
    scene.check("GET /sku/hot", "shop.test", "", "c");
    scene.check("GET /sku/7", "shop.test", "", "b");
    scene.check("GET /sku/7/price", "shop.test", "", "d");
    scene.check("GET /sku/hot/price", "shop.test", "", "d");
    scene.check("GET /sku/7/stock", "shop.test", "", "a");
    scene.check("GET /other?sku=/sku/hot", "shop.test", "", "a");
}

#[test]
fn a_rest_parameter_matches_the_root_too() {
    let scene = scene(&["path: \"/{*rest}\""], "");
    for path in ["/", "/x", "/x/y/z", "/?q=1"] {
        scene.check(&format!("GET {path}"), "shop.test", "", "a");
    }
}

#[test]
fn the_host_comes_before_the_path() {
    let scene = scene(&["path: /exact", "path: \"/{*rest}\", hosts: [vip.test]", "path: \"/{*rest}\""], "");
    scene.check("GET /exact", "vip.test", "", "b");
    scene.check("GET /exact", "VIP.test:8080", "", "b");
    scene.check("GET /exact", "shop.test", "", "a");
    scene.check("GET /else", "shop.test", "", "c");
}

#[test]
fn a_route_whose_method_or_headers_do_not_match_gives_way() {
    let scene = scene(
        &[
            "path: \"/sku/{id}\", methods: [POST]",
            "path: \"/sku/{id}\", headers: { x-tier: gold }",
            "path: \"/sku/{id}\"",
        ],
        "",
    );
    scene.check("GET /sku/7", "shop.test", "", "c");
    scene.check("GET /sku/7", "shop.test", "x-tier: gold\r\n", "b");
    scene.check("GET /sku/7", "shop.test", "x-tier: silver\r\n", "c");
    scene.check("POST /sku/7", "shop.test", "content-length: 0\r\n", "a");
}

#[test]
fn without_a_route_404_is_answered_and_counted() {
    let scene = scene(&["path: /only, methods: [GET]"], "");
    for line in ["GET /", "GET /only/more", "POST /only", "GET /Only"] {
        let response = scene.ask(line, "shop.test", "");
        assert_eq!(response.status(), 404, "{line}");
        assert_eq!(response.failure(), "no_route");
    }
    scene.sidecar.wait_for_metric("graylane_refused_requests_total", &[("reason", "no_route")], 4.0);
}

#[test]
fn matching_sees_the_resolved_path_and_the_upstream_the_original() {
    let scene = scene(&["path: \"/api/v1/sku/{id}\"", "path: \"/{*rest}\""], "");
    for path in [
        "/api/v1/sku/7",
        "/api/v1/./sku/7",
        "/api/v2/../v1/sku/7",
        "/%61pi/v1/sku/7",
        "/api/v1/sku/%7Euser",
        "/api/%2e%2e/api/v1/sku/7",
    ] {
        let line = format!("GET {path}?q=%2F");
        scene.check(&line, "shop.test", "", "a");
        let seen = scene.ask(&line, "shop.test", "").text();
        assert_eq!(seen, format!("{path}?q=%2F"));
    }
    scene.check("GET /../api/v1/other/../sku/7", "shop.test", "", "a");
}

#[test]
fn normalize_forward_sends_the_resolved_path() {
    let scene = scene(&["path: \"/api/v1/sku/{id}\"", "path: \"/{*rest}\""], "normalize: forward\n");
    let response = scene.ask("GET /x/../%61pi/./v1/sku/7?q=a/../b", "shop.test", "");
    assert_eq!(response.get("x-upstream").as_deref(), Some("a"));
    assert_eq!(response.text(), "/api/v1/sku/7?q=a/../b");
}

#[test]
fn an_encoded_slash_backslash_or_nul_is_refused() {
    let scene = scene(&["path: \"/{*rest}\""], "");
    for path in ["/api%2Fv1", "/api%2fv1", "/a%5Cb", "/a%5cb", "/a%00b", "/..%2f..%2fetc"] {
        let response = scene.ask(&format!("GET {path}"), "shop.test", "");
        assert_eq!(response.status(), 400, "{path}");
    }
    scene.check("GET /ok?next=%2Fa%5C", "shop.test", "", "a");
}
