//! What a listener with TLS does for clients and refuses them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;

use super::kit::{Authority, Session, behind, provider};
use crate::harness::{H2Origin, Origin, PATIENCE, Plan, Sidecar, answer, collect, patient, send_all};

const HANDSHAKES: &str = "graylane_tls_handshakes_total";

fn echo() -> Origin {
    Origin::answering(|received| answer("200 OK", "", &received.body))
}

#[test]
fn alpn_chooses_the_protocol_and_without_it_http1_is_spoken() {
    let (authority, origin) = (Authority::new(), echo());
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    for (offered, chosen) in
        [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
    {
        let session = Session::open(sidecar.traffic(), &authority.client(&offered), "shop.test").unwrap();
        assert_eq!(session.alpn().as_deref(), chosen, "{offered:?}");
    }
    let stranger = authority.client(&["spdy/3"]);
    assert!(Session::open(sidecar.traffic(), &stranger, "shop.test").is_err());
    let mut session = Session::open(sidecar.traffic(), &authority.client(&["http/1.1"]), "shop.test").unwrap();
    let mut body = format!("POST /x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {}\r\n\r\n", 1 << 20).into_bytes();
    body.extend(vec![b'a'; 1 << 20]);
    assert!(session.exchange(&body).unwrap().ends_with("aaaa"));
    assert!(session.get("").unwrap().starts_with("http/1.1 200"), "the connection stays");
    assert_eq!(origin.last().head.get("x-forwarded-proto").as_deref(), Some("https"));
}

#[test]
fn an_end_is_announced() {
    let (authority, origin) = (Authority::new(), echo());
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    let mut session = Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").unwrap();
    session.get("Connection: close\r\n").unwrap();
    // rustls makes an end without `close_notify` an error.
    assert_eq!(session.0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_certificate_is_chosen_by_the_name_asked_for() {
    let (authority, origin) = (Authority::new(), echo());
    let [first, exact, wild] =
        [&["first.test"], &["shop.test"], &["*.shop.test"]].map(|names| authority.identity(names));
    let plan = Plan::to(origin.address()).listener(
        "tls: { certificates: [{ cert: 1.crt, key: 1.key }, { cert: 2.crt, key: 2.key }, { cert: 3.crt, key: 3.key }] }",
    );
    let plan = [&first, &exact, &wild].iter().zip(1..).fold(plan, |plan, (identity, n)| {
        plan.file(&format!("{n}.crt"), identity.cert.as_str()).file(&format!("{n}.key"), identity.key.as_str())
    });
    let sidecar = Sidecar::start(&plan);
    let client = authority.client(&[]);
    let shown = |name: &str| Session::open(sidecar.traffic(), &client, name).map(|session| session.shown());
    for (name, identity) in [("first.test", &first), ("SHOP.test", &exact), ("a.shop.test", &wild)] {
        assert_eq!(shown(name).unwrap(), identity.parts().0[0], "{name}");
    }
    for stranger in ["a.b.shop.test", "other.test"] {
        assert!(shown(stranger).unwrap_err().to_string().contains("not valid for name"), "{stranger}");
    }
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let (authority, origin) = (Authority::new(), echo());
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let builder =
            rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let config = builder.with_root_certificates(authority.roots()).with_no_client_auth();
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut session = Session::open(sidecar.traffic(), &config, "shop.test").unwrap();
            assert!(session.get("").unwrap().starts_with("http/1.1 200"));
            assert_eq!(session.0.conn.handshake_kind(), Some(expected), "{version:?}");
        }
    }
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "full")], 2.0);
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "resumed")], 2.0);
}

fn openssl(sidecar: &Sidecar, version: &str) -> Output {
    let address = sidecar.traffic().to_string();
    let mut command = Command::new("openssl");
    // Level 0 lets OpenSSL offer what is out of date.
    command.args(["s_client", "-connect", &address, "-servername", "shop.test", version, "-cipher", "ALL:@SECLEVEL=0"]);
    command.stdin(Stdio::null()).output().expect("openssl is installed")
}

#[test]
fn old_versions_are_refused() {
    let (authority, origin) = (Authority::new(), echo());
    let identity = authority.identity(&["shop.test"]);
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &identity, ""));
    for (version, is_spoken) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let output = openssl(&sidecar, version);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.contains("BEGIN CERTIFICATE"), is_spoken, "{version}: {text}");
    }
    let strict = Sidecar::start(&behind(Plan::to(origin.address()), &identity, ", min_version: 1.3"));
    assert!(!String::from_utf8_lossy(&openssl(&strict, "-tls1_2").stdout).contains("BEGIN CERTIFICATE"));
    assert!(String::from_utf8_lossy(&openssl(&strict, "-tls1_3").stdout).contains("BEGIN CERTIFICATE"));
    strict.wait_for_metric(HANDSHAKES, &[("result", "failed")], 1.0);
}

