//! The lane mark: a decision is made once per call chain, and believed only from those who may make it.

use crate::harness::{Client, Origin, Plan, Sidecar};

fn closed_release() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), "level: permille\npermille: 0").trust("127.0.0.2/32");
    (Sidecar::start(&plan), stable, gray)
}

fn lane_from(source: &str, sidecar: &Sidecar, fields: &str) -> String {
    let mut client = Client::connect_from(source, sidecar.traffic());
    client.get("/", fields).get("x-lane").expect("the origin names its lane")
}

#[test]
fn a_mark_counts_from_a_trusted_peer_only() {
    let (sidecar, stable, gray) = closed_release();
    let mark = "x-gray-lane: gray\r\n";
    assert_eq!(lane_from("127.0.0.2", &sidecar, mark), "gray");
    assert_eq!(lane_from("127.0.0.3", &sidecar, mark), "stable");
    let forged = stable.only().head;
    assert_eq!(forged.get("x-gray-lane").as_deref(), Some("stable"));
    let believed = gray.only().head;
    assert_eq!(believed.get("x-gray-lane").as_deref(), Some("gray"));
}

#[test]
fn a_mark_counts_for_its_own_release_or_where_none_is_named() {
    let (sidecar, _stable, _gray) = closed_release();
    let same = "x-gray-lane: gray\r\nx-gray-release: r\r\n";
    assert_eq!(lane_from("127.0.0.2", &sidecar, same), "gray");
    let other = "x-gray-lane: gray\r\nx-gray-release: another\r\n";
    assert_eq!(lane_from("127.0.0.2", &sidecar, other), "stable");
}

#[test]
fn the_upstream_is_told_lane_and_release() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(
        stable.address(),
        gray.address(),
        "level: permille\npermille: 1000\nconditions: [{ key: user_tier, operator: EQ, value: VIP }]",
    );
    let sidecar = Sidecar::start(&plan);
    sidecar.get("/", "x-user-tier: VIP\r\n");
    let head = gray.only().head;
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("gray"));
    assert_eq!(head.get("x-gray-release").as_deref(), Some("r"));
    sidecar.get("/", "");
    assert_eq!(stable.only().head.get("x-gray-lane").as_deref(), Some("stable"));
}

#[test]
fn a_mark_for_a_lane_the_route_does_not_have_is_stable() {
    let (sidecar, stable, _gray) = closed_release();
    let mark = "x-gray-lane: bronze\r\n";
    assert_eq!(lane_from("127.0.0.2", &sidecar, mark), "stable");
    assert_eq!(stable.only().head.get("x-gray-lane").as_deref(), Some("stable"));
}

#[test]
fn the_response_mark_shows_the_lane_and_keeps_shared_caches_apart() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), "level: full").more("response_mark: header\n");
    let sidecar = Sidecar::start(&plan);
    let response = sidecar.get("/", "");
    assert_eq!(response.get("x-gray-lane").as_deref(), Some("gray"));
    let vary = response.get("vary").is_some();
    let private = response.get("cache-control").is_some_and(|value| value.contains("private"));
    assert!(vary || private, "{response:?}");
}
