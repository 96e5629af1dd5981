//! Certificates for a webhook, as files.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The name by which an API server calls a webhook.
pub(super) const HOST: &str = "graylane-webhook.graylane-system.svc";

/// Writes `ca.pem`, `tls.crt` and `tls.key`, by another authority each time. The last year that counts is `until`.
pub(super) fn write(folder: &Path, until: i32) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Of one name with what it signs, it would be taken for what is signed by itself.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let ca = authority.self_signed(&authority_key).unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    // The key first: until its certificate is there the two do not fit, and what was read before stays.
    for (name, text) in [("ca.pem", ca.pem()), ("tls.key", key.serialize_pem()), ("tls.crt", certificate.pem())] {
        let next = folder.join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, folder.join(name)).unwrap();
    }
}
