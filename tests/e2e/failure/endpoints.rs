//! Endpoints of one upstream that die, flap, are slow, fail fast, and come back.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{GrpcOrigin, H2Origin, Origin, Plan, Port, Sidecar, answer, eventually};

/// How an [`Actor`] behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    /// 200, for checks too.
    Well,
    /// Checks are told 503, requests are served.
    Sick,
    /// 503.
    Busy,
    /// 500 at once.
    Erring,
    /// 200 after a while.
    Slow,
    /// An answer that breaks off.
    BreakingOff,
    /// No answer.
    Hanging,
}

/// One endpoint whose behaviour a test changes while it runs.
struct Actor {
    origin: Origin,
    mode: Arc<AtomicU8>,
}

const WELL_TAKES: Duration = Duration::from_millis(3);
const SLOW_TAKES: Duration = Duration::from_millis(60);
const CHECK: &str = "/healthz";

impl Actor {
    fn new(mode: Mode) -> Self {
        let current = Arc::new(AtomicU8::new(mode as u8));
        let shared = Arc::clone(&current);
        let is = move |mode: Mode| shared.load(Ordering::Acquire) == mode as u8;
        let origin = Origin::start(move |visit| {
            while let Some(head) = visit.head() {
                let is_check = head.start.contains(CHECK);
                if !is_check && visit.rest_of(head).is_none() {
                    return;
                }
                let reply = if is(Mode::Busy) || (is_check && is(Mode::Sick)) {
                    answer("503 Service Unavailable", "", b"")
                } else if is_check {
                    answer("200 OK", "", b"")
                } else if is(Mode::Erring) {
                    answer("500 Internal Server Error", "", b"")
                } else if is(Mode::BreakingOff) {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()
                } else if is(Mode::Hanging) {
                    return visit.wait_for_close();
                } else {
                    // The time that the answer takes.
                    thread::sleep(if is(Mode::Slow) { SLOW_TAKES } else { WELL_TAKES });
                    answer("200 OK", "", b"well")
                };
                if visit.send(reply).is_none() || is(Mode::BreakingOff) {
                    return;
                }
            }
        });
        Self { origin, mode: current }
    }

