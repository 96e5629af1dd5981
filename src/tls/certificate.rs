//! What a certificate says of itself: whose it is and until when.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::TlsError;

/// Until when the certificate of a file is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub file: PathBuf,
    /// The last second of it, in seconds since the epoch. Of a chain, the certificate that ends first counts.
    pub not_after: i64,
}

impl Expiry {
    pub(super) fn of(file: &Path, chain: &[CertificateDer<'_>]) -> Result<Self, TlsError> {
        let ends = chain.iter().map(|certificate| parse(certificate).map(|read| read.validity().not_after.timestamp()));
        let ends: Result<Vec<i64>, String> = ends.collect();
        let ends = ends.map_err(|why| TlsError::file(file, why))?;
        Ok(Self { file: file.to_owned(), not_after: ends.into_iter().min().unwrap_or(i64::MAX) })
    }
}

/// The names that a certificate is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// DNS names in lower case, `*.` before some.
    pub(super) dns: Vec<String>,
    /// URIs as written.
    pub(super) uris: Vec<String>,
}

/// From the subject alternative names alone: the common name means nothing (RFC 9525 section 2).
pub(super) fn names(certificate: &CertificateDer<'_>) -> Result<Names, String> {
    let read = parse(certificate)?;
    let mut names = Names::default();
    let extension = read.subject_alternative_name().map_err(|error| error.to_string())?;
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            _ => {}
        }
    }
    Ok(names)
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, String> {
    let (_, read) = X509Certificate::from_der(certificate).map_err(|error| format!("no certificate: {error}"))?;
    Ok(read)
}
