//! What outlives a change: breakers, latches, connections, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::plan_to;
use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

/// A gray that fails, with a breaker of these further keys, and top-level text.
fn failing(stable: &Origin, gray: &Origin, breaker: &str, more: &str) -> Plan {
    let breaker =
        format!("breakers: {{ b: {{ window: 10s, min_calls: 10, open_for: 120s, max_open: 300s{breaker} }} }}\n");
    Plan::new()
        .admin("insecure_changes: true")
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full")
        .more(&format!("{breaker}{more}"))
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nbreaker: b")
}

#[test]
fn an_open_breaker_stays_open_over_every_edit() {
    let (stable, gray) = (Origin::lane("stable"), Origin::answering(|_| answer("500 Oops", "X-Lane: gray\r\n", b"")));
    let sidecar = Sidecar::start(&failing(&stable, &gray, "", ""));
    let lane = || sidecar.get("/", "").get("x-lane");
    eventually("the breaker to open", || (lane().as_deref() == Some("stable")).then_some(()));
    let asked = gray.requests().len();
    // Nothing of the route, its thresholds, and what its gray is.
    let other = Origin::lane("other");
    let edits = [
        failing(&stable, &gray, "", "drain: 3s"),
        failing(&stable, &gray, ", error_rate: 50%", "drain: 4s"),
        failing(&stable, &gray, ", trials: 7", "drain: 4s"),
        failing(&stable, &other, ", trials: 7", "drain: 4s"),
    ];
    for plan in &edits {
        sidecar.reload(plan);
        for _ in 0..5 {
            assert_eq!(lane().as_deref(), Some("stable"));
        }
        let state = sidecar.metric("graylane_breaker_state", &[("route", "all"), ("lane", "gray")]);
        assert_eq!(state, 2.0);
    }
    assert_eq!((gray.requests().len(), other.requests().len()), (asked, 0), "no edit sent anybody there");
}

#[test]
fn what_a_breaker_has_seen_counts_on_where_nothing_of_it_changed() {
    let (stable, gray) = (Origin::lane("stable"), Origin::answering(|_| answer("500 Oops", "X-Lane: gray\r\n", b"")));
    let sidecar = Sidecar::start(&failing(&stable, &gray, "", ""));
    let mut failures = 0;
    eventually("the breaker to open", || {
        if failures % 3 == 0 {
            sidecar.reload(&failing(&stable, &gray, "", &format!("drain: {}s", failures + 1)));
        }
        failures += 1;
        (sidecar.get("/", "").get("x-lane").as_deref() == Some("stable")).then_some(())
    });
    assert!(failures > 10, "{failures}: fewer calls than its least");
}

#[test]
fn a_release_that_was_taken_back_stays_so_until_it_has_another_revision() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = |keys: &str| Plan::gray(stable.address(), gray.address(), keys).admin("insecure_changes: true");
    let sidecar = Sidecar::start(&plan("level: full"));
    let lane = || sidecar.get("/", "").get("x-lane");
    assert_eq!(lane().as_deref(), Some("gray"));
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/rollback", "", "").status(), 200);
    for plan in [plan("level: full\nsalt: other"), plan("level: permille\npermille: 1000")] {
        sidecar.reload(&plan);
        assert_eq!(lane().as_deref(), Some("stable"));
    }
    sidecar.reload(&plan("level: full\nrevision: 2"));
    assert_eq!(lane().as_deref(), Some("gray"));
}

#[test]
fn an_upstream_that_did_not_change_keeps_its_connections() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let plan = |more: &Origin, drain: usize| {
        let plan = Plan::new().admin("insecure_changes: true").upstream("more", more.address());
        let plan = plan.upstream("stable", one.address()).more(&format!("drain: {drain}s"));
        plan.route("more", "/more", "stable: more", "").rest()
    };
    let sidecar = Sidecar::start(&plan(&one, 1));
    let mut client = sidecar.client();
    for drain in 2..12 {
        assert_eq!(client.get("/", "").status(), 200);
        // Another upstream changes beside it.
        sidecar.reload(&plan(if drain % 2 == 0 { &two } else { &one }, drain));
    }
    assert_eq!(client.get("/", "").status(), 200);
    assert_eq!(one.connections(), 1);
}

#[test]
fn what_was_taken_of_a_rate_stays_taken() {
    let origin = Origin::lane("one");
    let plan = |rate: &str, drain: usize| {
        let keys = format!("limits: {{ stable: {{ {rate} }} }}");
        let plan = Plan::new().admin("insecure_changes: true").upstream("stable", origin.address());
        plan.more(&format!("drain: {drain}s")).route("all", "/{*rest}", "stable: stable", &keys)
    };
    // A token comes back in a hundred seconds: none within the test.
    let sidecar = Sidecar::start(&plan("rate: 1, burst: 100", 1));
    let get = || sidecar.get("/", "").status();
    let passed = (0..130).filter(|_| get() == 200).count();
    assert!((100..130).contains(&passed), "{passed}");
    sidecar.reload(&plan("rate: 1, burst: 100", 2));
    let again = (0..50).filter(|_| get() == 200).count();
    assert!(again < 20, "{again}: the bucket was full again");
}

#[test]
fn who_is_under_way_counts_on() {
    let open = Arc::new(AtomicBool::new(false));
    let switch = open.clone();
    let origin = Origin::answering(move |request| {
        while request.head.target() == "/hold" && !switch.load(Ordering::Acquire) {
            // The time that the answer takes, in small parts.
            std::thread::sleep(Duration::from_millis(2));
        }
        answer("200 OK", "", b"")
    });
    let plan = |most: u32, drain: usize| {
        let keys = format!("limits: {{ stable: {{ concurrency: {most} }} }}");
        let plan = Plan::new().admin("insecure_changes: true").upstream("stable", origin.address());
        plan.more(&format!("drain: {drain}s")).route("all", "/{*rest}", "stable: stable", &keys)
    };
    let sidecar = Sidecar::start(&plan(1, 1));
    let mut held = sidecar.client();
    held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    sidecar.reload(&plan(1, 2));
    assert_eq!(sidecar.get("/", "").status(), 429);
    sidecar.reload(&plan(2, 2));
    assert_eq!(sidecar.get("/", "").status(), 200);
    open.store(true, Ordering::Release);
    assert_eq!(held.answer().status(), 200);
    sidecar.reload(&plan(1, 3));
    eventually("its place to be free", || (sidecar.get("/", "").status() == 200).then_some(()));
}

#[test]
fn a_request_ends_with_the_configuration_it_began_with() {
    let open = Arc::new(AtomicBool::new(false));
    let switch = open.clone();
    let one = Origin::answering(move |request| {
        while request.head.target() == "/hold" && !switch.load(Ordering::Acquire) {
            // The time that the answer takes, in small parts.
            std::thread::sleep(Duration::from_millis(2));
        }
        answer("200 OK", "X-Lane: one\r\n", b"")
    });
    let two = Origin::lane("two");
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let mut held = sidecar.client();
    held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    one.wait_for(1);
    sidecar.reload(&plan_to(&two, ""));
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("two"));
    open.store(true, Ordering::Release);
    assert_eq!(held.answer().get("x-lane").as_deref(), Some("one"));
    assert_eq!(held.get("/", "").get("x-lane").as_deref(), Some("two"), "the next one on the same connection");
}
