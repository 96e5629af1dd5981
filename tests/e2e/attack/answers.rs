//! Answers that could be cut, lengthened or mixed up.

use std::time::Duration;

use crate::harness::{Broken, Origin, Plan, Sidecar, answer};

#[test]
fn an_answer_cut_short_is_an_abort_to_http_1_0_too() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    // The close is all that tells the end of this body, so it has to be one that no reader takes for an end.
    let outcome = client.try_answer("GET");
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn connection_cannot_take_the_length_of_an_answer_away() {
    let origin = Origin::answering(|_| answer("200 OK", "Connection: content-length\r\n", b"body"));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for _ in 0..2 {
        let response = client.get("/", "");
        assert_eq!(response.get("content-length").as_deref(), Some("4"));
        assert_eq!(response.text(), "body");
    }
}

#[test]
fn a_connection_on_which_a_body_may_follow_a_204_is_not_used_again() {
    let origin = Origin::answering(|received| match received.head.target() {
        "/gone" => b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n".to_vec(),
        _ => answer("200 OK", "", b"fine"),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let gone = client.get("/gone", "");
    assert_eq!((gone.status(), gone.get("content-length")), (204, None));
    assert_eq!(client.get("/", "").text(), "fine");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn bodies_of_answers_that_have_none_spoil_the_connection() {
    let reply = |head: &str| format!("{head}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").into_bytes();
    let origin = Origin::answering(move |received| match received.head.target() {
        "/204" => reply("HTTP/1.1 204 No Content"),
        "/304" => reply("HTTP/1.1 304 Not Modified\r\nContent-Length: 44"),
        "/head" => reply("HTTP/1.1 200 OK\r\nContent-Length: 44"),
        _ => answer("200 OK", "", b"fine"),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for (method, target) in [("GET", "/204"), ("GET", "/304"), ("HEAD", "/head")] {
        client.exchange(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(client.get("/", "").text(), "fine", "behind {target}");
    }
}

#[test]
fn errors_have_no_body_where_head_was_asked() {
    let gone = Origin::start(|_| {});
    let late = Origin::start(|visit| visit.wait_for_close());
    let plan = Plan::new()
        .upstream("gone", gone.address())
        .upstream("late", late.address())
        .upstream("closed", "127.0.0.1:1")
        .route("gone", "/gone", "stable: gone", "")
        .route("late", "/late", "stable: late", "timeouts: { first_byte: 100ms }")
        .route("closed", "/closed", "stable: closed", "");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    for (target, status) in [("/none", 404), ("/gone", 502), ("/late", 504), ("/closed", 502), ("/a%2fb", 400)] {
        // On one connection: a byte of a body would be read as the head of the next answer.
        let response = client.exchange(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(response.status(), status, "{target}");
        assert!(client.stays_silent_for(Duration::from_millis(20)), "{target}");
    }
}

#[test]
fn endless_interim_answers_end() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            while visit.send("HTTP/1.1 102 Processing\r\n\r\n").is_some() {}
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.answer();
    assert_eq!(response.status(), 502);
    assert!(response.interim.len() <= 100);
    origin.wait_closed(1);
}

#[test]
fn a_client_that_left_before_an_answer_is_told_as_499() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.wait_for_close();
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()).more("access_log: all"));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(1);
    drop(client);
    origin.wait_closed(1);
    assert_eq!(sidecar.wait_for_log(1)[0]["status"], 499);
    sidecar.wait_for_metric("graylane_requests_total", &[("code_class", "4xx")], 1.0);
}

#[test]
fn a_tunnel_ends_with_the_drain() {
    let origin = Origin::start(|visit| {
        if let Some(head) = visit.head() {
            visit.note(&head);
            let _ = visit.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
            visit.wait_for_close();
        }
    });
    let mut sidecar = Sidecar::start(&Plan::to(origin.address()).more("drain: 300ms"));
    let mut client = sidecar.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_eq!(client.any_head().status(), 101);
    sidecar.terminate();
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    assert!(matches!(client.try_answer("GET"), Err(Broken::Silent)));
    origin.wait_closed(1);
}
