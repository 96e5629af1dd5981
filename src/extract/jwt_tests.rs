use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{KeySet, Watched};

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

/// A fresh key pair: what signs, and its public half as a key of a JWKS.
fn pair(algorithm: Algorithm, kind: &'static rcgen::SignatureAlgorithm, id: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate_for(kind).unwrap();
    let der = pair.serialize_der();
    let signer = match algorithm {
        // PKCS #8 around PKCS #1: for a key of 2048 bits the frame takes 26 bytes.
        Algorithm::RS256 => EncodingKey::from_rsa_der(&der[26..]),
        _ => EncodingKey::from_ec_der(&der),
    };
    let mut jwk = Jwk::from_encoding_key(&signer, algorithm).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    (signer, serde_json::to_value(jwk).unwrap())
}

fn secret_key() -> Value {
    json!({ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(SECRET) })
}

fn verifier(keys: &[Value]) -> Verifier {
    let text = json!({ "keys": keys }).to_string();
    let keys = Watched::open(Vec::new(), move || KeySet::parse(text.as_bytes())).unwrap();
    Verifier::new(JwtPlan {
        keys: Arc::new(keys),
        place: TokenPlace::Header("authorization".into()),
        algorithms: JWT_ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(),
        issuers: vec!["shop".into()],
        audiences: vec!["goods".into()],
        leeway: 5,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({ "sub": "u1", "iss": "shop", "aud": ["goods", "other"], "exp": now() + 60, "id": 9_007_199_254_740_993_u64 })
}

fn token(algorithm: Algorithm, id: Option<&str>, signer: &EncodingKey, claims: &Value) -> String {
    let header = jsonwebtoken::Header { kid: id.map(str::to_owned), ..jsonwebtoken::Header::new(algorithm) };
    encode(&header, claims, signer).unwrap()
}

fn signed(claims: &Value) -> String {
    token(Algorithm::HS256, Some("s"), &EncodingKey::from_secret(SECRET), claims)
}

#[test]
fn the_three_algorithms_are_believed() {
    let (rsa, rsa_key) = pair(Algorithm::RS256, &rcgen::PKCS_RSA_SHA256, "r");
    let (curve, curve_key) = pair(Algorithm::ES256, &rcgen::PKCS_ECDSA_P256_SHA256, "e");
    let verifier = verifier(&[secret_key(), rsa_key, curve_key]);
    let secret = EncodingKey::from_secret(SECRET);
    for (algorithm, id, signer) in
        [(Algorithm::HS256, "s", &secret), (Algorithm::RS256, "r", &rsa), (Algorithm::ES256, "e", &curve)]
    {
        for id in [Some(id), None] {
            let text = verifier.verify(&token(algorithm, id, signer, &claims())).unwrap();
            assert!(text.contains("9007199254740993"), "{text}");
        }
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let (_, rsa_key) = pair(Algorithm::RS256, &rcgen::PKCS_RSA_SHA256, "r");
    let verifier = verifier(std::slice::from_ref(&rsa_key));
    // The forger signs with what everybody knows of the key, in every form.
    let modulus = rsa_key["n"].as_str().unwrap();
    for known in
        [modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(modulus).unwrap(), rsa_key.to_string().into_bytes()]
    {
        let forged = token(Algorithm::HS256, Some("r"), &EncodingKey::from_secret(&known), &claims());
        assert_eq!(verifier.verify(&forged), Err(TokenFault::Key));
    }
}

#[test]
fn unsigned_tokens_are_refused_however_they_are_spelt() {
    let verifier = verifier(&[secret_key()]);
    let body = URL_SAFE_NO_PAD.encode(claims().to_string());
    for word in ["none", "None", "NONE", "nOnE", "", "HS384", "ES384", "PS256"] {
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": word, "typ": "JWT" }).to_string());
        for signature in ["", "AAAA"] {
            let forged = format!("{head}.{body}.{signature}");
            assert_eq!(verifier.verify(&forged), Err(TokenFault::Algorithm), "{word}");
        }
    }
}

#[test]
fn a_token_that_is_not_believed_says_why() {
    let verifier = verifier(&[secret_key()]);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        verifier.verify(&signed(&claims)).unwrap_err()
    };
    assert_eq!(with("exp", json!(now() - 60)), TokenFault::Expired);
    for no_expiry in [Value::Null, json!((now() + 60).to_string()), json!(true), json!([])] {
        assert_eq!(with("exp", no_expiry.clone()), TokenFault::NoExpiry, "{no_expiry}");
    }
    assert_eq!(with("nbf", json!(now() + 60)), TokenFault::NotYetValid);
    assert_eq!(with("iss", json!("other")), TokenFault::Issuer);
    assert_eq!(with("aud", json!("other")), TokenFault::Audience);
    let mut without = claims();
    without.as_object_mut().unwrap().remove("aud");
    assert_eq!(verifier.verify(&signed(&without)), Err(TokenFault::NoAudience));
    for (name, fault) in [("exp", TokenFault::NoExpiry), ("iss", TokenFault::NoIssuer)] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(verifier.verify(&signed(&without)), Err(fault), "{name}");
    }

    let other = EncodingKey::from_secret(b"another secret of more than 32 bytes");
    let wrong_key = token(Algorithm::HS256, Some("s"), &other, &claims());
    assert_eq!(verifier.verify(&wrong_key), Err(TokenFault::Signature));
    let unknown = token(Algorithm::HS256, Some("x"), &EncodingKey::from_secret(SECRET), &claims());
    assert_eq!(verifier.verify(&unknown), Err(TokenFault::Key));
    let good = signed(&claims());
    let (head, _) = good.split_once('.').unwrap();
    let swapped = format!("{head}.{}.{}", URL_SAFE_NO_PAD.encode("{}"), good.rsplit_once('.').unwrap().1);
    assert_eq!(verifier.verify(&swapped), Err(TokenFault::Signature));
}

#[test]
fn what_is_no_token_is_malformed() {
    let verifier = verifier(&[secret_key()]);
    let long = signed(&json!({ "exp": now() + 60, "x": "x".repeat(9000) }));
    let critical = |crit: &str| {
        let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","crit":{crit},"x":1}}"#));
        format!("{head}.e30.AAAA")
    };
    let (named, null) = (critical(r#"["x"]"#), critical("null"));
    for text in ["", ".", "..", "a.b", "a.b.c.d", "%.%.%", "e30.e30.", &long, &named, &null] {
        assert_eq!(verifier.verify(text), Err(TokenFault::Malformed), "{text:.40}");
    }
}

proptest! {
    #[test]
    fn any_text_is_borne(text in ".{0,80}", head in ".{0,40}", claims in ".{0,40}") {
        let verifier = verifier(&[secret_key()]);
        prop_assert!(verifier.verify(&text).is_err());
        let shaped = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        prop_assert!(verifier.verify(&shaped).is_err());
    }
}
