//! A certificate of one run, and a client that believes it and nothing older than TLS 1.3.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::StageError;

/// The name in the certificate.
pub const NAME: &str = "localhost";

/// Writes `cert.pem`, `key.pem` and, for HAProxy, `both.pem`; gives what clients need.
///
/// # Errors
/// Where a file cannot be written.
pub fn make(folder: &Path) -> Result<CertificateDer<'static>, StageError> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("one good name makes a certificate");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [("cert.pem", &cert), ("key.pem", &key), ("both.pem", &format!("{cert}{key}"))] {
        fs::write(folder.join(name), text).map_err(StageError::system(format!("write {name}")))?;
    }
    Ok(made.cert.der().clone())
}

/// A client's TLS settings. Sessions are not resumed: each connection pays for its handshake, outside of what is measured.
pub fn client(certificate: CertificateDer<'static>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate that was just made can be read");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}
