//! Endpoints that an API server tells. It is a stand-in: see `api_server`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::api_server::{ApiServer, TOKEN};
use crate::harness::{Origin, Plan, Sidecar, eventually};

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";

/// A slice of the service `goods` with one endpoint.
fn slice(address: SocketAddr, zone: &str, is_ready: bool) -> Value {
    json!({
        "metadata": { "labels": { "kubernetes.io/service-name": "goods" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [address.ip().to_string()], "conditions": { "ready": is_ready }, "zone": zone }],
        "ports": [{ "name": "http", "port": address.port(), "protocol": "TCP" }],
    })
}

fn plan(server: &ApiServer, more: &str) -> Plan {
    Plan::new()
        .upstream("stable", "k8s:goods.shop:http")
        .rest()
        .file("token", format!("{TOKEN}\n"))
        .more(&format!("kubernetes: {{ url: '{}', token_file: token{more} }}", server.url()))
}

fn lane(sidecar: &Sidecar) -> Option<String> {
    let answer = sidecar.get("/", "");
    answer.get("x-lane").map(|lane| lane.to_string())
}

fn wait_for(sidecar: &Sidecar, wanted: &str) {
    eventually(&format!("an answer of {wanted}"), || (lane(sidecar).as_deref() == Some(wanted)).then_some(()));
}

#[test]
fn the_endpoints_of_a_service_are_those_that_its_slices_name() {
    let (server, one, two) = (ApiServer::start(), Origin::lane("one"), Origin::lane("two"));
    server.put(SLICES, "goods-1", slice(one.address(), "a", true));
    let mut other = slice(two.address(), "a", true);
    other["metadata"]["labels"]["kubernetes.io/service-name"] = json!("price");
    server.put(SLICES, "price-1", other);
    let sidecar = Sidecar::start(&plan(&server, ""));
    assert_eq!(lane(&sidecar).as_deref(), Some("one"), "known before the first request");

    server.put(SLICES, "goods-2", slice(two.address(), "a", true));
    wait_for(&sidecar, "two");
    server.delete(SLICES, "goods-1");
    eventually("the first to be left alone", || {
        (0..10).all(|_| lane(&sidecar).as_deref() == Some("two")).then_some(())
    });
    server.put(SLICES, "goods-2", slice(two.address(), "a", false));
    eventually("no endpoint to be left", || (sidecar.get("/", "").status() == 503).then_some(()));
    let shown = sidecar.admin_get("/api/v1/upstreams").text();
    assert!(shown.contains("k8s:goods.shop:http"), "{shown}");
}

#[test]
fn a_server_that_is_away_leaves_the_endpoints_as_they_are_and_that_is_told_once() {
    let (server, one, two) = (ApiServer::start(), Origin::lane("one"), Origin::lane("two"));
    server.put(SLICES, "goods-1", slice(one.address(), "a", true));
    let sidecar = Sidecar::start(&plan(&server, ""));
    server.away(true);
    eventually("the log to say so", || sidecar.stderr().contains("those found last are used").then_some(()));
    for _ in 0..5 {
        assert_eq!(lane(&sidecar).as_deref(), Some("one"));
    }
    assert_eq!(sidecar.stderr().matches("those found last are used").count(), 1);

    // What happened meanwhile is not in the watch any more.
    server.put(SLICES, "goods-1", slice(two.address(), "a", true));
    server.forget();
    server.away(false);
    wait_for(&sidecar, "two");
    assert!(sidecar.stderr().contains("can be found out again"), "{}", sidecar.stderr());
}

#[test]
fn a_watch_that_ends_goes_on_where_it_was_without_another_list() {
    let (server, one, two) = (ApiServer::start(), Origin::lane("one"), Origin::lane("two"));
    server.put(SLICES, "goods-1", slice(one.address(), "a", true));
    let sidecar = Sidecar::start(&plan(&server, ""));
    let watches = eventually("a watch", || Some(server.watches()).filter(|count| *count > 0));
    let lists = server.calls(&format!("GET {SLICES}"));
    server.end_watches();
    eventually("another watch", || (server.watches() > watches).then_some(()));
    server.put(SLICES, "goods-1", slice(two.address(), "a", true));
    wait_for(&sidecar, "two");
    assert_eq!(server.calls(&format!("GET {SLICES}")), lists);
    assert!(!sidecar.stderr().contains("those found last are used"), "{}", sidecar.stderr());
}

#[test]
fn the_own_zone_comes_first_and_another_one_where_nothing_else_is_left() {
    let (server, near, far) = (ApiServer::start(), Origin::lane("near"), Origin::lane("far"));
    server.put(SLICES, "goods-1", slice(near.address(), "a", true));
    server.put(SLICES, "goods-2", slice(far.address(), "b", true));
    let sidecar = Sidecar::start(&plan(&server, ", zone: a"));
    for _ in 0..30 {
        assert_eq!(lane(&sidecar).as_deref(), Some("near"));
    }
    server.put(SLICES, "goods-1", slice(near.address(), "a", false));
    wait_for(&sidecar, "far");
    server.put(SLICES, "goods-1", slice(near.address(), "a", true));
    wait_for(&sidecar, "near");
}

#[test]
fn a_sidecar_starts_without_a_server_and_finds_the_endpoints_later() {
    let (server, one) = (ApiServer::start(), Origin::lane("one"));
    server.away(true);
    server.put(SLICES, "goods-1", slice(one.address(), "a", true));
    let sidecar = Sidecar::start(&plan(&server, ""));
    assert_eq!(sidecar.get("/", "").status(), 503);
    server.away(false);
    wait_for(&sidecar, "one");
}
