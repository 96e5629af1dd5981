//! PEM files, each read whole and within a bound.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Most bytes of a file; the largest bundles of public authorities have a quarter of it.
const MOST_BYTES: u64 = 1 << 20;

/// The certificates of a file, in its order; at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(TlsError::file(path, "no certificate in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(TlsError::file(path, unreadable(&error))),
    }
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::file(path, "no private key in it"),
        error => TlsError::file(path, unreadable(&error)),
    })
}

/// The authorities of a file. One that is none is an error: it would be missed only when it is needed.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in chain(path)? {
        store.add(certificate).map_err(|error| TlsError::file(path, format!("no authority: {error}")))?;
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: std::io::Error| TlsError::file(path, error);
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(TlsError::file(path, format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(bytes)
}

fn unreadable(error: &pem::Error) -> String {
    format!("no PEM: {error}")
}
