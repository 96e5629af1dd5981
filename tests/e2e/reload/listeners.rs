//! Listeners that come, go and move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{plan_to, put};
use crate::harness::{Client, Origin, Plan, Port, Sidecar, answer, eventually};

/// The plan's text with these listeners in place of its own.
fn listening(sidecar: &Sidecar, plan: &Plan, on: &[std::net::SocketAddr]) -> String {
    let own = format!("  - bind: {}\n", sidecar.traffic());
    let lines: String = on.iter().map(|address| format!("  - bind: {address}\n")).collect();
    sidecar.text_of(plan).replacen(&own, &lines, 1)
}

fn get(address: std::net::SocketAddr) -> u16 {
    Client::once(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status()
}

#[test]
fn a_listener_comes_and_goes_and_the_other_is_not_touched() {
    let origin = Origin::lane("one");
    let plan = plan_to(&origin, "");
    let (sidecar, port) = (Sidecar::start(&plan), Port::reserve());
    let mut kept = sidecar.client();
    assert_eq!(kept.get("/", "").status(), 200);

    let both = listening(&sidecar, &plan, &[sidecar.traffic(), port.address()]);
    let answer = put(&sidecar, &both);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(get(port.address()), 200);
    let shown = sidecar.admin_get("/api/v1/config").json()["listeners"].clone();
    assert_eq!(shown, serde_json::json!([sidecar.traffic().to_string(), port.address().to_string()]));

    let mut leaving = Client::connect(port.address());
    assert_eq!(leaving.get("/", "").status(), 200);
    assert_eq!(put(&sidecar, listening(&sidecar, &plan, &[sidecar.traffic()])).status(), 200);
    leaving.assert_closed();
    eventually("the port to be closed", || Client::try_connect(port.address()).is_err().then_some(()));
    assert_eq!(kept.get("/", "").status(), 200, "on the connection that was there before");
}

#[test]
fn a_listener_that_moves_ends_what_came_by_it_in_order() {
    let open = Arc::new(AtomicBool::new(false));
    let switch = open.clone();
    let origin = Origin::answering(move |request| {
        while request.head.target() == "/hold" && !switch.load(Ordering::Acquire) {
            // The time that the answer takes, in small parts.
            std::thread::sleep(Duration::from_millis(2));
        }
        answer("200 OK", "", b"whole")
    });
    let plan = plan_to(&origin, "");
    let (sidecar, port) = (Sidecar::start(&plan), Port::reserve());
    let (mut busy, mut idle) = (sidecar.client(), sidecar.client());
    assert_eq!(idle.get("/", "").status(), 200);
    busy.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for(2);

    assert_eq!(put(&sidecar, listening(&sidecar, &plan, &[port.address()])).status(), 200);
    assert_eq!(get(port.address()), 200);
    idle.assert_closed();
    eventually("the old port to be closed", || Client::try_connect(sidecar.traffic()).is_err().then_some(()));
    open.store(true, Ordering::Release);
    let answer = busy.answer();
    assert_eq!((answer.status(), answer.get("connection").as_deref()), (200, Some("close")));
    busy.assert_closed();
}

#[test]
fn an_address_that_is_taken_is_refused_and_nothing_changes() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let answer = put(&sidecar, listening(&sidecar, &plan_to(&two, ""), &[sidecar.traffic(), address]));
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let problem = answer.json()["problems"][0].to_string();
    assert!(problem.contains(&address.to_string()) && problem.contains("in use"), "{problem}");
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("one"));
}

#[test]
fn the_admin_port_moves_and_answers_the_call_that_moved_it() {
    let origin = Origin::lane("one");
    let plan = plan_to(&origin, "");
    let (sidecar, port) = (Sidecar::start(&plan), Port::reserve());
    let text = sidecar.text_of(&plan).replacen(
        &format!("bind: {},", sidecar.admin()),
        &format!("bind: {},", port.address()),
        1,
    );
    let answer = put(&sidecar, text);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(
        Client::once(port.address(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status(),
        200
    );
    eventually("the old port to be closed", || Client::try_connect(sidecar.admin()).is_err().then_some(()));
}
