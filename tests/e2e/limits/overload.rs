//! What the process as a whole refuses, and what it never does.

use std::sync::atomic::Ordering;

use super::{hold, holding};
use crate::harness::{Plan, Sidecar, eventually};

#[test]
fn more_requests_than_the_process_takes_are_refused_and_health_is_still_told() {
    let (origin, open) = holding("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("overload: { inflight: 2 }"));
    let mut held = [sidecar.client(), sidecar.client()];
    held.iter_mut().for_each(hold);
    origin.wait_for(2);
    let mut client = sidecar.client();
    for _ in 0..3 {
        let response = client.get("/", "");
        assert_eq!((response.status(), response.failure().as_str()), (503, "overloaded"));
        assert_eq!(response.get("retry-after").as_deref(), Some("1"));
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(sidecar.admin_get(path).status(), 200, "{path}");
        }
    }
    sidecar.wait_for_metric("graylane_refused_requests_total", &[("reason", "overloaded")], 3.0);
    open.store(true, Ordering::Release);
    held.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    eventually("room", || (client.get("/", "").status() == 200).then_some(()));
}

#[test]
fn requests_without_a_route_leave_their_place_too() {
    let (origin, _open) = holding("stable");
    let plan = Plan::new().upstream("stable", origin.address()).route("one", "/one", "stable: stable", "");
    let sidecar = Sidecar::start(&plan.more("overload: { inflight: 1 }"));
    let mut client = sidecar.client();
    for _ in 0..5 {
        assert_eq!(client.get("/other", "").status(), 404);
        assert_eq!(client.get("/one", "").status(), 200);
    }
}

#[test]
fn a_process_whose_memory_is_full_takes_a_few_requests_at_a_time() {
    let (origin, open) = holding("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("overload: { memory: 1MiB }"));
    let mut held: Vec<_> = (0..16).map(|_| sidecar.client()).collect();
    held.iter_mut().for_each(hold);
    origin.wait_for(16);
    let response = eventually("a refusal", || {
        let response = sidecar.get("/", "");
        (response.status() != 200).then_some(response)
    });
    assert_eq!((response.status(), response.failure().as_str()), (503, "overloaded"));
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
    open.store(true, Ordering::Release);
    held.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    eventually("room", || (sidecar.get("/", "").status() == 200).then_some(()));
}

#[test]
fn a_process_with_enough_of_everything_refuses_nobody() {
    let (origin, _open) = holding("stable");
    let overload = "overload: { inflight: 1000, memory: 8GiB, delay: 10s }";
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more(overload));
    let mut client = sidecar.client();
    assert!((0..200).all(|_| client.get("/", "").status() == 200));
}

/// Requests on one connection until the condition holds; the statuses that came.
fn ask_while(client: &mut crate::harness::Client, until: &std::sync::atomic::AtomicBool) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    while !until.load(Ordering::Relaxed) {
        let response = client.get("/", "");
        let failure = if response.status() == 200 { String::new() } else { response.failure() };
        answers.push((response.status(), failure));
    }
    answers
}

#[test]
fn an_event_loop_that_lags_for_longer_than_a_moment_refuses_and_recovers() {
    let origin = crate::harness::Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("overload: { delay: 60ms }"));
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (mut client, until) = (sidecar.client(), over.clone());
    let asking = std::thread::spawn(move || ask_while(&mut client, &until));
    // A process that is stopped again and again is late with everything, as on a machine that has far too much to do.
    let pause = std::time::Duration::from_millis;
    for _ in 0..12 {
        sidecar.signal("STOP");
        std::thread::sleep(pause(250));
        sidecar.signal("CONT");
        std::thread::sleep(pause(40));
    }
    over.store(true, Ordering::Relaxed);
    let answers = asking.join().expect("every request is answered");
    let refused = answers.iter().filter(|(status, _)| *status == 503).count();
    assert!(refused > 0, "{} answers, none refused", answers.len());
    assert!(answers.iter().all(|(status, word)| *status == 200 || word == "overloaded"), "{answers:?}");
    assert_eq!(sidecar.admin_get("/healthz").status(), 200);
    eventually("the delay to be over", || (sidecar.get("/", "").status() == 200).then_some(()));
}
