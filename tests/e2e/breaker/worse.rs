//! Gray is compared with stable all the time, and a release whose gray is worse is taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Client, Origin, Plan, Sidecar, answer, eventually};

/// An origin that fails three requests of ten.
fn failing() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answering(move |_| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        answer(if at % 10 < 3 { "500 Oops" } else { "200 OK" }, "", b"")
    })
}

fn start(stable: &Origin, gray: &Origin, rollback: &str) -> Sidecar {
    let release = format!("level: permille\npermille: 500\nrollback: {rollback}");
    let plan = Plan::gray(stable.address(), gray.address(), &release);
    Sidecar::start(&plan.admin("insecure_changes: true").more("state: { dir: state }"))
}

/// So many requests, each of another user.
fn visit(client: &mut Client, users: std::ops::Range<u32>) {
    for user in users {
        client.get("/p", &format!("x-user-id: u{user}\r\n"));
    }
}

fn release(sidecar: &Sidecar) -> Value {
    sidecar.admin_get("/api/v1/releases").json()["releases"][0].clone()
}

fn verdict(sidecar: &Sidecar) -> f64 {
    sidecar.metric("graylane_release_verdict", &[("release", "r")])
}

fn is_latched(sidecar: &Sidecar) -> bool {
    sidecar.metric("graylane_release_latched", &[("release", "r")]) == 1.0
}

#[test]
fn gray_that_is_worse_is_taken_back_with_evidence_and_may_come_back() {
    let (stable, gray) = (Origin::lane("stable"), failing());
    let sidecar = start(&stable, &gray, "{ worse: true }");
    let mut client = sidecar.client();
    let mut seen = 0;
    eventually("the release to be latched", || {
        visit(&mut client, seen..seen + 100);
        seen += 100;
        is_latched(&sidecar).then_some(())
    });
    let shown = release(&sidecar);
    assert_eq!((&shown["verdict"]["word"], verdict(&sidecar)), (&"worse".into(), 2.0), "{shown}");
    assert_eq!((&shown["rollback"]["worse"], &shown["rollback"]["openings"]), (&true.into(), &Value::Null));

    let incidents = sidecar.admin_get("/api/v1/incidents").json();
    let incident = &incidents["incidents"][0];
    assert_eq!((&incident["cause"], &incident["by"]), (&"worse".into(), &"comparison".into()), "{incidents}");
    assert!(incident["detail"].as_str().unwrap().starts_with("worse: errors on gray "), "{incidents}");
    assert_eq!(incident["thresholds"]["rollback"]["worse"]["alpha"], 0.01, "{incidents}");
    assert!(!incident["failures"].as_array().unwrap().is_empty(), "{incidents}");

    // Opened again, it is judged by what comes from then on.
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/reset", "", "").status(), 200);
    sidecar.wait_for_metric("graylane_release_verdict", &[("release", "r")], 0.0);
    assert!(!is_latched(&sidecar), "{}", release(&sidecar));
}

#[test]
fn lanes_that_err_alike_are_left_alone() {
    let (stable, gray) = (failing(), failing());
    let sidecar = start(&stable, &gray, "{ worse: true }");
    let mut client = sidecar.client();
    for part in 0..6 {
        visit(&mut client, part * 500..part * 500 + 500);
        assert!(!is_latched(&sidecar), "{}", release(&sidecar));
    }
    let shown = eventually("all of them to be looked at", || {
        let shown = release(&sidecar);
        let calls = &shown["verdict"]["figures"]["calls"];
        let all = calls["stable"].as_u64().unwrap() + calls["gray"].as_u64().unwrap();
        (all > 2500).then_some(shown)
    });
    assert_eq!((&shown["verdict"]["word"], verdict(&sidecar)), (&"not worse so far".into(), 1.0), "{shown}");
    assert_eq!(shown["latched"], false, "{shown}");
}

#[test]
fn without_calls_there_is_no_verdict() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let sidecar = start(&stable, &gray, "{ worse: true }");
    visit(&mut sidecar.client(), 0..10);
    let shown = release(&sidecar);
    assert_eq!((&shown["verdict"]["word"], verdict(&sidecar)), (&"no data".into(), 0.0), "{shown}");
    let reason = shown["verdict"]["reason"].as_str().unwrap();
    assert!(reason.ends_with("100 of each needed"), "{reason}");
}

