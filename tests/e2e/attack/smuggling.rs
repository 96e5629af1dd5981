//! Request smuggling, by difference: what the client meant as one request is exactly one request to the origin too, or
//! none. The origin of the harness reads strictly and shares no code with the proxy.
//!
//! Behind every case the same connection asks for `/after`. An answer to anything else, or a request at the origin that
//! the client did not send, is a desynchronised connection. Every case is tried in one piece and byte by byte.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::lessons;
use crate::harness::{Broken, Client, Origin, Plan, Sidecar, answer};

/// What a case comes to.
pub(super) enum To {
    /// An error answer, the end of the connection, and nothing at the origin.
    Refused,
    /// One request at the origin, with this body.
    One(&'static str),
}

use To::{One, Refused};

/// A request that hides where a body ends for those who read another framing.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A POST with these field lines and whatever follows the head.
pub(super) fn post(fields: &str, rest: &str) -> Vec<u8> {
    format!("POST /case HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{rest}").into_bytes()
}

/// A POST in chunks.
pub(super) fn chunks(body: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked", body)
}

/// A POST of these chunks, behind which a request is hidden.
pub(super) fn chunks_hiding(body: &str) -> Vec<u8> {
    chunks(&format!("{body}{HIDDEN}"))
}

/// Any head, raw.
pub(super) fn raw(bytes: &(impl AsRef<[u8]> + ?Sized)) -> Vec<u8> {
    bytes.as_ref().to_vec()
}

pub(super) fn check(cases: impl IntoIterator<Item = (Vec<u8>, To)>) {
    let origin = Origin::answering(|received| answer("200 OK", "", received.head.target().as_bytes()));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let seen = AtomicUsize::new(0);
    for (request, to) in cases {
        for piece in [request.len(), 1] {
            check_one(&sidecar, &origin, &seen, &request, piece, &to);
        }
    }
}

fn check_one(sidecar: &Sidecar, origin: &Origin, seen: &AtomicUsize, request: &[u8], piece: usize, to: &To) {
    let shown = format!("{:?} in pieces of {piece}", String::from_utf8_lossy(&request[..request.len().min(400)]));
    let mut client = sidecar.client();
    for part in request.chunks(piece) {
        // A refusal may come before everything is sent.
        let _ = client.try_send(part);
    }
    let method = if request.starts_with(b"HEAD") { "HEAD" } else { "POST" };
    let outcome = client.try_answer(method);
    if let One(body) = to {
        let response = outcome.unwrap_or_else(|broken| panic!("{shown}: {broken:?}"));
        assert_eq!(response.status(), 200, "{shown}: {response:?}");
        assert!(method == "HEAD" || response.text().starts_with("/case"), "{shown}: {response:?}");
        ask_after(&mut client, &shown);
        let mut requests = origin.requests().split_off(seen.load(Ordering::Relaxed));
        seen.fetch_add(requests.len(), Ordering::Relaxed);
        requests.retain(|request| request.head.target() != "/after");
        assert_eq!(requests.len(), 1, "{shown}: {requests:?}");
        assert_eq!(String::from_utf8_lossy(&requests[0].body), *body, "{shown}");
        for name in ["content_length", "transfer_encoding"] {
            assert!(requests[0].head.all(name).is_empty(), "{shown}: {requests:?}");
        }
        return;
    }
    match outcome {
        Ok(response) => {
            assert!((400..=505).contains(&response.status()), "{shown}: {response:?}");
            client.assert_closed();
        }
        // A system that gets bytes behind an end throws away what it was sent before.
        Err(Broken::Silent) => {}
        Err(broken) => panic!("{shown}: {broken:?}"),
    }
    let requests = origin.requests().split_off(seen.load(Ordering::Relaxed));
    assert!(requests.is_empty(), "{shown}: {requests:?}");
}

fn ask_after(client: &mut Client, shown: &str) {
    // The connection may have been closed on purpose; what is answered must be this.
    if client.try_send(b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").is_ok()
        && let Ok(response) = client.try_answer("GET")
    {
        assert_eq!(response.text(), "/after", "{shown}");
        client.assert_closed();
    }
}

fn two_framings_or_a_disguised_one_never_split_a_request_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    let hidden = format!("0\r\n\r\n{HIDDEN}");
    let refused = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nTransfer-Encoding: ",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: x chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer Encoding: chunked",
        " Transfer-Encoding: chunked",
        "X: x\r\n Transfer-Encoding: chunked",
        "X: x\r\n\tTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chun\u{212a}ed",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nX: y\r\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\n\rX: y",
    ];
    cases.extend(refused.map(|fields| (post(fields, &hidden), Refused)));
    let old = format!("POST /case HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}");
    cases.push((raw(&old), Refused));
    cases
}

