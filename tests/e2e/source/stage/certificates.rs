//! An authority of the test's own, with a certificate for 127.0.0.1 that serves both sides.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair};

/// Files of an authority and of one certificate with its key.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = authority.self_signed(&authority_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut named = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        // etcd ignores users where the certificate of its gateway's client has a common name, and says so with 400.
        named.distinguished_name = DistinguishedName::new();
        let certificate = named.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let files = [("ca.pem", ca.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}
