//! What a scraper sees.

use std::collections::BTreeSet;
use std::time::Duration;

use super::strict_parser::{Parsed, parse};
use super::*;
use crate::decide::{Level, Permille, Reason};

fn scrape(telemetry: &Telemetry) -> Parsed {
    let text = telemetry.render().unwrap();
    parse(&text).unwrap_or_else(|what| panic!("{what}\n{text}"))
}

/// The value of the one series of `name` that has these labels; `None` if there is none.
fn value(parsed: &Parsed, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let samples = parsed.values().flat_map(|family| &family.samples);
    let mut hits = samples
        .filter(|sample| sample.name == name && labels.iter().all(|(label, value)| sample.label(label) == Some(value)));
    let first = hits.next()?;
    assert!(hits.next().is_none(), "{name} {labels:?} is not one series");
    Some(first.value)
}

#[test]
fn every_metric_of_the_list_is_there_before_any_traffic() {
    let telemetry = Telemetry::new(2);
    let route = telemetry.route("sku-detail", &["stable", "gray"]);
    let release = telemetry.release("pricing-v2");
    let upstream = telemetry.upstream("goods-gray");
    let endpoint = telemetry.endpoint("goods-gray", "10.0.0.7:8080");
    let facts = telemetry.facts(&["sku_id"]);
    let fault = telemetry.fault("drill", "delay");
    let source = telemetry.source("shared");
    let lookup = telemetry.lookup("product");
    let _certificate = telemetry.certificate("0.0.0.0:15443", "tls.crt");
    telemetry.config_applied("4f1c");
    let parsed = scrape(&telemetry);
    for metric in METRICS {
        let family = parsed.get(metric.name).unwrap_or_else(|| panic!("{} is missing", metric.name));
        assert_eq!(family.help, metric.help);
        assert_eq!(family.kind, format!("{:?}", metric.kind).to_lowercase());
        assert!(!family.samples.is_empty());
        let expected: BTreeSet<&str> = metric.labels.iter().copied().collect();
        for sample in &family.samples {
            let labels: BTreeSet<&str> =
                sample.labels.iter().map(|(label, _)| label.as_str()).filter(|label| *label != "le").collect();
            assert_eq!(labels, expected, "{}", metric.name);
        }
    }
    assert_eq!(parsed.len(), METRICS.len());
    drop((route, release, upstream, endpoint, facts, fault, source, lookup));
}

#[test]
fn what_was_counted_is_what_is_scraped() {
    let telemetry = Telemetry::new(2);
    let route = telemetry.route("sku-detail", &["stable", "gray"]);
    route.begin(0);
    route.record(0, 1, Level::Permille, CodeClass::Success, Duration::from_millis(40));
    route.record(1, 1, Level::Permille, CodeClass::Success, Duration::from_secs(20));
    route.shielded(1);
    route.replayed(0);
    route.client_disconnected(0);
    route.breaker_moved(1, BreakerCause::ErrorRate);
    let release = telemetry.release("pricing-v2");
    release.decided(1, Level::Permille, Reason::Bucket);
    release.set_permille(Permille::new(50).unwrap());
    release.set_latched(true);
    telemetry.totals().refused(0, Refusal::NoRoute);
    telemetry.totals().stripped(1, 3);
    telemetry.totals().deadline_ignored(0, DeadlineField::RequestTimeout);
    route.deadline_expired(1);
    telemetry.fault("drill", "delay").injected(1);
    telemetry.fault("drill", "abort").injected(0);
    telemetry.fault("drill", "delay").injected(0);
    let facts = telemetry.facts(&["user_id", "sku_id"]);
    facts.rejected(0, 1);
    facts.rejected(0, 99);

    let parsed = scrape(&telemetry);
    let gray: &[(&str, &str)] = &[("route", "sku-detail"), ("lane", "gray")];
    let check = |name: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(value(&parsed, name, labels), Some(expected), "{name} {labels:?}");
    };
    check("graylane_requests_total", &[("lane", "gray"), ("level", "permille"), ("code_class", "2xx")], 2.0);
    check("graylane_request_duration_seconds_count", gray, 2.0);
    check("graylane_request_duration_seconds_sum", gray, 20.04);
    let bucket = |le| [gray, &[("le", le)]].concat();
    check("graylane_request_duration_seconds_bucket", &bucket("0.025"), 0.0);
    check("graylane_request_duration_seconds_bucket", &bucket("0.05"), 1.0);
    check("graylane_request_duration_seconds_bucket", &bucket("10"), 1.0);
    check("graylane_request_duration_seconds_bucket", &bucket("+Inf"), 2.0);
    check("graylane_inflight_requests", &[("route", "sku-detail")], 1.0);
    check("graylane_shielded_total", &[], 1.0);
    check("graylane_replays_total", &[], 1.0);
    check("graylane_client_disconnects_total", &[], 1.0);
    check("graylane_breaker_state", gray, 2.0);
    check("graylane_breaker_transitions_total", &[("lane", "gray"), ("to", "open"), ("cause", "error_rate")], 1.0);
    check("graylane_decisions_total", &[("level", "permille"), ("reason", "bucket")], 1.0);
    check("graylane_decisions_total", &[("level", "none"), ("reason", "bucket_out")], 0.0);
    check("graylane_release_permille", &[("release", "pricing-v2")], 50.0);
    check("graylane_release_latched", &[("release", "pricing-v2")], 1.0);
    check("graylane_refused_requests_total", &[("reason", "no_route")], 1.0);
    check("graylane_stripped_headers_total", &[], 3.0);
    check("graylane_ignored_deadlines_total", &[("header", "x-request-timeout-ms")], 1.0);
    check("graylane_expired_deadlines_total", &[("route", "sku-detail")], 1.0);
    check("graylane_faults_total", &[("fault", "drill"), ("kind", "delay")], 2.0);
    check("graylane_faults_total", &[("fault", "drill"), ("kind", "abort")], 1.0);
    check("graylane_facts_rejected_total", &[("fact", "sku_id")], 1.0);
    check("graylane_facts_rejected_total", &[("fact", "user_id")], 0.0);
}

