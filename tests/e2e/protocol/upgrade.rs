//! Row 14: a tunnel begins with 101 and not before.

use std::sync::mpsc;

use crate::harness::{Origin, Plan, PythonServer, Sidecar, answer, python_script};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn row_14_websockets_client_and_server_talk_through_the_sidecar() {
    let server = PythonServer::start(&mut python_script("ws_server.py"));
    let address = format!("127.0.0.1:{}", server.port());
    let sidecar = Sidecar::start(&Plan::new().upstream("stable", address).rest());
    let client =
        python_script("ws_client.py").arg(format!("ws://{}/live", sidecar.traffic())).output().expect("python starts");
    let said = String::from_utf8_lossy(&client.stdout);
    assert_eq!(said.trim(), "ok", "{}", String::from_utf8_lossy(&client.stderr));
}

#[test]
fn row_14_bytes_flow_both_ways_after_101_and_ends_are_passed_on() {
    let origin = Origin::start(|visit| {
        let Some(head) = visit.head() else { return };
        visit.note(&head);
        let _ = visit.send(format!("{ACCEPTED}first words"));
        while let Ok(bytes) = visit.wire.take(4) {
            let _ = visit.send(bytes.repeat(2));
        }
        let _ = visit.send("bye");
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(UPGRADE.as_bytes());
    let response = client.answer();
    assert_eq!(response.status(), 101);
    assert_eq!(response.get("upgrade").map(|v| v.to_lowercase()).as_deref(), Some("websocket"));
    assert_eq!(client.take(11), b"first words");
    client.send(b"ping");
    assert_eq!(client.take(8), b"pingping");
    // Half-closing passes too: the origin still says goodbye.
    client.finish();
    assert_eq!(client.rest(), b"bye");
    let head = origin.only().head;
    assert_eq!(head.get("upgrade").map(|v| v.to_lowercase()).as_deref(), Some("websocket"));
    assert_eq!(head.get("sec-websocket-key").as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[test]
fn row_14_bytes_behind_a_refused_upgrade_are_never_tunnelled() {
    let (tell, told) = mpsc::channel::<Vec<u8>>();
    let origin = Origin::start(move |visit| {
        let Some(_) = visit.request() else { return };
        let _ = visit.send(answer("200 OK", "", b"no upgrade here"));
        let _ = tell.send(visit.wire.rest());
    });
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(format!("{UPGRADE}\x01\x05hello no http\r\n\r\n").as_bytes());
    let response = client.answer();
    assert_eq!(response.text(), "no upgrade here");
    // What follows is no request: the connection ends, with a refusal or without.
    let rest = client.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&rest));
    drop(sidecar);
    let tunnelled = told.recv().expect("the origin's connection ends");
    assert_eq!(String::from_utf8_lossy(&tunnelled), "");
}

#[test]
fn row_14_a_request_behind_a_refused_upgrade_is_a_request_of_its_own() {
    let origin = Origin::answering(|received| answer("200 OK", "", received.head.target().as_bytes()));
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(format!("{UPGRADE}GET /behind HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    assert_eq!(client.answer().text(), "/ws");
    if let Ok(response) = client.try_answer("GET") {
        assert_eq!(response.text(), "/behind");
        let behind = origin.last().head;
        assert!(behind.get("via").is_some(), "it was not tunnelled");
    }
}

#[test]
fn row_14_an_upgrade_that_was_not_asked_for_is_a_bad_gateway() {
    let origin = Origin::answering(|_| ACCEPTED.as_bytes().to_vec());
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    assert_eq!(sidecar.get("/", "").status(), 502);
}

#[test]
fn row_14_a_change_to_another_protocol_than_was_asked_for_is_a_bad_gateway() {
    let origin = Origin::answering(|_| ACCEPTED.replace("websocket", "h2c").into_bytes());
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let mut client = sidecar.client();
    client.send(UPGRADE.as_bytes());
    assert_eq!(client.answer().status(), 502);
}
