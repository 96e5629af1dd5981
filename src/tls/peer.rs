//! Who the other end of a connection has shown to be.

use rustls::pki_types::CertificateDer;

use super::certificate;

/// The names of a peer whose certificate was verified; none where it showed none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PeerNames {
    /// DNS names, in lower case.
    pub dns: Vec<String>,
    /// URIs, such as SPIFFE IDs.
    pub uris: Vec<String>,
}

impl PeerNames {
    /// Of the chain that a handshake verified.
    pub fn of(chain: Option<&[CertificateDer<'_>]>) -> Self {
        let Some(own) = chain.and_then(<[_]>::first) else { return Self::default() };
        // It was verified, so it can be read; what cannot gives no name.
        let names = certificate::names(own).unwrap_or_default();
        Self { dns: names.dns, uris: names.uris }
    }
}
