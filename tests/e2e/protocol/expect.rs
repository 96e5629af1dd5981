//! `Expect: 100-continue`, interim answers, and answers that come before the request has ended.

use std::time::Duration;

use crate::harness::{Origin, Plan, Sidecar, answer};

const ASK: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[test]
fn row_12_the_upstream_decides_over_100_continue() {
    let (allow, allowed) = std::sync::mpsc::channel::<()>();
    let allowed = std::sync::Mutex::new(allowed);
    let origin = Origin::start(move |visit| {
        let Some(head) = visit.head() else { return };
        assert_eq!(head.get("expect").as_deref(), Some("100-continue"));
        let waiting = allowed.lock().expect("one visit only");
        let _ = waiting.recv();
        let _ = visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        visit.rest_of(head);
        let _ = visit.send(answer("200 OK", "", b"got it"));
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(ASK);
    assert!(client.stays_silent_for(Duration::from_millis(200)), "100 before the upstream said so");
    allow.send(()).expect("the origin waits");
    assert_eq!(client.any_head().status(), 100);
    client.send(b"hello");
    assert_eq!(client.answer().text(), "got it");
    assert_eq!(origin.only().body, b"hello");
}

#[test]
fn row_12_a_refusal_comes_without_100_and_without_the_body() {
    let origin = Origin::start(|visit| {
        if let Some(head) = visit.head() {
            visit.note(&head);
            let _ = visit.send(answer("417 Expectation Failed", "Connection: close\r\n", b""));
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(ASK);
    let response = client.answer_to("POST");
    assert_eq!(response.status(), 417);
    assert!(response.interim.is_empty(), "{:?}", response.interim);
    // Whatever comes behind is body or a new request, never both: the connection closes, or waits for the body.
    let _ = client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    let rest = client.rest();
    assert!(!rest.starts_with(b"HTTP/1.1 417"), "answered as a request");
}

#[test]
fn row_13_early_hints_pass() {
    let origin = Origin::answering(|_| {
        let mut reply = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".to_vec();
        reply.extend(answer("200 OK", "", b"page"));
        reply
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let response = sidecar.get("/", "");
    assert_eq!(response.text(), "page");
    let hint = response.interim.first().expect("the hint passed");
    assert_eq!(hint.status(), 103);
    assert_eq!(hint.get("link").as_deref(), Some("</a.css>; rel=preload"));
}

#[test]
fn row_23_an_early_answer_passes_and_the_connection_is_never_reused_dirty() {
    let origin = Origin::start(|visit| {
        while let Some(head) = visit.head() {
            visit.note(&head);
            if head.method() == "POST" {
                // Says no while most of the body is still to come, and reads no more of it.
                let _ = visit.send(answer("413 Content Too Large", "", b"no"));
                visit.wait_for_close();
                return;
            }
            let _ = visit.send(answer("200 OK", "", b"fine"));
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.send(&[b'x'; 1000]);
    let response = client.answer_to("POST");
    assert_eq!(response.status(), 413);
    assert_eq!(response.text(), "no");
    // Either the connection ends, or the rest of the body is taken as what it is and the next request is served.
    let mut more = vec![b'x'; 99_000];
    more.extend_from_slice(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    if client.try_send(&more).is_ok()
        && let Ok(next) = client.try_answer("GET")
    {
        assert_eq!(next.text(), "fine");
    }
    // Another client must not meet the half-read upstream connection.
    assert_eq!(sidecar.get("/other", "").text(), "fine");
    for request in origin.requests() {
        assert!(["POST", "GET"].contains(&request.head.method()));
    }
}

#[test]
fn row_12_expectations_of_http_1_0_mean_nothing() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let request = b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(sidecar.client().exchange(request).status(), 200);
    let received = origin.only();
    assert_eq!((received.head.get("expect"), &received.body[..]), (None, &b"ok"[..]));
}
