//! Faults on purpose: what the client sees, what the log and the metrics say, and what they leave alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::scene::{Scene, ahead, fault};
use crate::harness::{
    GrpcOrigin, H2Origin, Origin, PATIENCE, Plan, Sidecar, Text, eventually, grpc_client, grpc_path, h2_client, patient,
};

/// The marks that send a request to stable.
const TO_STABLE: &str = "x-gray-lane: stable\r\nx-gray-release: r\r\n";

#[test]
fn a_delay_holds_the_lanes_requests_back_and_no_others() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("slow", "share: 100%, delay: 400ms")]));
    let mut client = sidecar.client();
    let start = Instant::now();
    let answer = client.get("/", "");
    assert_eq!((answer.status(), answer.get("x-lane").as_deref()), (200, Some("gray")));
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(client.get("/", TO_STABLE).get("x-lane").as_deref(), Some("stable"));
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    sidecar.wait_for_metric("graylane_faults_total", &[("fault", "slow"), ("kind", "delay")], 1.0);
    let log = sidecar.wait_for_log(2);
    assert_eq!(
        (&log[0]["fault"], &log[0]["lane"], &log[0]["reason"]),
        (&"slow".into(), &"gray".into(), &"full".into())
    );
    assert!(log[0]["fault_counts"].is_null() && log[0]["error"].is_null(), "{}", log[0]);
    assert!(log[1]["fault"].is_null(), "{}", log[1]);
}

#[test]
fn a_body_that_waits_with_its_request_comes_whole() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("slow", "share: 100%, delay: 200ms")]));
    let mut client = sidecar.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 1.0);
    client.send(b"world");
    assert_eq!(client.answer_to("POST").status(), 200);
    assert_eq!(scene.gray.only().body, b"helloworld");
    assert_eq!(client.get("/", "").status(), 200, "the connection goes on");
}

#[test]
fn a_body_that_waits_for_another_attempt_has_not_dripped() {
    // It breaks off within the body.
    let gray = Origin::start(|visit| _ = visit.head());
    let stable = Origin::lane("stable");
    let expires = ahead(Duration::from_secs(60));
    let late = format!(
        "faults: [{{ name: late, route: all, lane: stable, permille: 1000, delay: 1500ms, expires: {expires} }}]"
    );
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: full\nsalt: s")
        .more(&format!("{late}\nlimits: {{ body_idle: 1200ms }}"));
    let keys = "release: r\nshield: { on: [reset], max_body: 1KiB, budget: 100% }";
    let sidecar = Sidecar::start(&plan.route("all", "/{*rest}", "stable: stable, gray: gray", keys));
    let mut client = sidecar.client();
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    sidecar.wait_for_metric("graylane_faults_total", &[("fault", "late")], 1.0);
    client.send(b"b");
    // It goes up behind the delay; the client's own pause begins then.
    sleep(Duration::from_millis(1900));
    client.send(b"c");
    assert_eq!(client.answer_to("PUT").status(), 200);
    assert_eq!(stable.only().body, b"abc");
}

#[test]
fn a_delay_beyond_the_first_byte_limit_is_a_time_out_without_a_call() {
    let scene = Scene::new();
    let plan = scene.plan(&[format!(
        "{{ name: hang, route: short, lane: stable, permille: 1000, delay: 1m, expires: {} }}",
        ahead(Duration::from_secs(60))
    )]);
    let plan = plan.route("short", "/short", "stable: stable", "timeouts: { first_byte: 200ms }");
    let sidecar = Sidecar::start(&plan);
    let answer = sidecar.get("/short", "");
    assert_eq!((answer.status(), answer.failure().as_str()), (504, "first_byte_timeout"));
    assert!(scene.stable.requests().is_empty());
}

#[test]
fn an_abort_answers_for_the_upstream_and_never_calls_it() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("broken", "share: 100%, abort: 503, count: true")]));
    let mut client = sidecar.client();
    for _ in 0..2 {
        let answer = client.get("/", "");
        assert_eq!((answer.status(), answer.failure().as_str()), (503, "fault_abort"));
    }
    assert!(scene.gray.requests().is_empty());
    sidecar.wait_for_metric("graylane_faults_total", &[("fault", "broken"), ("kind", "abort")], 2.0);
    let log = sidecar.wait_for_log(2);
    assert_eq!((&log[0]["fault"], &log[0]["error"]), (&"broken".into(), &"fault_abort".into()));
    assert_eq!(log[0]["fault_counts"], true);
}

#[tokio::test]
async fn an_abort_of_a_grpc_call_has_a_status_of_grpc() {
    let origin = GrpcOrigin::start();
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest().more(&format!(
        "faults:\n  - {{ name: broken, route: rest, lane: stable, share: 100%, abort: 503, expires: {} }}\n",
        ahead(Duration::from_secs(60))
    ));
    let sidecar = Sidecar::start(&plan);
    let mut client = grpc_client(sidecar.traffic()).await;
    let answer = client.unary(tonic::Request::new("7".to_owned()), grpc_path("Quote"), Text);
    let status = patient("an answer", answer).await.expect_err("a fault");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
}

