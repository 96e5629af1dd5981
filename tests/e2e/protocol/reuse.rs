//! Connections: kept, pipelined, given up, and requests sent once more where that is safe.

use crate::harness::{Origin, Plan, Sidecar, answer};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::answering(|received| answer("200 OK", "", received.head.target().as_bytes()));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let mut all = Vec::new();
    for number in 0..20 {
        let body = "x".repeat(number);
        all.extend_from_slice(
            format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {number}\r\n\r\n{body}").as_bytes(),
        );
    }
    client.send(&all);
    for number in 0..20 {
        assert_eq!(client.answer_to("POST").text(), format!("/{number}"));
    }
    let lengths: Vec<usize> = origin.requests().iter().map(|r| r.body.len()).collect();
    assert_eq!(lengths, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_request_cut_into_single_bytes_is_understood() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let request = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for byte in request {
        client.send(&[*byte]);
    }
    assert_eq!(client.answer_to("POST").status(), 200);
    assert_eq!(origin.only().body, b"ok");
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn connections_are_kept_on_both_sides() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for _ in 0..10 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    // Another client meets the same pooled connection.
    assert_eq!(sidecar.get("/", "").status(), 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_asks_for_close_gets_it() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let response = client.get("/", "Connection: close\r\n");
    assert_eq!(response.status(), 200);
    assert!(response.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")));
    client.assert_closed();
    // That was about the client's connection, not the upstream's.
    assert_eq!(sidecar.get("/", "").status(), 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_that_asks_for_close_is_not_reused() {
    let origin = Origin::answering(|_| answer("200 OK", "Connection: close\r\n", b"ok"));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for _ in 0..3 {
        let response = client.get("/", "");
        assert_eq!(response.text(), "ok");
    }
    assert_eq!(origin.connections(), 3);
}

/// Answers the first request of its first connection, then reads one more and hangs up without a word; so does every later
/// connection numbered below `bad`.
fn forgetful(bad: usize) -> Origin {
    Origin::start(move |visit| {
        if visit.connection() == 0 {
            let _ = visit.request();
            let _ = visit.send(answer("200 OK", "", b"warm"));
        }
        while visit.request().is_some() {
            if visit.connection() < bad {
                visit.wire.hang_up();
                return;
            }
            let _ = visit.send(answer("200 OK", "", b"again"));
        }
    })
}

#[test]
fn row_17_an_idempotent_request_on_a_connection_that_closes_is_sent_once_more() {
    let origin = forgetful(1);
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").text(), "warm");
    assert_eq!(client.get("/again", "").text(), "again");
    let requests = origin.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn row_17_a_request_is_sent_once_more_and_not_oftener() {
    let origin = forgetful(usize::MAX);
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").text(), "warm");
    assert_eq!(client.get("/again", "").status(), 502);
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn row_16_a_post_is_never_sent_twice() {
    let origin = forgetful(1);
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").text(), "warm");
    let request = b"POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none";
    assert_eq!(client.exchange(request).status(), 502);
    let posts = |origin: &Origin| {
        let requests = origin.requests();
        requests.iter().filter(|r| r.head.method() == "POST").count()
    };
    assert_eq!(posts(&origin), 1);
}

#[test]
fn row_16_a_streamed_body_is_never_sent_twice() {
    let origin = forgetful(1);
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/", "").text(), "warm");
    // PUT is idempotent, but this body is larger than anything kept for a second try.
    let size = 4 * 1024 * 1024;
    client.send(format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").as_bytes());
    let _ = client.try_send(&vec![b'x'; size]);
    if let Ok(response) = client.try_answer("PUT") {
        assert_eq!(response.status(), 502);
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn an_upstream_connection_closed_while_idle_is_noticed() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            let _ = visit.send(answer("200 OK", "", b"one each"));
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for round in 1..=5 {
        assert_eq!(client.get("/", "").text(), "one each");
        origin.wait_closed(round);
    }
    assert_eq!(origin.requests().len(), 5);
}

#[test]
fn bytes_that_no_request_asked_for_spoil_the_upstream_connection() {
    let origin = Origin::answering(|received| {
        let mut reply = answer("200 OK", "", received.head.target().as_bytes());
        if received.head.target() == "/first" {
            reply.extend(answer("200 OK", "", b"poison"));
        }
        reply
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    assert_eq!(client.get("/first", "").text(), "/first");
    assert_eq!(client.get("/second", "").text(), "/second");
    assert_eq!(sidecar.get("/third", "").text(), "/third");
}

#[test]
fn a_kept_connection_that_closes_behind_an_interim_answer_was_no_race() {
    for interim in ["103 Early Hints", "100 Continue"] {
        let origin = Origin::start(move |visit| {
            if visit.request().is_some() && visit.send(answer("200 OK", "", b"")).is_some() && visit.request().is_some()
            {
                let _ = visit.send(format!("HTTP/1.1 {interim}\r\n\r\n"));
            }
        });
        let sidecar = Sidecar::start(&Plan::to(origin.address()));
        assert_eq!(sidecar.get("/first", "").status(), 200);
        let response = sidecar.get("/second", "");
        assert_eq!((response.status(), response.failure().as_str()), (502, "upstream_reset"), "{interim}");
        assert_eq!(origin.requests().len(), 2, "it was begun, so it is not sent once more");
    }
}
