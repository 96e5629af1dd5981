//! The PROXY protocol in front of a connection.

use std::io::Write;
use std::net::TcpStream;

use super::kit::{Authority, Session, behind};
use crate::harness::{Client, Origin, Plan, Sidecar, answer};

const COUNTED: &str = "graylane_proxy_protocol_total";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: shop.test\r\nX-User-Id: 7\r\n\r\n";

fn origin() -> Origin {
    Origin::answering(|_| answer("200 OK", "", b""))
}

/// Loopback may tell of clients; those of 10.0.0.0/8 and loopback itself are trusted.
fn plan(origin: &Origin) -> Plan {
    Plan::to(origin.address()).trust("10.0.0.0/8, 127.0.0.0/8").listener("proxy_protocol: { from: [127.0.0.1] }")
}

fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn four(client: [u8; 4]) -> Vec<u8> {
    [&client[..], &[10, 0, 0, 1], &[0xdc, 4], &[1, 0xbb]].concat()
}

#[test]
fn the_client_is_who_the_header_tells_and_is_trusted_as_itself() {
    let origin = origin();
    let sidecar = Sidecar::start(&plan(&origin));
    let mut with_tlv = four([10, 9, 9, 9]);
    with_tlv.extend([4, 0, 2, 1, 2]);
    let six = [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0; 16], &[0, 1, 0, 2]].concat();
    let cases: Vec<(Vec<u8>, &str, bool)> = vec![
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n".to_vec(), "203.0.113.7", false),
        (b"PROXY TCP4 10.9.9.9 10.0.0.1 56324 443\r\n".to_vec(), "10.9.9.9", true),
        (b"PROXY TCP6 2001:db8::7 ::1 1 443\r\n".to_vec(), "2001:db8::7", false),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", false),
        (version_2(0x21, 0x11, &four([203, 0, 113, 7])), "203.0.113.7", false),
        (version_2(0x21, 0x11, &with_tlv), "10.9.9.9", true),
        (version_2(0x21, 0x21, &six), "2001:db8::7", false),
        (version_2(0x20, 0x00, &[]), "127.0.0.1", true),
        (version_2(0x21, 0x00, &[]), "127.0.0.1", false),
    ];
    let accepted = cases.len() as f64;
    for (header, client, trusted) in cases {
        for split in [0, 1, header.len() / 2, header.len()] {
            let mut connection = sidecar.client();
            connection.send(&header[..split]);
            connection.send(&[&header[split..], REQUEST].concat());
            assert_eq!(connection.answer().status(), 200, "{header:?}");
            let seen = origin.last().head;
            assert_eq!(seen.get("x-forwarded-for").as_deref(), Some(client));
            assert_eq!(seen.get("x-user-id").is_some(), trusted, "{header:?}");
        }
    }
    sidecar.wait_for_metric(COUNTED, &[("result", "accepted")], accepted * 4.0);
}

#[test]
fn what_is_no_header_closes_the_connection() {
    let origin = origin();
    let sidecar = Sidecar::start(&plan(&origin));
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (REQUEST.to_vec(), "malformed"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n".to_vec(), "malformed"),
        (b"PROXY HTTP 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), "malformed"),
        (version_2(0x11, 0x11, &four([1, 2, 3, 4])), "malformed"),
        (version_2(0x2f, 0x11, &four([1, 2, 3, 4])), "malformed"),
        (version_2(0x21, 0x11, &[1, 2, 3]), "malformed"),
        (version_2(0x21, 0x12, &four([1, 2, 3, 4])), "malformed"),
        ([SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(), "too_long"),
        (long, "too_long"),
    ];
    for (at, (header, why)) in cases.iter().enumerate() {
        let before = sidecar.metric(COUNTED, &[("result", *why)]);
        let mut connection = sidecar.client();
        connection.send(header);
        assert_eq!(connection.rest(), b"", "{at}: {header:?}");
        sidecar.wait_for_metric(COUNTED, &[("result", *why)], before + 1.0);
    }
    let mut cut = sidecar.client();
    cut.send(b"PROXY TCP4 203");
    cut.finish();
    cut.assert_closed();
    sidecar.wait_for_metric(COUNTED, &[("result", "closed")], 1.0);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn only_those_named_may_tell_of_clients_and_not_for_ever() {
    let origin = origin();
    let sidecar = Sidecar::start(&plan(&origin).more("limits: { handshake_time: 500ms }"));
    let mut stranger = Client::connect_from("127.0.0.2", sidecar.traffic());
    let _ = stranger.try_send(b"PROXY TCP4 10.9.9.9 10.0.0.1 1 2\r\n");
    stranger.rest();
    sidecar.wait_for_metric(COUNTED, &[("result", "untrusted")], 1.0);
    let mut slow = sidecar.client();
    slow.send(b"PROXY ");
    slow.assert_closed();
    sidecar.wait_for_metric(COUNTED, &[("result", "timed_out")], 1.0);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn tls_begins_behind_the_header() {
    let (authority, origin) = (Authority::new(), origin());
    let identity = authority.identity(&["shop.test"]);
    let plan = behind(Plan::to(origin.address()), &identity, "");
    let lines = "tls: { certificates: [{ cert: tls.crt, key: tls.key }] }\nproxy_protocol: { from: [127.0.0.0/8] }";
    let sidecar = Sidecar::start(&plan.listener(lines));
    for header in
        [b"PROXY TCP4 203.0.113.7 10.0.0.1 1 443\r\n".to_vec(), version_2(0x21, 0x11, &four([203, 0, 113, 7]))]
    {
        let mut stream = TcpStream::connect(sidecar.traffic()).unwrap();
        stream.write_all(&header).unwrap();
        let mut session = Session::over(stream, &authority.client(&[]), "shop.test").unwrap();
        assert!(session.get("").unwrap().starts_with("http/1.1 200"));
        let seen = origin.last().head;
        assert_eq!(seen.get("x-forwarded-for").as_deref(), Some("203.0.113.7"));
        assert_eq!(seen.get("x-forwarded-proto").as_deref(), Some("https"));
    }
}
