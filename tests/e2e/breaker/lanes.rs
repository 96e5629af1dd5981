//! One breaker for each lane of a route: what opens it, what its requests do then, how it closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

const BREAKER: &str =
    "breakers:\n  default: { window: 10s, short_window: 2s, min_calls: 20, open_for: 300ms, trials: 3 }\n";

/// An origin that fails while the switch is on.
fn moody(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let failing = Arc::new(AtomicBool::new(true));
    let switch = failing.clone();
    let origin = Origin::answering(move |_| {
        let status = if switch.load(Ordering::SeqCst) { "500 Oops" } else { "200 OK" };
        answer(status, &format!("X-Lane: {name}\r\n"), b"")
    });
    (origin, failing)
}

fn plan(stable: &Origin, gray: &Origin, keys: &str, more: &str) -> Plan {
    Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full")
        .more(&format!("access_log: all\n{BREAKER}{more}"))
        .route("all", "/{*rest}", "stable: stable, gray: gray", &format!("release: r\nbreaker: default\n{keys}"))
}

fn state(sidecar: &Sidecar, lane: &str) -> f64 {
    sidecar.metric("graylane_breaker_state", &[("route", "all"), ("lane", lane)])
}

#[test]
fn gray_that_fails_is_taken_out_and_comes_back_when_it_is_well() {
    let (stable, (gray, failing)) = (Origin::lane("stable"), moody("gray"));
    let sidecar = Sidecar::start(&plan(&stable, &gray, "", ""));
    let mut client = sidecar.client();
    let mut failures = 0;
    let first = eventually("the breaker to open", || {
        let response = client.get("/p", "x-user-id: u1\r\n");
        failures += usize::from(response.status() == 500);
        (response.get("x-lane").as_deref() == Some("stable")).then_some(response)
    });
    assert_eq!(first.status(), 200);
    // The minimum of calls, and what came within the time of one verdict.
    assert!(failures >= 20, "{failures}");
    sidecar.wait_for_metric("graylane_breaker_state", &[("route", "all"), ("lane", "gray")], 2.0);
    assert_eq!(state(&sidecar, "stable"), 0.0);
    let line =
        eventually("its line", || sidecar.access_log().into_iter().find(|line| line["reason"] == "breaker_open"));
    assert_eq!((&line["lane"], &line["level"]), (&"stable".into(), &"none".into()));
    let decided = [("release", "r"), ("level", "none"), ("reason", "breaker_open")];
    assert!(sidecar.metric("graylane_decisions_total", &decided) >= 1.0);
    let shown = sidecar.admin_get("/api/v1/breakers").json();
    assert!(shown.to_string().contains("\"state\":\"open\""), "{shown}");

    failing.store(false, Ordering::SeqCst);
    eventually("gray to be back", || (client.get("/p", "").get("x-lane").as_deref() == Some("gray")).then_some(()));
    eventually("the breaker to close", || {
        client.get("/p", "");
        (state(&sidecar, "gray") == 0.0).then_some(())
    });
    let closed = [("route", "all"), ("lane", "gray"), ("to", "closed"), ("cause", "trials_passed")];
    assert_eq!(sidecar.metric("graylane_breaker_transitions_total", &closed), 1.0);
}

#[test]
fn gray_that_stays_ill_is_tried_with_few_requests_and_taken_out_again() {
    let (stable, (gray, _failing)) = (Origin::lane("stable"), moody("gray"));
    let sidecar = Sidecar::start(&plan(&stable, &gray, "", ""));
    let mut client = sidecar.client();
    let failed = [("route", "all"), ("lane", "gray"), ("to", "open"), ("cause", "trials_failed")];
    eventually("the trials to fail", || {
        client.get("/p", "");
        (sidecar.metric("graylane_breaker_transitions_total", &failed) >= 1.0).then_some(())
    });
    assert!(gray.requests().len() < 200, "{}", gray.requests().len());
}

#[test]
fn gray_that_is_slow_is_taken_out_too() {
    let stable = Origin::lane("stable");
    let gray = Origin::answering(|_| {
        // The time that the answer takes.
        std::thread::sleep(Duration::from_millis(40));
        answer("200 OK", "X-Lane: gray\r\n", b"")
    });
    let slow = "  slow: { min_calls: 10, mean: 20ms, slow_call: 5s, p99: 5s }\n";
    let plan = plan(&stable, &gray, "", slow);
    let plan = plan.route("slow", "/slow", "stable: stable, gray: gray", "release: r\nbreaker: slow");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    eventually("stable to answer", || {
        (client.get("/slow", "").get("x-lane").as_deref() == Some("stable")).then_some(())
    });
    let cause = [("route", "slow"), ("lane", "gray"), ("to", "open"), ("cause", "mean")];
    sidecar.wait_for_metric("graylane_breaker_transitions_total", &cause, 1.0);
}

