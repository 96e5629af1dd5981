//! Trust that is given or taken while connections are open: the next request on each goes by the new configuration.

use crate::harness::{Client, Origin, Plan, Sidecar, answer, collect, h2_client, patient};

const LOOPBACK: &str = "127.0.0.0/8";
const NOBODY: &str = "192.0.2.0/24";

fn origin() -> Origin {
    Origin::answering(|_| answer("200 OK", "", b""))
}

fn trusting(origin: &Origin, networks: &str) -> Plan {
    Plan::to(origin.address()).admin("insecure_changes: true").trust(networks)
}

/// Whether what the client says of its user gets through.
fn is_believed(client: &mut Client, origin: &Origin) -> bool {
    assert_eq!(client.get("/x", "X-User-Id: 7\r\n").status(), 200);
    origin.last().head.get("x-user-id").is_some()
}

#[test]
fn an_open_connection_is_trusted_as_the_configuration_in_force_says() {
    let origin = origin();
    let sidecar = Sidecar::start(&trusting(&origin, LOOPBACK));
    let mut client = sidecar.client();
    assert!(is_believed(&mut client, &origin));
    sidecar.reload(&trusting(&origin, NOBODY));
    assert!(!is_believed(&mut client, &origin), "trust that was taken");
    sidecar.reload(&trusting(&origin, LOOPBACK));
    assert!(is_believed(&mut client, &origin), "trust that was given");
    sidecar.reload(&trusting(&origin, LOOPBACK).more("limits: { idle: 20s }"));
    assert!(is_believed(&mut client, &origin), "trust that nobody touched");
}

#[tokio::test]
async fn so_is_one_of_http2() {
    let origin = origin();
    let sidecar = Sidecar::start(&trusting(&origin, LOOPBACK));
    let mut client = h2_client(sidecar.traffic()).await;
    let mut believed = Vec::new();
    for networks in [LOOPBACK, NOBODY, LOOPBACK] {
        sidecar.reload(&trusting(&origin, networks));
        client = patient("room for a stream", client.ready()).await.unwrap();
        let request = http::Request::get("http://a/x").header("x-user-id", "7").body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let answer = patient("an answer", answer).await.unwrap();
        collect(answer.into_body()).await.unwrap();
        believed.push(origin.last().head.get("x-user-id").is_some());
    }
    assert_eq!(believed, [true, false, true]);
}

/// Who a balancer told of was settled once, and so was that nothing was told: a network that covers the balancer makes nobody
/// of those trusted later.
#[test]
fn what_a_balancer_told_counts_for_the_life_of_the_connection() {
    let origin = origin();
    let plan = |networks| trusting(&origin, networks).listener("proxy_protocol: { from: [127.0.0.0/8] }");
    let sidecar = Sidecar::start(&plan("10.0.0.0/8"));
    let told = |header: &str| {
        let mut client = sidecar.client();
        client.send(header.as_bytes());
        client
    };
    let mut known = told("PROXY TCP4 10.9.9.9 10.0.0.1 56324 443\r\n");
    let mut unknown = told("PROXY UNKNOWN\r\n");
    assert!(is_believed(&mut known, &origin) && !is_believed(&mut unknown, &origin));
    sidecar.reload(&plan(LOOPBACK));
    assert!(!is_believed(&mut known, &origin), "its own network is not trusted any more");
    assert!(!is_believed(&mut unknown, &origin), "the balancer's address says nothing of it");
    sidecar.reload(&plan("10.9.0.0/16"));
    assert!(is_believed(&mut known, &origin) && !is_believed(&mut unknown, &origin));
}
