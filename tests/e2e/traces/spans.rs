//! The spans of a request: which there are, and what they say.

use std::time::SystemTime;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::{changeable, plan, sides};
use crate::harness::{
    Client, Collector, GrpcOrigin, Mood, Origin, Plan, Port, Sidecar, Text, answer, attribute, grpc_client, grpc_path,
    hex, patient,
};

const ALL: &str = "sample: 100%";

fn told(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32)
}

fn nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

fn check_a_request(protocol: &'static str) {
    let (collector, gray) = (Collector::start(protocol, Mood::Taking), Origin::lane("gray"));
    let plan = Plan::new()
        .upstream("stable", gray.address())
        .upstream("gray", gray.address())
        .release("price-v2", "level: permille\npermille: 1000\nsalt: s")
        .route("price", "/api/v1/sku/{sku_id}", "stable: stable, gray: gray", "release: price-v2")
        .more(&collector.section(ALL));
    let sidecar = Sidecar::start(&plan);
    let before = nanos();
    let response = sidecar.get("/api/v1/sku/7?token=secret", "x-user-id: u1\r\nx-request-id: r-1\r\n");
    assert_eq!(response.status(), 200);
    let spans = collector.wait_for_spans(2);
    let after = nanos();
    let (server, clients) = sides(&spans);
    let client = clients[0];
    let expected = [
        ("http.request.method", "GET"),
        ("url.path", "/api/v1/sku/7"),
        ("url.scheme", "http"),
        ("server.address", "shop.test"),
        ("http.route", "/api/v1/sku/{sku_id}"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("network.peer.address", "127.0.0.1"),
        ("graylane.route", "price"),
        ("graylane.lane", "gray"),
        ("graylane.level", "full"),
        ("graylane.reason", "full"),
        ("graylane.release", "price-v2"),
        ("graylane.request_id", "r-1"),
    ];
    for (key, value) in expected {
        assert_eq!(told(server, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(told(server, "graylane.bucket").unwrap().parse::<u16>().unwrap(), crate::harness::bucket("s", "u1"));
    assert_eq!(server.name, "GET /api/v1/sku/{sku_id}");
    assert!(server.parent_span_id.is_empty() && !is_error(server) && told(server, "error.type").is_none());
    let (address, port) = (gray.address(), gray.address().port().to_string());
    let full = format!("http://{address}/api/v1/sku/7");
    let expected = [
        ("http.request.method", "GET"),
        ("url.full", full.as_str()),
        ("server.address", "127.0.0.1"),
        ("server.port", port.as_str()),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("graylane.upstream", "gray"),
        ("graylane.lane", "gray"),
    ];
    for (key, value) in expected {
        assert_eq!(told(client, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!((client.name.as_str(), told(client, "http.request.resend_count")), ("GET", None));
    assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
    for span in &spans {
        assert!(!format!("{span:?}").contains("secret"), "the query is told: {span:?}");
        let (begin, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(before <= begin && begin <= end && end <= after, "{before} {begin} {end} {after}");
    }
    assert!(client.start_time_unix_nano >= server.start_time_unix_nano);
    assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
    let sent = gray.only().head.get("traceparent").unwrap();
    assert_eq!(sent, format!("00-{}-{}-01", hex(&server.trace_id), hex(&client.span_id)));
    sidecar.wait_for_metric(super::ITEMS, &[("signal", "spans"), ("result", "exported")], 2.0);
}

#[test]
fn a_request_becomes_a_server_span_and_a_client_span_over_http() {
    check_a_request("http");
}

#[test]
fn a_request_becomes_a_server_span_and_a_client_span_over_grpc() {
    check_a_request("grpc");
}

#[test]
fn the_resource_says_who_tells() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let plan = plan(&origin, &collector.section(ALL))
        .variable("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=goods-0,k8s.namespace.name=shop");
    let sidecar = Sidecar::start(&plan);
    sidecar.get("/", "");
    collector.wait_for_spans(2);
    let resource = collector.taken().resource;
    let told = |key: &str| attribute(&resource, key).unwrap_or_else(|| panic!("no {key}"));
    assert_eq!(told("service.name"), "goods-core");
    assert_eq!(told("deployment.environment.name"), "prod");
    assert_eq!((told("k8s.pod.name").as_str(), told("k8s.namespace.name").as_str()), ("goods-0", "shop"));
    assert_eq!(told("service.instance.id").len(), 36);
}

#[test]
fn a_request_that_is_sent_once_more_has_a_span_for_each_attempt() {
    let collector = Collector::start("http", Mood::Taking);
    let origin = Origin::start(|visit| {
        // The first connection closes under its second request.
        while let Some(received) = visit.request() {
            if visit.connection() == 0 && received.head.target() == "/again" {
                return;
            }
            if visit.send(answer("200 OK", "", b"ok")).is_none() {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").status(), 200);
    assert_eq!(client.get("/again", "").status(), 200);
    let spans = collector.wait_for_spans(5);
    let again: Vec<&Span> =
        spans.iter().filter(|span| told(span, "url.full").is_some_and(|url| url.ends_with("/again"))).collect();
    assert_eq!(again.len(), 2, "{spans:#?}");
    assert!(is_error(again[0]) && !is_error(again[1]));
    assert_eq!(told(again[0], "error.type").as_deref(), Some("upstream_reset"));
    assert_eq!(told(again[0], "http.response.status_code"), None);
    assert_eq!(told(again[1], "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(told(again[1], "http.response.status_code").as_deref(), Some("200"));
    assert_ne!(again[0].span_id, again[1].span_id);
    let sent: Vec<String> = origin.requests()[1..].iter().map(|one| one.head.get("traceparent").unwrap()).collect();
    let spans = [again[0], again[1]].map(|span| format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    assert_eq!(sent, spans, "each attempt carries its own span");
}

#[test]
fn a_gray_attempt_that_stable_made_good_is_told_with_both() {
    let collector = Collector::start("http", Mood::Taking);
    let gray = Origin::answering(|_| answer("503 Service Unavailable", "", b""));
    let stable = Origin::lane("stable");
    let plan = Plan::gray(stable.address(), gray.address(), "level: full").more(&collector.section(ALL));
    let text = "shield: { on: [503], budget: 100% }";
    let plan = plan.route("shielded", "/shielded", "stable: stable, gray: gray", &format!("release: r\n{text}"));
    let sidecar = Sidecar::start(&plan);
    assert_eq!(sidecar.get("/shielded", "x-user-id: u1\r\n").status(), 200);
    let spans = collector.wait_for_spans(3);
    let (server, clients) = sides(&spans);
    assert_eq!(clients.len(), 2);
    let lanes: Vec<_> = clients.iter().map(|span| told(span, "graylane.lane").unwrap()).collect();
    assert_eq!(lanes, ["gray", "stable"]);
    let statuses: Vec<_> = clients.iter().map(|span| told(span, "http.response.status_code").unwrap()).collect();
    assert_eq!(statuses, ["503", "200"]);
    assert!(is_error(clients[0]) && !is_error(clients[1]) && !is_error(server));
    assert_eq!(told(clients[0], "error.type").as_deref(), Some("503"));
    assert_eq!(told(server, "graylane.shielded").as_deref(), Some("held_back"));
    assert_eq!(told(server, "graylane.lane").as_deref(), Some("stable"));
}

#[test]
fn failures_are_told_as_what_they_are() {
    let collector = Collector::start("http", Mood::Taking);
    let (broken, nobody) = (Origin::answering(|_| answer("500 Oops", "", b"")), Port::reserve());
    let gone = Origin::answering(|_| answer("404 Not Found", "", b""));
    let plan = Plan::new()
        .upstream("broken", broken.address())
        .upstream("gone", gone.address())
        .upstream("nobody", nobody.address())
        .route("broken", "/broken", "stable: broken", "")
        .route("gone", "/gone", "stable: gone", "")
        .route("nobody", "/nobody", "stable: nobody", "")
        .more(&collector.section(ALL));
    let sidecar = Sidecar::start(&plan);
    for (target, status, error, spans) in [
        ("/broken", 500, Some("500"), 2),
        ("/gone", 404, None, 2),
        ("/nobody", 502, Some("connect_failed"), 2),
        ("/none", 404, None, 1),
    ] {
        let before = collector.taken().spans.len();
        assert_eq!(sidecar.get(target, "").status(), status);
        let all = collector.wait_for_spans(before + spans);
        let server = all.iter().find(|span| told(span, "url.path").as_deref() == Some(target)).unwrap();
        assert_eq!(told(server, "http.response.status_code").unwrap(), status.to_string(), "{target}");
        assert_eq!((told(server, "error.type").as_deref(), is_error(server)), (error, error.is_some()), "{target}");
        let client = all.iter().find(|span| span.parent_span_id == server.span_id);
        assert_eq!(client.is_some(), spans == 2, "{target}");
        if let Some(client) = client {
            // What is no error of the server may be one of its client.
            assert!(is_error(client), "{target}");
            let word = told(client, "error.type").unwrap();
            assert_eq!(word, error.map_or(status.to_string(), str::to_owned), "{target}");
        }
    }
}

#[test]
fn a_client_that_leaves_is_told_and_is_no_error_of_the_server() {
    let collector = Collector::start("http", Mood::Taking);
    let origin = Origin::start(|visit| {
        visit.request();
        visit.wait_for_close();
    });
    let sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
    let mut client = sidecar.client();
    client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    drop(client);
    let spans = collector.wait_for_spans(2);
    let (server, clients) = sides(&spans);
    assert_eq!(told(server, "error.type").as_deref(), Some("client_gone"));
    assert_eq!((is_error(server), told(server, "http.response.status_code")), (false, None));
    assert_eq!(told(clients[0], "error.type").as_deref(), Some("client_gone"));
}

#[tokio::test]
async fn calls_of_grpc_are_told_with_their_status() {
    let (collector, origin) = (Collector::start("grpc", Mood::Taking), GrpcOrigin::start());
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest().more(&collector.section(ALL));
    let sidecar = Sidecar::start(&plan);
    let mut client = patient("the client", grpc_client(sidecar.traffic())).await;
    // SKU 0 is not there: NOT_FOUND, 5, which is no fault of the server.
    let call = client.unary(tonic::Request::new("0".to_owned()), grpc_path("Quote"), Text);
    assert_eq!(patient("an answer", call).await.unwrap_err().code(), tonic::Code::NotFound);
    let spans = tokio::task::spawn_blocking(move || collector.wait_for_spans(2)).await.unwrap();
    let (server, clients) = sides(&spans);
    assert_eq!(told(server, "rpc.grpc.status_code").as_deref(), Some("5"));
    assert_eq!(told(server, "network.protocol.version").as_deref(), Some("2"));
    assert_eq!(told(clients[0], "network.protocol.version").as_deref(), Some("2"));
    assert_eq!((is_error(server), is_error(clients[0])), (false, true));
    assert_eq!(told(clients[0], "error.type").as_deref(), Some("5"));
}

#[test]
fn hostile_requests_make_bounded_spans() {
    let (collector, origin) = (Collector::start("http", Mood::Taking), Origin::lane("stable"));
    let sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
    let path = format!("/{}", "%E2%80%AE<script>".repeat(200));
    let host = "a".repeat(2000);
    let request =
        format!("{} {path} HTTP/1.1\r\nHost: {host}\r\nx-request-id: {}\r\n\r\n", "M".repeat(40), "i".repeat(3000));
    assert_eq!(Client::once(sidecar.traffic(), &request).status(), 200);
    let spans = collector.wait_for_spans(2);
    let (server, _) = sides(&spans);
    assert_eq!(server.name, "HTTP /{*rest}");
    assert_eq!(told(server, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(told(server, "http.request.method_original"), Some("M".repeat(40)));
    assert_eq!(told(server, "url.path").unwrap(), path[..512]);
    assert_eq!(told(server, "server.address").unwrap().len(), 512);
    for span in &spans {
        assert!(span.attributes.len() < 32 && span.attributes.iter().all(|one| format!("{one:?}").len() < 1024));
    }
}

#[test]
fn the_last_spans_are_told_before_the_process_ends() {
    let (collector, origin) = (Collector::start("grpc", Mood::Taking), Origin::lane("stable"));
    let mut sidecar = Sidecar::start(&plan(&origin, &collector.section(ALL)));
    sidecar.get("/", "");
    sidecar.terminate();
    assert!(sidecar.wait().success());
    assert_eq!(collector.taken().spans.len(), 2, "it ended and had not told them");
}

#[test]
fn the_settings_follow_the_configuration() {
    let [first, second] = [(); 2].map(|()| Collector::start("http", Mood::Taking));
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&changeable(&origin));
    sidecar.get("/", "");
    assert_eq!(origin.last().head.get("traceparent"), None, "tracing is off");
    sidecar.reload(&plan(&origin, &first.section(ALL)));
    sidecar.get("/", "");
    first.wait_for_spans(2);
    sidecar.reload(&plan(&origin, &second.section(ALL)));
    sidecar.get("/", "");
    second.wait_for_spans(2);
    assert_eq!(first.taken().spans.len(), 2);
    sidecar.reload(&changeable(&origin));
    sidecar.get("/", "");
    assert_eq!(origin.last().head.get("traceparent"), None, "tracing is off again");
}
