//! Time limits, each with its own.

use std::time::{Duration, Instant};

use crate::harness::{Broken, Client, Origin, Plan, Sidecar, answer};

fn timed(origin: &Origin, timeouts: &str) -> Sidecar {
    let plan = Plan::new().upstream("stable", origin.address()).route(
        "rest",
        "/{*rest}",
        "stable: stable",
        &format!("timeouts: {{ {timeouts} }}"),
    );
    Sidecar::start(&plan)
}

#[test]
fn a_first_byte_that_does_not_come_is_a_504() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = timed(&origin, "first_byte: 200ms");
    let start = Instant::now();
    let mut client = sidecar.client();
    let response = client.get("/", "");
    assert_eq!(response.status(), 504, "{response:?}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(180), "too early: {took:?}");
    assert!(took < Duration::from_secs(5), "too late: {took:?}");
    assert_eq!(response.failure(), "first_byte_timeout");
    // The upstream connection with its unanswered request is given up.
    origin.wait_closed(1);
    let labels = [("route", "rest"), ("code_class", "5xx")];
    sidecar.wait_for_metric("graylane_requests_total", &labels, 1.0);
}

#[test]
fn a_body_that_stalls_is_an_abort() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
            visit.wait_for_close();
        }
    });
    let sidecar = timed(&origin, "idle: 200ms");
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    match client.try_answer("GET") {
        Err(Broken::Cut { body, .. }) => assert_eq!(body, b"part"),
        other => panic!("this was to break off: {other:?}"),
    }
    origin.wait_closed(1);
}

#[test]
fn a_request_that_takes_too_long_in_all_is_ended() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            // Drips: never idle for long, never done.
            while visit.send("1\r\nx\r\n").is_some() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let sidecar = timed(&origin, "request: 500ms, idle: 10s");
    let mut client = sidecar.client();
    let start = Instant::now();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let outcome = client.try_answer("GET");
    assert!(matches!(outcome, Err(Broken::Cut { .. })), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    origin.wait_closed(1);
}

#[test]
fn a_request_time_out_before_the_answer_is_a_504() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = timed(&origin, "request: 200ms, first_byte: 20s");
    assert_eq!(sidecar.get("/", "").status(), 504);
}

/// A listener whose queue is full, so that the kernel leaves further connects unanswered.
pub(crate) struct Deaf {
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
    pub(crate) address: std::net::SocketAddr,
}

pub(crate) fn deaf() -> Deaf {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().expect("bound").as_socket().expect("IPv4");
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let full = socket.connect_timeout(&address.into(), Duration::from_millis(200)).is_err();
        waiting.push(socket);
        if full {
            return Deaf { _listener: listener, _waiting: waiting, address };
        }
    }
    panic!("the queue never filled");
}

#[test]
fn a_connect_that_hangs_is_answered_in_time() {
    let deaf = deaf();
    let plan = Plan::new().upstream("stable", deaf.address).route(
        "rest",
        "/{*rest}",
        "stable: stable",
        "timeouts: { connect: 200ms }",
    );
    let sidecar = Sidecar::start(&plan);
    let start = Instant::now();
    let response = sidecar.get("/", "");
    assert!(matches!(response.status(), 502 | 504), "{response:?}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_slow_upload_is_not_mistaken_for_a_slow_answer() {
    let origin = Origin::answering(|received| answer("200 OK", "", received.body.len().to_string().as_bytes()));
    let sidecar = timed(&origin, "first_byte: 300ms");
    let mut client = Client::connect(sidecar.traffic());
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        // The client's pace: ten times that is twice the deadline.
        std::thread::sleep(Duration::from_millis(60));
        client.send(b"x");
    }
    assert_eq!(client.answer_to("POST").text(), "10");
}
