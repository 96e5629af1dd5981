//! A release whose breakers open too often is taken back, and stays so.

use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

#[test]
fn openings_within_the_time_take_the_release_back_with_evidence() {
    let (stable, gray) = (Origin::lane("stable"), Origin::answering(|_| answer("500 Oops", "", b"")));
    let breaker = "breakers:\n  b: { min_calls: 10, open_for: 100ms, trials: 2, window: 5s, short_window: 1s }\n";
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full\nrollback: { openings: 2, within: 1m }")
        .admin("insecure_changes: true")
        .more(&format!("access_log: all\nstate: {{ dir: state }}\n{breaker}"))
        .route(
            "all",
            "/{*rest}",
            "stable: stable, gray: gray",
            "release: r\nbreaker: b\nshield: { on: [500], budget: 100% }",
        );
    let mut sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    eventually("the release to be latched", || {
        assert_eq!(client.get("/p", "x-user-id: u1\r\n").status(), 200, "no user sees a failure");
        (sidecar.metric("graylane_release_latched", &[("release", "r")]) == 1.0).then_some(())
    });
    let asked = gray.requests().len();
    for _ in 0..50 {
        assert_eq!(client.get("/p", "x-user-id: u1\r\n").get("x-lane").as_deref(), Some("stable"));
    }
    assert_eq!(gray.requests().len(), asked, "gray is asked no more");
    eventually("the reason", || sidecar.access_log().iter().any(|line| line["reason"] == "latched").then_some(()));

    let incidents = sidecar.admin_get("/api/v1/incidents").json();
    let incident = &incidents["incidents"][0];
    assert_eq!(incident["cause"], "openings", "{incidents}");
    assert!(!incident["failures"].as_array().unwrap().is_empty(), "{incidents}");
    let figures = incident["figures"].as_array().unwrap();
    let of_gray = figures.iter().find(|lane| lane["lane"] == "gray").unwrap();
    assert!(of_gray["over_seconds"] == 5.0 && of_gray["failures"].as_u64() > Some(0), "{incidents}");

    drop(client);
    sidecar.restart(&plan);
    assert_eq!(
        sidecar.get("/p", "x-user-id: u1\r\n").get("x-lane").as_deref(),
        Some("stable"),
        "a restart opens nothing"
    );
    let reset = sidecar.admin_post("/api/v1/releases/r/reset", "", "");
    assert_eq!(reset.status(), 200, "{}", reset.text());
    assert_eq!(gray.requests().len(), asked);
    sidecar.get("/p", "x-user-id: u1\r\n");
    assert_eq!(gray.requests().len(), asked + 1);
}
