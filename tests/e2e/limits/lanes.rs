//! The limits of a lane: how many requests, how many a second, as many as the upstream bears, and what the rest gets.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{hold, holding, limited};
use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

fn refused(sidecar: &Sidecar, lane: &str, limit: &str) -> f64 {
    sidecar.metric("graylane_limited_total", &[("route", "all"), ("lane", lane), ("limit", limit)])
}

#[test]
fn what_is_too_many_at_a_time_is_answered_at_once() {
    let (origin, open) = holding("stable");
    let sidecar = Sidecar::start(&limited(&origin, "concurrency: 2"));
    let mut held = [sidecar.client(), sidecar.client()];
    held.iter_mut().for_each(hold);
    origin.wait_for(2);
    for _ in 0..3 {
        let response = sidecar.get("/hold", "");
        assert_eq!((response.status(), response.failure().as_str()), (429, "limited"));
        assert_eq!(response.get("retry-after").as_deref(), Some("1"));
    }
    open.store(true, Ordering::Release);
    held.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    assert_eq!(sidecar.get("/hold", "").status(), 200);
    assert_eq!(refused(&sidecar, "stable", "concurrency"), 3.0);
    assert_eq!(origin.requests().len(), 3, "what is refused is never sent");
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&limited(&origin, "rate: 10, burst: 5"));
    let mut client = sidecar.client();
    let began = Instant::now();
    let answers: Vec<_> = (0..30).map(|_| client.get("/", "")).collect();
    let passed = answers.iter().filter(|answer| answer.status() == 200).count();
    // Tokens come back while the thirty are sent, one in a tenth of a second.
    let most = 5 + began.elapsed().as_millis().div_ceil(100) as usize;
    assert!((5..=most).contains(&passed), "{passed} of at most {most}");
    assert!(answers[..5].iter().all(|answer| answer.status() == 200));
    let last = answers.iter().rfind(|answer| answer.status() == 429).expect("thirty are too many");
    assert_eq!(last.get("retry-after").as_deref(), Some("1"));
    assert_eq!(refused(&sidecar, "stable", "rate"), (30 - passed) as f64);
    eventually("a token", || (client.get("/", "").status() == 200).then_some(()));
}

/// Everybody is decided for gray, which takes one request at a time.
fn gray_of_one(stable: &Origin, gray: &Origin, over: &str) -> Plan {
    let keys = format!("release: r\nlimits: {{ gray: {{ concurrency: 1, over: {over} }} }}");
    Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full")
        .more("access_log: all")
        .route("all", "/{*rest}", "stable: stable, gray: gray", &keys)
}

#[test]
fn what_gray_has_no_room_for_goes_to_stable_where_that_is_set() {
    let (stable, (gray, open)) = (Origin::lane("stable"), holding("gray"));
    let sidecar = Sidecar::start(&gray_of_one(&stable, &gray, "stable"));
    let mut held = sidecar.client();
    hold(&mut held);
    gray.wait_for(1);
    let response = sidecar.client().exchange(b"POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((response.status(), response.get("x-lane").as_deref()), (200, Some("stable")));
    let seen = stable.only();
    assert_eq!((seen.body.as_slice(), seen.head.get("x-gray-lane").as_deref()), (&b"hello"[..], Some("stable")));
    open.store(true, Ordering::Release);
    assert_eq!(held.answer().get("x-lane").as_deref(), Some("gray"));
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("gray"), "the user still belongs to gray");

    assert_eq!(refused(&sidecar, "gray", "concurrency"), 1.0);
    let line = eventually("its line", || sidecar.access_log().into_iter().find(|line| line["method"] == "POST"));
    assert_eq!((&line["lane"], &line["limited"]), (&"stable".into(), &"gray".into()));
    assert_eq!((&line["reason"], &line["level"], &line["status"]), (&"full".into(), &"full".into(), &200.into()));
    assert_eq!(sidecar.metric("graylane_decisions_total", &[("release", "r"), ("reason", "full")]), 3.0);
}

#[test]
fn what_gray_has_no_room_for_is_refused_where_nothing_is_set() {
    let (stable, (gray, open)) = (Origin::lane("stable"), holding("gray"));
    let sidecar = Sidecar::start(&gray_of_one(&stable, &gray, "reject"));
    let mut held = sidecar.client();
    hold(&mut held);
    gray.wait_for(1);
    assert_eq!(sidecar.get("/", "").status(), 429);
    assert!(stable.requests().is_empty());
    let line = &sidecar.wait_for_log(1)[0];
    assert_eq!((&line["lane"], &line["limited"]), (&"gray".into(), &"gray".into()));
    assert_eq!((&line["error"], &line["status"]), (&"limited".into(), &429.into()));
    open.store(true, Ordering::Release);
    assert_eq!(held.answer().status(), 200);
}

#[test]
fn what_gray_sends_on_is_refused_where_stable_has_no_room_either() {
    let ((stable, open), (gray, also_open)) = (holding("stable"), holding("gray"));
    let keys = "release: r\nlimits: { gray: { concurrency: 1, over: stable }, stable: { concurrency: 1 } }";
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full")
        .route("all", "/{*rest}", "stable: stable, gray: gray", keys);
    let sidecar = Sidecar::start(&plan);
    let mut held = [sidecar.client(), sidecar.client()];
    hold(&mut held[0]);
    gray.wait_for(1);
    hold(&mut held[1]);
    stable.wait_for(1);
    assert_eq!(sidecar.get("/", "").status(), 429);
    assert_eq!((refused(&sidecar, "gray", "concurrency"), refused(&sidecar, "stable", "concurrency")), (2.0, 1.0));
    open.store(true, Ordering::Release);
    also_open.store(true, Ordering::Release);
    held.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
}

#[test]
fn an_upstream_that_says_it_has_too_much_is_sent_less() {
    let (origin, open) = holding("stable");
    let busy = Origin::answering(|_| answer("503 Service Unavailable", "", b""));
    // A route has limits of its own, so the endpoints of one upstream play both parts.
    let keys = "limits: { stable: { adaptive: { least: 1, most: 4 } } }";
    let plan = Plan::new()
        .upstream_of("stable", &format!("endpoints: [\"{}\", \"{}\"]", busy.address(), origin.address()))
        .route("all", "/{*rest}", "stable: stable", keys);
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let mut said = 0;
    while said < 40 {
        said += usize::from(client.get("/", "").status() == 503);
    }
    // A limit of one or two is left, and further requests wait at the origin until one is refused.
    let mut held = Vec::new();
    let refusal = eventually("a refusal", || {
        let mut next = sidecar.client();
        hold(&mut next);
        if next.stays_silent_for(std::time::Duration::from_millis(100)) {
            held.push(next);
            return None;
        }
        let response = next.answer();
        (response.status() == 429).then_some(response)
    });
    assert_eq!(refusal.failure(), "limited");
    assert!(held.len() < 4, "{}", held.len());
    assert!(refused(&sidecar, "stable", "adaptive") >= 1.0);
    open.store(true, Ordering::Release);
    held.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
}