#[test]
fn a_reset_is_a_reset_on_the_wire() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("cut", "share: 100%, reset: true")]));
    let mut socket = TcpStream::connect(sidecar.traffic()).expect("the sidecar accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out over zero");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("the sidecar reads");
    let end = socket.read(&mut [0; 64]).expect_err("neither an answer nor an orderly end");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(scene.gray.requests().is_empty());
    let log = sidecar.wait_for_log(1);
    assert_eq!(
        (&log[0]["fault"], &log[0]["error"], &log[0]["status"]),
        (&"cut".into(), &"fault_reset".into(), &0.into())
    );
    sidecar.wait_for_metric("graylane_requests_total", &[("lane", "gray"), ("code_class", "none")], 1.0);
}

#[tokio::test]
async fn a_reset_ends_one_stream_of_an_http2_connection() {
    let origin = H2Origin::start(|_, mut respond| async move {
        let _ = respond.send_response(http::Response::new(()), true);
    });
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
    let plan = plan.route("cut", "/cut", "stable: stable", "").more(&format!(
        "faults:\n  - {{ name: cut, route: cut, lane: stable, share: 100%, reset: true, expires: {} }}\n",
        ahead(Duration::from_secs(60))
    ));
    let sidecar = Sidecar::start(&plan);
    let mut client = h2_client(sidecar.traffic()).await;
    let get = |path: &str| http::Request::get(format!("http://shop.test{path}")).body(()).expect("a request");
    let (cut, _) = client.send_request(get("/cut"), true).expect("a stream");
    let error = patient("the end of the stream", cut).await.expect_err("a reset");
    assert!(error.is_reset() && error.is_remote(), "{error:?}");
    let (whole, _) = client.send_request(get("/"), true).expect("the connection goes on");
    assert_eq!(patient("an answer", whole).await.expect("an answer").status(), 200);
}

#[test]
fn a_slow_body_comes_whole_in_its_time() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.plan(&[fault("drip", "share: 100%, slow_body: 30B")]));
    let start = Instant::now();
    let answer = sidecar.get("/", "");
    assert_eq!(answer.text(), "{\"lane\":\"gray\"}");
    // 15 bytes at 30 a second.
    assert!(start.elapsed() >= Duration::from_millis(480), "{:?}", start.elapsed());
    sidecar.wait_for_metric("graylane_faults_total", &[("fault", "drip"), ("kind", "slow_body")], 1.0);
}

#[tokio::test]
async fn a_slow_grpc_answer_keeps_its_trailers() {
    let origin = GrpcOrigin::start();
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest().more(&format!(
        "faults:\n  - {{ name: drip, route: rest, lane: stable, share: 100%, slow_body: 40B, expires: {} }}\n",
        ahead(Duration::from_secs(60))
    ));
    let sidecar = Sidecar::start(&plan);
    let mut client = grpc_client(sidecar.traffic()).await;
    let start = Instant::now();
    let answer = client.unary(tonic::Request::new("10086".to_owned()), grpc_path("Quote"), Text);
    let answer = patient("an answer", answer).await.expect("its status is in the trailers");
    assert_eq!(answer.into_inner(), "price of 10086");
    // 5 bytes of frame and 14 of text.
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
}

#[test]
fn a_share_is_met_in_the_mean_and_decides_nothing() {
    let scene = Scene::new();
    let faults = [fault("a", "permille: 300, abort: 599"), fault("b", "share: 20%, abort: 598")];
    let sidecar = Sidecar::start(&scene.plan(&faults));
    let mut client = sidecar.client();
    let (mut a, mut b) = (0_u32, 0_u32);
    for _ in 0..2000 {
        match client.get("/", "").status() {
            599 => a += 1,
            598 => b += 1,
            status => assert_eq!(status, 200),
        }
    }
    // Five standard deviations of binomial counts.
    assert!(a.abs_diff(600) < 103 && b.abs_diff(400) < 90, "{a} and {b}");
    sidecar.wait_for_metric("graylane_faults_total", &[("fault", "a")], f64::from(a));
    sidecar.wait_for_metric("graylane_decisions_total", &[("release", "r"), ("reason", "full")], 2000.0);
}

#[test]
fn a_fault_ends_by_itself_and_an_expired_one_is_told_at_the_start() {
    let scene = Scene::new();
    let old = "{ name: old, route: all, lane: gray, share: 50%, abort: 503, expires: 2026-01-01T00:00:00Z }".to_owned();
    let ends = ahead(Duration::from_secs(3));
    let brief = format!("{{ name: brief, route: all, lane: gray, share: 100%, abort: 503, expires: {ends} }}");
    let sidecar = Sidecar::start(&scene.plan(&[old, brief]));
    assert!(sidecar.stderr().contains("fault `old` has expired"), "{}", sidecar.stderr());
    let mut client = sidecar.client();
    eventually("the end of the fault", || (client.get("/", "").status() == 200).then_some(()));
    assert!(sidecar.metric("graylane_faults_total", &[("fault", "brief")]) >= 1.0, "it was on before");
    assert_eq!(client.get("/", "").status(), 200);
}