#[test]
fn where_openings_are_needed_as_well_worse_alone_only_tells() {
    let (stable, gray) = (Origin::lane("stable"), failing());
    let sidecar = start(&stable, &gray, "{ openings: 2, worse: true, require: all }");
    let mut client = sidecar.client();
    let mut seen = 0;
    eventually("the verdict", || {
        visit(&mut client, seen..seen + 100);
        seen += 100;
        (verdict(&sidecar) == 2.0).then_some(())
    });
    visit(&mut client, seen..seen + 100);
    assert!(!is_latched(&sidecar), "{}", release(&sidecar));
    assert_eq!(release(&sidecar)["rollback"]["require"], "all");
}

#[test]
fn what_stable_makes_good_is_held_against_gray() {
    let (stable, gray) = (Origin::lane("stable"), failing());
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: permille\npermille: 500\nrollback: { worse: true }")
        .more("state: { dir: state }")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nshield: { on: [500], budget: 100% }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let mut user = 0;
    eventually("the release to be latched", || {
        for _ in 0..100 {
            user += 1;
            assert_eq!(client.get("/p", &format!("x-user-id: u{user}\r\n")).status(), 200, "no user sees a failure");
        }
        is_latched(&sidecar).then_some(())
    });
    assert!(
        release(&sidecar)["latch"]["detail"].as_str().unwrap().contains("errors on gray 30"),
        "{}",
        release(&sidecar)
    );
}

#[test]
fn what_the_bucket_did_not_decide_is_not_compared() {
    let (stable, gray) = (Origin::lane("stable"), failing());
    let release_keys = "level: full\nrollback: { worse: true }";
    let plan = Plan::gray(stable.address(), gray.address(), release_keys).more("state: { dir: state }");
    let sidecar = Sidecar::start(&plan);
    visit(&mut sidecar.client(), 0..300);
    // A span in which nothing may happen: two looks.
    std::thread::sleep(Duration::from_millis(2100));
    let figures = release(&sidecar)["verdict"]["figures"].clone();
    assert_eq!((&figures["calls"]["gray"], &figures["split"]["counts"]["gray"]), (&0.into(), &0.into()), "{figures}");
}

#[test]
fn an_outage_of_both_is_not_held_against_gray_though_breakers_refuse() {
    let failing = Arc::new(AtomicBool::new(false));
    let origin = || {
        let failing = failing.clone();
        Origin::answering(move |_| answer(if failing.load(Ordering::Relaxed) { "500 Oops" } else { "200 OK" }, "", b""))
    };
    let (stable, gray) = (origin(), origin());
    // Gray has too few calls for its breaker: stable's alone opens.
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: permille\npermille: 100\nrollback: { worse: true }")
        .more("state: { dir: state }\nbreakers: { b: { min_calls: 1000, open_for: 1s } }")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nbreaker: b");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    visit(&mut client, 0..3000);
    failing.store(true, Ordering::Relaxed);
    visit(&mut client, 3000..4500);
    let transitions = |lane, to| {
        sidecar.metric("graylane_breaker_transitions_total", &[("route", "all"), ("lane", lane), ("to", to)])
    };
    assert!(transitions("stable", "open") >= 1.0 && transitions("gray", "open") == 0.0);
    failing.store(false, Ordering::Relaxed);
    eventually("stable's breaker to close", || {
        visit(&mut client, 0..10);
        (transitions("stable", "closed") >= 1.0).then_some(())
    });
    visit(&mut client, 5000..6000);
    // A span in which nothing may happen: one more look.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(!is_latched(&sidecar), "{}", release(&sidecar));
    let shown = release(&sidecar);
    assert_eq!(shown["verdict"]["word"], "not worse so far", "{shown}");
    let figures = &shown["verdict"]["figures"]["errors"]["hits"];
    assert!(figures["stable"].as_u64() > Some(500), "what the breaker refused counts: {shown}");
}
