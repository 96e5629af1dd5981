//! Which tokens are believed: the keys of a JWKS file (RFC 7517) and what a token has to say.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::watched::Watched;

/// Most bytes of a key file.
const MOST_BYTES: u64 = 1 << 20;
/// Most keys of a file.
const MOST_KEYS: usize = 64;

/// The algorithms that tokens may be signed with.
pub const JWT_ALGORITHMS: [(&str, Algorithm); 3] =
    [("HS256", Algorithm::HS256), ("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256)];

/// How tokens are found and verified.
#[derive(Debug, Clone)]
pub struct JwtPlan {
    /// The keys, read again when their file changes.
    pub keys: Arc<Watched<KeySet>>,
    /// Where a request carries its token.
    pub place: TokenPlace,
    /// What may have signed it.
    pub algorithms: Vec<Algorithm>,
    /// Who may have issued it; empty: anybody who has a key.
    pub issuers: Vec<String>,
    /// For whom it may be; empty: for anybody.
    pub audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub leeway: u64,
}

/// Where a request carries its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// A header, in lower case; `authorization` with the scheme `Bearer`.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// The keys that may have signed tokens.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyKey>,
}

/// One key, bound to the one algorithm it is for: so an RSA key in public hands is never taken for a secret.
pub struct VerifyKey {
    /// Its name in tokens, `kid`.
    pub id: Option<String>,
    /// The only algorithm it verifies.
    pub algorithm: Algorithm,
    /// The key.
    pub key: DecodingKey,
}

impl std::fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[derive(serde::Deserialize)]
struct File {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// The keys of a file.
    pub fn read(path: &Path) -> Result<KeySet, String> {
        let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        if length > MOST_BYTES {
            return Err(format!("it is larger than {} KiB", MOST_BYTES >> 10));
        }
        KeySet::parse(&std::fs::read(path).map_err(|error| error.to_string())?)
    }

    /// The usable keys of a JWKS text. Keys for other purposes are passed over, as one file may serve several.
    pub fn parse(text: &[u8]) -> Result<KeySet, String> {
        let file: File = serde_json::from_slice(text).map_err(|error| format!("it is no JWKS: {error}"))?;
        let keys = file.keys.into_iter().filter_map(|value| serde_json::from_value::<Jwk>(value).ok());
        let keys: Vec<VerifyKey> = keys.filter_map(|jwk| usable(&jwk)).take(MOST_KEYS).collect();
        if keys.is_empty() {
            return Err("it holds no key for HS256, RS256 or ES256".to_owned());
        }
        Ok(KeySet { keys })
    }

    /// The keys that may have signed a token of this algorithm and key name.
    pub fn candidates<'k>(
        &'k self,
        algorithm: Algorithm,
        id: Option<&'k str>,
    ) -> impl Iterator<Item = &'k VerifyKey> + use<'k> {
        let named = move |key: &&VerifyKey| match (id, key.id.as_deref()) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        self.keys.iter().filter(move |key| key.algorithm == algorithm).filter(named)
    }
}

fn usable(jwk: &Jwk) -> Option<VerifyKey> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|said| said != named) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    // A secret without a byte would be known to everybody.
    if algorithm == Algorithm::HS256 && key.try_get_as_bytes().is_ok_and(<[u8]>::is_empty) {
        return None;
    }
    Some(VerifyKey { id: jwk.common.key_id.clone(), algorithm, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bound_to_their_algorithm_and_others_are_passed_over() {
        let text = br#"{"keys":[
            {"kty":"oct","kid":"a","k":"c2VjcmV0"},
            {"kty":"oct","kid":"empty","k":""},
            {"kty":"oct","kid":"other","alg":"HS512","k":"c2VjcmV0"},
            {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty":"made-up"}
        ]}"#;
        let set = KeySet::parse(text).unwrap();
        let ids = |algorithm, id| set.candidates(algorithm, id).filter_map(|key| key.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(Algorithm::HS256, None), ["a"]);
        assert_eq!(ids(Algorithm::HS256, Some("a")), ["a"]);
        assert_eq!(ids(Algorithm::HS256, Some("b")), [""; 0]);
        assert_eq!(ids(Algorithm::RS256, None), [""; 0]);
    }

    #[test]
    fn what_is_no_key_file_says_so() {
        for text in ["", "{}", "[]", "{\"keys\":1}"] {
            assert!(KeySet::parse(text.as_bytes()).unwrap_err().contains("no JWKS"), "{text}");
        }
        assert!(KeySet::parse(b"{\"keys\":[]}").unwrap_err().contains("no key"));
    }
}
