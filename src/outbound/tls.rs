//! Whom TLS calls of the control runtime believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Who vouches for servers, and who we are to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// A PEM file of certificate authorities; without one, the system's are believed.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate chain and its key, for servers that ask who calls.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The library refused what the files say.
    #[error("TLS cannot be set up: {0}")]
    Refused(#[from] rustls::Error),
}

/// The TLS settings of a client, with the one provider of this program.
pub fn client_tls(roots: &Roots) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(store(roots)?);
    let Some((chain, key)) = &roots.identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
    Ok(builder.with_client_auth_cert(certificates(chain)?, key)?)
}

fn store(roots: &Roots) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match &roots.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| file(path, error))?;
            }
        }
        // A system without any is no error: plain HTTP works, and a TLS call says whom it did not believe.
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| file(path, error))?;
    if certificates.is_empty() {
        return Err(file(path, "no certificate in it"));
    }
    Ok(certificates)
}

fn file(path: &Path, why: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_string() }
}
