//! The side that connects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate::Expiry;
use super::server::Pair;
use super::{H2, HTTP1, TlsError, files, provider};

/// What the side that connects is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// A PEM file of authorities; without one, the system's are believed.
    pub authorities: Option<PathBuf>,
    /// Our own certificate, for servers that ask who calls.
    pub identity: Option<Pair>,
    /// Whether the server has to be who it says.
    pub verify: Verify,
}

/// Whether the server has to be who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Its certificate has to be good for its name.
    On,
    /// Anybody who answers is believed.
    Off,
}

/// The side that connects, ready for handshakes. Both protocols have their own sessions.
#[derive(Debug)]
pub struct Client {
    /// For HTTP/1.1.
    pub http1: Arc<ClientConfig>,
    /// For HTTP/2.
    pub h2: Arc<ClientConfig>,
    /// When our own certificate ends.
    pub expiries: Vec<Expiry>,
}

impl ClientFiles {
    /// Every file.
    pub fn paths(&self) -> Vec<PathBuf> {
        let identity = self.identity.iter().flat_map(|pair| [pair.chain.clone(), pair.key.clone()]);
        self.authorities.iter().cloned().chain(identity).collect()
    }

    /// Reads all files and makes one whole of them.
    pub fn read(&self) -> Result<Client, TlsError> {
        let store = match (self.verify, &self.authorities) {
            (Verify::Off, _) => RootCertStore::empty(),
            (Verify::On, Some(path)) => files::authorities(path)?,
            (Verify::On, None) => system()?,
        };
        let (http1, expiries) = self.config(store.clone(), HTTP1)?;
        let (h2, _) = self.config(store, H2)?;
        Ok(Client { http1: Arc::new(http1), h2: Arc::new(h2), expiries })
    }

    fn config(&self, store: RootCertStore, protocol: &[u8]) -> Result<(ClientConfig, Vec<Expiry>), TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match self.verify {
            Verify::On => builder.with_root_certificates(store),
            Verify::Off => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let (mut config, expiries) = match &self.identity {
            None => (builder.with_no_client_auth(), Vec::new()),
            Some(pair) => {
                let chain = files::chain(&pair.chain)?;
                let expiries = vec![Expiry::of(&pair.chain, &chain)?];
                let key = files::key(&pair.key)?;
                let config = builder.with_client_auth_cert(chain, key);
                (config.map_err(|error| TlsError::file(&pair.key, error))?, expiries)
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok((config, expiries))
    }
}

/// The authorities that the system believes.
fn system() -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(TlsError::file(Path::new("ca"), "the system believes no authority; name a file of them"));
    }
    Ok(store)
}

/// Believes every certificate; that the peer has its key is still verified.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
