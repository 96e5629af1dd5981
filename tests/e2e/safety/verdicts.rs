//! What faults and deadlines mean to the breaker and the shield.

use super::scene::{Scene, fault};
use crate::harness::{Origin, Plan, Sidecar, eventually};

const BREAKER: &str = "breakers:\n  default: { window: 10s, short_window: 2s, min_calls: 20, open_for: 1m }\n";

/// Stable and gray behind breakers, everybody on gray.
fn guarded(scene: &Scene, faults: &[String], keys: &str) -> Plan {
    let list: String = faults.iter().map(|fault| format!("  - {fault}\n")).collect();
    let list = if list.is_empty() { String::new() } else { format!("faults:\n{list}") };
    Plan::new()
        .upstream("stable", scene.stable.address())
        .upstream("gray", scene.gray.address())
        .release("r", "level: full")
        .more(&format!("access_log: all\n{BREAKER}{list}"))
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: r\nbreaker: default\n{keys}"))
}

fn transitions(sidecar: &Sidecar) -> f64 {
    sidecar.metric("graylane_breaker_transitions_total", &[("lane", "gray")])
}

#[test]
fn a_fault_that_does_not_count_takes_no_lane_out() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&guarded(&scene, &[fault("drill", "share: 90%, abort: 503")], ""));
    let mut client = sidecar.client();
    let mut met = 0;
    for _ in 0..300 {
        met += usize::from(client.get("/", "").status() == 503);
    }
    assert!(met > 200, "{met}");
    // One verdict is due within 50 ms of the call that would have crossed the threshold.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(transitions(&sidecar), 0.0);
    assert!(scene.stable.requests().is_empty());
}

#[test]
fn a_fault_that_counts_takes_the_lane_out_like_a_real_one() {
    let kinds = ["abort: 503", "reset: true", "delay: 2s"];
    for kind in kinds {
        let scene = Scene::new();
        let met = fault("drill", &format!("share: 100%, count: true, {kind}"));
        let sidecar = Sidecar::start(&guarded(&scene, &[met], "timeouts: { first_byte: 10ms }"));
        eventually(&format!("gray to be taken out by {kind}"), || {
            let mut client = sidecar.client();
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let _ = client.try_answer("GET");
            (transitions(&sidecar) > 0.0).then_some(())
        });
        assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("stable"), "{kind}");
    }
}

#[test]
fn a_callers_deadline_that_passes_again_and_again_takes_the_lane_out() {
    let gray = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let scene = Scene { stable: Origin::lane("stable"), gray };
    let sidecar = Sidecar::start(&guarded(&scene, &[], ""));
    eventually("gray to be taken out", || {
        sidecar.get("/", "x-request-timeout-ms: 20\r\n");
        (transitions(&sidecar) > 0.0).then_some(())
    });
    assert!(sidecar.metric("graylane_expired_deadlines_total", &[("route", "all")]) >= 20.0);
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("stable"));
}

#[test]
fn stable_makes_an_injected_answer_good_where_it_would_a_real_one() {
    let scene = Scene::new();
    let keys = "shield: { on: [503], budget: 100% }";
    let sidecar = Sidecar::start(&guarded(&scene, &[fault("drill", "share: 100%, abort: 503")], keys));
    let answer = sidecar.get("/", "");
    assert_eq!((answer.status(), answer.get("x-lane").as_deref()), (200, Some("stable")));
    let line = &sidecar.wait_for_log(1)[0];
    assert_eq!((&line["lane"], &line["fault"]), (&"stable".into(), &"drill".into()), "{line}");
    assert_eq!((&line["shielded"], &line["status"]), (&"fault_abort".into(), &200.into()), "{line}");
    let post = sidecar.client().exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(post.status(), 503, "twice is not as good as once");
}
