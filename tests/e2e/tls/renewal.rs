//! Certificates that are replaced while the sidecar runs.

use std::os::unix::fs::symlink;

use rustls::HandshakeKind;

use super::kit::{Authority, Identity, Session, TlsOrigin, behind, provider};
use crate::harness::{Origin, Plan, Sidecar, answer, eventually};

const EXPIRY: &str = "graylane_tls_certificate_expiry_seconds";

fn origin() -> Origin {
    Origin::answering(|_| answer("200 OK", "", b""))
}

fn put(sidecar: &Sidecar, name: &str, text: &str) {
    let next = sidecar.directory().join("next.part");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, sidecar.directory().join(name)).unwrap();
}

fn wait_until_shown(sidecar: &Sidecar, authority: &Authority, identity: &Identity) {
    eventually("the new certificate to be shown", || {
        let session = Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").ok()?;
        (session.shown() == identity.parts().0[0]).then_some(())
    });
}

#[test]
fn a_new_pair_counts_for_new_connections_and_ends_no_old_one() {
    let (authority, origin) = (Authority::new(), origin());
    let until = |year| authority.make(&["shop.test"], |params| params.not_after = rcgen::date_time_ymd(year, 1, 1));
    let (old, new) = (until(2090), until(2091));
    let sidecar = Sidecar::start(&behind(Plan::to(origin.address()), &old, ""));
    let mut living = Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").unwrap();
    assert!(living.get("").is_ok());
    sidecar.wait_for_metric(EXPIRY, &[], 3_786_912_000.0);
    put(&sidecar, "tls.crt", &new.cert);
    // A certificate without its key yet is not used, and that is told once.
    eventually("the half pair to be told", || sidecar.stderr().contains("it is not the key of").then_some(()));
    let session = Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").unwrap();
    assert_eq!(session.shown(), old.parts().0[0]);
    put(&sidecar, "tls.key", &new.key);
    wait_until_shown(&sidecar, &authority, &new);
    sidecar.wait_for_metric(EXPIRY, &[], 3_818_448_000.0);
    assert!(living.get("").is_ok(), "the old connection goes on");
    assert_eq!(sidecar.stderr().matches("it is not the key of").count(), 1);
    assert_eq!(sidecar.metric("graylane_config_reloads_total", &[("result", "applied")]), 1.0, "nothing was reloaded");
}

#[test]
fn a_mounted_secret_is_followed_through_its_links() {
    let (authority, origin) = (Authority::new(), origin());
    let (old, new) = (authority.identity(&["shop.test"]), authority.identity(&["shop.test"]));
    let plan = Plan::to(origin.address())
        .listener("tls: { certificates: [{ cert: secret/tls.crt, key: secret/tls.key }] }")
        .file("secret/..1/tls.crt", old.cert.as_str())
        .file("secret/..1/tls.key", old.key.as_str());
    let sidecar = Sidecar::start_laid_out(&plan, |directory, text| {
        let secret = directory.join("secret");
        symlink("..1", secret.join("..data")).unwrap();
        symlink("..data/tls.crt", secret.join("tls.crt")).unwrap();
        symlink("..data/tls.key", secret.join("tls.key")).unwrap();
        let config = directory.join("graylane.yaml");
        std::fs::write(&config, text).unwrap();
        config
    });
    wait_until_shown(&sidecar, &authority, &old);
    // As a kubelet does it: a new folder, then one rename that makes it count.
    let secret = sidecar.directory().join("secret");
    std::fs::create_dir(secret.join("..2")).unwrap();
    std::fs::write(secret.join("..2/tls.crt"), &new.cert).unwrap();
    std::fs::write(secret.join("..2/tls.key"), &new.key).unwrap();
    symlink("..2", secret.join("..data_tmp")).unwrap();
    std::fs::rename(secret.join("..data_tmp"), secret.join("..data")).unwrap();
    std::fs::remove_dir_all(secret.join("..1")).unwrap();
    wait_until_shown(&sidecar, &authority, &new);
    assert!(!sidecar.stderr().contains("cannot be used"), "{}", sidecar.stderr());
}

