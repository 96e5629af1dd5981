//! The metrics that dashboards and alerts are written against.

use crate::harness::{Origin, Plan, Sidecar};

fn scene() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: permille\npermille: 250\nregions: { city_id: [\"440300\"] }";
    let plan = Plan::gray(stable.address(), gray.address(), release);
    (Sidecar::start(&plan), stable, gray)
}

#[test]
fn the_promised_names_exist_with_their_labels() {
    let (sidecar, _stable, _gray) = scene();
    sidecar.get("/", "x-city-id: 440300\r\n");
    sidecar.get("/", "");
    let response = sidecar.admin_get("/metrics");
    let kind = response.get("content-type").expect("a type");
    assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = response.text();
    for (name, labels) in [
        ("requests_total", &["route", "lane", "level", "code_class"][..]),
        ("request_duration_seconds_bucket", &["route", "lane", "le"]),
        ("request_duration_seconds_count", &["route", "lane"]),
        ("request_duration_seconds_sum", &["route", "lane"]),
        ("decisions_total", &["release", "level", "reason"]),
        ("config_version", &[]),
        ("config_reloads_total", &["result"]),
        ("release_permille", &["release"]),
        ("release_latched", &["release"]),
        ("upstream_connections", &["upstream", "state"]),
        ("inflight_requests", &["route"]),
    ] {
        let name = format!("graylane_{name}");
        let found = text.lines().find(|line| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let line = found.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        for label in labels {
            assert!(line.contains(&format!("{label}=\"")), "{label}: {line}");
        }
    }
}

#[test]
fn requests_and_decisions_are_counted() {
    let (sidecar, _stable, _gray) = scene();
    let mut client = sidecar.client();
    for _ in 0..7 {
        client.get("/", "x-city-id: 440300\r\n");
    }
    for _ in 0..5 {
        client.get("/", "");
    }
    let requests = "graylane_requests_total";
    let gray = [("route", "all"), ("lane", "gray"), ("level", "region"), ("code_class", "2xx")];
    sidecar.wait_for_metric(requests, &gray, 7.0);
    let stable = [("route", "all"), ("lane", "stable"), ("level", "none"), ("code_class", "2xx")];
    sidecar.wait_for_metric(requests, &stable, 5.0);
    let decisions = "graylane_decisions_total";
    sidecar.wait_for_metric(decisions, &[("release", "r"), ("reason", "region")], 7.0);
    sidecar.wait_for_metric(decisions, &[("release", "r"), ("reason", "no_key")], 5.0);
    sidecar.wait_for_metric("graylane_request_duration_seconds_count", &[("lane", "gray")], 7.0);
    assert_eq!(sidecar.metric("graylane_release_permille", &[("release", "r")]), 250.0);
    assert_eq!(sidecar.metric("graylane_release_latched", &[("release", "r")]), 0.0);
    assert_eq!(sidecar.metric("graylane_inflight_requests", &[("route", "all")]), 0.0);
}

#[test]
fn requests_cannot_make_new_series() {
    let (sidecar, _stable, _gray) = scene();
    let count = || {
        let text = sidecar.admin_get("/metrics").text();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let mut client = sidecar.client();
    client.get("/", "x-city-id: 440300\r\n");
    client.get("/", "");
    let before = count();
    for number in 0..50 {
        let fields = format!("x-user-tier: t{number}\r\nx-gray-release: x{number}\r\n");
        client.get(&format!("/path/{number}"), &fields);
        let method = format!("M{number} / HTTP/1.1\r\nHost: h{number}.test\r\n\r\n");
        client.exchange(method.as_bytes());
    }
    // A few series may have begun with their first event; fifty of anything may not.
    assert!(count() < before + 20, "{before} series became {}", count());
}

#[test]
fn a_request_in_flight_is_shown() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    sidecar.wait_for_metric("graylane_inflight_requests", &[("route", "rest")], 1.0);
    drop(client);
    sidecar.wait_for_metric("graylane_inflight_requests", &[("route", "rest")], 0.0);
}
