//! Which tokens are believed: the keys of a JWKS file (RFC 7517) and what a token has to say.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, RSAKeyParameters,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::watched::Watched;

/// Most bytes of a key file.
const MOST_BYTES: u64 = 1 << 20;
/// Most keys of a file.
const MOST_KEYS: usize = 64;
/// The fewest bits of a secret.
const SECRET_BITS: usize = 256;
/// The bits of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

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

    /// The usable keys of a JWKS text. Keys for other purposes are passed over, as one file may serve several; one that is for
    /// ours and weak or broken is an error, as it would let anybody in, or nobody.
    pub fn parse(text: &[u8]) -> Result<KeySet, String> {
        let file: File = serde_json::from_slice(text).map_err(|error| format!("it is no JWKS: {error}"))?;
        let mut keys = Vec::new();
        for (place, value) in file.keys.into_iter().enumerate() {
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
            let named = |why: String| match &jwk.common.key_id {
                Some(id) => format!("key `{id}`: {why}"),
                None => format!("key {} of the list, which has no `kid`: {why}", place + 1),
            };
            keys.extend(usable(&jwk).map_err(named)?);
        }
        keys.truncate(MOST_KEYS);
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

/// The key for tokens; nothing where it is for something else.
fn usable(jwk: &Jwk) -> Result<Option<VerifyKey>, String> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) || !may_verify(jwk) {
        return Ok(None);
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return Ok(None),
    };
    if jwk.common.key_algorithm.is_some_and(|said| said != named) {
        return Ok(None);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|error| format!("it cannot be read: {error}"))?;
    match &jwk.algorithm {
        AlgorithmParameters::RSA(parts) => check_rsa(parts)?,
        _ => check_bytes(algorithm, key.try_get_as_bytes().map_err(|error| error.to_string())?)?,
    }
    Ok(Some(VerifyKey { id: jwk.common.key_id.clone(), algorithm, key }))
}

/// Whether `key_ops` lets the key verify. A secret that may sign is the one that verifies.
fn may_verify(jwk: &Jwk) -> bool {
    let is_secret = matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    jwk.common.key_operations.as_ref().is_none_or(|allowed| {
        allowed.contains(&KeyOperations::Verify) || is_secret && allowed.contains(&KeyOperations::Sign)
    })
}

/// RFC 7518 section 3.2: a secret as long as the hash at least. A point has to lie on its curve.
fn check_bytes(algorithm: Algorithm, key: &[u8]) -> Result<(), String> {
    match algorithm {
        Algorithm::HS256 if key.len() * 8 < SECRET_BITS => {
            Err(format!("a secret of {} bits; HS256 needs {SECRET_BITS} at least", key.len() * 8))
        }
        Algorithm::ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .map(drop)
            .map_err(|_| String::from("`x` and `y` are no point of the curve P-256")),
        _ => Ok(()),
    }
}

