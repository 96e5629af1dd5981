//! JSON bodies: read where a rule wants to see them, whole for the upstream whatever comes of that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use super::{Scene, lane, scene};
use crate::harness::{Client, H2Origin, Origin, Plan, Sidecar, answer, collect, graylane, h2_client, send_all};

const FACTS: &str = "sku_id: [{ header: x-sku-id }, { json: /items/0/sku_id }]";
const RULE: &str = "{ key: sku_id, operator: EQ, value: \"9007199254740993\" }";
const GOLD: &str = "{\"items\":[{\"sku_id\":9007199254740993}]}";

fn orders() -> Scene {
    scene(FACTS, RULE, |plan| plan)
}

#[test]
fn a_pointer_decides_and_the_upstream_gets_every_byte() {
    let scene = orders();
    assert_eq!(scene.lane_of(GOLD), "gray");
    assert_eq!(scene.gray.last().body, GOLD.as_bytes());
    assert_eq!(scene.lane_of("{\"items\":[{\"sku_id\":\"9007199254740993\"}]}"), "gray");
    for other in ["{\"items\":[{\"sku_id\":9007199254740992}]}", "{\"items\":[]}", "{\"items\":", "[]", "{}"] {
        assert_eq!(scene.lane_of(other), "stable", "{other}");
        assert_eq!(scene.stable.last().body, other.as_bytes());
    }
    let doubled = "{\"items\":[],\"items\":[{\"sku_id\":9007199254740993}]}";
    assert_eq!(scene.lane_of(doubled), "gray");
    scene.sidecar.wait_for_metric("graylane_facts_rejected_total", &[("fact", "sku_id")], 1.0);
}

#[test]
fn odd_bodies_pass_with_the_fact_absent() {
    let scene = orders();
    let deep = format!("{{\"x\":{}{},\"items\":[{{\"sku_id\":1}}]}}", "[".repeat(20_000), "]".repeat(20_000));
    let digits = format!("{{\"items\":[{{\"sku_id\":{}}}]}}", "9".repeat(400));
    for body in [deep.as_bytes(), digits.as_bytes(), b"{\"items\":[{\"sku_id\":\"\xff\"}]}", b"\xef\xbb\xbf{}"] {
        let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        assert_eq!(lane(&scene.post(&fields, body)), "stable");
        assert!(scene.stable.last().body == body);
    }
    for kind in ["text/plain", "application/json-seq", "application/x-www-form-urlencoded"] {
        let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", GOLD.len());
        assert_eq!(lane(&scene.post(&fields, GOLD.as_bytes())), "stable", "{kind}");
    }
    for kind in ["application/json; charset=utf-8", "application/vnd.shop+json", "APPLICATION/JSON"] {
        let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", GOLD.len());
        assert_eq!(lane(&scene.post(&fields, GOLD.as_bytes())), "gray", "{kind}");
    }
}

#[test]
fn chunks_and_trailers_arrive_as_they_were_sent() {
    let scene = orders();
    let (first, second) = GOLD.split_at(10);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nX-Checksum: 7\r\n\r\n", first.len(), second.len());
    let fields = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n";
    assert_eq!(lane(&scene.post(fields, body.as_bytes())), "gray");
    let got = scene.gray.last();
    assert_eq!(got.body, GOLD.as_bytes());
    assert_eq!(got.trailers.len(), 1, "{:?}", got.trailers);
}

#[test]
fn a_body_over_the_limit_passes_untouched() {
    let scene = orders();
    let long = format!("{{\"items\":[{{\"sku_id\":9007199254740993}}],\"note\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(scene.lane_of(&long), "stable");
    assert!(scene.stable.last().body == long.as_bytes());
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let fields = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(lane(&scene.post(fields, chunked.as_bytes())), "stable");
    assert!(scene.stable.last().body == long.as_bytes());
}

#[test]
fn a_client_that_waits_to_be_asked_is_asked_once() {
    let scene = orders();
    let mut client = scene.sidecar.client();
    let length = GOLD.len();
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    client.send(head.as_bytes());
    assert_eq!(client.any_head().status(), 100);
    client.send(GOLD.as_bytes());
    let response = client.answer_to("POST");
    assert!(response.interim.is_empty(), "{:?}", response.interim);
    assert_eq!(lane(&response), "gray");
    assert_eq!(scene.gray.last().body, GOLD.as_bytes());
}

#[test]
fn a_body_is_not_waited_for_where_no_rule_wants_it() {
    let scene = orders();
    let head = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n";
    // The header comes first, so the upstream gets the head while the body is still to come.
    let early = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        visit.note(&head);
        let _ = visit.send(answer("200 OK", "X-Lane: early\r\nConnection: close\r\n", b""));
    });
    let plan = Plan::gray(early.address(), early.address(), &format!("level: full\nconditions: [{RULE}]")).facts(FACTS);
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    client.send(format!("{head}x-sku-id: 1\r\n\r\n").as_bytes());
    assert_eq!(lane(&client.answer_to("POST")), "early");
    drop(scene);
}

#[test]
fn a_slow_body_obeys_the_deadlines() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::new().upstream("stable", stable.address()).upstream("gray", gray.address());
    let plan = plan.release("r", &format!("level: full\nconditions: [{RULE}]")).facts(FACTS);
    let plan = plan.route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\ntimeouts: { request: 2s }");
    let sidecar = Sidecar::start(&plan.more("limits: { body_idle: 300ms, body_bytes_per_second: 0 }"));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut idle = sidecar.client();
    idle.send(head.as_bytes());
    let response = idle.answer_to("POST");
    assert_eq!((response.status(), response.failure()), (408, "client_timeout".to_owned()));
    // One that never pauses for long has until the end of the request's time.
    let begun = Instant::now();
    let mut slow = sidecar.client();
    slow.send(head.as_bytes());
    while begun.elapsed() < Duration::from_millis(1900) {
        // The client's pace.
        std::thread::sleep(Duration::from_millis(100));
        slow.send(b" ");
    }
    assert_eq!(slow.answer_to("POST").status(), 504);
    assert!(stable.requests().is_empty() && gray.requests().is_empty());
}