#[test]
fn two_framings_or_a_disguised_one_never_split_a_request() {
    check(two_framings_or_a_disguised_one_never_split_a_request_cases());
}

fn framings_with_one_meaning_are_understood_as_that_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    cases.extend([
        (post("Transfer-Encoding: CHUNKED", "5\r\nhello\r\n0\r\n\r\n"), One("hello")),
        (post("Transfer-Encoding:\tchunked \t", "5\r\nhello\r\n0\r\n\r\n"), One("hello")),
        (post("transfer-encoding:chunked", "5\r\nhello\r\n0\r\n\r\n"), One("hello")),
        (post("Content-Length: 005", "hello"), One("hello")),
        (post("Content-Length: 00000000000000000000000005", "hello"), One("hello")),
        (post("Content-Length: 5\r\nTransfer_Encoding: chunked", "0\r\n\r\n"), One("0\r\n\r\n")),
        (post("Content-Length: 5\r\nContent_Length: 0", "hello"), One("hello")),
        (post("Content-Length: 5\r\nConnection: content-length", "hello"), One("hello")),
        (post("Transfer-Encoding: chunked\r\nConnection: transfer-encoding", "1\r\n!\r\n0\r\n\r\n"), One("!")),
        (post("Content-Length: 5\r\nConnection: host, x-forwarded-for, via", "hello"), One("hello")),
        (post("Content-Length: 5\r\nExpect: 100-continue", "hello"), One("hello")),
        (post("Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x", "hello"), One("hello")),
        (raw("GET /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), One("hello")),
        (raw("HEAD /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), One("hello")),
        (raw("GET /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\n\r\n"), One("!")),
    ]);
    cases
}

#[test]
fn framings_with_one_meaning_are_understood_as_that() {
    check(framings_with_one_meaning_are_understood_as_that_cases());
}

fn lengths_that_are_read_in_two_ways_never_split_a_request_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    let refused = [
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: -0",
        "Content-Length: 0x5",
        "Content-Length: 5,5",
        "Content-Length: 5, 5",
        "Content-Length: 5;5",
        "Content-Length: 5 5",
        "Content-Length: 5\t6",
        "Content-Length: 5\u{b}",
        "Content-Length: 5.0",
        "Content-Length: 5e0",
        "Content-Length: 1_0",
        "Content-Length: \u{665}",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
        "Content-Length: 18446744073709551621",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 6",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Content Length: 5",
        "Content-Length\u{a0}: 5",
        "Content-Length: 5\rX: y",
        "X: y\nContent-Length: 5",
        "Content-Length: \r\n 5",
    ];
    cases.extend(refused.map(|fields| (post(fields, HIDDEN), Refused)));
    cases
}

#[test]
fn lengths_that_are_read_in_two_ways_never_split_a_request() {
    check(lengths_that_are_read_in_two_ways_never_split_a_request_cases());
}

fn chunks_that_are_read_in_two_ways_never_split_a_request_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    let refused = [
        "x\r\n",
        "\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "5\t\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\n\r\n",
        "0\r\nA: b\nC: d\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        "0\r\n: b\r\n\r\n",
    ];
    cases.extend(refused.map(|body| (chunks_hiding(body), Refused)));
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300));
    cases.push((chunks(&long), Refused));
    cases
}

#[test]
fn chunks_that_are_read_in_two_ways_never_split_a_request() {
    check(chunks_that_are_read_in_two_ways_never_split_a_request_cases());
}

