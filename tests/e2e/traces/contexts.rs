//! The trace context of W3C: whose trace a request belongs to, and what goes on.

use super::plan;
use crate::harness::{Client, Collector, H2Origin, Mood, Origin, Plan, Sidecar, h2_client, hex, patient};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const STATE: &str = "vendor=a:1,other=b";

fn fields(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\ntracestate: {STATE}\r\n")
}

/// What the upstream got in a field; nothing where it got none.
fn got(origin: &Origin, name: &str) -> Option<String> {
    origin.last().head.get(name)
}

fn parts(traceparent: &str) -> Vec<&str> {
    traceparent.split('-').collect()
}

/// One `GET` by a peer that is not trusted.
fn stranger(sidecar: &Sidecar, fields: &str) {
    let mut client = Client::connect_from("127.9.9.9", sidecar.traffic());
    assert_eq!(client.get("/", fields).status(), 200);
}

#[test]
fn the_trace_of_a_trusted_peer_that_records_is_followed_whatever_the_share() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 0%")));
    sidecar.get("/", &fields("01"));
    let spans = collector.wait_for_spans(2);
    let (server, clients) = super::sides(&spans);
    assert_eq!((hex(&server.trace_id).as_str(), hex(&server.parent_span_id).as_str()), (TRACE, SPAN));
    assert_eq!((server.flags, clients[0].flags), (0x301, 0x101), "the parent is elsewhere, and here");
    assert_eq!((server.trace_state.as_str(), clients[0].trace_state.as_str()), (STATE, STATE));
    let sent = got(&origin, "traceparent").unwrap();
    assert_eq!(parts(&sent), ["00", TRACE, &hex(&clients[0].span_id), "01"]);
    assert_eq!(got(&origin, "tracestate").as_deref(), Some(STATE));
}

#[test]
fn a_trace_that_is_not_recorded_passes_untouched_and_costs_nothing() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 100%")));
    sidecar.get("/", &fields("00"));
    assert_eq!(got(&origin, "traceparent").unwrap(), format!("00-{TRACE}-{SPAN}-00"));
    assert_eq!(got(&origin, "tracestate").as_deref(), Some(STATE));
    // One that is recorded comes after it, so that nothing of the first is still under way.
    sidecar.get("/", "");
    let spans = collector.wait_for_spans(2);
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE), "{spans:?}");
}

#[test]
fn a_stranger_chooses_neither_the_trace_nor_whether_it_is_recorded() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let keys = |sample: &str| plan(&origin, &collector.section(&format!("sample: {sample}"))).trust("127.0.0.1/32");
    let sidecar = Sidecar::start(&keys("0%"));
    stranger(&sidecar, &fields("01"));
    assert_eq!((got(&origin, "traceparent"), got(&origin, "tracestate")), (None, None));
    sidecar.reload(&keys("100%"));
    stranger(&sidecar, &fields("00"));
    let spans = collector.wait_for_spans(2);
    let (server, clients) = super::sides(&spans);
    assert_ne!(hex(&server.trace_id), TRACE);
    assert!(server.parent_span_id.is_empty() && server.trace_state.is_empty());
    let link = &server.links[0];
    assert_eq!((hex(&link.trace_id).as_str(), hex(&link.span_id).as_str()), (TRACE, SPAN), "it can still be found");
    let sent = got(&origin, "traceparent").unwrap();
    assert_eq!(parts(&sent), ["00", &hex(&server.trace_id), &hex(&clients[0].span_id), "01"]);
    assert_eq!(got(&origin, "tracestate"), None);
}

#[test]
fn strangers_are_followed_where_the_configuration_says_so() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let section = collector.section("sample: 0%, untrusted: follow");
    let sidecar = Sidecar::start(&plan(&origin, &section).trust("127.0.0.1/32"));
    stranger(&sidecar, &fields("01"));
    let spans = collector.wait_for_spans(2);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(got(&origin, "tracestate").as_deref(), Some(STATE));
}

