//! What other servers and proxies had to learn: the ideas behind the regression tests of HAProxy (`http-messaging`), nginx
//! (`http_*`, `body_chunked`, `proxy_*`) and slowhttptest, and behind published flaws, as cases of our own. Told apart by the
//! same difference as [`super::smuggling`].

use super::smuggling::To::{One, Refused};
use super::smuggling::{To, check, chunks, chunks_hiding, post, raw};

/// A GET with these lines behind its `Host`.
fn get(lines: &str) -> Vec<u8> {
    raw(&format!("GET /case HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

pub(super) fn lines_that_others_read_otherwise_are_refused_cases() -> Vec<(Vec<u8>, To)> {
    let heads: [&[u8]; 27] = [
        // An empty name ends the list of fields for some (CVE-2023-25725).
        b"POST /case HTTP/1.1\r\nHost: a\r\n: x\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /case HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\r\n\n",
        b"\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\rGET /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\n\r\n\r\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1.1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP/1. 1\r\nHost: a\r\n\r\n",
        b"GET /case HTTP /1.1\r\nHost: a\r\n\r\n",
        b"GET /case HTTPS/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS */case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[::1/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a:b/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /case HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\\b\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: <a>\r\n\r\n",
        b"GET /case HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n",
    ];
    let names = ["X(a)", "\"X\"", "X,Y", "X/Y", "X;", "X=Y", "{X}", "[X]", "X\u{7f}", "X\u{b}", "X\u{1}"];
    let values = ["\u{1}", "a\u{1f}b", "a\u{7f}", "a\u{8}"];
    let mut cases: Vec<(Vec<u8>, To)> = heads.iter().map(|head| (raw(head), Refused)).collect();
    cases.extend(names.map(|name| (get(&format!("{name}: b\r\n")), Refused)));
    cases.extend(values.map(|value| (get(&format!("X: {value}\r\n")), Refused)));
    cases
}

#[test]
fn row_6_lines_that_others_read_otherwise_are_refused() {
    check(lines_that_others_read_otherwise_are_refused_cases());
}

pub(super) fn framings_that_others_read_otherwise_are_refused_cases() -> Vec<(Vec<u8>, To)> {
    let many = format!("Content-Length: {}", "9".repeat(400));
    let fields = [
        "Content-Length: 5,",
        "Content-Length: ,5",
        "Content-Length: 5, 6",
        "Content-Length: \"5\"",
        "Content-Length: 5\u{a0}",
        "Content-Length: \u{85}5",
        "Content-Length: 5\r\nContent-Length:",
        &many,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{85}chunked",
        "Transfer-Encoding: chunked\u{a0}",
        "Transfer-Encoding: chunked;",
        "Transfer-Encoding: chunked\t,\tidentity",
        "Transfer-Encoding: chunked chunked",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunke",
        "Transfer-Encoding: deflate",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: content-length",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: transfer-encoding",
    ];
    let sizes = [
        "5\r\n\r\nhello\r\n0\r\n\r\n",
        "5\r\nhell\r\no\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "5:\r\nhello\r\n0\r\n\r\n",
        "5,a\r\nhello\r\n0\r\n\r\n",
        "5=\r\nhello\r\n0\r\n\r\n",
        "5h\r\nhello\r\n0\r\n\r\n",
        "{5}\r\nhello\r\n0\r\n\r\n",
        "\"5\"\r\nhello\r\n0\r\n\r\n",
        "\u{ff15}\r\nhello\r\n0\r\n\r\n",
        "\u{feff}5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff0\r\nhello\r\n0\r\n\r\n",
        "-0\r\n\r\n",
        "+0\r\n\r\n",
        "0x0\r\n\r\n",
        "0 0\r\n\r\n",
        "00000000000000000\r\n\r\n",
        "0\r\n0\r\n\r\n",
        "0\r\n\r\r\n",
        "0\r\nX: \u{7f}\r\n\r\n",
    ];
    let mut cases: Vec<(Vec<u8>, To)> = fields
        .iter()
        .map(|fields| (post(fields, "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), Refused))
        .collect();
    cases.extend(sizes.map(|body| (chunks_hiding(body), Refused)));
    cases
}

#[test]
fn row_7_framings_that_others_read_otherwise_are_refused() {
    check(framings_that_others_read_otherwise_are_refused_cases());
}

/// What was found in 2024 and 2025: ends of lines within chunk extensions and behind chunks (CVE-2025-22871, CVE-2025-55315,
/// CVE-2025-58056, CVE-2025-43859 and others), heads that end early for some (CVE-2025-23167), trailers over their limit
/// (CVE-2023-46589), targets with bytes that end them for some (CVE-2013-4547, CVE-2023-45539).
pub(super) fn what_was_found_in_2025_is_refused_cases() -> Vec<(Vec<u8>, To)> {
    let bodies = [
        // A line that ends within an extension for one of two.
        "5;\nhello\r\n0\r\n\r\n",
        "5;\rhello\r\n0\r\n\r\n",
        "5;a\n\r\nhello\r\n0\r\n\r\n",
        "5;\n\r\nhello\r\n0\r\n\r\n",
        "2;\nxx\r\n4c\r\n0\r\n\r\n",
        "2;\rxx\r\n4c\r\n0\r\n\r\n",
        "2;a=\"\nxx\r\n4c\r\n0\r\n\r\n",
        "2;a=\"b\r\nxx\r\n0\r\n\r\n",
        "0;\n\r\n",
        "0;\r\r\n\r\n",
        "0\n\n",
        // Extensions that are none.
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;;\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n",
        "5;=a\r\nhello\r\n0\r\n\r\n",
        "5;a[b=c\r\nhello\r\n0\r\n\r\n",
        "5;a b\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n",
        "5;\u{b}a\r\nhello\r\n0\r\n\r\n",
        // Bytes behind a chunk that others skip, two of any kind among them.
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n\n0\r\n\r\n",
        "5\r\nhello\r\r0\r\n\r\n",
        "5\r\nhello\n\r0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello 0\r\n\r\n",
        "5\r\nhello\t\r\n0\r\n\r\n",
        // Trailers that end early, or late.
        "0\r\nX: a\r\n\nGET /smuggled HTTP/1.1\r\n\r\n",
        "0\r\nX: a\n\nGET /smuggled HTTP/1.1\r\n\r\n",
        "0\r\nX: a\r\r\n\r\n",
        "0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\nX: a\r\n\tb\r\n\r\n",
        "0\r\n\0: a\r\n\r\n",
    ];
    let heads: [&[u8]; 14] = [
        b"POST /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\rX\r\n0\r\n\r\n",
        b"POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\r\nhello",
        b"POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\n\r\nhello",
        b"GET /case \0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case \0/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case#.png HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /case?a=b#c HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a#@b/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a%00b/case\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET gopher://a/case HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET //\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /case HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /case HTTP/1.0\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    ];
    let fields = [
        "Content-Length: 5\r\nContent-Length : 6",
        "Content-Length: 5\r\nContent-Length\u{b}: 6",
        "Content-Length: 5\r\n Content-Length: 6",
        "Content-Length: 0o5",
        "Content-Length: 5, 5, 5",
        "Content-Length: 5\r\n\tfolded",
        "X: y\r\n\r Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding : identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\u{c}chunked",
        "Transfer-Encoding: chunked\r\n\tidentity",
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nContent-Length: 5",
        "Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 0",
    ];
    let mut cases: Vec<(Vec<u8>, To)> = bodies.iter().map(|body| (chunks_hiding(body), Refused)).collect();
    cases.extend(heads.iter().map(|head| (raw(head), Refused)));
    cases.extend(
        fields.iter().map(|fields| (post(fields, "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), Refused)),
    );
    // A trailer section over its limit is no reason to begin with the next request in the middle of it.
    let long = format!("0\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("0\r\n{}\r\n", "X: a\r\n".repeat(100));
    cases.extend([long, many].map(|body| (chunks_hiding(&body), Refused)));
    cases
}

#[test]
fn row_5_what_was_found_in_2025_is_refused() {
    check(what_was_found_in_2025_is_refused_cases());
}

pub(super) fn odd_requests_of_one_meaning_pass_as_one_cases() -> Vec<(Vec<u8>, To)> {
    // The length of a name that is kept in one byte (CVE-2021-40346).
    let long = format!("Content-Length0{}: 0\r\nContent-Length: 5", "a".repeat(255));
    let ranges: Vec<String> = (0..200).map(|start| format!("{start}-")).collect();
    vec![
        (post(&long, "hello"), One("hello")),
        // Slowhttptest's third attack: a range of ranges is for the upstream to judge.
        (get(&format!("Range: bytes=0-,{}\r\n", ranges.join(","))), One("")),
        (post("Content-Length: 5\r\nExpect: y 100-continue", "hello"), One("hello")),
        (post("Content-Length: 5\r\nExpect:", "hello"), One("hello")),
        (
            post(
                "Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
                "hello",
            ),
            One("hello"),
        ),
        (post("Transfer-Encoding: chunked\r\nTE: trailers, chunked", "1\r\n!\r\n0\r\n\r\n"), One("!")),
        (post("Transfer-Encoding: chunked\r\nTrailer: Host", "1\r\n!\r\n0\r\nHost: b\r\n\r\n"), One("!")),
        (
            raw("POST /case HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
            One("hello"),
        ),
        (raw("POST /case HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"), One("hello")),
        (raw("OPTIONS /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), One("hello")),
        (raw("DELETE /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), One("hello")),
        (raw("PROPFIND /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\n\r\n"), One("!")),
        (get("Content-Length: 0\r\n"), One("")),
        // Old browsers send an empty line behind a body.
        (post("Content-Length: 5", "hello\r\n"), One("hello")),
        (chunks("5\r\nhello\r\n0\r\n\r\n\r\n"), One("hello")),
        (raw("GET HTTP://A/case HTTP/1.1\r\nHost: a\r\n\r\n"), One("")),
        (get("X: \u{80}\u{ff}\r\nX-Empty:\r\nX-Tab:\ta\tb\t\r\n"), One("")),
    ]
}

#[test]
fn row_16_odd_requests_of_one_meaning_pass_as_one() {
    check(odd_requests_of_one_meaning_pass_as_one_cases());
}
