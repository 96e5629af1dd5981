//! What runs on gray when its release is taken back lives at most `gray_drain` longer, and then ends as its kind allows.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{GRAY_USER, OPEN};
use crate::harness::{Client, H2Origin, Origin, Plan, Sidecar, collect, h2_client};

const DRAIN: Duration = Duration::from_millis(600);

/// An origin that begins an answer and never ends it; bytes that come are given back.
fn endless(head: &'static str) -> Origin {
    Origin::start(move |visit| {
        let Some(request) = visit.head() else { return };
        visit.note(&request);
        let _ = visit.send(head);
        while let Ok(bytes) = visit.wire.take(4) {
            let _ = visit.send(bytes);
        }
    })
}

fn start(stable: std::net::SocketAddr, gray: std::net::SocketAddr) -> Sidecar {
    let release = format!("{OPEN}\ngray_drain: 600ms");
    let plan = Plan::gray(stable, gray, &release).environment("dev").more("state: { dir: state }");
    Sidecar::start(&plan.admin("insecure_changes: true"))
}

fn roll_back(sidecar: &Sidecar) -> Instant {
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/rollback", "", "").status(), 200);
    Instant::now()
}

fn drained(sidecar: &Sidecar, count: f64) {
    sidecar.wait_for_metric("graylane_gray_drained_total", &[("route", "all")], count);
}

const SOCKET: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                      9\r\ndata: 1\n\n\r\n";

fn begin(sidecar: &Sidecar, fields: &str) -> Client {
    let mut client = sidecar.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{GRAY_USER}{fields}\r\n").as_bytes());
    client
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

#[test]
fn a_websocket_goes_on_for_its_time_and_is_closed() {
    let (stable, gray) = (endless(SOCKET), endless(SOCKET));
    let sidecar = start(stable.address(), gray.address());
    let mut on_gray = begin(&sidecar, UPGRADE);
    assert_eq!(on_gray.any_head().status(), 101);
    let mut developer = begin(&sidecar, &format!("{UPGRADE}x-gray-override: gray\r\n"));
    assert_eq!(developer.any_head().status(), 101);
    let began = roll_back(&sidecar);
    on_gray.send(b"ping");
    assert_eq!(on_gray.take(4), b"ping", "it goes on");
    let mut on_stable = begin(&sidecar, UPGRADE);
    assert_eq!(on_stable.any_head().status(), 101);
    on_gray.assert_closed();
    let took = began.elapsed();
    assert!(took >= DRAIN / 2 && took < Duration::from_secs(5), "{took:?}");
    drained(&sidecar, 1.0);
    // Neither what runs on stable nor a developer's override has to end.
    for client in [&mut on_stable, &mut developer] {
        client.send(b"pong");
        assert_eq!(client.take(4), b"pong");
    }
    assert_eq!((stable.connections(), gray.connections()), (1, 2));
}

#[test]
fn a_release_that_is_opened_again_in_time_lets_it_go_on() {
    let (stable, gray) = (Origin::lane("stable"), endless(SOCKET));
    let sidecar = start(stable.address(), gray.address());
    let mut client = begin(&sidecar, UPGRADE);
    assert_eq!(client.any_head().status(), 101);
    roll_back(&sidecar);
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/reset", "", "").status(), 200);
    // A span in which nothing may happen.
    std::thread::sleep(2 * DRAIN);
    client.send(b"ping");
    assert_eq!(client.take(4), b"ping");
    drained(&sidecar, 0.0);
}

#[test]
fn a_stream_of_events_ends_whole() {
    let (stable, gray) = (Origin::lane("stable"), endless(EVENTS));
    let sidecar = start(stable.address(), gray.address());
    let mut client = begin(&sidecar, "");
    assert_eq!(client.any_head().status(), 200);
    roll_back(&sidecar);
    let rest = String::from_utf8(client.rest()).expect("text");
    assert_eq!(rest, "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
    drained(&sidecar, 1.0);
}

/// An HTTP/2 origin that begins to answer with this type and sends one message.
fn streaming(kind: &'static str) -> H2Origin {
    H2Origin::start(move |_request, mut respond| async move {
        let head = http::Response::builder().header("content-type", kind).body(()).expect("a head");
        let mut stream = respond.send_response(head, false).expect("an answer begins");
        stream.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false).expect("and goes on");
        let _ = std::future::poll_fn(|context| stream.poll_reset(context)).await;
    })
}

async fn answered(kind: &'static str) -> Result<(Vec<u8>, Option<http::HeaderMap>), h2::Error> {
    let (stable, gray) = (Origin::lane("stable"), streaming(kind));
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream_h2("gray", gray.address())
        .release("r", &format!("{OPEN}\ngray_drain: 600ms"))
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r")
        .environment("dev");
    let sidecar = Sidecar::start(&plan.admin("insecure_changes: true"));
    let mut client = h2_client(sidecar.traffic()).await;
    let request = http::Request::post("http://shop.test/s.S/m").header("content-type", kind);
    let request = request.header("x-city-id", "440300").header("x-user-id", "u1").body(()).expect("a request");
    let (response, _stream) = client.send_request(request, false).expect("a stream");
    let response = response.await.expect("it begins");
    let sidecar = tokio::task::spawn_blocking(move || {
        roll_back(&sidecar);
        sidecar
    });
    let sidecar = sidecar.await.expect("it is rolled back");
    let body = collect(response.into_body()).await;
    // The connection is as good as before.
    let again = http::Request::get("http://shop.test/").body(()).expect("a request");
    let (response, _) = client.send_request(again, true).expect("a stream");
    assert_eq!(response.await.expect("stable answers").headers()["x-lane"], "stable");
    tokio::task::spawn_blocking(move || drained(&sidecar, 1.0)).await.expect("it is counted");
    body
}

#[tokio::test]
async fn a_grpc_stream_is_told_unavailable_in_its_trailers() {
    let (body, trailers) = answered("application/grpc").await.expect("it ends whole");
    assert_eq!(body, b"\0\0\0\0\x02hi");
    assert_eq!(trailers.expect("trailers")["grpc-status"], "14");
}

#[tokio::test]
async fn another_stream_is_reset_so_that_it_does_not_look_whole() {
    let error = answered("application/octet-stream").await.expect_err("it is broken off");
    assert!(error.is_reset() && !error.is_go_away(), "{error}");
}
