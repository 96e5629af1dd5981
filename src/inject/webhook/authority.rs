//! An authority of the webhook's own, and certificates by it.
//!
//! The authority stays while certificates come and go, so what an API server was told to believe need not change when one is
//! renewed, and no replica is disbelieved meanwhile.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// How long an authority is believed, in days.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a certificate is good, in days; it is renewed when a third of that is left.
pub(super) const CERTIFICATE_DAYS: i64 = 90;
const NAME: &str = "graylane injection webhook";

/// An authority and a certificate by it, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The authority's certificate: what an API server is to believe.
    pub authority: String,
    /// Its key, for the next certificate.
    pub authority_key: String,
    /// The certificate that the webhook shows.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Why none can be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The library refused.
    #[error("no certificate can be made: {0}")]
    Refused(#[from] rcgen::Error),
    /// The clock says something that is no date.
    #[error("no certificate can be made at this time: {0}")]
    Time(#[from] jiff::Error),
}

/// A certificate for a host name such as `graylane.graylane.svc`, by the authority of `before` where there is one.
pub fn make(host: &str, before: Option<&Made>) -> Result<Made, AuthorityError> {
    let key = match before {
        Some(before) => KeyPair::from_pem(&before.authority_key)?,
        None => KeyPair::generate()?,
    };
    let authority_key = key.serialize_pem();
    let params = authority()?;
    let authority = match before {
        Some(before) => before.authority.clone(),
        None => params.self_signed(&key)?.pem(),
    };
    // Of equal names and keys, whatever the dates: this is the issuer that was signed before.
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec![host.to_owned(), format!("{host}.cluster.local")])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    date(&mut params, CERTIFICATE_DAYS)?;
    let own = KeyPair::generate()?;
    let certificate = params.signed_by(&own, &issuer)?.pem();
    Ok(Made { authority, authority_key, certificate, key: own.serialize_pem() })
}

fn authority() -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, format!("{NAME} authority"));
    date(&mut params, AUTHORITY_DAYS)?;
    Ok(params)
}

/// Good from yesterday on, since clocks differ, for so many days.
fn date(params: &mut CertificateParams, days: i64) -> Result<(), AuthorityError> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let (first, last) = (today.checked_sub(Span::new().days(1))?, today.checked_add(Span::new().days(days))?);
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    let of = |date: Date| rcgen::date_time_ymd(date.year().into(), part(date.month()), part(date.day()));
    (params.not_before, params.not_after) = (of(first), of(last));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    /// Whether whoever believes `authority` takes `certificate` for `host`.
    fn is_believed(authority: &str, certificate: &str, host: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let shown = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        verifier.verify_server_cert(&shown, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn a_renewed_certificate_is_believed_by_whoever_believed_the_one_before() {
        const HOST: &str = "graylane-webhook.graylane-system.svc";
        let first = make(HOST, None).unwrap();
        let second = make(HOST, Some(&first)).unwrap();
        assert_eq!((&second.authority, &second.authority_key), (&first.authority, &first.authority_key));
        assert_ne!(second.certificate, first.certificate);
        for made in [&first, &second] {
            assert!(is_believed(&first.authority, &made.certificate, HOST));
            assert!(!is_believed(&first.authority, &made.certificate, "other.graylane-system.svc"));
        }
        let other = make(HOST, None).unwrap();
        assert!(!is_believed(&other.authority, &first.certificate, HOST));
    }
}
