//! Ways to speak in the name of somebody else, tried by a peer that is not trusted.

use crate::harness::{Client, Origin, Plan, Sidecar};

const OUTSIDER: &str = "127.9.9.9";

/// What reaches the origin of a request that an outsider sends.
fn seen(plan: impl FnOnce(Plan) -> Plan, request: &[u8]) -> crate::harness::Head {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(Plan::to(origin.address()).trust("10.0.0.0/8")));
    let response = Client::connect_from(OUTSIDER, sidecar.traffic()).exchange(request);
    assert_eq!(response.status(), 200);
    let received = origin.only();
    let mut head = received.head;
    head.fields.extend(received.trailers);
    head
}

#[test]
fn names_in_disguise_are_removed_like_the_real_ones() {
    let head = seen(
        |plan| plan,
        b"GET / HTTP/1.1\r\nHost: a\r\nX_User_Id: victim\r\nX-USER_ID: victim\r\nX_Forwarded_For: 10.0.0.1\r\n\
          X_Gray_Lane: gray\r\nX-Gray_Release: r\r\nX_Real_IP: 10.0.0.1\r\nX_Harmless: 1\r\n\r\n",
    );
    for (name, _) in &head.fields {
        let one = name.to_ascii_lowercase().replace('_', "-");
        assert!(name == "x-gray-lane" || name == "x-forwarded-for" || one != "x-gray-lane", "{head:?}");
        assert!(!["x-user-id", "x-gray-release", "x-real-ip"].contains(&one.as_str()), "{head:?}");
    }
    assert_eq!(head.get("x-forwarded-for").as_deref(), Some(OUTSIDER));
    assert_eq!(head.get("x_forwarded_for"), None);
    assert_eq!(head.get("x_harmless").as_deref(), Some("1"));
}

#[test]
fn trailers_bring_no_identity_in() {
    let head = seen(
        |plan| plan,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\nX-User-Id: victim\r\n\
          x-real-ip: 10.0.0.1\r\nX-Forwarded-Port: 443\r\nX-Sum: 9\r\n\r\n",
    );
    for name in ["x-user-id", "x-real-ip", "x-forwarded-port"] {
        assert_eq!(head.get(name), None, "{name}");
    }
    assert_eq!(head.get("x-sum").as_deref(), Some("9"));
}

#[test]
fn no_name_is_too_long_to_be_removed() {
    let name = format!("X-Forwarded-{}", "x".repeat(60));
    let head = seen(|plan| plan, format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n").as_bytes());
    assert_eq!(head.get(&name), None);
}

#[test]
fn connection_cannot_bring_a_mark_in_or_take_ours_away() {
    let head = seen(
        |plan| plan,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-gray-lane, x-user-id, via, host\r\nX-Gray-Lane: gray\r\n\
          x-gray-lane: gray\r\nX-User-Id: victim\r\n\r\n",
    );
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("stable"));
    assert_eq!(head.get("x-user-id"), None);
    assert_eq!(head.get("host").as_deref(), Some("a"));
    assert!(head.get("via").is_some());
}
