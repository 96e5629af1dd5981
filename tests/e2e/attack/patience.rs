//! Peers that stop reading, or writing, in every place where somebody waits for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::Request;
use socket2::{Domain, Socket, Type};

use crate::failure::deadlines::deaf;
use crate::harness::{Origin, PATIENCE, Plan, Sidecar, answer, patient};

#[test]
fn a_client_that_reads_none_of_our_own_answers_is_not_waited_for() {
    let origin = Origin::lane("stable");
    let sidecar =
        Sidecar::start(&Plan::new().upstream("stable", origin.address()).route("x", "/x", "stable: stable", ""));
    // Little room for answers, so that the sidecar is stuck after few requests.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket takes options");
    socket.connect(&sidecar.traffic().into()).expect("it accepts");
    let mut client = TcpStream::from(socket);
    client.set_write_timeout(Some(PATIENCE)).expect("a time-out over zero");
    let some = b"GET /n HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let ended = loop {
        if let Err(error) = client.write_all(&some) {
            break error;
        }
    };
    assert!(!matches!(ended.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{ended}");
}

#[tokio::test]
async fn an_http_2_client_without_a_window_does_not_keep_a_stream() {
    let origin = Origin::lane("stable");
    let plan = Plan::new().upstream("stable", origin.address()).route("x", "/x", "stable: stable", "");
    let sidecar = Sidecar::start(&plan);
    let socket = tokio::net::TcpStream::connect(sidecar.traffic()).await.expect("it accepts");
    let shake = h2::client::Builder::new().initial_window_size(0).handshake::<_, bytes::Bytes>(socket);
    let (client, connection) = shake.await.expect("it speaks h2");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("it takes a stream");
    let request = Request::get("http://shop.test/none").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = patient("the head", response).await.expect("an answer");
    assert_eq!(response.status(), 404);
    let mut body = response.into_body();
    let ended = patient("the end of the stream", body.data()).await;
    assert!(matches!(&ended, Some(Err(error)) if error.is_reset()), "{ended:?}");
}

#[test]
fn interim_answers_are_not_forced_upon_a_client_that_reads_nothing() {
    let origin = Origin::start(|visit| {
        let _ = visit.head();
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(60_000));
        for _ in 0..90 {
            if visit.send(&hint).is_none() {
                return;
            }
        }
        visit.wait_for_close();
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { first_byte: 300ms }");
    let sidecar = Sidecar::start(&plan);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket takes options");
    socket.connect(&sidecar.traffic().into()).expect("it accepts");
    let mut client = TcpStream::from(socket);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
    origin.wait_closed(1);
}

#[test]
fn an_answer_may_pause_behind_the_end_of_an_upload() {
    let origin = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        let _ = visit.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir");
        let _ = visit.rest_of(head);
        // The time that the rest of the answer takes: four times `first_byte`.
        std::thread::sleep(Duration::from_millis(800));
        let _ = visit.send("st!");
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { first_byte: 200ms, idle: 20s }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhe");
    let (head, _) = client.final_head().expect("the answer begins");
    client.send(b"lp");
    assert_eq!(client.drain_body(&head), 6);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_the_slow_one() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send(answer("200 OK", "", &vec![b'x'; 32 * 1024 * 1024]));
        }
    });
    let plan = Plan::new().upstream("stable", origin.address()).more("access_log: all");
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { idle: 300ms }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(sidecar.wait_for_log(1)[0]["error"], "client_timeout");
    origin.wait_closed(1);
}

#[test]
fn a_client_that_waits_for_100_is_not_the_slow_one() {
    let origin = Origin::start(|visit| {
        let _ = visit.head();
        visit.wait_for_close();
    });
    let plan = Plan::new().upstream("stable", origin.address()).more("limits: { body_idle: 100ms }");
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { first_byte: 400ms }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(client.exchange(request).status(), 504);
}

#[test]
fn connecting_to_several_endpoints_stays_within_the_time_of_the_request() {
    let deaf = [deaf(), deaf(), deaf()];
    let [a, b, c] = deaf.each_ref().map(|deaf| deaf.address);
    let endpoints = &format!("endpoints: [\"{a}\", \"{b}\", \"{c}\"]");
    let plan = Plan::new().upstream_of("stable", endpoints);
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { connect: 3s, request: 300ms }");
    let sidecar = Sidecar::start(&plan);
    let start = Instant::now();
    let response = sidecar.get("/", "");
    assert_eq!((response.status(), response.failure().as_str()), (504, "request_timeout"));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // It was the caller who had no time: the endpoints have not failed.
    assert_eq!(sidecar.metric("graylane_upstream_connects_total", &[("result", "timed_out")]), 0.0);
}

#[test]
fn the_time_of_a_request_holds_while_bytes_never_pause() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() && visit.send("HTTP/1.1 200 OK\r\n\r\n").is_some() {
            let much = vec![b'x'; 1024 * 1024];
            while visit.send(&much).is_some() {}
        }
    });
    let plan = Plan::new().upstream("stable", origin.address());
    let plan = plan.route("rest", "/{*rest}", "stable: stable", "timeouts: { request: 300ms }");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    let start = Instant::now();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_answer("GET").is_err());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
