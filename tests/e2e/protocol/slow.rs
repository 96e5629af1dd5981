//! Slow, silent and hasty clients: each has a limit of its own.

use std::time::{Duration, Instant};

use http::Request;

use crate::harness::{Origin, Plan, Sidecar, h2_client, patient};

const SOON: Duration = Duration::from_secs(10);

fn limited(limits: &str) -> (Sidecar, Origin) {
    let origin = Origin::lane("stable");
    let plan = Plan::to(origin.address()).more(&format!("limits: {{ {limits} }}\n"));
    (Sidecar::start(&plan), origin)
}

/// What the sidecar still says before it ends the connection: nothing, or that the client is late.
fn check_ended(rest: &[u8]) {
    let said = String::from_utf8_lossy(rest);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
}

#[test]
fn row_22_a_head_that_drips_is_timed_out() {
    let (sidecar, origin) = limited("header_time: 300ms");
    let start = Instant::now();
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n");
    // Each piece is in time; the whole is not.
    while start.elapsed() < SOON && client.try_send(b"X-A: 1\r\n").is_ok() {
        if !client.stays_silent_for(Duration::from_millis(50)) {
            break;
        }
    }
    client.rest();
    assert!(start.elapsed() < SOON);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn row_22_a_client_that_says_nothing_at_all_is_timed_out() {
    let (sidecar, _origin) = limited("header_time: 300ms, idle: 300ms");
    let start = Instant::now();
    check_ended(&sidecar.client().rest());
    assert!(start.elapsed() < SOON);
}

#[test]
fn row_22_a_kept_connection_without_requests_is_timed_out() {
    let (sidecar, _origin) = limited("idle: 300ms");
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").status(), 200);
    let start = Instant::now();
    client.assert_closed();
    assert!(start.elapsed() < SOON);
}

#[test]
fn row_22_a_body_that_pauses_is_timed_out_and_the_upstream_freed() {
    let (sidecar, origin) = limited("body_idle: 300ms");
    let start = Instant::now();
    let mut client = sidecar.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart");
    check_ended(&client.rest());
    assert!(start.elapsed() < SOON);
    if origin.connections() > 0 {
        origin.wait_closed(1);
    }
    // Half a request was never taken for a whole one.
    assert!(origin.requests().is_empty());
}

#[test]
fn row_22_a_body_that_drips_is_timed_out() {
    let (sidecar, origin) = limited("body_idle: 500ms, body_bytes_per_second: 1000");
    let start = Instant::now();
    let mut client = sidecar.client();
    // What is gRPC in HTTP/2 alone gives no right to drip in HTTP/1.
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n");
    while start.elapsed() < SOON && client.try_send(b"1\r\nx\r\n").is_ok() {
        if !client.is_silent_for(Duration::from_millis(20)) {
            break;
        }
    }
    let rest = client.rest();
    check_ended(&rest);
    assert!(rest.is_empty() || String::from_utf8_lossy(&rest).contains("\"slow_body\""));
    assert!(start.elapsed() < SOON);
    sidecar.wait_for_metric("graylane_slow_clients_total", &[("reason", "body_drip")], 1.0);
    origin.wait_closed(1);
    assert!(origin.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_body_that_drips_in_http_2_is_timed_out() {
    let (sidecar, _origin) = limited("body_idle: 500ms, body_bytes_per_second: 1000");
    let mut client = h2_client(sidecar.traffic()).await;
    let request = Request::post("http://shop.test/").body(()).expect("a request");
    let (response, mut stream) = client.send_request(request, false).expect("a stream");
    let drip = async {
        while stream.send_data(bytes::Bytes::from_static(b"x"), false).is_ok() {
            // The client's pace.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    let answered = async {
        tokio::select! { answer = response => answer, () = drip => unreachable!("it never ends") }
    };
    match patient("an end", answered).await {
        Ok(response) => assert_eq!(response.status(), http::StatusCode::REQUEST_TIMEOUT),
        Err(error) => assert!(error.is_reset(), "{error}"),
    }
    sidecar.wait_for_metric("graylane_slow_clients_total", &[("reason", "body_drip")], 1.0);
}

#[test]
fn row_22_an_http_2_client_that_says_nothing_is_timed_out() {
    let (sidecar, _origin) = limited("idle: 300ms, header_time: 300ms");
    let mut client = sidecar.client();
    let start = Instant::now();
    // The preface and empty settings, then silence.
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    client.rest();
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn row_21_streams_begun_and_reset_without_end_cost_the_connection() {
    let (sidecar, _origin) = limited("idle: 60s");
    let mut client = h2_client(sidecar.traffic()).await;
    let flood = async {
        for _ in 0..20_000 {
            let request = Request::get("http://shop.test/").body(()).expect("a request");
            let Ok(ready) = client.clone().ready().await else { return true };
            client = ready;
            let Ok((_, mut stream)) = client.send_request(request, true) else { return true };
            stream.send_reset(h2::Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        false
    };
    assert!(patient("the flood", flood).await, "20,000 resets were taken");
    // Everybody else is served on.
    let other = tokio::task::spawn_blocking(move || sidecar.get("/", "").status());
    assert_eq!(other.await.expect("it answers"), 200);
}
