//! Endpoints behind TLS: verified, named, and known by our certificate.

use super::kit::{Authority, Identity, TlsOrigin};
use crate::harness::{Broken, Client, Plan, Response, Sidecar, eventually};

/// Everything to one endpoint with these keys of `tls` and of the upstream.
fn plan(origin: &TlsOrigin, authority: &Authority, tls: &str, keys: &str) -> Plan {
    let upstream = format!("endpoints: [\"{}\"], tls: {{ {tls} }}{keys}", origin.address);
    Plan::new().upstream_of("stable", &upstream).rest().file("ca.pem", authority.pem.as_str())
}

fn said(answer: &Response, name: &str) -> String {
    answer.get(name).unwrap_or_default()
}

#[test]
fn an_endpoint_is_verified_by_its_address_or_by_the_name_given() {
    let authority = Authority::new();
    let origin = TlsOrigin::start(&authority.identity(&["127.0.0.1"]), None);
    let sidecar = Sidecar::start(&plan(&origin, &authority, "ca: ca.pem", ""));
    let answer = sidecar.get("/x", "");
    assert_eq!(
        (answer.status(), said(&answer, "x-alpn").as_str(), said(&answer, "x-sni").as_str()),
        (200, "http/1.1", "none")
    );
    let named = TlsOrigin::start(&authority.identity(&["goods.internal"]), None);
    let sidecar = Sidecar::start(&plan(&named, &authority, "ca: ca.pem, server_name: goods.internal", ""));
    let answer = sidecar.get("/x", "");
    assert_eq!((answer.status(), said(&answer, "x-sni").as_str()), (200, "goods.internal"));
    let again = sidecar.get("/x", "");
    assert_eq!(again.status(), 200);
    assert_eq!(sidecar.metric("graylane_upstream_connects_total", &[("result", "connected")]), 1.0, "it was kept");
}

#[test]
fn http2_is_chosen_by_alpn() {
    let authority = Authority::new();
    let origin = TlsOrigin::start(&authority.identity(&["127.0.0.1"]), None);
    let sidecar = Sidecar::start(&plan(&origin, &authority, "ca: ca.pem", ", protocol: h2"));
    let answer = sidecar.get("/x", "");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "origin"));
    assert_eq!((said(&answer, "x-alpn").as_str(), said(&answer, "x-scheme").as_str()), ("h2", "https"));
}

#[test]
fn http2_is_spoken_to_nobody_who_does_not_offer_it() {
    let authority = Authority::new();
    for (alpn, why) in [(&[][..], "does not offer HTTP/2"), (&[&b"http/1.1"[..]][..], "NoApplicationProtocol")] {
        let origin = TlsOrigin::offering(alpn, &authority.identity(&["127.0.0.1"]), None);
        let sidecar = Sidecar::start(&plan(&origin, &authority, "ca: ca.pem", ", protocol: h2"));
        let answer = sidecar.get("/x", "");
        assert_eq!(answer.status(), 502);
        assert!(answer.text().contains("connect_failed"), "{}", answer.text());
        sidecar.wait_for_metric("graylane_upstream_connects_total", &[("result", "tls")], 1.0);
        eventually(&format!("the log to say {why}"), || sidecar.stderr().contains(why).then_some(()));
    }
}

#[test]
fn who_is_not_believed_gets_no_request() {
    let (authority, other) = (Authority::new(), Authority::new());
    let old = authority.make(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let cases: [(&str, Identity); 3] = [
        ("UnknownIssuer", other.identity(&["127.0.0.1"])),
        ("expired", old),
        ("not valid for name", authority.identity(&["goods.internal"])),
    ];
    for (why, identity) in cases {
        let origin = TlsOrigin::start(&identity, None);
        let sidecar = Sidecar::start(&plan(&origin, &authority, "ca: ca.pem", ""));
        assert_eq!(sidecar.get("/x", "").status(), 502, "{why}");
        sidecar.wait_for_metric("graylane_upstream_connects_total", &[("result", "tls")], 1.0);
        eventually(&format!("the log to say {why}"), || sidecar.stderr().contains(why).then_some(()));
    }
    let origin = TlsOrigin::start(&other.identity(&["127.0.0.1"]), None);
    let blind = Sidecar::start(&plan(&origin, &authority, "verify: off", "").environment("dev"));
    assert_eq!(blind.get("/x", "").status(), 200);
}

#[test]
fn an_endpoint_that_asks_is_shown_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let origin = TlsOrigin::start(&authority.identity(&["127.0.0.1"]), Some(&clients));
    let us = clients.identity(&["goods-core.shop"]);
    let tls = "ca: ca.pem, client_cert: us.crt, client_key: us.key";
    let plan = plan(&origin, &authority, tls, ", health: { http: /healthz, interval: 100ms }");
    let sidecar = Sidecar::start(&plan.file("us.crt", us.cert).file("us.key", us.key));
    assert_eq!(said(&sidecar.get("/x", ""), "x-client"), "known");
    eventually("checks by the same TLS to pass", || {
        (sidecar.metric("graylane_endpoint_checks_total", &[("result", "passed")]) >= 2.0).then_some(())
    });
    assert!(sidecar.metric("graylane_tls_certificate_expiry_seconds", &[("owner", "stable")]) > 1e9);
}

#[test]
fn a_body_without_a_length_is_whole_only_if_its_end_is_announced() {
    let authority = Authority::new();
    let origin = TlsOrigin::start(&authority.identity(&["127.0.0.1"]), None);
    let sidecar = Sidecar::start(&plan(&origin, &authority, "ca: ca.pem", ""));
    let ask = |target: &str| {
        let mut client: Client = sidecar.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n\r\n").as_bytes());
        client.try_answer("GET")
    };
    assert_eq!(ask("/whole").map(|answer| answer.text()).ok().as_deref(), Some("so far"));
    let cut: Result<Response, Broken> = ask("/endless");
    assert!(cut.is_err(), "it was cut and must not look whole");
}
