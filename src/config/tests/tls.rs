//! TLS, the PROXY protocol and names of trusted peers.

use super::super::{KeyFiles, load_text};
use super::{check, goods, lines, load};

const BIND: &str = "- bind: 127.0.0.1:15080";

/// The example with further lines of its listener.
fn listener(keys: &str) -> String {
    goods(BIND, &format!("{BIND}\n    {keys}"))
}

#[test]
fn what_cannot_be_had_is_told() {
    check(listener("tls: {}"), "11:10: missing field `certificates` in `tls`");
    check(listener("tls: { certificates: [] }"), "11:12: `certificates` has 1 to 256 of them");
    check(listener("tls: { certificates: [{ cert: a }] }"), "11:29: missing field `key` in a certificate");
    let pair = "certificates: [{ cert: a, key: b }]";
    check(
        listener(&format!("tls: {{ {pair}, client_auth: required }}")),
        "11:62: clients can be verified only by `client_ca`, a file of those who vouch for them",
    );
    check(listener("proxy_protocol: { from: [] }"), "11:23: `proxy_protocol` without a network lets nobody in");
    check(listener("proxy_protocol: { from: [balancer] }"), "11:30: `balancer` is no network");
    check(
        goods("trust: [127.0.0.0/8]", "trust: [\"spiffe://shop/n*\"]"),
        "13:9: `spiffe://shop/n*` is no name of a certificate",
    );
}

#[test]
fn names_without_anybody_who_verifies_them_are_warned_of() {
    let loaded = load(goods("trust: [127.0.0.0/8]", "trust: [\"dns:gateway.shop\"]")).unwrap();
    assert!(lines(loaded.warnings.iter()).contains("so nobody is ever `dns:gateway.shop`"));
}

#[test]
fn files_are_tried_when_the_configuration_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let soon = rcgen::generate_simple_self_signed(vec!["shop.test".to_owned()]).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let put = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    put("old.crt", params.self_signed(&key).unwrap().pem());
    put("old.key", key.serialize_pem());
    put("good.crt", soon.cert.pem());
    put("good.key", soon.signing_key.serialize_pem());
    put("no.pem", "nothing".to_owned());
    let tried = |cert: &str, key: &str| {
        let text = listener(&format!("tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }}"));
        match load_text(&folder.path().join("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent) {
            Ok(loaded) => lines(loaded.warnings.iter()),
            Err(problems) => lines(problems.iter()),
        }
    };
    assert!(!tried("good.crt", "good.key").contains("good"));
    assert!(tried("good.crt", "old.key").contains("it is not the key of"));
    assert!(tried("no.pem", "old.key").contains("no certificate in it"));
    assert!(tried("good.crt", "no.pem").contains("no private key in it"));
    assert!(tried("old.crt", "old.key").contains("has expired"));
    assert!(tried("good.crt", "absent.key").contains("absent.key` is not here; `run` needs it"));
}

#[test]
fn endpoints_are_verified_outside_of_development() {
    let upstreams = "upstreams:\n  secret: { endpoints: [\"10.0.0.7:8443\"], tls: { verify: off } }\n";
    check(
        goods("upstreams:\n", upstreams),
        "29:58: `verify: off` believes anybody; it is for `environment: dev` alone",
    );
    let upstreams = "upstreams:\n  secret: { endpoints: [\"unix:/run/x\"], tls: {} }\n";
    check(
        goods("upstreams:\n", upstreams),
        "29:46: `tls` is for endpoints `HOST:PORT` and `k8s:SERVICE.NAMESPACE:PORT` alone",
    );
}
