//! Mutual TLS: who is let in, and whose headers are believed for the name they bear.

use std::time::{Duration, SystemTime};

use rustls::HandshakeKind;

use super::kit::{Authority, Session, behind, provider};
use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

fn origin() -> Origin {
    Origin::answering(|_| answer("200 OK", "", b""))
}

/// A listener that asks for certificates of `clients`, with loopback not trusted.
fn plan(origin: &Origin, ours: &Authority, clients: &Authority, asking: &str, trust: &str) -> Plan {
    let keys = format!(", client_ca: clients.pem, client_auth: {asking}");
    behind(Plan::to(origin.address()), &ours.identity(&["shop.test"]), &keys)
        .file("clients.pem", clients.pem.as_str())
        .trust(trust)
}

const MARKED: &str = "X-User-Id: 7\r\nX-Forwarded-Client-Cert: By=spiffe://shop/ns/edge/gateway\r\n";

#[test]
fn a_peer_is_trusted_by_the_name_of_its_certificate() {
    let (ours, clients, origin) = (Authority::new(), Authority::new(), origin());
    let trust = "\"spiffe://shop/ns/edge/*\", \"dns:gateway.shop\"";
    let sidecar = Sidecar::start(&plan(&origin, &ours, &clients, "optional", trust));
    let known = |names: &[&str]| {
        let mut session =
            Session::open(sidecar.traffic(), &ours.client_as(&clients.identity(names)), "shop.test").unwrap();
        assert!(session.get(MARKED).unwrap().starts_with("http/1.1 200"));
        origin.last().head.get("x-user-id").is_some()
    };
    assert!(known(&["spiffe://shop/ns/edge/gateway"]));
    assert!(known(&["gateway.shop"]));
    assert!(!known(&["spiffe://shop/ns/back/office"]));
    assert!(!known(&["spiffe://shop/ns/edge/"]));
    assert!(!known(&["other.shop"]));
    assert!(!known(&["spiffe://shop/ns/edge/../ops/sa/gateway"]));
    assert!(!known(&["spiffe://evil/x", "spiffe://shop/ns/edge/gateway"]), "two URIs");
    let mut nobody = Session::open(sidecar.traffic(), &ours.client(&[]), "shop.test").unwrap();
    nobody.get(MARKED).unwrap();
    assert_eq!(origin.last().head.get("x-user-id"), None, "no certificate, no name");
    assert_eq!(origin.last().head.get("x-forwarded-client-cert"), None, "a header is no certificate");
}

#[test]
fn a_certificate_that_is_missing_or_wrong_is_refused() {
    let (ours, clients, origin) = (Authority::new(), Authority::new(), origin());
    let sidecar = Sidecar::start(&plan(&origin, &ours, &clients, "required", "127.0.0.0/8"));
    // In TLS 1.3 the client learns with its first read that it was refused.
    let served =
        |config| Session::open(sidecar.traffic(), &config, "shop.test").and_then(|mut session| session.get(""));
    assert!(served(ours.client_as(&clients.identity(&["gateway.shop"]))).is_ok());
    assert!(served(ours.client(&[])).is_err());
    assert!(served(ours.client_as(&ours.identity(&["gateway.shop"]))).is_err(), "another authority");
    let old = clients.make(&["gateway.shop"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(served(ours.client_as(&old)).is_err(), "expired");
    sidecar.wait_for_metric("graylane_tls_handshakes_total", &[("result", "failed")], 3.0);
    assert_eq!(origin.requests().len(), 1);
    let lenient = Sidecar::start(&plan(&origin, &ours, &clients, "optional", "127.0.0.0/8"));
    let served =
        |config| Session::open(lenient.traffic(), &config, "shop.test").and_then(|mut session| session.get(""));
    assert!(served(ours.client(&[])).is_ok());
    assert!(served(ours.client_as(&ours.identity(&["gateway.shop"]))).is_err(), "wrong is not none");
}

#[test]
fn a_name_that_is_not_trusted_any_more_is_not_believed_on_an_open_connection() {
    let (ours, clients, origin) = (Authority::new(), Authority::new(), origin());
    let certificate = ours.identity(&["shop.test"]);
    let plan = |trust| {
        let keys = ", client_ca: clients.pem, client_auth: required";
        behind(Plan::to(origin.address()).admin("insecure_changes: true"), &certificate, keys)
            .file("clients.pem", clients.pem.as_str())
            .trust(trust)
    };
    let sidecar = Sidecar::start(&plan("\"spiffe://shop/ns/edge/*\""));
    let identity = clients.identity(&["spiffe://shop/ns/edge/gateway"]);
    let mut session = Session::open(sidecar.traffic(), &ours.client_as(&identity), "shop.test").unwrap();
    let mut is_believed = || {
        assert!(session.get(MARKED).unwrap().starts_with("http/1.1 200"));
        origin.last().head.get("x-user-id").is_some()
    };
    assert!(is_believed());
    sidecar.reload(&plan("\"spiffe://shop/ns/ops/*\""));
    assert!(!is_believed());
    sidecar.reload(&plan("\"spiffe://shop/ns/edge/gateway\""));
    assert!(is_believed());
}

/// A session that is resumed is not asked for its certificate again, and every resumption gives a new ticket.
#[test]
fn a_certificate_that_has_ended_is_not_believed_for_an_earlier_session() {
    let (ours, clients, origin) = (Authority::new(), Authority::new(), origin());
    let sidecar = Sidecar::start(&plan(&origin, &ours, &clients, "required", "\"dns:gateway.shop\""));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let end = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(4);
        let identity = clients.make(&["gateway.shop"], |params| params.not_after = end);
        let (chain, key) = identity.parts();
        let builder = rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
        let client = builder.unwrap().with_root_certificates(ours.roots()).with_client_auth_cert(chain, key).unwrap();
        // One client: it keeps what it could resume.
        let served = || {
            let mut session = Session::open(sidecar.traffic(), &client, "shop.test")?;
            session.get("").map(|_| session.0.conn.handshake_kind())
        };
        assert_eq!(served().unwrap(), Some(HandshakeKind::Full), "{version:?}");
        eventually("the end of the certificate to count", || match served() {
            Ok(kind) => {
                assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
                None
            }
            Err(_) => Some(()),
        });
    }
}