/// RFC 7518 section 3.3: a modulus of 2048 bits at least; what is longer than 8192 nobody verifies with.
fn check_rsa(parts: &RSAKeyParameters) -> Result<(), String> {
    let number = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("it cannot be read: {error}"))?;
        Ok::<_, String>(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
    };
    let bits = |number: &[u8]| number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    let (modulus, exponent) = (number(&parts.n)?, number(&parts.e)?);
    if !RSA_BITS.contains(&bits(&modulus)) {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(format!("an RSA key of {} bits; RS256 needs {least} at least, and {most} at most", bits(&modulus)));
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !is_odd(&modulus) || !is_odd(&exponent) || !(2..=33).contains(&bits(&exponent)) {
        return Err(String::from("`n` and `e` are no RSA key"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bound_to_their_algorithm_and_others_are_passed_over() {
        let text = br#"{"keys":[
            {"kty":"oct","kid":"a","k":"YSBzZWNyZXQgb2YgbW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXM"},
            {"kty":"oct","kid":"other","alg":"HS512","k":"c2VjcmV0"},
            {"kty":"oct","kid":"hidden","use":"enc","k":"c2VjcmV0"},
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
    fn a_key_whose_operations_do_not_verify_is_passed_over_however_weak() {
        let secret = URL_SAFE_NO_PAD.encode([7; 32]);
        let (n, e) = (URL_SAFE_NO_PAD.encode([0xff; 256]), URL_SAFE_NO_PAD.encode([1, 0, 1]));
        let text = serde_json::json!({ "keys": [
            { "kty": "oct", "kid": "wraps", "key_ops": ["wrapKey", "unwrapKey"], "k": "YWJj" },
            { "kty": "oct", "kid": "nothing", "key_ops": [], "k": "YWJj" },
            { "kty": "RSA", "kid": "short", "key_ops": ["encrypt"], "n": URL_SAFE_NO_PAD.encode([0xff; 64]), "e": e },
            { "kty": "RSA", "kid": "signs", "key_ops": ["sign"], "n": n, "e": e },
            { "kty": "RSA", "kid": "rsa", "key_ops": ["verify", "other"], "n": n, "e": e },
            { "kty": "oct", "kid": "a", "key_ops": ["sign"], "k": secret },
            { "kty": "oct", "kid": "b", "key_ops": ["verify"], "k": secret },
        ]});
        let set = KeySet::parse(text.to_string().as_bytes()).unwrap();
        let ids: Vec<_> = set.keys.iter().filter_map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, ["rsa", "a", "b"]);
    }

    /// What is wrong with a file of this one key.
    #[track_caller]
    fn refused(key: serde_json::Value, expected: &str) {
        let text = serde_json::json!({ "keys": [key] }).to_string();
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), expected);
    }

    #[test]
    fn a_secret_under_256_bits_is_refused_by_its_name() {
        let key =
            |bytes: usize| serde_json::json!({ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(vec![7; bytes]) });
        refused(key(3), "key `s`: a secret of 24 bits; HS256 needs 256 at least");
        refused(key(31), "key `s`: a secret of 248 bits; HS256 needs 256 at least");
        refused(key(0), "key `s`: a secret of 0 bits; HS256 needs 256 at least");
        let nameless = serde_json::json!({ "kty": "oct", "k": "YWJj" });
        refused(nameless, "key 1 of the list, which has no `kid`: a secret of 24 bits; HS256 needs 256 at least");
        let text = serde_json::json!({ "keys": [key(32)] }).to_string();
        assert!(KeySet::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn an_rsa_key_under_2048_bits_is_refused_by_its_name() {
        let key = |modulus: &[u8], exponent: &[u8]| {
            let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
            serde_json::json!({ "kty": "RSA", "kid": "r", "n": n, "e": e })
        };
        let usual = [1, 0, 1];
        refused(
            key(&[0xff; 64], &usual),
            "key `r`: an RSA key of 512 bits; RS256 needs 2048 at least, and 8192 at most",
        );
        // Zeros before it make no key longer, and the highest bit may be missing.
        let short = [&[0; 128], &[0xff; 128][..]].concat();
        refused(key(&short, &usual), "key `r`: an RSA key of 1024 bits; RS256 needs 2048 at least, and 8192 at most");
        let mut missing = [0xff; 256];
        missing[0] = 0x7f;
        refused(key(&missing, &usual), "key `r`: an RSA key of 2047 bits; RS256 needs 2048 at least, and 8192 at most");
        refused(key(&[0xff; 256], &[1]), "key `r`: `n` and `e` are no RSA key");
        refused(key(&[0xff; 256], &[2]), "key `r`: `n` and `e` are no RSA key");
        let text = serde_json::json!({ "keys": [key(&[0xff; 256], &usual)] }).to_string();
        assert!(KeySet::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_point_off_the_curve_is_refused_by_its_name() {
        let key = |x: &str, y: &str| serde_json::json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": x, "y": y });
        // The example of RFC 7517, appendix A.1.
        let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        let off = "key `e`: `x` and `y` are no point of the curve P-256";
        refused(key(x, x), off);
        refused(key(y, x), off);
        refused(key(x, "4Etl"), off);
        refused(key("", ""), off);
        let text = serde_json::json!({ "keys": [key(x, y)] }).to_string();
        assert!(KeySet::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_key_file_says_so() {
        for text in ["", "{}", "[]", "{\"keys\":1}"] {
            assert!(KeySet::parse(text.as_bytes()).unwrap_err().contains("no JWKS"), "{text}");
        }
        assert!(KeySet::parse(b"{\"keys\":[]}").unwrap_err().contains("no key"));
    }
}
