//! Collectors that are gone, slow, busy or mad: memory stays bounded, drops are counted, requests do not notice.

use std::time::{Duration, Instant};

use super::{ITEMS, plan};
use crate::harness::{Collector, Mood, Origin, Port, Sidecar, answer, eventually};

const ALL: &str = "sample: 100%";

fn items(sidecar: &Sidecar, result: &str) -> f64 {
    sidecar.metric(ITEMS, &[("signal", "spans"), ("result", result)])
}

fn wait_for(sidecar: &Sidecar, result: &str, count: f64) {
    sidecar.wait_for_metric(ITEMS, &[("signal", "spans"), ("result", result)], count);
}

/// So many requests on one connection, all of which are answered.
fn ask(sidecar: &Sidecar, count: usize) {
    let mut client = sidecar.client();
    for _ in 0..count {
        assert_eq!(client.get("/", "").status(), 200);
    }
}

#[test]
fn a_collector_that_is_busy_is_told_again_and_nothing_is_lost() {
    for protocol in ["http", "grpc"] {
        let (collector, origin) = (Collector::start(protocol, Mood::Busy(2)), Origin::lane("stable"));
        let sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
        ask(&sidecar, 1);
        collector.wait_for_spans(2);
        wait_for(&sidecar, "exported", 2.0);
        assert_eq!(collector.taken().offered, 3, "{protocol}");
        assert_eq!(items(&sidecar, "failed"), 0.0, "{protocol}");
    }
}

#[test]
fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    for protocol in ["http", "grpc"] {
        let (collector, origin) = (Collector::start(protocol, Mood::Refusing), Origin::lane("stable"));
        let sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
        ask(&sidecar, 1);
        wait_for(&sidecar, "failed", 2.0);
        assert_eq!(collector.taken().offered, 1, "{protocol}");
        collector.set_mood(Mood::Rejecting(1));
        ask(&sidecar, 1);
        wait_for(&sidecar, "rejected", 1.0);
        wait_for(&sidecar, "exported", 1.0);
        assert!(sidecar.stderr().contains("did not take everything"), "{}", sidecar.stderr());
    }
}

#[test]
fn an_answer_that_is_none_is_a_failure() {
    let origin = Origin::lane("stable");
    let html = Collector::start("http", Mood::Garbage);
    let other = Origin::answering(|_| answer("200 OK", "Content-Type: text/html\r\n", b"<html>"));
    let raw = Origin::start(|visit| {
        // What HTTP/2 begins with is no request that this origin reads.
        let _ = visit.send(b"\x00\xffthis is neither HTTP nor anything\r\n\r\n".repeat(100));
        visit.wait_for_close();
    });
    let section = |address: std::net::SocketAddr, protocol: &str| {
        format!("tracing: {{ otlp: \"http://{address}\", protocol: {protocol}, {ALL}, answer: 200ms }}")
    };
    for (address, protocol) in [
        (html.address(), "http"),
        (other.address(), "http"),
        (raw.address(), "http"),
        (raw.address(), "grpc"),
        (html.address(), "grpc"),
    ] {
        let sidecar = Sidecar::start(&plan(&origin, &section(address, protocol)));
        ask(&sidecar, 3);
        wait_for(&sidecar, "failed", 6.0);
        assert_eq!(items(&sidecar, "exported"), 0.0, "{protocol}");
    }
}

#[test]
fn a_collector_that_is_gone_costs_spans_and_no_request_and_is_told_when_it_is_back() {
    let (port, origin) = (Port::reserve(), Origin::lane("stable"));
    let section = format!("tracing: {{ otlp: \"http://{}\", {ALL} }}", port.address());
    let sidecar = Sidecar::start(&plan(&origin, &section));
    ask(&sidecar, 20);
    wait_for(&sidecar, "failed", 40.0);
    assert_eq!(items(&sidecar, "queue_full"), 0.0);
    let collector = Collector::start("http", Mood::Taking);
    sidecar.reload(&plan(&origin, &collector.section(ALL)));
    ask(&sidecar, 1);
    collector.wait_for_spans(2);
}

#[test]
fn a_collector_that_hangs_costs_a_bounded_queue_and_no_request() {
    /// What the queue and the batch before it take: 2048 requests, and 512 spans of 256 more.
    const ROOM: usize = 2048 + 256;
    const MORE: usize = 700;
    let (collector, origin) = (Collector::start("http", Mood::Silent), Origin::lane("stable"));
    let section = collector.section("sample: 100%, answer: 60s");
    let mut sidecar = Sidecar::start(&plan(&origin, &section));
    ask(&sidecar, 1);
    eventually("the first batch to be offered", || (collector.taken().offered == 1).then_some(()));
    let before = sidecar.memory_kib("VmRSS:");
    ask(&sidecar, ROOM + MORE);
    let dropped = items(&sidecar, "queue_full") as usize;
    assert!((2 * MORE..=2 * (MORE + 256)).contains(&dropped), "{dropped} spans were dropped");
    let grown = sidecar.memory_kib("VmRSS:").saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    // It holds up neither requests nor the end of the process.
    let asked = Instant::now();
    ask(&sidecar, 1);
    assert!(asked.elapsed() < Duration::from_secs(10));
    sidecar.terminate();
    let ending = Instant::now();
    assert!(sidecar.wait().success());
    assert!(ending.elapsed() < Duration::from_secs(20), "{:?}", ending.elapsed());
    assert!(sidecar.stderr().contains("the last spans are not told"), "{}", sidecar.stderr());
}

#[test]
fn header_fields_for_the_collector_come_from_a_file_that_may_change() {
    let (collector, origin) = (Collector::start("grpc", Mood::Taking), Origin::lane("stable"));
    let section = collector.section("sample: 100%, headers_file: collector.headers");
    let plan = plan(&origin, &section).file("collector.headers", "api-key: first\n");
    let sidecar = Sidecar::start(&plan);
    ask(&sidecar, 1);
    collector.wait_for_spans(2);
    assert_eq!(collector.taken().fields["api-key"], "first");
    std::fs::write(sidecar.directory().join("collector.headers"), "api-key: second\n").unwrap();
    ask(&sidecar, 1);
    collector.wait_for_spans(4);
    assert_eq!(collector.taken().fields["api-key"], "second");
    std::fs::write(sidecar.directory().join("collector.headers"), "the-second-key-alone\n").unwrap();
    ask(&sidecar, 1);
    wait_for(&sidecar, "failed", 2.0);
    assert!(!sidecar.stderr().contains("the-second-key-alone"), "a secret in the log: {}", sidecar.stderr());
}
