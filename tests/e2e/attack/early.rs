//! Answers that come before the request has ended, and changes of the protocol: the places where proxies lost count of who was
//! answered what (`Expect`, `0.CL`, early responses, upgrades that fail).

use std::time::Duration;

use crate::harness::{Broken, Client, Origin, Plan, Sidecar, answer};

/// What an attacker puts where a body belongs.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers by the head alone and reads what was the body as requests: the server that early-response attacks need.
fn blind_to_bodies() -> Origin {
    Origin::start(|visit| {
        while let Some(head) = visit.head() {
            visit.note(&head);
            if visit.send(answer("200 OK", "", head.target().as_bytes())).is_none() {
                return;
            }
        }
    })
}

/// What this client is answered may only be what this client asked.
fn check_next(client: &mut Client, shown: &str) {
    if client.try_send(b"GET /same HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
        && let Ok(next) = client.try_answer("GET")
    {
        assert_eq!(next.text(), "/same", "{shown}");
    }
}

#[test]
fn row_23_an_answer_before_the_body_is_nobody_elses() {
    let origin = blind_to_bodies();
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let length = HIDDEN.len();
    let framings = [
        format!("Content-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"),
        format!("Content-Length: {length}\r\nExpect: 100-Continue\r\nExpect: 100-continue\r\n"),
        format!("Content-Length: {length}\r\nExpect: y 100-continue\r\n"),
        format!("Content-Length: {length}\r\nExpect: 100-continue, x\r\n"),
        format!("Expect:\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n".to_owned(),
    ];
    let mut cases = 0;
    for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"] {
        for fields in &framings {
            let body = match fields.contains("chunked") {
                true => format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
                false => HIDDEN.to_owned(),
            };
            for part in [0, 1, body.len() - 1] {
                let shown = format!("{method} {fields:?}, {part} bytes of the body before the answer");
                let mut client = sidecar.client();
                client.send(format!("{method} /case HTTP/1.1\r\nHost: a\r\n{fields}\r\n{}", &body[..part]).as_bytes());
                let first = client.try_answer(method).unwrap_or_else(|broken| panic!("{shown}: {broken:?}"));
                assert!(method == "HEAD" || first.text() == "/case", "{shown}: {first:?}");
                // The rest of the body comes late, or not at all.
                let _ = client.try_send(&body.as_bytes()[part..]);
                check_next(&mut client, &shown);
                assert_eq!(sidecar.get("/other", "").text(), "/other", "{shown}");
                cases += 1;
            }
        }
    }
    println!("{cases} requests that are answered early, none desynchronised");
}

#[test]
fn row_13_an_interim_answer_between_belongs_to_its_request() {
    // A second 100, one that nobody asked for, and one to a method that has no body.
    let origin = Origin::start(|visit| {
        while let Some(head) = visit.head() {
            let _ = visit.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n");
            let Some(received) = visit.rest_of(head) else { return };
            if visit.send(answer("200 OK", "", received.head.target().as_bytes())).is_none() {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    for (method, fields) in [
        ("HEAD", "Expect: 100-continue\r\nContent-Length: 4\r\n"),
        ("GET", ""),
        ("POST", "Expect: 100-continue\r\nContent-Length: 4\r\n"),
        ("HEAD", ""),
        ("POST", "Content-Length: 4\r\n"),
    ] {
        let body = if fields.contains("Length") { "body" } else { "" };
        client.send(format!("{method} /{method} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}").as_bytes());
        let got = client.answer_to(method);
        assert_eq!(got.status(), 200, "{method} {fields}");
        assert!(method == "HEAD" || got.text() == format!("/{method}"), "{got:?}");
        assert_eq!(sidecar.get("/other", "").text(), "/other", "{method} {fields}");
    }
}

/// Accepts every change of the protocol, asked for or not.
fn credulous() -> Origin {
    Origin::start(|visit| {
        while let Some(request) = visit.request() {
            let reply = match request.head.target() {
                "/ws" => b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n".to_vec(),
                target => answer("200 OK", "", target.as_bytes()),
            };
            if visit.send(reply).is_none() {
                return;
            }
        }
    })
}

#[test]
fn row_14_what_may_not_become_a_tunnel_never_does() {
    let origin = credulous();
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let requests = [
        // HTTP/2 in the clear would pass every rule of ours unseen.
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: H2C\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2\r\n\r\n",
        // Not asked of this hop, or not by a version that knows it.
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade:\r\n\r\n",
        "GET /ws HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        // With a body, which would be the first words of the tunnel to some.
        "POST /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
        "POST /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ];
    for request in requests {
        let mut client = sidecar.client();
        client.send(request.as_bytes());
        let got = client.answer_to("GET");
        assert_eq!(got.status(), 502, "{request:?}: {got:?}");
        let seen = origin.last();
        assert_eq!((seen.head.get("upgrade"), seen.head.get("http2-settings")), (None, None), "{request:?}");
        let _ = client.try_send(HIDDEN.as_bytes());
        if let Ok(next) = client.try_answer("GET") {
            assert_eq!(next.text(), "/smuggled", "{request:?}");
            assert!(origin.last().head.get("via").is_some(), "{request:?}: it was tunnelled");
        }
        assert_eq!(sidecar.get("/other", "").text(), "/other", "{request:?}");
    }
}

#[test]
fn row_14_an_upgrade_that_fails_leaves_a_connection_that_speaks_http() {
    // Proxies that believed the request, not the answer, tunnelled what came next (a wrong version, a health check that says 101).
    let replies = [
        ("/426", "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"),
        ("/400", "400 Bad Request", ""),
        ("/200", "200 OK", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        ("/503", "503 Service Unavailable", ""),
    ];
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            let target = request.head.target();
            let found = replies.iter().find(|(path, ..)| *path == target);
            let (status, fields) = found.map_or(("200 OK", ""), |(_, status, fields)| (*status, *fields));
            if visit.send(answer(status, fields, target.as_bytes())).is_none() {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    for (path, status, _) in replies {
        for version in ["13", "1337", ""] {
            let ask = format!(
                "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            // What comes behind arrives with the request, or only after its answer.
            for premature in [true, false] {
                let mut client = sidecar.client();
                client.send(if premature { format!("{ask}{HIDDEN}") } else { ask.clone() }.as_bytes());
                let got = client.answer();
                assert_eq!((got.status().to_string(), got.text().as_str()), (status[..3].to_owned(), path));
                if !premature {
                    let _ = client.try_send(HIDDEN.as_bytes());
                }
                match client.try_answer("GET") {
                    Ok(next) => {
                        assert_eq!(next.text(), "/smuggled");
                        assert!(origin.last().head.get("via").is_some(), "{path}: it was tunnelled");
                    }
                    Err(broken) => assert!(matches!(broken, Broken::Silent), "{path}: {broken:?}"),
                }
                assert_eq!(sidecar.get("/other", "").text(), "/other", "{path}");
            }
        }
    }
}

#[test]
fn row_14_nothing_of_a_tunnel_goes_up_before_it_is_one() {
    let origin = Origin::start(|visit| {
        if visit.request().is_none() {
            return;
        }
        // Whoever forwards early is caught here.
        visit.wire.set_patience(Duration::from_millis(200));
        let early = visit.wire.take(1);
        visit.wire.set_patience(crate::harness::PATIENCE);
        let status = if early.is_ok() { "500 Early" } else { "426 Upgrade Required" };
        let _ = visit.send(answer(status, "Connection: close\r\n", b""));
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(format!("{ask}\u{1}\u{5}first words").as_bytes());
    assert_eq!(client.answer().status(), 426);
}

#[test]
fn row_10_trailers_that_a_server_would_take_for_the_head_stay_behind() {
    let origin = Origin::answering(|_| answer("200 OK", "", b"ok"));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let names = [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Cache-Control",
        "Range",
        "If-None-Match",
        "If-Match",
        "Max-Forwards",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x-gray-lane",
        "x-gray-release",
        "Transfer_Encoding",
    ];
    for name in names {
        let request = format!(
            "POST /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\n{name}: evil\r\nX-Sum: 9\r\n\r\n"
        );
        assert_eq!(sidecar.client().exchange(request.as_bytes()).status(), 200, "{name}");
        let seen = origin.last();
        assert_eq!(seen.trailers, [("X-Sum".to_owned(), b"9".to_vec())], "{name}");
    }
}
