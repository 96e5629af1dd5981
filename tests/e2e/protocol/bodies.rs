//! Bodies: their framing, their absence, and their breaking off.

use crate::harness::{Broken, Origin, Plan, Response, Sidecar, answer};

fn through(request: &str, reply: impl AsRef<[u8]>) -> Result<Response, Broken> {
    let reply = reply.as_ref().to_vec();
    let origin = Origin::start(move |visit| {
        // Answers one request, then ends the connection, as the shortest of origins do.
        if visit.request().is_some() {
            let _ = visit.send(&reply);
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(request.as_bytes());
    let method = request.split(' ').next().expect("a method");
    client.try_answer(method)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Whatever of the body came before the connection broke off.
fn cut_body(outcome: Result<Response, Broken>) -> Vec<u8> {
    match outcome {
        Err(Broken::Cut { body }) => body,
        Err(Broken::Silent) => Vec::new(),
        Ok(whole) => panic!("this was to break off: {whole:?}"),
    }
}

#[test]
fn row_15_head_has_the_length_and_no_body() {
    let origin = Origin::answering(|received| match received.head.method() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec(),
        _ => answer("200 OK", "", b"next"),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let response = client.exchange(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(response.get("content-length").as_deref(), Some("1234"));
    assert!(response.body.is_empty());
    // The connection is still in step.
    assert_eq!(client.get("/", "").text(), "next");
}

#[test]
fn row_15_head_of_a_chunked_answer_has_no_body() {
    let origin = Origin::answering(|received| match received.head.method() {
        "HEAD" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        _ => answer("200 OK", "", b"next"),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let response = client.exchange(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(response.status(), 200);
    assert_eq!(client.get("/", "").text(), "next");
}

#[test]
fn row_15_204_and_304_have_no_body() {
    let origin = Origin::answering(|received| match received.head.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"7\"\r\nContent-Length: 10\r\n\r\n".to_vec(),
        _ => answer("200 OK", "", b"next"),
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let response = client.get("/204", "");
    assert_eq!(response.status(), 204);
    assert_eq!(response.get("content-length"), None);
    assert_eq!(response.get("transfer-encoding"), None);
    assert_eq!(client.get("/", "").text(), "next");
    let response = client.get("/304", "");
    assert_eq!(response.status(), 304);
    assert_eq!(response.get("etag").as_deref(), Some("\"7\""));
    assert_eq!(client.get("/", "").text(), "next");
}

#[test]
fn row_24_a_body_shorter_than_its_length_is_an_abort() {
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    assert_eq!(cut_body(through(GET, short)), b"only this");
}

#[test]
fn row_24_chunks_without_their_end_are_an_abort() {
    let short = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    let body = cut_body(through(GET, short));
    assert!(b"first".starts_with(&body), "{body:?}");
}

#[test]
fn row_24_a_broken_chunk_of_an_answer_is_never_a_whole_answer() {
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\nZZ\r\nmore\r\n0\r\n\r\n";
    match through(GET, broken) {
        Err(_) => {}
        Ok(answer) => assert_eq!(answer.status(), 502),
    }
}

#[test]
fn a_body_that_ends_with_the_connection_passes_whole() {
    let until_close = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "z".repeat(100_000));
    let response = through(GET, until_close).expect("a whole answer");
    assert_eq!(response.body.len(), 100_000);
}

#[test]
fn an_answer_that_is_no_http_is_a_bad_gateway() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let response = through(GET, garbage).expect("an answer of the sidecar's own");
        assert_eq!(response.status(), 502, "{garbage:?}");
    }
}

#[test]
fn row_19_chunks_and_trailers_pass_both_ways() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_vec()
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
                    Trailer: X-Total\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Total: 13\r\n\r\n";
    let response = client.exchange(request);
    assert_eq!(response.text(), "hello!");
    assert_eq!(response.trailers, [("X-Sum".to_owned(), b"42".to_vec())]);
    let received = origin.only();
    assert_eq!(received.body, b"abc0123456789");
    assert_eq!(received.trailers, [("X-Total".to_owned(), b"13".to_vec())]);
    assert_eq!(client.get("/", "").text(), "hello!");
}

#[test]
fn a_request_body_arrives_with_its_length() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let body = vec![b'q'; 300_000];
    let mut request = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n".to_vec();
    request.extend_from_slice(&body);
    assert_eq!(sidecar.client().exchange(&request).status(), 200);
    let received = origin.only();
    assert_eq!(received.head.get("content-length").as_deref(), Some("300000"));
    assert!(received.body == body);
}

#[test]
fn a_body_streams_before_it_is_complete() {
    // The origin answers each chunk only when the next part was asked for through the client: nothing may be held back.
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let asked = std::sync::Mutex::new(asked);
    let origin = Origin::start(move |visit| {
        let _ = visit.request();
        let _ = visit.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            let _ = visit.send("b\r\ndata: tick\n\r\n");
            let asked = asked.lock().expect("one visit only");
            let _ = asked.recv();
        }
        let _ = visit.send("0\r\n\r\n");
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(GET.as_bytes());
    client.final_head().expect("the head comes before the end");
    for _ in 0..3 {
        let chunk = client.take(b"b\r\ndata: tick\n\r\n".len());
        assert_eq!(chunk, b"b\r\ndata: tick\n\r\n");
        ask.send(()).expect("the origin listens");
    }
    assert_eq!(client.take(5), b"0\r\n\r\n");
}

#[test]
fn http_1_0_clients_get_no_chunks() {
    let origin =
        Origin::answering(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec());
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let response = client.exchange(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(response.get("transfer-encoding"), None);
    assert_eq!(response.text(), "hello");
    client.assert_closed();
}