/// The upstream has all of its time, however long the body took that had to be seen before.
#[test]
fn the_time_for_the_first_byte_begins_when_the_request_is_sent() {
    let origin = Origin::start(|visit| {
        while visit.request().is_some() {
            // The service's time: less than it may take, but not by much.
            std::thread::sleep(Duration::from_millis(600));
            let _ = visit.send(answer("200 OK", "x-lane: slow\r\n", b"ok"));
        }
    });
    let plan = Plan::new().upstream("stable", origin.address()).upstream("gray", origin.address());
    let plan = plan.release("r", &format!("level: full\nconditions: [{RULE}]")).facts(FACTS);
    let plan =
        plan.route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\ntimeouts: { first_byte: 1500ms }");
    let sidecar = Sidecar::start(&plan);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n";
    let mut client = sidecar.client();
    // So that a connection to the upstream waits, and none has to be opened.
    assert_eq!(client.get("/", "").status(), 200);
    client.send(head.as_bytes());
    for _ in 0..12 {
        // The client's pace.
        std::thread::sleep(Duration::from_millis(100));
        client.send(b" ");
    }
    let response = client.answer_to("POST");
    assert_eq!((response.status(), lane(&response)), (200, "slow".to_owned()), "{response:?}");
}

#[test]
fn a_body_that_drips_before_the_decision_is_timed_out() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), &format!("level: full\nconditions: [{RULE}]"));
    let plan = plan.facts(FACTS).more("limits: { body_idle: 500ms, body_bytes_per_second: 1000 }");
    let sidecar = Sidecar::start(&plan);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{";
    let mut client = sidecar.client();
    client.send(head.as_bytes());
    let begun = Instant::now();
    while client.try_send(b" ").is_ok() && client.is_silent_for(Duration::from_millis(20)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
    let response = client.answer_to("POST");
    assert_eq!((response.status(), response.failure()), (408, "slow_body".to_owned()));
    assert!(stable.requests().is_empty() && gray.requests().is_empty());
}

#[test]
fn a_shielded_post_still_has_its_body() {
    let stable = Origin::lane("stable");
    // Nobody listens there.
    let closed = crate::harness::Port::reserve();
    let plan = Plan::new().upstream("stable", stable.address()).upstream("gray", closed.address());
    let plan = plan.release("r", &format!("level: full\nconditions: [{RULE}]")).facts(FACTS);
    let keys = "release: r\nshield: { on: [connect] }";
    let sidecar = Sidecar::start(&plan.route("all", "/{*rest}", "stable: stable, gray: gray", keys));
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{GOLD}",
        GOLD.len()
    );
    assert_eq!(lane(&Client::once(sidecar.traffic(), &request)), "stable");
    assert_eq!(stable.only().body, GOLD.as_bytes());
    sidecar.wait_for_metric("graylane_shielded_total", &[], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_bodies_are_looked_at_and_pass_whole() {
    let (stable, gray) = (H2Origin::echo(), H2Origin::echo());
    let plan = Plan::new().upstream_h2("stable", stable.address()).upstream_h2("gray", gray.address());
    let plan = plan.release("r", &format!("level: full\nconditions: [{RULE}]")).facts(FACTS);
    let plan = plan.route("all", "/{*rest}", "stable: stable, gray: gray", "release: r");
    let sidecar = Sidecar::start(&plan);
    let mut client = h2_client(sidecar.traffic()).await;
    let long = format!("{GOLD}{}", " ".repeat(200_000));
    for (body, expected) in [(GOLD, 1), (long.as_str(), 1)] {
        let request = http::Request::post("http://shop.test/").header("content-type", "application/json");
        client = client.ready().await.expect("a connection");
        let (response, mut stream) =
            client.send_request(request.body(()).expect("a request"), false).expect("a stream");
        let sent = Bytes::copy_from_slice(body.as_bytes());
        let sending = tokio::spawn(async move { send_all(&mut stream, sent, true).await });
        let (echoed, _) = collect(response.await.expect("an answer").into_body()).await.expect("a body");
        sending.await.expect("it is sent").expect("it is sent");
        assert!(echoed == body.as_bytes());
        assert_eq!(gray.seen().len(), expected);
    }
    assert_eq!(stable.seen().len(), 1);
}

#[test]
fn explain_tells_the_pointer_and_what_was_tried() {
    let scene = orders();
    let fact = scene
        .explained(json!({ "method": "POST", "url": "/orders", "body": { "items": [{ "sku_id": 7 }] } }), "sku_id");
    assert_eq!((&fact["value"], &fact["source"]), (&json!("7"), &json!("json /items/0/sku_id")));
    assert_eq!(fact["tried"], json!([{ "source": "header x-sku-id", "why": "absent" }]));
    let config = scene.sidecar.config();
    let explain = |body: &str| {
        let arguments =
            ["explain", "--json", "--config", config.to_str().expect("UTF-8"), "-d", body, "POST", "/orders"];
        let output = graylane(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")["facts"]["sku_id"].clone()
    };
    assert_eq!(explain(GOLD)["value"], "9007199254740993");
    assert_eq!(explain("{")["tried"][1]["why"], "the body is not JSON");
}