#[test]
fn counters_outlive_a_configuration() {
    let telemetry = Telemetry::new(1);
    let before = telemetry.route("r", &["stable", "gray"]);
    before.record(0, 1, Level::Full, CodeClass::Success, Duration::from_millis(1));
    // The next configuration has the same route with its lanes in another order, and one more.
    let after = telemetry.route("r", &["gray", "gold", "stable"]);
    drop(before);
    telemetry.retain_held();
    after.record(0, 0, Level::Full, CodeClass::Success, Duration::from_millis(1));
    assert_eq!(after.counts(0).requests, 2);
    assert_eq!(after.counts(1).requests, 0);
}

#[test]
fn a_name_that_left_goes_once_nobody_holds_it() {
    let telemetry = Telemetry::new(1);
    let old = telemetry.route("old", &["stable", "gray"]);
    let kept = telemetry.route("kept", &["stable"]);
    let release = telemetry.release("gone");
    telemetry.retain_held();
    let state = |route| value(&scrape(&telemetry), "graylane_breaker_state", &[("route", route), ("lane", "gray")]);
    assert_eq!(state("old"), Some(0.0), "a running request still holds it");
    drop((old, release));
    telemetry.retain_held();
    let parsed = scrape(&telemetry);
    assert_eq!(value(&parsed, "graylane_inflight_requests", &[("route", "old")]), None);
    assert_eq!(value(&parsed, "graylane_inflight_requests", &[("route", "kept")]), Some(0.0));
    assert_eq!(value(&parsed, "graylane_release_permille", &[]), None);
    drop(kept);
}

#[test]
fn series_of_faults_that_have_gone_make_room() {
    let telemetry = Telemetry::new(1);
    let held = telemetry.fault("held", "reset");
    held.injected(0);
    for number in 0..1000 {
        telemetry.fault(&format!("drill-{number}"), "reset");
    }
    let parsed = scrape(&telemetry);
    assert!(parsed["graylane_faults_total"].samples.len() <= 256);
    assert_eq!(value(&parsed, "graylane_faults_total", &[("fault", "held")]), Some(1.0));
}

#[test]
fn hostile_names_round_trip() {
    let telemetry = Telemetry::new(1);
    let name = "a\"b\\c\nd } 1\n# HELP 路由";
    let route = telemetry.route(name, &["stable"]);
    route.begin(0);
    assert_eq!(value(&scrape(&telemetry), "graylane_inflight_requests", &[("route", name)]), Some(1.0));
}

#[test]
fn configurations_are_counted_and_the_version_is_the_last_one() {
    let telemetry = Telemetry::new(1);
    let parsed = scrape(&telemetry);
    for result in ["applied", "refused"] {
        let count = value(&parsed, "graylane_config_reloads_total", &[("result", result)]);
        assert_eq!(count, Some(0.0), "{result} exists before it happens");
    }
    telemetry.config_applied("one");
    telemetry.config_refused();
    telemetry.config_applied("two");
    let parsed = scrape(&telemetry);
    assert_eq!(value(&parsed, "graylane_config_version", &[]), Some(2.0));
    assert_eq!(value(&parsed, "graylane_config_info", &[]), Some(1.0));
    assert_eq!(value(&parsed, "graylane_config_info", &[("version", "two")]), Some(1.0));
    assert_eq!(value(&parsed, "graylane_config_reloads_total", &[("result", "refused")]), Some(1.0));
}

#[test]
fn decisions_without_a_release_are_counted_under_the_empty_name() {
    let telemetry = Telemetry::new(1);
    let none = telemetry.release("");
    none.decided(0, Level::None, Reason::NoRelease);
    let parsed = scrape(&telemetry);
    assert_eq!(value(&parsed, "graylane_decisions_total", &[("release", "")]), Some(1.0));
    assert_eq!(value(&parsed, "graylane_release_permille", &[]), None, "it is no release");
}
