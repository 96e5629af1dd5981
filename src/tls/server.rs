//! The side that is connected to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

use super::certificate::{self, Expiry};
use super::{H2, HTTP1, TlsError, files, provider};

/// Sessions of TLS 1.2 that are kept for being resumed; of TLS 1.3 the client keeps all there is.
const SESSIONS: usize = 4096;

/// What the side that is connected to is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// At least one. The first is for those who ask for no name, or one that none has.
    pub pairs: Vec<Pair>,
    /// Who vouches for clients, where they are asked for certificates.
    pub clients: Option<Authorities>,
    /// The least version spoken.
    pub least: LeastVersion,
}

/// PEM files of a certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain, the certificate itself first.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Who vouches for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// A PEM file of certificates.
    pub file: PathBuf,
    /// What becomes of a client without a certificate.
    pub asking: Asking,
}

/// What becomes of a client without a certificate; one with a wrong certificate is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// It is let in.
    Optional,
    /// It is refused.
    Required,
}

/// The least version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeastVersion {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// The side that is connected to, ready for handshakes.
#[derive(Debug)]
pub struct Server {
    /// For rustls. Sessions are resumed within it alone: with other files, everybody is verified anew. Where clients are asked
    /// for certificates, none is resumed.
    pub config: Arc<ServerConfig>,
    /// When its certificates end, in the order of their files.
    pub expiries: Vec<Expiry>,
    /// What it was made of. Of two with the same material and the same [`ServerFiles`], one may go on with the sessions of
    /// the other.
    pub material: Material,
}

/// The digest (SHA-256) of certificates, keys and authorities, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Material([u8; 32]);

impl ServerFiles {
    /// Every file.
    pub fn paths(&self) -> Vec<PathBuf> {
        let pairs = self.pairs.iter().flat_map(|pair| [pair.chain.clone(), pair.key.clone()]);
        pairs.chain(self.clients.iter().map(|clients| clients.file.clone())).collect()
    }

    /// Reads all files and makes one whole of them.
    pub fn read(&self) -> Result<Server, TlsError> {
        let provider = provider();
        let (mut choice, mut expiries, mut digest) = (Choice::default(), Vec::new(), Sha256::new());
        for pair in &self.pairs {
            let chain = files::chain(&pair.chain)?;
            expiries.push(Expiry::of(&pair.chain, &chain)?);
            let names = certificate::names(&chain[0]).map_err(|why| TlsError::file(&pair.chain, why))?;
            let key = files::key(&pair.key)?;
            chain.iter().for_each(|certificate| take(&mut digest, certificate));
            take(&mut digest, key.secret_der());
            let certified = CertifiedKey::from_der(chain, key, &provider);
            let certified = certified.map_err(|error| TlsError::file(&pair.key, misfit(&error, pair)))?;
            choice.add(names.dns, Arc::new(certified));
        }
        let versions: &[_] = match self.least {
            LeastVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            LeastVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(files::authorities(&clients.file)?);
                for root in &roots.roots {
                    take(&mut digest, &root.subject);
                    take(&mut digest, &root.subject_public_key_info);
                    take(&mut digest, root.name_constraints.as_deref().unwrap_or_default());
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match clients.asking {
                    Asking::Optional => verifier.allow_unauthenticated(),
                    Asking::Required => verifier,
                };
                let verifier = verifier.build().map_err(|error| TlsError::file(&clients.file, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(choice));
        config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        if self.clients.is_none() {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        } else {
            // A session that is resumed is not asked for its certificate again, and each resumption gives a new ticket: whoever
            // was believed once would be believed for ever, over the end of the certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Server { config: Arc::new(config), expiries, material: Material(digest.finalize().into()) })
    }
}

/// Takes a part into a digest, with its length, so that no two lists of parts run together to the same.
fn take(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_be_bytes());
    digest.update(part);
}

/// What is wrong with a key, for people.
fn misfit(error: &rustls::Error, pair: &Pair) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => format!("it is not the key of `{}`", pair.chain.display()),
        error => error.to_string(),
    }
}

/// Which certificate is shown to whom.
#[derive(Debug, Default)]
struct Choice {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what stands behind `*.`, which is for one label (RFC 6125 section 6.4.3).
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Choice {
    /// Of several for one name, the first counts.
    fn add(&mut self, names: Vec<String>, certified: Arc<CertifiedKey>) {
        for name in names {
            match name.strip_prefix("*.") {
                Some(rest) => self.wildcard.entry(rest.to_owned()).or_insert_with(|| certified.clone()),
                None => self.exact.entry(name).or_insert_with(|| certified.clone()),
            };
        }
        self.first.get_or_insert(certified);
    }

    fn of(&self, asked: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let found = asked.map(str::to_ascii_lowercase).and_then(|name| {
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(&name).or_else(|| self.wildcard.get(parent?))
        });
        found.or(self.first.as_ref())
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of(hello.server_name()).cloned()
    }
}
