//! Answers that two readers could read in two ways, by difference: what the upstream meant as one answer is exactly one answer to
//! the client, or none, and whoever asks next gets the answer to what he asked.

use crate::harness::{Broken, Origin, Plan, Sidecar, answer};

/// What an answer comes to.
enum To {
    /// 502, or an answer that breaks off, and nothing of what is hidden.
    Refused,
    /// One whole answer with this body.
    One(&'static str),
}

use To::{One, Refused};

/// An answer that hides behind another for those who read another framing.
const HIDDEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// An answer with these field lines, and whatever follows its head.
fn ok(fields: &str, rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{rest}").into_bytes()
}

fn refused() -> Vec<Vec<u8>> {
    let framings = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5,6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 5\u{b}",
        "Content-Length: 18446744073709551621",
        "Content-Length : 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Transfer-Encoding : chunked",
        "Content-Length: 5\r\nX: a\r\n Transfer-Encoding: chunked",
        "Content-Length: 5\r\nX: a\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nX: a\rTransfer-Encoding: chunked",
        "Content-Length: 5\r\nX\0: a",
        "Content-Length: 5\r\nX: \0",
        "Content-Length: 5\r\n: a",
        "Content-Length: 5\r\nX Y: a",
        "Content-Length: 5\r\nX",
    ];
    let heads = [
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 200 OK\r\rContent-Length: 5\r\n\r\nhello",
        "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 +200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 OK 200\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello",
        "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        " HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nX\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let chunks = [
        "5 \r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!!0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: a\r\n\r\n",
    ];
    let mut all: Vec<Vec<u8>> = framings.iter().map(|fields| ok(fields, &format!("0\r\n\r\n{HIDDEN}"))).collect();
    all.extend(heads.iter().map(|head| [head.as_bytes(), HIDDEN.as_bytes()].concat()));
    all.extend(chunks.iter().map(|body| ok("Transfer-Encoding: chunked", &format!("{body}{HIDDEN}"))));
    all
}

fn good() -> Vec<(Vec<u8>, To)> {
    let early = |head: &str| [head.as_bytes(), b"\r\n\r\n", &answer("200 OK", "", b"hello")[..]].concat();
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        // It is the server that is confused: chunks win, and the connection is not used again.
        (ok("Content-Length: 3\r\nTransfer-Encoding: chunked", &format!("{chunked}{HIDDEN}")), One("hello")),
        (ok("Transfer-Encoding: chunked\r\nContent-Length: 99", &format!("{chunked}{HIDDEN}")), One("hello")),
        (
            format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{HIDDEN}")
                .into_bytes(),
            One("hello"),
        ),
        (ok("transfer-encoding:\tChunked ", &format!("{chunked}{HIDDEN}")), One("hello")),
        (ok("Content-Length: 005", &format!("hello{HIDDEN}")), One("hello")),
        (ok("Content-Length: 5\r\nTransfer_Encoding: chunked", &format!("hello{HIDDEN}")), One("hello")),
        (ok("Content-Length: 5\r\nConnection: content-length", &format!("hello{HIDDEN}")), One("hello")),
        // Interim answers have no body, whatever they say.
        (early("HTTP/1.1 103 Early Hints\r\nContent-Length: 500"), One("hello")),
        (early("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked"), One("hello")),
        (early("HTTP/1.1 100 Continue"), One("hello")),
        (early("HTTP/1.1 199 Whatever"), One("hello")),
        (format!("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello{HIDDEN}").into_bytes(), One("hello")),
        (format!("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n{HIDDEN}").into_bytes(), One("")),
        (format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n{HIDDEN}").into_bytes(), One("")),
        (format!("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n{HIDDEN}").into_bytes(), One("")),
        (ok("Content-Length: 50", "hello"), Refused),
        (ok("Transfer-Encoding: chunked", "5\r\nhello\r\n"), Refused),
        (ok("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"), Refused),
    ]
}

#[test]
fn answers_that_are_read_in_two_ways_never_become_two() {
    let cases: Vec<(Vec<u8>, To)> = refused().into_iter().map(|reply| (reply, Refused)).chain(good()).collect();
    let replies: Vec<Vec<u8>> = cases.iter().map(|(reply, _)| reply.clone()).collect();
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            let target = request.head.target();
            let Some(case) = target.strip_prefix("/case/") else {
                let _ = visit.send(answer("200 OK", "", target.as_bytes()));
                continue;
            };
            let _ = visit.send(&replies[case.parse::<usize>().expect("a number")]);
            // What cannot go on for the sidecar ends here; what can goes on.
            if !replies[case.parse::<usize>().expect("a number")].ends_with(b"poison") {
                return;
            }
        }
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let (mut whole, mut broken) = (0, 0);
    for (number, (reply, to)) in cases.iter().enumerate() {
        let shown = String::from_utf8_lossy(reply).into_owned();
        let mut client = sidecar.client();
        client.send(format!("GET /case/{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let outcome = client.try_answer("GET");
        match (to, &outcome) {
            (One(body), Ok(got)) => assert_eq!(got.text(), *body, "{shown:?}: {got:?}"),
            (Refused, Ok(got)) => assert_eq!(got.status(), 502, "{shown:?}: {got:?}"),
            (Refused, Err(Broken::Cut { body })) => assert!(b"hello".starts_with(&body[..]), "{shown:?}"),
            (_, outcome) => panic!("{shown:?}: {outcome:?}"),
        }
        // Whoever is next on either connection gets what he asked for.
        if outcome.is_ok()
            && client.try_send(b"GET /same HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
            && let Ok(next) = client.try_answer("GET")
        {
            assert_eq!(next.text(), "/same", "behind {shown:?}");
        }
        for _ in 0..2 {
            assert_eq!(sidecar.get("/other", "").text(), "/other", "behind {shown:?}");
        }
        match to {
            One(_) => whole += 1,
            Refused => broken += 1,
        }
    }
    println!("{} answers: {whole} passed whole, {broken} refused or broken off, none split", cases.len());
}
