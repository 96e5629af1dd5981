//! Evaluation events: what a feature flag's evaluation is told as.

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::ITEMS;
use crate::harness::{Collector, Mood, Origin, Plan, Sidecar, attribute, bucket, hex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Half of the users see gray.
fn plan(origin: &Origin, section: &str) -> Plan {
    Plan::new()
        .upstream("stable", origin.address())
        .upstream("gray", origin.address())
        .release("price-v2", "level: permille\npermille: 500\nsalt: s")
        .route("price", "/price", "stable: stable, gray: gray", "release: price-v2")
        .route("plain", "/plain", "stable: stable", "")
        .admin("insecure_changes: true")
        .more(section)
}

fn told(event: &LogRecord, key: &str) -> Option<String> {
    attribute(&event.attributes, key)
}

fn check_events(protocol: &'static str) {
    let (collector, origin) = (Collector::start(protocol, Mood::Taking), Origin::lane("x"));
    let section = collector.section("sample: 0%, evaluations: 100%");
    let sidecar = Sidecar::start(&plan(&origin, &section).more("access_log: all"));
    let mut client = sidecar.client();
    let users: Vec<String> = (0..20).map(|n| format!("user-{n}")).collect();
    for user in &users {
        client.get("/price", &format!("x-user-id: {user}\r\n"));
        // A route without a release evaluates nothing.
        client.get("/plain", &format!("x-user-id: {user}\r\n"));
    }
    let events = collector.wait_for_events(users.len());
    assert_eq!(events.len(), users.len());
    let log = sidecar.wait_for_log(2 * users.len());
    let log: Vec<_> = log.iter().filter(|line| line["route"] == "price").collect();
    let version = sidecar.admin_get("/api/v1/config").json()["version"].as_str().unwrap().to_owned();
    for ((event, user), line) in events.iter().zip(&users).zip(log) {
        let is_gray = bucket("s", user) < 500;
        let lane = if is_gray { "gray" } else { "stable" };
        assert_eq!(event.event_name, "feature_flag.evaluation");
        let expected = [
            ("feature_flag.key", "price-v2"),
            ("feature_flag.provider.name", "graylane"),
            ("feature_flag.result.variant", lane),
            ("feature_flag.result.reason", "split"),
            ("feature_flag.set.id", "goods-core"),
            ("feature_flag.version", version.as_str()),
            ("graylane.reason", if is_gray { "bucket" } else { "bucket_out" }),
            ("graylane.route", "price"),
            // The same hash as in the access log, so that both can be joined.
            ("feature_flag.context.id", line["user"].as_str().unwrap()),
        ];
        for (key, value) in expected {
            assert_eq!(told(event, key).as_deref(), Some(value), "{key} of {user}");
        }
        assert!(!format!("{event:?}").contains(user), "the user is told: {event:?}");
    }
    let fields = collector.taken().fields;
    assert!(fields["user-agent"].to_str().unwrap().starts_with("graylane/"), "{fields:?}");
    sidecar.wait_for_metric(ITEMS, &[("signal", "events"), ("result", "exported")], 20.0);
    assert_eq!(sidecar.metric(ITEMS, &[("signal", "spans")]), 0.0);
}

#[test]
fn decisions_are_told_over_http() {
    check_events("http");
}

#[test]
fn decisions_are_told_over_grpc() {
    check_events("grpc");
}

#[test]
fn an_event_belongs_to_its_trace_also_where_that_is_not_recorded() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("x"));
    let section = collector.section("sample: 0%, evaluations: 100%");
    let sidecar = Sidecar::start(&plan(&origin, &section));
    sidecar.get("/price", &format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-00\r\nx-user-id: u\r\n"));
    let event = &collector.wait_for_events(1)[0];
    assert_eq!((hex(&event.trace_id).as_str(), hex(&event.span_id).as_str()), (TRACE, "00f067aa0ba902b7"));
    sidecar.get("/price", "x-user-id: u\r\n");
    assert!(collector.wait_for_events(2)[1].trace_id.is_empty());
}

#[test]
fn an_event_of_a_recorded_request_names_its_server_span() {
    let (collector, origin) = (Collector::start("grpc", Mood::Taking), Origin::lane("x"));
    let section = collector.section("sample: 100%, evaluations: 100%");
    let sidecar = Sidecar::start(&plan(&origin, &section));
    sidecar.get("/price", "x-user-id: u\r\n");
    let event = &collector.wait_for_events(1)[0];
    let spans = collector.wait_for_spans(2);
    let (server, _) = super::sides(&spans);
    assert_eq!((&event.trace_id, &event.span_id), (&server.trace_id, &server.span_id));
}

#[test]
fn users_are_named_as_the_configuration_allows() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("x"));
    let section = |id: &str| collector.section(&format!("sample: 0%, evaluations: 100%, context_id: {id}"));
    let sidecar = Sidecar::start(&plan(&origin, &section("plain")));
    sidecar.get("/price", "x-user-id: user-1\r\n");
    assert_eq!(told(&collector.wait_for_events(1)[0], "feature_flag.context.id").as_deref(), Some("user-1"));
    sidecar.get("/price", "");
    let event = &collector.wait_for_events(2)[1];
    assert_eq!(told(event, "feature_flag.context.id"), None, "nobody was named");
    assert_eq!(told(event, "feature_flag.result.reason").as_deref(), Some("default"));
    assert_eq!(told(event, "graylane.reason").as_deref(), Some("no_key"));
    sidecar.reload(&plan(&origin, &section("absent")));
    sidecar.get("/price", "x-user-id: user-1\r\n");
    assert_eq!(told(&collector.wait_for_events(3)[2], "feature_flag.context.id"), None);
}

#[test]
fn events_come_in_batches_of_ten_or_after_a_second() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("x"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 0%, evaluations: 100%")));
    let mut client = sidecar.client();
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        client.get("/price", "x-user-id: u\r\n");
    }
    collector.wait_for_events(3);
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "three are too few to be sent at once");
    for _ in 0..200 {
        client.get("/price", "x-user-id: u\r\n");
    }
    collector.wait_for_events(203);
    let batches = collector.taken().event_batches;
    // What was left after a second may be fewer, the last batch for one.
    let small = batches.iter().filter(|size| **size < 10).count();
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(small <= seconds, "{batches:?} in {seconds} s");
}

#[test]
fn the_share_of_decisions_is_kept() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("x"));
    let mut sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 0%, evaluations: 30%")));
    let mut client = sidecar.client();
    for _ in 0..600 {
        client.get("/price", "x-user-id: u\r\n");
    }
    // Everything is told by the time the process has ended.
    sidecar.terminate();
    assert!(sidecar.wait().success());
    let events = collector.taken().events.len();
    assert!((113..=247).contains(&events), "{events} of 600");
}
