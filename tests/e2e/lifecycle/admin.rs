//! The admin port.

use crate::harness::{Client, Origin, Plan, Sidecar};

fn scene() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: permille\npermille: 50";
    let plan = Plan::gray(stable.address(), gray.address(), release);
    (Sidecar::start(&plan), stable, gray)
}

#[test]
fn it_says_that_it_lives_and_is_ready() {
    let (sidecar, _stable, _gray) = scene();
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    assert_eq!(sidecar.admin_get("/nothing-here").status(), 404);
}

#[test]
fn the_api_answers_in_json() {
    let (sidecar, _stable, _gray) = scene();
    for (name, word) in [
        ("config", "version"),
        ("releases", "\"r\""),
        ("routes", "\"all\""),
        ("upstreams", "\"gray\""),
        ("breakers", ""),
        ("audit", ""),
    ] {
        let response = sidecar.admin_get(&format!("/api/v1/{name}"));
        assert_eq!(response.status(), 200, "{name}");
        let shown = response.json().to_string();
        assert!(shown.contains(word), "{name}: {shown}");
    }
}

#[test]
fn the_traffic_port_does_not_serve_the_admin_paths() {
    let (sidecar, _stable, _gray) = scene();
    let response = sidecar.get("/metrics", "");
    assert!(response.get("x-lane").is_some(), "{response:?}");
}

#[test]
fn changing_calls_from_another_origin_are_refused() {
    let (sidecar, _stable, _gray) = scene();
    let request = "POST /api/flags/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.test\r\n\
                   Content-Length: 0\r\nConnection: close\r\n\r\n";
    let response = Client::once(sidecar.admin(), request);
    assert!((400..500).contains(&response.status()), "{response:?}");
}
