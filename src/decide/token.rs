//! Signed overrides: `v1.CLAIMS.MAC`, both parts in base64url, the MAC an HMAC-SHA256 over `v1.CLAIMS`.
//!
//! The MAC is checked before the claims are read, in constant time, against every key of the release, so that keys
//! can be rotated. The claims name one release: a token for one release opens no other.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::word::words;

const VERSION: &str = "v1";
/// No token of ours is longer; a longer text is not looked at.
const LONGEST_TOKEN: usize = 2048;
const LONGEST_NAME: usize = 256;

words! {
    /// Why an override was ignored.
    OverrideError {
        /// Not the form of a token.
        Malformed = "malformed",
        /// Signed by none of the release's keys.
        Signature = "signature",
        /// Over.
        Expired = "expired",
        /// Signed for another release.
        OtherRelease = "other_release",
        /// Signed for another service.
        OtherService = "other_service",
        /// For a lane that does not exist.
        UnknownLane = "unknown_lane",
        /// Not signed, where only signed ones count.
        Unsigned = "unsigned",
    }
}

/// Why bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// Easy to guess.
    #[error("the key has {bytes} bytes, {} are the least", TokenKey::SHORTEST)]
    TooShort {
        /// How many bytes there are, without the newline at the end.
        bytes: usize,
    },
}

/// Why a token cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Empty or too long.
    #[error("`{claim}` takes 1 to {LONGEST_NAME} bytes")]
    Claim {
        /// Which claim.
        claim: &'static str,
    },
}

/// A key that signs overrides.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// The least number of bytes of a key: as many as the MAC has.
    pub const SHORTEST: usize = 32;

    /// The key in a file: its bytes less one newline at the end.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<TokenKey, TokenKeyError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.len() < TokenKey::SHORTEST {
            return Err(TokenKeyError::TooShort { bytes: bytes.len() });
        }
        Ok(TokenKey(Hmac::new_from_slice(bytes).expect("HMAC takes a key of any length")))
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(signed.as_bytes());
        mac
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<'a> {
    /// The release it is for.
    #[serde(borrow)]
    pub release: Cow<'a, str>,
    /// The lane it sends requests to; empty where it only asks for explanations.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub lane: Cow<'a, str>,
    /// The service it is for: where one key opens releases of several services, the token of one opens no other's. None: all
    /// that have the key.
    #[serde(borrow, rename = "aud", default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Cow<'a, str>>,
    /// To whom it was given, for the record.
    #[serde(borrow, rename = "sub")]
    pub subject: Cow<'a, str>,
    /// The second since 1970 from which on it does not count.
    #[serde(rename = "exp")]
    pub expires_unix: u64,
    /// Whether answers tell its bearer how their lane was decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

impl Claims<'_> {
    /// The signed token.
    pub fn mint(&self, key: &TokenKey) -> Result<String, MintError> {
        for (claim, value) in [("release", &self.release), ("lane", &self.lane), ("subject", &self.subject)] {
            let may_be_empty = claim == "lane" && self.explain;
            if (value.is_empty() && !may_be_empty) || value.len() > LONGEST_NAME {
                return Err(MintError::Claim { claim });
            }
        }
        if self.service.as_ref().is_some_and(|service| service.is_empty() || service.len() > LONGEST_NAME) {
            return Err(MintError::Claim { claim: "service" });
        }
        let claims = serde_json::to_vec(self).expect("texts and a number are always JSON");
        let mut token = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mac = key.mac(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac, &mut token);
        Ok(token)
    }

    /// The claims of a token that one of `keys` signed, that is for `service` and `release` and not over.
    pub(super) fn verify(
        token: &str,
        keys: &[TokenKey],
        service: &str,
        release: &str,
        now_unix: u64,
    ) -> Result<Claims<'static>, OverrideError> {
        if token.len() > LONGEST_TOKEN {
            return Err(OverrideError::Malformed);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(OverrideError::Malformed)?;
        let claims =
            signed.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.')).ok_or(OverrideError::Malformed)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| OverrideError::Malformed)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| OverrideError::Malformed)?;
        if !keys.iter().any(|key| key.mac(signed).verify_slice(&mac).is_ok()) {
            return Err(OverrideError::Signature);
        }
        let claims: Claims<'_> = serde_json::from_slice(&claims).map_err(|_| OverrideError::Malformed)?;
        if claims.service.as_ref().is_some_and(|meant| meant != service) {
            return Err(OverrideError::OtherService);
        }
        if claims.release != release {
            return Err(OverrideError::OtherRelease);
        }
        if now_unix >= claims.expires_unix {
            return Err(OverrideError::Expired);
        }
        Ok(Claims {
            release: Cow::Owned(claims.release.into_owned()),
            service: claims.service.map(|service| Cow::Owned(service.into_owned())),
            lane: Cow::Owned(claims.lane.into_owned()),
            subject: Cow::Owned(claims.subject.into_owned()),
            expires_unix: claims.expires_unix,
            explain: claims.explain,
        })
    }
}

/// An entry for fuzzing: panics if bytes count as a token of a key that never signed one, or if a signed one whose bytes were
/// changed still counts.
pub fn check_token(bytes: &[u8]) {
    let key = TokenKey(Hmac::new_from_slice(&[7; TokenKey::SHORTEST]).expect("HMAC takes a key of any length"));
    let keys = [key];
    let verify = |text: &str| Claims::verify(text, &keys, "goods", "r", 1);
    let text = String::from_utf8_lossy(bytes);
    assert!(verify(&text).is_err(), "nobody signed {text:?}");
    // The same claims, signed: read or refused, and never for another release.
    let signed = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let mac = URL_SAFE_NO_PAD.encode(keys[0].mac(&signed).finalize().into_bytes());
    if let Ok(claims) = verify(&format!("{signed}.{mac}")) {
        assert_eq!(claims.release, "r");
    }
}