#[test]
fn another_configuration_changes_what_new_connections_are_asked_for() {
    let (authority, origin) = (Authority::new(), origin());
    let identity = authority.identity(&["shop.test"]);
    let files = |plan: Plan| plan.file("tls.crt", identity.cert.as_str()).file("tls.key", identity.key.as_str());
    let to = || Plan::to(origin.address()).admin("insecure_changes: true");
    let sidecar = Sidecar::start(&files(to()));
    let mut plain = sidecar.client();
    assert_eq!(plain.get("/x", "").status(), 200);
    sidecar.reload(&behind(to(), &identity, ""));
    assert!(Session::open(sidecar.traffic(), &authority.client(&[]), "shop.test").unwrap().get("").is_ok());
    assert_eq!(plain.get("/x", "").status(), 200, "what is open goes on as it began");
    sidecar.reload(&to());
    assert_eq!(sidecar.get("/x", "").status(), 200);
}

#[test]
fn sessions_outlive_a_reload_and_end_with_their_certificate() {
    let (authority, origin) = (Authority::new(), origin());
    let identity = authority.identity(&["shop.test"]);
    let to = || behind(Plan::to(origin.address()).admin("insecure_changes: true"), &identity, "");
    let strict = || behind(Plan::to(origin.address()).admin("insecure_changes: true"), &identity, ", min_version: 1.3");
    let sidecar = Sidecar::start(&to());
    let clients = [&rustls::version::TLS13, &rustls::version::TLS12].map(|version| {
        let builder = rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
        builder.unwrap().with_root_certificates(authority.roots()).with_no_client_auth()
    });
    let kind = |client: &rustls::ClientConfig| {
        let mut session = Session::open(sidecar.traffic(), client, "shop.test").unwrap();
        assert!(session.get("").unwrap().starts_with("http/1.1 200"));
        session.0.conn.handshake_kind().unwrap()
    };
    assert_eq!([kind(&clients[0]), kind(&clients[1])], [HandshakeKind::Full; 2]);
    sidecar.reload(&to().more("limits: { idle: 20s }"));
    assert_eq!([kind(&clients[0]), kind(&clients[1])], [HandshakeKind::Resumed; 2]);
    // The same certificate, put there anew, is the same.
    put(&sidecar, "tls.crt", &identity.cert);
    sidecar.reload(&to().more("limits: { idle: 21s }"));
    assert_eq!([kind(&clients[0]), kind(&clients[1])], [HandshakeKind::Resumed; 2]);
    // Other rules are other sessions.
    sidecar.reload(&strict());
    assert_eq!(kind(&clients[0]), HandshakeKind::Full);
    sidecar.reload(&to());
    assert_eq!([kind(&clients[0]), kind(&clients[1])], [HandshakeKind::Full; 2]);
    let new = authority.identity(&["shop.test"]);
    put(&sidecar, "tls.key", &new.key);
    put(&sidecar, "tls.crt", &new.cert);
    sidecar.reload(&to().more("limits: { idle: 22s }"));
    assert_eq!([kind(&clients[0]), kind(&clients[1])], [HandshakeKind::Full; 2]);
}

#[test]
fn the_authority_of_an_upstream_is_renewed() {
    let (old, new) = (Authority::new(), Authority::new());
    let origin = TlsOrigin::start(&new.identity(&["127.0.0.1"]), None);
    let upstream = format!("endpoints: [\"{}\"], tls: {{ ca: ca.pem }}", origin.address);
    let plan = Plan::new().upstream_of("stable", &upstream).rest().file("ca.pem", old.pem.as_str());
    let sidecar = Sidecar::start(&plan);
    assert_eq!(sidecar.get("/x", "").status(), 502);
    put(&sidecar, "ca.pem", &new.pem);
    eventually("the new authority to count", || (sidecar.get("/x", "").status() == 200).then_some(()));
}
