//! Header trust: what an untrusted peer says of itself is removed before anybody can believe it.

use crate::harness::{Client, Head, Origin, Plan, Sidecar};

const TRUSTED: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";

fn scene() -> (Sidecar, Origin) {
    let origin = Origin::lane("stable");
    let plan = Plan::to(origin.address()).trust("127.0.0.2/32");
    (Sidecar::start(&plan), origin)
}

/// What the origin saw of a request with these fields from that peer.
fn seen(source: &str, fields: &str) -> Head {
    let (sidecar, origin) = scene();
    Client::connect_from(source, sidecar.traffic()).get("/x", fields);
    origin.only().head
}

#[test]
fn identity_headers_of_a_stranger_are_removed() {
    let fields = "X-User-Id: u1\r\nx-device-id: d1\r\nX-CITY-ID: 440300\r\nx-user-tier: VIP\r\n\
                  x-gray-lane: gray\r\nx-gray-release: r\r\nx-gray-qos: gold\r\nx-other: stays\r\n";
    let head = seen(STRANGER, fields);
    for gone in ["x-user-id", "x-device-id", "x-city-id", "x-user-tier", "x-gray-release", "x-gray-qos"] {
        assert_eq!(head.get(gone), None, "{gone}");
    }
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("stable"));
    assert_eq!(head.get("x-other").as_deref(), Some("stays"));
}

#[test]
fn identity_headers_of_a_trusted_peer_pass() {
    let head = seen(TRUSTED, "X-User-Id: u1\r\nx-city-id: 440300\r\n");
    assert_eq!(head.get("x-user-id").as_deref(), Some("u1"));
    assert_eq!(head.get("x-city-id").as_deref(), Some("440300"));
}

#[test]
fn a_strangers_identity_does_not_decide() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: region\nregions: { city_id: [\"440300\"] }";
    let plan = Plan::gray(stable.address(), gray.address(), release).trust("127.0.0.2/32");
    let sidecar = Sidecar::start(&plan);
    for (source, lane) in [(TRUSTED, "gray"), (STRANGER, "stable")] {
        let mut client = Client::connect_from(source, sidecar.traffic());
        let response = client.get("/", "x-city-id: 440300\r\n");
        assert_eq!(response.get("x-lane").as_deref(), Some(lane), "{source}");
    }
}

#[test]
fn row_18_forwarding_headers_of_a_trusted_peer_are_appended_to() {
    let fields = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\
                  X-Forwarded-Host: shop.example\r\nForwarded: for=203.0.113.7;proto=https\r\n";
    let head = seen(TRUSTED, fields);
    let list = head.all("x-forwarded-for").join(", ");
    assert_eq!(list, format!("203.0.113.7, {TRUSTED}"));
    assert_eq!(head.get("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(head.get("x-forwarded-host").as_deref(), Some("shop.example"));
    let forwarded = head.all("forwarded").join(", ");
    assert!(forwarded.starts_with("for=203.0.113.7;proto=https"), "{forwarded}");
    // Where the header came in, this hop is added; it is not made up where nobody used it.
    assert!(forwarded.contains(TRUSTED), "{forwarded}");
}

#[test]
fn row_18_forwarding_headers_of_a_stranger_are_overwritten() {
    let fields = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.8\r\n\
                  X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
                  Forwarded: for=203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n";
    let head = seen(STRANGER, fields);
    assert_eq!(head.get("x-forwarded-for").as_deref(), Some(STRANGER));
    assert_eq!(head.get("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(head.get("x-forwarded-host").as_deref(), Some("shop.test"));
    for value in head.all("forwarded") {
        assert!(!value.contains("203.0.113"), "{value}");
    }
}

#[test]
fn the_client_address_is_the_rightmost_that_is_not_trusted() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: full\nconditions: [{ key: client_ip, operator: CIDR, values: [\"203.0.113.0/24\"] }]";
    let plan = Plan::gray(stable.address(), gray.address(), release).trust("127.0.0.2/32, 10.0.0.0/8");
    let sidecar = Sidecar::start(&plan);
    let lane = |source: &str, list: &str| {
        let mut client = Client::connect_from(source, sidecar.traffic());
        let response = client.get("/", &format!("X-Forwarded-For: {list}\r\n"));
        response.get("x-lane").expect("the origin names its lane")
    };
    assert_eq!(lane(TRUSTED, "203.0.113.7, 10.1.1.1"), "gray");
    assert_eq!(lane(TRUSTED, "198.51.100.1, 203.0.113.7"), "gray");
    // Further left stands what anybody may have written.
    assert_eq!(lane(TRUSTED, "203.0.113.7, 198.51.100.1"), "stable");
    assert_eq!(lane(STRANGER, "203.0.113.7"), "stable");
}
