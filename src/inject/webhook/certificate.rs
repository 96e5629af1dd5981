//! The certificate that the webhook shows, which may be another one at any time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{Looked, Watched};

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// What is shown to whoever connects now.
#[derive(Debug)]
pub struct Certificate {
    shown: ArcSwap<Shown>,
}

#[derive(Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    not_after: i64,
}

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of the texts is no PEM of what it should be.
    #[error("the {what} cannot be read: {why}")]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// They do not fit each other, or rustls does not take them.
    #[error("the certificate cannot be used: {0}")]
    Refused(#[from] rustls::Error),
}

impl Certificate {
    /// Of a chain and its key, in PEM.
    pub fn of(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self { shown: ArcSwap::from_pointee(shown(chain, key)?) })
    }

    /// Shows another one from the next connection on.
    pub fn turn(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.shown.store(Arc::new(shown(chain, key)?));
        Ok(())
    }

    /// What a handshake is made with now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.shown.load().config.clone()
    }

    /// Whether an API server still takes it.
    pub fn is_good(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).is_ok_and(|now| now <= self.shown.load().not_after)
    }
}

/// Shows what the files hold, whenever they change; runs until dropped.
///
/// # Errors
/// What they hold now cannot be used.
pub fn watch(
    chain: PathBuf,
    key: PathBuf,
) -> Result<(Arc<Certificate>, impl Future<Output = ()> + Send + 'static), String> {
    let files = vec![chain.clone(), key.clone()];
    let read = move || {
        let bytes = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let (chain, key) = (bytes(&chain)?, bytes(&key)?);
        shown(&chain, &key).map(Arc::new).map_err(|error| error.to_string())
    };
    let watched = Arc::new(Watched::open(files, read)?);
    let certificate = Arc::new(Certificate { shown: ArcSwap::new((*watched.get()).as_ref().clone()) });
    let shown = certificate.clone();
    let keep = async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            let looking = watched.clone();
            match tokio::task::spawn_blocking(move || looking.look()).await {
                Ok(Looked::Fresh) => {
                    shown.shown.store((*watched.get()).as_ref().clone());
                    tracing::info!("another certificate is shown from now on");
                }
                Ok(Looked::Broken(why)) => {
                    tracing::error!(why, "the certificate cannot be used; the one before is shown");
                }
                Ok(Looked::Same) | Err(_) => {}
            }
        }
    };
    Ok((certificate, keep))
}

fn shown(chain: &[u8], key: &[u8]) -> Result<Shown, CertificateError> {
    let unreadable = |what: &'static str| move |why: String| CertificateError::Unreadable { what, why };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let certificates = certificates.map_err(|error| unreadable("certificate")(error.to_string()))?;
    let not_after = ends(chain).map_err(unreadable("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unreadable("key")(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Shown { config: Arc::new(config), not_after })
}

/// The last second of the certificate of a PEM text that ends first, in seconds since the epoch.
pub fn ends(pem: &[u8]) -> Result<i64, String> {
    let mut first: Option<i64> = None;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        let (_, read) = X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        let end = read.validity().not_after.timestamp();
        first = Some(first.map_or(end, |first| first.min(end)));
    }
    first.ok_or_else(|| "no certificate in it".to_owned())
}