#[test]
fn a_context_that_is_none_begins_a_new_trace() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 100%")));
    let good = fields("01");
    let twice = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n{good}");
    let wrong =
        [good.replace("00-4b", "ff-4b"), good.replace("4bf9", "4BF9"), good.replace(SPAN, "0000000000000000"), twice];
    for (at, fields) in wrong.iter().enumerate() {
        sidecar.get("/", fields);
        let spans = collector.wait_for_spans(2 * (at + 1));
        assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE && span.links.is_empty()), "{fields}");
        let received = origin.last();
        let sent = received.head.get("traceparent").unwrap();
        assert!(!sent.contains(TRACE) && sent.ends_with("-01"), "{sent}");
        assert_eq!(received.head.get("tracestate"), None, "it belongs to a trace that is over");
    }
}

#[test]
fn everything_passes_as_it_is_where_tracing_is_off() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()).trust("127.0.0.1/32"));
    stranger(&sidecar, &fields("01"));
    assert_eq!(got(&origin, "traceparent").unwrap(), format!("00-{TRACE}-{SPAN}-01"));
    assert_eq!(got(&origin, "tracestate").as_deref(), Some(STATE));
}

#[test]
fn nothing_is_begun_with_a_share_of_zero() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 0%")));
    sidecar.get("/", "");
    assert_eq!(got(&origin, "traceparent"), None, "who begins the trace decides, and nobody here does");
    sidecar.get("/", &fields("01"));
    collector.wait_for_spans(2);
    assert_eq!(collector.taken().spans.len(), 2);
}

#[test]
fn the_share_is_kept_and_the_services_behind_are_told() {
    const REQUESTS: usize = 600;
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section("sample: 30%")));
    let mut client = sidecar.client();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/", "").status(), 200);
    }
    let sent: Vec<String> = origin.requests().iter().map(|one| one.head.get("traceparent").unwrap()).collect();
    let recorded: Vec<&String> = sent.iter().filter(|sent| sent.ends_with("-01")).collect();
    // Binomial: 180 of 600 with a deviation of 11.2; six of them are one in a thousand million.
    assert!((113..=247).contains(&recorded.len()), "{} of {REQUESTS}", recorded.len());
    assert!(sent.iter().all(|sent| sent.ends_with("-01") || sent.ends_with("-00")));
    let spans = collector.wait_for_spans(2 * recorded.len());
    assert_eq!(spans.len(), 2 * recorded.len());
    for sent in recorded {
        let trace = parts(sent)[1];
        assert_eq!(spans.iter().filter(|span| hex(&span.trace_id) == trace).count(), 2, "{trace}");
    }
}

#[test]
fn the_access_log_names_the_trace_that_goes_on() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let section = collector.section("sample: 50%");
    let sidecar = Sidecar::start(&plan(&origin, &section).more("access_log: all").trust("127.0.0.1/32"));
    sidecar.get("/", "");
    stranger(&sidecar, &fields("01"));
    sidecar.get("/", &fields("01"));
    let log = sidecar.wait_for_log(3);
    for (line, received) in log.iter().zip(origin.requests()) {
        let sent = received.head.get("traceparent").unwrap();
        assert_eq!(line["trace_id"].as_str(), Some(parts(&sent)[1]));
    }
    assert_eq!(log[2]["trace_id"].as_str(), Some(TRACE));
    assert_ne!(log[1]["trace_id"].as_str(), Some(TRACE));
}

#[tokio::test]
async fn http2_carries_the_context_both_ways() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), H2Origin::echo());
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest().more(&collector.section("sample: 0%"));
    let sidecar = Sidecar::start(&plan);
    let mut client = patient("a connection", h2_client(sidecar.traffic())).await;
    let request = http::Request::post("http://shop.test/")
        .header("traceparent", format!("00-{TRACE}-{SPAN}-01"))
        .header("tracestate", STATE);
    let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(bytes::Bytes::from_static(b"x"), true).unwrap();
    assert_eq!(patient("an answer", answer).await.unwrap().status(), 200);
    let got = origin.only().headers;
    assert_eq!((got.get_all("traceparent").iter().count(), &got["tracestate"]), (1, &STATE.parse().unwrap()));
    let sent = got["traceparent"].to_str().unwrap();
    let spans = tokio::task::spawn_blocking(move || collector.wait_for_spans(2)).await.unwrap();
    let (_, clients) = super::sides(&spans);
    assert_eq!(parts(sent), ["00", TRACE, &hex(&clients[0].span_id), "01"]);
}