fn chunks_with_one_meaning_are_understood_as_that_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    cases.extend([
        (chunks("0005\r\nhello\r\n0\r\n\r\n"), One("hello")),
        (chunks("0000000000000005\r\nhello\r\n0000\r\n\r\n"), One("hello")),
        (chunks("A\r\n0\r\n\r\nhello\r\n0\r\n\r\n"), One("0\r\n\r\nhello")),
        (chunks("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"), One("hello")),
        (chunks("5; a = b ;c=\"\\\";\"\r\nhello\r\n0\r\n\r\n"), One("hello")),
        (chunks("0\r\n\r\n"), One("")),
        (chunks("1\r\n!\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n"), One("!")),
    ]);
    cases
}

#[test]
fn chunks_with_one_meaning_are_understood_as_that() {
    check(chunks_with_one_meaning_are_understood_as_that_cases());
}

fn start_lines_that_are_read_in_two_ways_never_pass_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    let refused: [&[u8]; 24] = [
        b"GET /case HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET  /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b" GET /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\t/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case\tHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1.1\rHost: a\r\n\r\n",
        b"GET /case HTTP/1.1\r\r\nHost: a\r\n\r\n",
        b"GET /ca\rse HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ca\0se HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/01.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1.10\r\nHost: a\r\n\r\n",
        b"GET /case http/1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/0.9\r\nHost: a\r\n\r\n",
        b"GET /case\r\n\r\n",
        b"/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GE(T /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ?case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET \\case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case#/../smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a@b/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:///case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a\\@b/case HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    cases.extend(refused.map(|request| (raw(request), Refused)));
    cases.extend([
        (raw("GET http://b/case HTTP/1.1\r\nHost: a\r\n\r\n"), One("")),
        (raw("GET /case?x=%0d%0aHost:%20b HTTP/1.1\r\nHost: a\r\n\r\n"), One("")),
        (raw("\r\n\r\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n"), One("")),
    ]);
    cases
}

#[test]
fn start_lines_that_are_read_in_two_ways_never_pass() {
    check(start_lines_that_are_read_in_two_ways_never_pass_cases());
}

fn hosts_and_names_that_are_read_in_two_ways_never_pass_cases() -> Vec<(Vec<u8>, To)> {
    let mut cases = Vec::new();
    let refused: [&[u8]; 16] = [
        b"GET /case HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a, b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\tb\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a:80:80\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a:b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: b@a\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a/case\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a?b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a#b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /case HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\0\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\r\nX\xff: 1\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\r\n\xef\xbb\xbfX: 1\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\r\n@: \x7f\r\n\r\n",
    ];
    cases.extend(refused.map(|request| (raw(request), Refused)));
    cases
}

#[test]
fn hosts_and_names_that_are_read_in_two_ways_never_pass() {
    check(hosts_and_names_that_are_read_in_two_ways_never_pass_cases());
}

/// The figures of `docs/protocol.md`: every case is tried twice, whole and byte by byte, by the tests above.
#[test]
fn the_corpus_is_as_large_as_is_said() {
    let families = [
        two_framings_or_a_disguised_one_never_split_a_request_cases(),
        framings_with_one_meaning_are_understood_as_that_cases(),
        lengths_that_are_read_in_two_ways_never_split_a_request_cases(),
        chunks_that_are_read_in_two_ways_never_split_a_request_cases(),
        chunks_with_one_meaning_are_understood_as_that_cases(),
        start_lines_that_are_read_in_two_ways_never_pass_cases(),
        hosts_and_names_that_are_read_in_two_ways_never_pass_cases(),
        lessons::lines_that_others_read_otherwise_are_refused_cases(),
        lessons::framings_that_others_read_otherwise_are_refused_cases(),
        lessons::odd_requests_of_one_meaning_pass_as_one_cases(),
        lessons::what_was_found_in_2025_is_refused_cases(),
    ];
    let refused = families.iter().flatten().filter(|(_, to)| matches!(to, Refused)).count();
    let cases = families.iter().map(Vec::len).sum::<usize>();
    let from_http_2 = super::http2::refused_cases().len() + super::http2::good_cases().len();
    println!(
        "smuggling corpus: {} cases: {} refused, {} passed clean, none split; {cases} as HTTP/1, {from_http_2} as HTTP/2",
        cases + from_http_2,
        refused + super::http2::refused_cases().len(),
        cases - refused + super::http2::good_cases().len(),
    );
    assert!(cases >= 150, "{cases}");
}