#[test]
fn a_stable_that_fails_is_not_asked_for_a_moment() {
    let ((stable, failing), gray) = (moody("stable"), Origin::lane("gray"));
    let plan = plan(&stable, &gray, "", "").route("plain", "/plain", "stable: stable", "breaker: default");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let refused = eventually("the breaker to open", || {
        let response = client.get("/plain", "");
        (response.status() == 503).then_some(response)
    });
    assert_eq!((refused.failure().as_str(), refused.get("retry-after").as_deref()), ("breaker_open", Some("1")));
    failing.store(false, Ordering::SeqCst);
    eventually("stable to be back", || (client.get("/plain", "").status() == 200).then_some(()));
}

#[test]
fn a_stable_that_is_to_pass_is_asked_on() {
    let ((stable, _failing), gray) = (moody("stable"), Origin::lane("gray"));
    let more = "  pass: { min_calls: 10, when_stable_opens: pass }\n";
    let plan = plan(&stable, &gray, "", more).route("plain", "/plain", "stable: stable", "breaker: pass");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    eventually("the breaker to open", || {
        assert_eq!(client.get("/plain", "").status(), 500);
        (sidecar.metric("graylane_breaker_state", &[("route", "plain"), ("lane", "stable")]) == 2.0).then_some(())
    });
    assert_eq!(client.get("/plain", "").status(), 500);
}

#[test]
fn shielded_failures_open_the_breaker_and_no_user_sees_one() {
    let (stable, (gray, _failing)) = (Origin::lane("stable"), moody("gray"));
    let sidecar = Sidecar::start(&plan(&stable, &gray, "shield: { on: [500], budget: 100% }", ""));
    let mut client = sidecar.client();
    eventually("the breaker to open", || {
        assert_eq!(client.get("/p", "").status(), 200);
        (state(&sidecar, "gray") == 2.0).then_some(())
    });
    assert!(gray.requests().len() >= 20);
}

#[test]
fn a_mark_for_gray_never_beats_an_open_breaker() {
    let (stable, (gray, _failing)) = (Origin::lane("stable"), moody("gray"));
    let sidecar = Sidecar::start(&plan(&stable, &gray, "", ""));
    let mut client = sidecar.client();
    eventually("the breaker to open", || (client.get("/p", "").status() == 200).then_some(()));
    let marked = client.get("/p", "x-gray-lane: gray\r\nx-gray-release: r\r\n");
    assert_eq!(marked.get("x-lane").as_deref(), Some("stable"));
}

#[test]
fn a_client_that_leaves_a_trial_gives_it_back() {
    use std::sync::atomic::AtomicU8;
    // 0 fails, 1 hangs, 2 is well.
    let mood = Arc::new(AtomicU8::new(0));
    let gray = {
        let mood = mood.clone();
        Origin::answering(move |_| {
            while mood.load(Ordering::SeqCst) == 1 {
                // The time that the answer takes, in small parts.
                std::thread::sleep(Duration::from_millis(5));
            }
            answer(if mood.load(Ordering::SeqCst) == 0 { "500 Oops" } else { "200 OK" }, "X-Lane: gray\r\n", b"")
        })
    };
    let stable = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&stable, &gray, "", ""));
    let mut client = sidecar.client();
    let gray_user = "x-user-id: u1\r\n";
    eventually("the breaker to open", || {
        client.get("/p", gray_user);
        (state(&sidecar, "gray") == 2.0).then_some(())
    });
    mood.store(1, Ordering::SeqCst);
    eventually("the breaker to be half-open", || (state(&sidecar, "gray") == 1.0).then_some(()));
    let held = |count: usize| {
        let mut held: Vec<_> = (0..count).map(|_| sidecar.client()).collect();
        held.iter_mut().for_each(|held| held.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{gray_user}\r\n").as_bytes()));
        held
    };
    let before = gray.requests().len();
    let trials = held(3);
    gray.wait_for(before + 3);
    let refused = client.get("/p", gray_user);
    assert_eq!(refused.get("x-lane").as_deref(), Some("stable"), "all three trials are taken");
    drop(trials);
    sidecar.wait_for_metric("graylane_client_disconnects_total", &[], 3.0);
    mood.store(2, Ordering::SeqCst);
    // A lease alone would be given up after half a minute only.
    let left = std::time::Instant::now();
    eventually("the breaker to close", || {
        client.get("/p", gray_user);
        (state(&sidecar, "gray") == 0.0).then_some(())
    });
    assert!(left.elapsed() < Duration::from_secs(15), "{:?}", left.elapsed());
    assert_eq!(client.get("/p", gray_user).get("x-lane").as_deref(), Some("gray"));
}
