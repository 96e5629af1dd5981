//! Where a request is addressed to: absolute form, authority, Host, and who answers `TRACE` and `OPTIONS`.

use http::Request;

use crate::harness::{Origin, Plan, Sidecar, collect, h2_client, patient};

fn scene() -> (Sidecar, Origin) {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    (sidecar, origin)
}

#[test]
fn row_02_absolute_form_replaces_the_host() {
    let (sidecar, origin) = scene();
    let request = b"GET http://real.test:8080/x?y=1 HTTP/1.1\r\nHost: forged.test\r\n\r\n";
    assert_eq!(sidecar.client().exchange(request).status(), 200);
    let head = origin.only().head;
    assert_eq!(head.target(), "/x?y=1");
    assert_eq!(head.get("host").as_deref(), Some("real.test:8080"));
}

#[test]
fn row_02_absolute_form_without_a_path_asks_for_the_root() {
    let (sidecar, origin) = scene();
    let request = b"GET http://real.test HTTP/1.1\r\nHost: real.test\r\n\r\n";
    assert_eq!(sidecar.client().exchange(request).status(), 200);
    assert_eq!(origin.only().head.target(), "/");
}

#[tokio::test]
async fn row_03_the_authority_wins_over_a_host_header() {
    let (sidecar, origin) = scene();
    let request = Request::get("http://real.test/x").header("host", "forged.test").body(()).expect("a request");
    let mut client = h2_client(sidecar.traffic()).await;
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = patient("an answer", response).await;
    // Refusing the contradiction is as good as settling it.
    let Ok(response) = response else { return };
    if response.status() == 400 {
        return;
    }
    assert_eq!(response.status(), 200);
    let head = origin.only().head;
    assert_eq!(head.get("host").as_deref(), Some("real.test"));
}

#[tokio::test]
async fn the_authority_becomes_the_host_of_an_http_1_upstream() {
    let (sidecar, origin) = scene();
    let request = Request::get("http://shop.test:8443/x?y=%20").body(()).expect("a request");
    let mut client = h2_client(sidecar.traffic()).await;
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = patient("an answer", response).await.expect("an answer");
    let (body, _) = collect(response.into_body()).await.expect("a body");
    assert_eq!(body, b"{\"lane\":\"stable\"}");
    let head = origin.only().head;
    assert_eq!(head.target(), "/x?y=%20");
    assert_eq!(head.get("host").as_deref(), Some("shop.test:8443"));
}

#[test]
fn the_host_passes_as_sent() {
    let (sidecar, origin) = scene();
    for host in ["Shop.Test:8080", "[::1]:80", "127.0.0.1", "xn--fiqs8s.test"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(sidecar.client().exchange(request.as_bytes()).status(), 200);
        assert_eq!(origin.last().head.get("host").as_deref(), Some(host));
    }
}

#[test]
fn row_11_max_forwards_is_honoured_for_trace_and_options() {
    let (sidecar, origin) = scene();
    for method in ["TRACE", "OPTIONS"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        sidecar.client().exchange(request.as_bytes());
        assert!(origin.requests().is_empty(), "{method} went on");
    }
    let request = b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n";
    sidecar.client().exchange(request);
    assert_eq!(origin.last().head.get("max-forwards").as_deref(), Some("4"));
    sidecar.get("/", "Max-Forwards: 0\r\n");
    let passed = origin.last().head;
    assert_eq!(passed.method(), "GET");
    assert_eq!(passed.get("max-forwards").as_deref(), Some("0"));
}

#[test]
fn options_about_the_server_itself_go_where_its_root_goes() {
    let (sidecar, origin) = scene();
    for target in ["*", "http://real.test"] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: real.test\r\n\r\n");
        assert_eq!(sidecar.client().exchange(request.as_bytes()).status(), 200);
        // RFC 9112 section 3.2.4: the last proxy sends an asterisk.
        assert_eq!(origin.last().head.target(), "*");
    }
    let request = b"OPTIONS http://real.test/ HTTP/1.1\r\nHost: real.test\r\n\r\n";
    sidecar.client().exchange(request);
    assert_eq!(origin.last().head.target(), "/");
}

#[test]
fn nothing_may_stand_before_the_preface_of_http_2() {
    let (sidecar, _origin) = scene();
    let mut client = sidecar.client();
    client.send(b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(client.rest().starts_with(b"HTTP/1.1 505"));
}
