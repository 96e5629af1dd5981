//! The caller's deadline: honoured, passed on reduced, believed of trusted callers only.

use std::time::{Duration, Instant};

use super::scene::{Scene, ahead};
use crate::harness::{H2Origin, Origin, Plan, Sidecar, h2_client, patient};

/// An origin that never answers.
fn silent() -> Origin {
    Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    })
}

fn with_timeouts(origin: &Origin, timeouts: &str) -> Plan {
    let keys = format!("timeouts: {{ {timeouts} }}");
    Plan::new().upstream("stable", origin.address()).route("rest", "/{*rest}", "stable: stable", &keys)
}

/// The number in a field that the origin got, in milliseconds.
fn told(origin: &Origin, name: &str) -> Option<u64> {
    let value = origin.last().head.get(name)?;
    match value.strip_suffix('u') {
        Some(micros) => Some(micros.parse::<u64>().expect("digits") / 1000),
        None => Some(value.trim_end_matches('m').parse().expect("digits")),
    }
}

#[test]
fn a_callers_deadline_ends_the_call_and_is_counted_as_the_callers() {
    for field in ["x-request-timeout-ms: 300", "grpc-timeout: 300m"] {
        let origin = silent();
        let sidecar = Sidecar::start(&Plan::to(origin.address()).more("access_log: all"));
        let start = Instant::now();
        let answer = sidecar.get("/", &format!("{field}\r\n"));
        let took = start.elapsed();
        assert_eq!((answer.status(), answer.failure().as_str()), (504, "request_timeout"), "{field}");
        assert!((Duration::from_millis(290)..Duration::from_secs(5)).contains(&took), "{took:?}");
        origin.wait_closed(1);
        sidecar.wait_for_metric("graylane_expired_deadlines_total", &[("route", "rest")], 1.0);
    }
}

#[test]
fn the_routes_own_limit_is_nobodys_deadline() {
    let origin = silent();
    let sidecar = Sidecar::start(&with_timeouts(&origin, "request: 200ms"));
    let answer = sidecar.get("/", "x-request-timeout-ms: 60000\r\n");
    assert_eq!((answer.status(), answer.failure().as_str()), (504, "request_timeout"));
    sidecar.wait_for_metric("graylane_requests_total", &[("code_class", "5xx")], 1.0);
    assert_eq!(sidecar.metric("graylane_expired_deadlines_total", &[]), 0.0);
    let left = told(&origin, "x-request-timeout-ms").expect("it is passed on");
    assert!((1..=200).contains(&left), "the smaller one goes on: {left}");
}

#[test]
fn the_smaller_of_both_goes_on_in_both_fields() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    sidecar.get("/", "x-request-timeout-ms: 9000\r\ngrpc-timeout: 4S\r\n");
    for name in ["x-request-timeout-ms", "grpc-timeout"] {
        let left = told(&origin, name).unwrap_or_else(|| panic!("{name} goes on"));
        assert!((3000..4000).contains(&left), "{name}: {left}");
    }
    sidecar.get("/", "x-request-timeout-ms: 9000\r\n");
    assert_eq!(told(&origin, "grpc-timeout"), None, "only what the caller used");
    assert!((8000..9000).contains(&told(&origin, "x-request-timeout-ms").expect("it goes on")));
}

#[test]
fn a_route_may_pass_its_own_limit_on() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&with_timeouts(&origin, "request: 5s, pass_on: true"));
    sidecar.get("/", "");
    assert!((4000..5000).contains(&told(&origin, "x-request-timeout-ms").expect("it is told")));
    let quiet = Origin::lane("stable");
    let sidecar = Sidecar::start(&with_timeouts(&quiet, "request: 5s"));
    sidecar.get("/", "");
    assert_eq!(told(&quiet, "x-request-timeout-ms"), None);
}

#[test]
fn what_is_no_deadline_is_ignored_counted_and_goes_no_further() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let mut check = |name: &'static str, values: &[&str]| {
        for value in values {
            assert_eq!(client.get("/", &format!("{name}: {value}\r\n")).status(), 200, "{name}: {value}");
            assert_eq!(origin.last().head.get(name), None, "{name}: {value}");
        }
        sidecar.wait_for_metric("graylane_ignored_deadlines_total", &[("header", name)], values.len() as f64);
    };
    check("grpc-timeout", &["soon", "0S", "-1S", "123456789m", "", "5", "5s"]);
    check("x-request-timeout-ms", &["0", "-1", "99999999999999999999", "100000000", "1e3", "fast", "", "1.5"]);
}

#[test]
fn nobody_else_sets_a_deadline() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).trust("10.0.0.0/8"));
    let answer = sidecar.get("/", "x-request-timeout-ms: 1\r\ngrpc-timeout: 1n\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(told(&origin, "x-request-timeout-ms").or(told(&origin, "grpc-timeout")), None);
    sidecar.wait_for_metric("graylane_stripped_headers_total", &[], 2.0);
    assert_eq!(sidecar.metric("graylane_ignored_deadlines_total", &[]), 0.0);
}

#[test]
fn a_deadline_that_has_passed_calls_nobody() {
    let scene = Scene::new();
    let expires = ahead(Duration::from_secs(60));
    let hang = format!("{{ name: hang, route: all, lane: gray, share: 100%, delay: 1m, expires: {expires} }}");
    let sidecar = Sidecar::start(&scene.plan(&[hang]));
    let answer = sidecar.get("/", "x-request-timeout-ms: 200\r\n");
    assert_eq!((answer.status(), answer.failure().as_str()), (504, "request_timeout"));
    let stable = sidecar.get("/", "grpc-timeout: 1n\r\nx-gray-lane: stable\r\nx-gray-release: r\r\n");
    assert_eq!((stable.status(), stable.failure().as_str()), (504, "request_timeout"));
    assert!(scene.gray.requests().is_empty() && scene.stable.requests().is_empty());
    let log = sidecar.wait_for_log(2);
    assert_eq!((&log[0]["fault"], &log[0]["error"]), (&"hang".into(), &"request_timeout".into()));
    sidecar.wait_for_metric("graylane_expired_deadlines_total", &[("route", "all")], 2.0);
}

#[tokio::test]
async fn a_grpc_call_that_is_late_has_status_4_and_is_told_what_is_left() {
    let origin = H2Origin::start(|_, mut respond| async move {
        let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
    });
    let keys = "timeouts: { request: 300ms, pass_on: true }";
    let plan = Plan::new().upstream_h2("stable", origin.address()).route("rest", "/{*rest}", "stable: stable", keys);
    let sidecar = Sidecar::start(&plan);
    let mut client = h2_client(sidecar.traffic()).await;
    let request = http::Request::post("http://shop.test/goods.Prices/Quote");
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(());
    let (response, _) = client.send_request(request.expect("a request"), true).expect("a stream");
    let response = patient("an answer", response).await.expect("an answer");
    assert_eq!(response.headers()["grpc-status"], "4");
    let seen = origin.only();
    assert!(seen.headers["grpc-timeout"].to_str().expect("text").ends_with('u'));
    assert!(!seen.headers.contains_key("x-request-timeout-ms"));
}