#[test]
fn other_peoples_clients_are_served() {
    let (authority, origin) = (Authority::new(), echo());
    let plan = behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), "")
        .file("ca.pem", authority.pem.as_str());
    let sidecar = Sidecar::start(&plan);
    let ca = sidecar.directory().join("ca.pem");
    for (version, shown) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
        let port = sidecar.traffic().port();
        let output = Command::new("curl")
            .args(["-sS", "-i", version, "--noproxy", "*", "-d", "hello", "--cacert"])
            .arg(&ca)
            .args(["--resolve", &format!("shop.test:{port}:127.0.0.1"), &format!("https://shop.test:{port}/x")])
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.starts_with(shown) && text.ends_with("hello"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let script = "import http.client, ssl, socket, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n\
        connection = http.client.HTTPConnection('shop.test')\n\
        connection.sock = context.wrap_socket(raw, server_hostname='shop.test')\n\
        for body in ['one', 'two']:\n  connection.request('POST', '/x', body)\n  print(connection.getresponse().read().decode())\n";
    let output =
        Command::new("python3").args(["-c", script]).arg(&ca).arg(sidecar.traffic().port().to_string()).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("python3 is installed").stdout), "one\ntwo\n");
}

#[test]
fn plain_http_is_told_so_and_counted() {
    let (authority, origin) = (Authority::new(), echo());
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    let answer = sidecar.get("/x", "");
    assert_eq!((answer.status(), answer.text().trim()), (400, "this port speaks TLS."));
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "plain_http")], 1.0);
    let mut garbage = sidecar.client();
    garbage.send(&[0x16, 3, 1, 0, 4, 9, 9, 9, 9]);
    garbage.rest();
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "failed")], 1.0);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_slow_handshake_is_ended_and_many_are_not_waited_for() {
    let (authority, origin) = (Authority::new(), echo());
    let plan = behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), "");
    let sidecar = Sidecar::start(&plan.more("limits: { handshake_time: 1s, handshakes: 2 }"));
    let mut slow = [sidecar.client(), sidecar.client()];
    slow.iter_mut().for_each(|client| client.send(&[0x16, 3]));
    // The third is closed at once, because two are before their first request.
    crate::harness::eventually("the third to be refused", || {
        let refused = Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").is_err();
        refused.then_some(())
    });
    slow.iter_mut().for_each(|client| client.assert_closed());
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "timed_out")], 2.0);
    assert!(sidecar.metric(HANDSHAKES, &[("result", "busy")]) >= 1.0);
    Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").expect("there is room again");
}

#[test]
fn a_tunnel_goes_through_tls() {
    let authority = Authority::new();
    let origin = Origin::start(|visit| {
        let head = visit.head().unwrap();
        visit.note(&head);
        visit.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nwelcome");
        let said = visit.wire.take(4).unwrap();
        visit.send(said);
        visit.wait_for_close();
    });
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    let mut session = Session::open(sidecar.traffic(), &authority.client(&["http/1.1"]), "shop.test").unwrap();
    let asked = "GET /live HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(session.exchange(asked.as_bytes()).unwrap().starts_with("http/1.1 101"));
    let mut welcome = [0; 7];
    session.0.read_exact(&mut welcome).unwrap();
    session.0.write_all(b"ping").unwrap();
    session.0.flush().unwrap();
    let mut back = [0; 4];
    session.0.read_exact(&mut back).unwrap();
    assert_eq!((&welcome, &back), (b"welcome", b"ping"));
}

#[tokio::test]
async fn http2_with_trailers_goes_through_tls() {
    let (authority, origin) = (Authority::new(), H2Origin::echo());
    let plan = Plan::new().upstream_h2("stable", origin.address()).rest();
    let sidecar = Sidecar::start(&behind(plan, &authority.identity(&["shop.test"]), ""));
    let socket = tokio::net::TcpStream::connect(sidecar.traffic()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(authority.client(&["h2"])));
    let stream = connector.connect(ServerName::try_from("shop.test").unwrap(), socket).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut send = patient("room for a stream", send.ready()).await.unwrap();
    let request = http::Request::post("https://shop.test/goods.Prices/Get").header("te", "trailers");
    let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
    let large = Bytes::from(vec![7; 300_000]);
    let sending = async {
        send_all(&mut body, large.clone(), false).await.unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        body.send_trailers(trailers).unwrap();
    };
    let receiving = async { collect(answer.await.unwrap().into_body()).await.unwrap() };
    let ((), (echoed, trailers)) = patient("the echo", async { tokio::join!(sending, receiving) }).await;
    assert!(echoed == large && trailers.unwrap()["grpc-status"] == "0");
}

#[test]
fn a_client_that_leaves_in_the_handshake_is_counted() {
    let (authority, origin) = (Authority::new(), echo());
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &authority.identity(&["shop.test"]), ""));
    let stream = TcpStream::connect(sidecar.traffic()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(stream);
    sidecar.wait_for_metric(HANDSHAKES, &[("result", "closed")], 1.0);
}