    fn turn(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// Requests, checks not counted.
    fn served(&self) -> usize {
        self.origin.requests().len()
    }

    fn name(&self) -> String {
        self.origin.address().to_string()
    }
}

fn actors<const N: usize>(modes: [Mode; N]) -> [Actor; N] {
    modes.map(Actor::new)
}

/// A sidecar before one upstream of these endpoints.
fn before(addresses: impl IntoIterator<Item = SocketAddr>, keys: &str) -> Sidecar {
    let list: Vec<String> = addresses.into_iter().map(|address| format!("\"{address}\"")).collect();
    Sidecar::start(&Plan::new().upstream_of("stable", &format!("endpoints: [{}], {keys}", list.join(", "))).rest())
}

fn stage(actors: &[Actor], keys: &str) -> Sidecar {
    before(actors.iter().map(|actor| actor.origin.address()), keys)
}

/// Sends so many requests one after another; how many were answered 200.
fn send(sidecar: &Sidecar, count: usize) -> usize {
    let mut client = sidecar.client();
    (0..count).filter(|_| client.get("/", "").status() == 200).count()
}

fn upstream(sidecar: &Sidecar) -> serde_json::Value {
    sidecar.admin_get("/api/v1/upstreams").json()["upstreams"][0].clone()
}

fn healthy(sidecar: &Sidecar, at: usize) -> Option<bool> {
    upstream(sidecar)["endpoints"][at]["healthy"].as_bool()
}

fn wait_for_health(sidecar: &Sidecar, expected: &[bool]) {
    eventually(&format!("health {expected:?}"), || {
        expected.iter().enumerate().all(|(at, wanted)| healthy(sidecar, at) == Some(*wanted)).then_some(())
    });
}

fn ejections(sidecar: &Sidecar, endpoint: Option<&Actor>, result: &str) -> f64 {
    let name = endpoint.map(Actor::name);
    let mut labels = vec![("result", result)];
    labels.extend(name.iter().map(|name| ("endpoint", name.as_str())));
    sidecar.metric("graylane_endpoint_ejections_total", &labels)
}

/// How many requests each got that `work` sends.
fn shares(actors: &[Actor], work: impl FnOnce()) -> Vec<usize> {
    let before: Vec<usize> = actors.iter().map(Actor::served).collect();
    work();
    actors.iter().zip(before).map(|(actor, before)| actor.served() - before).collect()
}

#[test]
fn an_endpoint_whose_checks_fail_gets_nothing_until_they_pass() {
    let actors = actors([Mode::Well, Mode::Sick, Mode::Well]);
    let sidecar = stage(&actors, "health: { http: /healthz, interval: 50ms, unhealthy_after: 2 }");
    wait_for_health(&sidecar, &[true, false, true]);
    let found = shares(&actors, || assert_eq!(send(&sidecar, 60), 60));
    assert!(found[0] > 0 && found[1] == 0 && found[2] > 0, "{found:?}");
    let endpoint = actors[1].name();
    let addresses = |state| {
        sidecar
            .metric("graylane_endpoint_addresses", &[("upstream", "stable"), ("endpoint", &endpoint), ("state", state)])
    };
    assert_eq!((addresses("unhealthy"), addresses("usable")), (1.0, 0.0));
    assert!(sidecar.metric("graylane_endpoint_checks_total", &[("endpoint", &endpoint), ("result", "failed")]) >= 1.0);

    actors[1].turn(Mode::Well);
    wait_for_health(&sidecar, &[true, true, true]);
    let found = shares(&actors, || assert_eq!(send(&sidecar, 60), 60));
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    assert_eq!(addresses("usable"), 1.0);

    // And away again: the same endpoint, now after it was well.
    actors[1].turn(Mode::Sick);
    wait_for_health(&sidecar, &[true, false, true]);
}

#[test]
fn a_dead_endpoint_is_found_by_a_connection_alone_and_found_again_when_it_lives() {
    let (one, nobody) = (Origin::lane("one"), Port::reserve());
    let keys = "health: { tcp: true, interval: 50ms }";
    let sidecar = before([one.address(), nobody.address()], keys);
    wait_for_health(&sidecar, &[true, false]);
    assert_eq!(send(&sidecar, 20), 20);
    let refused = sidecar.metric("graylane_upstream_connects_total", &[("upstream", "stable"), ("result", "refused")]);
    assert!(refused <= 1.0, "a dead endpoint is not tried: {refused}");
    let _listener = TcpListener::bind(nobody.address()).expect("the port is reserved");
    wait_for_health(&sidecar, &[true, true]);
}

#[test]
fn an_endpoint_that_does_not_answer_a_check_in_time_is_unhealthy() {
    let silent = Origin::start(|visit| visit.wait_for_close());
    let one = Actor::new(Mode::Well);
    let keys = "health: { http: /healthz, interval: 100ms, timeout: 50ms }";
    let sidecar = before([one.origin.address(), silent.address()], keys);
    wait_for_health(&sidecar, &[true, false]);
    let endpoint = silent.address().to_string();
    let labels = [("endpoint", endpoint.as_str()), ("result", "timed_out")];
    assert!(sidecar.metric("graylane_endpoint_checks_total", &labels) >= 1.0);
}

#[test]
fn an_endpoint_that_says_it_cannot_is_ejected_and_nobody_notices_after() {
    let actors = actors([Mode::Well, Mode::Well, Mode::Busy]);
    let sidecar = stage(&actors, "ejection: { failures: 3, base: 1h, max: 1h }");
    assert_eq!(healthy(&sidecar, 2), Some(true), "nothing is known against it");
    eventually("an ejection", || {
        send(&sidecar, 5);
        (ejections(&sidecar, Some(&actors[2]), "ejected") == 1.0).then_some(())
    });
    assert_eq!(actors[2].served(), 3, "three failures in a row, and no more");
    let found = shares(&actors, || assert_eq!(send(&sidecar, 60), 60));
    assert_eq!(found[2], 0, "{found:?}");
    assert_eq!(upstream(&sidecar)["endpoints"][2]["addresses"][0]["state"], "ejected");
    assert_eq!((healthy(&sidecar, 0), healthy(&sidecar, 2)), (Some(true), Some(false)));
    assert_eq!(upstream(&sidecar)["panic"], false);
}

#[test]
fn an_endpoint_whose_failures_the_shield_hides_is_ejected_too() {
    let actors = actors([Mode::Well, Mode::Busy]);
    let stable = Origin::lane("stable");
    let endpoints = format!("endpoints: [\"{}\", \"{}\"]", actors[0].name(), actors[1].name());
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream_of("gray", &format!("{endpoints}, ejection: {{ failures: 3, base: 1h, max: 1h }}"))
        .release("r", "level: full")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nshield: { budget: 100% }");
    let sidecar = Sidecar::start(&plan);
    eventually("an ejection", || {
        assert_eq!(send(&sidecar, 5), 5, "the shield holds");
        (ejections(&sidecar, Some(&actors[1]), "ejected") == 1.0).then_some(())
    });
    assert_eq!(actors[1].served(), 3);
}

#[test]
fn an_endpoint_that_flaps_is_ejected_again_and_stays_when_it_is_well() {
    let actors = actors([Mode::Well, Mode::Busy]);
    let sidecar = stage(&actors, "ejection: { failures: 2, base: 50ms, max: 200ms }");
    eventually("three ejections", || {
        send(&sidecar, 5);
        (ejections(&sidecar, Some(&actors[1]), "ejected") >= 3.0).then_some(())
    });
    actors[1].turn(Mode::Well);
    eventually("it is in", || {
        let found = shares(&actors, || assert_eq!(send(&sidecar, 20), 20));
        (found[1] > 0).then_some(())
    });
    assert_eq!(healthy(&sidecar, 1), Some(true));
}

#[test]
fn an_endpoint_that_breaks_off_every_answer_is_ejected_though_each_begins_well() {
    let actors = actors([Mode::Well, Mode::BreakingOff]);
    let sidecar = stage(&actors, "ejection: { failures: 3, base: 1h, max: 1h }");
    eventually("an ejection", || {
        let mut client = sidecar.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let _ = client.try_answer("GET");
        (ejections(&sidecar, Some(&actors[1]), "ejected") == 1.0).then_some(())
    });
    assert_eq!(send(&sidecar, 40), 40);
}

#[test]
fn no_more_than_the_share_is_ejected_however_many_fail() {
    let actors = actors([Mode::Busy, Mode::Busy, Mode::Busy, Mode::Busy]);
    let sidecar = stage(&actors, "ejection: { failures: 2, base: 1h, max: 1h, share: 50% }");
    eventually("the cap", || {
        assert_eq!(send(&sidecar, 10), 0);
        (ejections(&sidecar, None, "capped") >= 2.0).then_some(())
    });
    assert_eq!(ejections(&sidecar, None, "ejected"), 2.0);
    assert_eq!(sidecar.metric("graylane_endpoint_addresses", &[("state", "ejected")]), 2.0);
    assert_eq!(sidecar.metric("graylane_upstream_panic", &[]), 0.0, "half are left");
}

#[test]
fn when_too_few_are_fit_all_are_used_and_everyone_is_told() {
    let actors = actors([Mode::Sick, Mode::Sick, Mode::Sick]);
    let sidecar = stage(&actors, "health: { http: /healthz, interval: 50ms }");
    wait_for_health(&sidecar, &[false, false, false]);
    let found = shares(&actors, || assert_eq!(send(&sidecar, 60), 60));
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    assert_eq!(upstream(&sidecar)["panic"], true);
    sidecar.wait_for_metric("graylane_upstream_panic", &[("upstream", "stable")], 1.0);
    eventually("a line of the log", || sidecar.stderr().contains("too few endpoints are fit").then_some(()));

    // One of three is more than the 30 % at which all are used.
    actors[1].turn(Mode::Well);
    wait_for_health(&sidecar, &[false, true, false]);
    assert_eq!(upstream(&sidecar)["panic"], false);
    let found = shares(&actors, || assert_eq!(send(&sidecar, 30), 30));
    assert_eq!(found, [0, 30, 0]);
    sidecar.wait_for_metric("graylane_upstream_panic", &[("upstream", "stable")], 0.0);
}

#[test]
fn the_share_at_which_all_are_used_can_be_set() {
    let actors = actors([Mode::Well, Mode::Sick]);
    let sidecar = stage(&actors, "panic: 60%, health: { http: /healthz, interval: 50ms }");
    wait_for_health(&sidecar, &[true, false]);
    let found = shares(&actors, || assert_eq!(send(&sidecar, 40), 40));
    assert!(found[0] > 0 && found[1] > 0, "half are fit, 60% are wanted: {found:?}");
}

#[test]
fn an_endpoint_that_fails_fast_does_not_win_the_balance_of_latency() {
    let actors = actors([Mode::Well, Mode::Well, Mode::Erring]);
    let sidecar = stage(&actors, "balance: least_latency");
    assert_eq!(upstream(&sidecar)["balance"], "least_latency");
    let good = send(&sidecar, 300);
    assert!(good >= 290, "{good} of 300, and {} failed at once", actors[2].served());
}

#[test]
fn a_slow_endpoint_gets_little_under_the_balance_of_latency() {
    let actors = actors([Mode::Well, Mode::Slow, Mode::Well]);
    let sidecar = stage(&actors, "balance: least_latency");
    let found = shares(&actors, || assert_eq!(send(&sidecar, 300), 300));
    assert!(found[1] < 30 && found[0] > 50 && found[2] > 50, "{found:?}");
}

#[test]
fn an_endpoint_that_comes_back_gets_a_part_of_its_share_at_first() {
    let actors = actors([Mode::Well, Mode::Busy]);
    let sidecar = stage(&actors, "slow_start: 1h, ejection: { failures: 2, base: 100ms, max: 100ms }");
    eventually("an ejection", || {
        send(&sidecar, 4);
        (ejections(&sidecar, Some(&actors[1]), "ejected") >= 1.0).then_some(())
    });
    actors[1].turn(Mode::Well);
    wait_for_health(&sidecar, &[true, true]);
    // A tenth of its half: ten of two hundred.
    let found = shares(&actors, || assert_eq!(send(&sidecar, 200), 200));
    assert!((1..=40).contains(&found[1]), "{found:?}");
}

#[test]
fn clients_that_leave_take_no_endpoint_out() {
    let actors = actors([Mode::Hanging, Mode::Hanging]);
    let sidecar = stage(&actors, "ejection: { failures: 2, base: 1h, max: 1h }");
    for number in 1..=12 {
        let mut client = sidecar.client();
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        eventually("the request is there", || {
            (actors.iter().map(Actor::served).sum::<usize>() == number).then_some(())
        });
    }
    sidecar.wait_for_metric("graylane_client_disconnects_total", &[], 12.0);
    assert_eq!(ejections(&sidecar, None, "ejected"), 0.0);
}

#[test]
fn grpc_health_is_asked_of_a_real_service() {
    let (one, two) = (GrpcOrigin::start(), GrpcOrigin::start());
    two.set_serving(false);
    let keys = "protocol: h2, health: { grpc: goods.Prices, interval: 50ms }";
    let sidecar = before([one.address(), two.address()], keys);
    wait_for_health(&sidecar, &[true, false]);
    two.set_serving(true);
    wait_for_health(&sidecar, &[true, true]);
    two.set_serving(false);
    wait_for_health(&sidecar, &[true, false]);
}

#[test]
fn grpc_health_of_the_whole_server_and_of_an_unknown_service() {
    let origin = GrpcOrigin::start();
    let one = format!("endpoints: [\"{}\"], protocol: h2, health: {{ grpc: \"\", interval: 50ms }}", origin.address());
    let two =
        format!("endpoints: [\"{}\"], protocol: h2, health: {{ grpc: goods.No, interval: 50ms }}", origin.address());
    let plan = Plan::new().upstream_of("stable", &one).upstream_of("other", &two).rest();
    let sidecar = Sidecar::start(&plan.route("other", "/other", "stable: other", ""));
    let view = |at: usize| {
        let upstreams = sidecar.admin_get("/api/v1/upstreams").json()["upstreams"].clone();
        upstreams[at]["endpoints"][0]["healthy"].as_bool()
    };
    eventually("both are checked", || (view(0) == Some(true) && view(1) == Some(false)).then_some(()));
}

#[test]
fn an_upstream_that_speaks_h2_is_checked_in_h2() {
    let origin = H2Origin::echo();
    let keys = "protocol: h2, health: { http: /healthz, host: goods.test, interval: 50ms }";
    let sidecar = before([origin.address()], keys);
    wait_for_health(&sidecar, &[true]);
    let seen = origin.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].uri.to_string().as_str()), ("GET", "http://goods.test/healthz"));
}
