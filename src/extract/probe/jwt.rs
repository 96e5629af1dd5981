//! Tokens, of those who hold no key and of one who does.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::super::jwt::Verifier;
use crate::config::{JWT_ALGORITHMS, JwtPlan, KeySet, TokenPlace, Watched};

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
/// A secret, and the public halves of an RSA and a P-256 key of which nobody has the other half.
const KEYS: &str = r#"{"keys":[
 {"kty":"oct","kid":"s","k":"YSBzZWNyZXQgb2YgbW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXM"},
 {"kty":"RSA","kid":"r","e":"AQAB","n":"wGCpDPG2sRMaCKKLnEc-SPKemecaHAdEJ2Z0Gna6Ky4o-q4FfISUkFoAuwAr2ScQs68MgJsQvNLRcpN4zzs3yCAHMME3XKdTG--GwABmwRv0C4mjuWqgopmKW3V0267VdJgdmmV3DTxQd_xWmGj84Ja594z4YE2I4P5NXGLCLEiHkaXRbpNTFpsZt2xe8FnYKhv8biX7tFnyalDAg0G9FXOttTY5MUF4F2eWi4XivLOVNNJDbRWNHRkta7MBwPrLg95QcKSZsBZ3i8i84miYYW8pKOfwgTVzSctsyM_3XVyh1Klp9F8Dc1ZabhNjrIZe67SmAoueJcuy6xBLrrHy0w"},
 {"kty":"EC","kid":"e","crv":"P-256","x":"KJ--tvvLWBl924JGCDkb0v9J67dmGFaqEYoM2V1Jlkk","y":"lY54H0vCRH6we0FSirM8lbiz6iO_no19zm1i3S6UKes"}]}"#;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let keys = Watched::open(Vec::new(), || KeySet::parse(KEYS.as_bytes()));
    Verifier::new(JwtPlan {
        keys: Arc::new(keys.expect("the keys above are keys")),
        place: TokenPlace::Header("authorization".into()),
        algorithms: JWT_ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(),
        issuers: vec!["shop".into()],
        audiences: vec!["goods".into()],
        leeway: 5,
    })
});

/// Reads bytes as a token, as a file of keys, and as the two parts of a token: its head up to the first line's end, and its
/// claims. Panics where a token counts that nobody signed, that names another algorithm than that of its key, or whose claims
/// were changed behind its signature.
pub fn check_jwt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(VERIFIER.verify(&text).is_err(), "nobody signed {text:?}");
    drop(KeySet::parse(bytes));
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(head), Some(claims)) = (parts.next(), parts.next()) else { return };
    let unsigned = |claims: &[u8]| format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let signed = unsigned(claims);
    for mac in [String::new(), mac(&[], &signed), mac(KEYS.as_bytes(), &signed)] {
        assert!(VERIFIER.verify(&format!("{signed}.{mac}")).is_err(), "nobody signed {signed:?}");
    }
    let good = mac(SECRET, &signed);
    let Ok(read) = VERIFIER.verify(&format!("{signed}.{good}")) else { return };
    assert_eq!(read.as_bytes(), claims, "the claims are not as they were signed");
    let head: Value = serde_json::from_slice(head).unwrap_or_default();
    assert!(head["alg"] == "HS256" && head.get("crit").is_none(), "{head} is no head for a secret");
    let changed = unsigned(&[claims, b" "].concat());
    assert!(VERIFIER.verify(&format!("{changed}.{good}")).is_err(), "claims were changed: {changed:?}");
}

fn mac(key: &[u8], signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLAIMS: &str = r#"{"sub":"u1","iss":"shop","aud":["goods"],"exp":4102444800}"#;

    #[test]
    fn a_token_that_is_signed_is_read() {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(CLAIMS));
        let token = format!("{signed}.{}", mac(SECRET, &signed));
        assert_eq!(VERIFIER.verify(&token).as_deref(), Ok(CLAIMS));
    }

    proptest! {
        #[test]
        fn whatever_a_head_holds_only_the_secret_signs(
            alg in "(HS|RS|ES|PS)?(256|384)|none", kid in "[serx]?", more in ",?(\"(crit|alg|b64)\":(null|\"HS256\"|\\[\\]))?"
        ) {
            let head = format!(r#"{{"alg":"{alg}","kid":"{kid}"{more}}}"#);
            check_jwt(format!("{head}\n{CLAIMS}").as_bytes());
        }
    }
}
