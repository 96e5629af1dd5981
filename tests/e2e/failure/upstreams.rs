//! Upstreams that are not there.

use crate::harness::{Client, Origin, Plan, Port, Response, Sidecar, bucket};

/// An answer of the sidecar's own that tells nothing of the inside.
fn check_own_answer(response: &Response, status: u16, secrets: &[&str]) {
    assert_eq!(response.status(), status, "{response:?}");
    response.failure();
    let shown = format!("{:?}{}", response.head, response.text());
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is told: {shown}");
    }
}

#[test]
fn an_upstream_that_is_down_is_a_502_that_tells_nothing_of_the_inside() {
    let nobody = Port::reserve();
    let plan = Plan::new().upstream("stable", nobody.address()).rest();
    let sidecar = Sidecar::start(&plan);
    let port = nobody.address().port().to_string();
    let mut client = sidecar.client();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let response = client.get("/", "");
        check_own_answer(&response, 502, &[&port, "127.0.0.1"]);
        ids.push(response.json()["request_id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "each request has an id of its own");
    let labels = [("route", "rest"), ("lane", "stable"), ("code_class", "5xx")];
    sidecar.wait_for_metric("graylane_requests_total", &labels, 3.0);
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
}

#[test]
fn a_post_to_an_upstream_that_is_down_is_answered_too() {
    let nobody = Port::reserve();
    let plan = Plan::new().upstream("stable", nobody.address()).rest();
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let body = vec![b'x'; 300_000];
    let mut request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n".to_vec();
    request.extend_from_slice(&body);
    let _ = client.try_send(&request);
    check_own_answer(&client.answer_to("POST"), 502, &["127.0.0.1"]);
}

#[test]
fn one_lane_that_is_down_leaves_the_other_alone() {
    let (stable, nobody) = (Origin::lane("stable"), Port::reserve());
    let release = "level: permille\npermille: 500";
    let sidecar = Sidecar::start(&Plan::gray(stable.address(), nobody.address(), release));
    for number in 0..20 {
        let key = format!("user-{number}");
        let response = sidecar.get("/", &format!("x-user-id: {key}\r\n"));
        let expected = if bucket("r", &key) < 500 { 502 } else { 200 };
        assert_eq!(response.status(), expected, "{key}");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_answered_and_blocks_nobody() {
    let origin = Origin::lane("stable");
    let plan = Plan::new()
        .upstream("stable", origin.address())
        .upstream("lost", "nobody.invalid:80")
        .route("lost", "/lost", "stable: lost", "")
        .rest();
    let sidecar = Sidecar::start(&plan);
    let mut lost = sidecar.client();
    lost.send(b"GET /lost HTTP/1.1\r\nHost: a\r\n\r\n");
    // One worker only, and it serves on while the name is looked up.
    assert_eq!(sidecar.get("/", "").status(), 200);
    let response = lost.answer();
    assert!(matches!(response.status(), 502..=504), "{response:?}");
    check_own_answer(&response, response.status(), &["nobody.invalid"]);
}

#[test]
fn several_endpoints_share_the_load_and_a_dead_one_does_not_matter_for_long() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let endpoints = format!("endpoints: [\"{}\", \"{}\"]", one.address(), two.address());
    let sidecar = Sidecar::start(&Plan::new().upstream_of("stable", &endpoints).rest());
    // In-flight requests, not turns, are what is balanced: hold some open at the same time.
    let mut clients: Vec<Client> = (0..40).map(|_| sidecar.client()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert!(!one.requests().is_empty(), "all went to the other");
    assert!(!two.requests().is_empty(), "all went to the other");
}
