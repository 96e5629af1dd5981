//! What is refused, because two readers could understand it in two ways.

use crate::harness::{Origin, Plan, Sidecar};

/// Sends each request as the first bytes of a connection: it must be refused with one of the statuses, the connection must
/// end, and no upstream may have been contacted.
fn check_refused(requests: &[&[u8]], statuses: &[u16]) {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    for request in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
        let mut client = sidecar.client();
        // A refusal may come before everything is sent.
        let _ = client.try_send(request);
        let response = client.try_answer("GET").unwrap_or_else(|broken| panic!("{shown:?}: {broken:?}"));
        assert!(statuses.contains(&response.status()), "{shown:?}: {response:?}");
        client.assert_closed();
    }
    assert_eq!(origin.connections(), 0, "an upstream was contacted");
    // The next one is served: a refusal ends one connection only.
    assert_eq!(sidecar.get("/", "").status(), 200);
}

#[test]
fn row_01_missing_duplicate_or_invalid_host_is_refused() {
    check_refused(
        &[
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test/path\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: user@a.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test:port\r\n\r\n",
        ],
        &[400],
    );
}

#[test]
fn row_04_transfer_encoding_with_content_length_is_refused() {
    check_refused(
        &[
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ],
        &[400],
    );
}

#[test]
fn row_05_other_transfer_codings_are_refused() {
    check_refused(
        &[
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
        &[400, 501],
    );
}

#[test]
fn row_05_invalid_chunks_in_the_first_read_never_reach_an_upstream() {
    check_refused(
        &[
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        ],
        &[400],
    );
}

#[test]
fn row_06_control_characters_and_folded_lines_are_refused() {
    check_refused(
        &[
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\nX-B: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\rX-B: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\0b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\tfolded\r\n\r\n",
            b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX A: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        &[400],
    );
}

#[test]
fn row_07_unclear_content_length_is_refused() {
    check_refused(
        &[
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        ],
        &[400],
    );
}

#[test]
fn row_08_large_heads_are_refused() {
    let head = |fields: String| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let long = head(format!("X-A: {}\r\n", "a".repeat(66 * 1024)));
    let many = head((0..130).map(|n| format!("X-{n}: 1\r\n")).collect());
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}", "a".repeat(80_000));
    check_refused(&[long.as_bytes(), many.as_bytes(), endless.as_bytes()], &[431]);
    let uri = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9 * 1024));
    check_refused(&[uri.as_bytes()], &[414]);
}

#[test]
fn row_08_heads_up_to_the_limits_pass() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let many: String = (0..120).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(sidecar.get("/", &many).status(), 200);
    let long = format!("X-A: {}\r\n", "a".repeat(60 * 1024));
    assert_eq!(sidecar.get("/", &long).status(), 200);
    let path = format!("/{}", "a".repeat(8000));
    assert_eq!(sidecar.get(&path, "").status(), 200);
}

#[test]
fn row_09_authority_form_and_connect_are_refused() {
    check_refused(
        &[
            b"GET shop.test:80 HTTP/1.1\r\nHost: shop.test:80\r\n\r\n",
            b"GET shop.test HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        ],
        &[400],
    );
    check_refused(&[b"CONNECT shop.test:80 HTTP/1.1\r\nHost: shop.test:80\r\n\r\n"], &[400, 403, 405, 501]);
}

#[test]
fn other_protocols_and_versions_are_refused() {
    check_refused(&[b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"GET / HTTP/1.2.3\r\nHost: a\r\n\r\n"], &[400, 505]);
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    // No HTTP at all: whatever is said, the connection ends.
    let mut client = sidecar.client();
    let _ = client.try_send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here\r\n\r\n");
    client.rest();
    assert_eq!(origin.connections(), 0);
}
