//! Certificates, keys and authorities from files, and what rustls makes of them.
//!
//! Everything is made whole from its files or refused whole: a key that does not fit its certificate never gets as far as a
//! handshake. There is one provider (aws-lc), named wherever a configuration is built, so that no process-wide default can be
//! another one. Nothing here listens, connects or watches.

mod certificate;
mod error;
mod files;

mod client;
mod server;

mod peer;

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

pub use certificate::Expiry;
pub use client::{Client, ClientFiles, Verify};
pub use error::TlsError;
pub use peer::PeerNames;
pub use server::{Asking, Authorities, LeastVersion, Material, Pair, Server, ServerFiles};

/// What HTTP/2 is called in ALPN (RFC 7301).
pub const H2: &[u8] = b"h2";
/// What HTTP/1.1 is called there.
const HTTP1: &[u8] = b"http/1.1";

/// The one provider of this program.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}
