//! Claims of tokens, signed by another implementation's hand.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::scene;
use crate::harness::eventually;

const FACTS: &str = "user_tier: [{ jwt: tier }]\nuser_id: [{ jwt: sub }, { header: x-user-id }]";
const RULE: &str = "{ key: user_tier, operator: EQ, value: VIP }";
const JWT: &str = "jwt: { jwks: keys.json, issuer: shop, audience: goods, leeway: 1s }";
const FIRST: &[u8] = b"the first secret, thirty-two bytes and more";
const SECOND: &[u8] = b"the second secret, thirty-two bytes and more";

fn keys(secret: &[u8]) -> String {
    // Base64 of the URL kind, by the crate that the proxy does not use for it.
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&EncodingKey::from_secret(secret), Algorithm::HS256);
    json!({ "keys": [jwk.expect("a key")] }).to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

fn claims() -> Value {
    json!({ "sub": "u1", "tier": "VIP", "iss": "shop", "aud": "goods", "exp": now() + 600 })
}

fn bearer(secret: &[u8], claims: &Value) -> String {
    let token = encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).expect("a token");
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn claims_count_where_the_token_is_believed_whoever_sends_it() {
    let scene = scene(FACTS, RULE, |plan| plan.more(JWT).file("keys.json", keys(FIRST)));
    let good = bearer(FIRST, &claims());
    assert_eq!(scene.lane(&good), "gray");
    assert_eq!(scene.lane_from("127.0.0.9", &good), "gray");
    assert_eq!(scene.gray.last().head.get("authorization").map(|value| value.starts_with("Bearer ")), Some(true));
    assert_eq!(scene.lane(""), "stable");

    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        bearer(FIRST, &claims)
    };
    let payload = good.split('.').nth(1).expect("three parts");
    // {"alg":"none"}, without a signature.
    let unsigned = format!("Authorization: Bearer eyJhbGciOiJub25lIn0.{payload}.\r\n");
    for (fields, reason) in [
        (bearer(SECOND, &claims()), "signature"),
        (with("exp", json!(now() - 60)), "expired"),
        (with("nbf", json!(now() + 60)), "not_yet_valid"),
        (with("aud", json!("others")), "audience"),
        (with("iss", json!("others")), "issuer"),
        (unsigned, "algorithm"),
        ("Authorization: Bearer nonsense\r\n".to_owned(), "malformed"),
    ] {
        assert_eq!(scene.lane(&fields), "stable", "{reason}");
        scene.sidecar.wait_for_metric("graylane_jwt_rejected_total", &[("reason", reason)], 1.0);
    }
}

#[test]
fn keys_are_read_again_when_their_file_changes() {
    let scene = scene(FACTS, RULE, |plan| plan.more(JWT).file("keys.json", keys(FIRST)));
    let (old, new) = (bearer(FIRST, &claims()), bearer(SECOND, &claims()));
    assert_eq!((scene.lane(&old), scene.lane(&new)), ("gray".into(), "stable".into()));
    let file = scene.sidecar.directory().join("keys.json");
    let beside = scene.sidecar.directory().join("next.json");
    std::fs::write(&beside, keys(SECOND)).expect("a writable directory");
    std::fs::rename(&beside, &file).expect("a writable directory");
    eventually("the new key to count", || (scene.lane(&new) == "gray").then_some(()));
    assert_eq!(scene.lane(&old), "stable");
    // What cannot be used leaves what was.
    std::fs::write(&file, "{").expect("a writable directory");
    eventually("the fault to be told", || scene.sidecar.stderr().contains("cannot be used").then_some(()));
    assert_eq!(scene.lane(&new), "gray");
}

#[test]
fn explain_tells_why_a_token_is_not_believed() {
    let scene = scene(FACTS, RULE, |plan| plan.more(JWT).file("keys.json", keys(FIRST)));
    let ask = |fields: &str| {
        let value = fields.split_once(": ").expect("a field").1.trim();
        let headers = json!({ "authorization": value, "x-user-id": "u2" });
        scene.explained(json!({ "url": "/", "headers": headers }), "user_id")
    };
    assert_eq!(ask(&bearer(FIRST, &claims())), json!({ "value": "u1", "source": "jwt sub" }));
    let refused = ask(&bearer(SECOND, &claims()));
    assert_eq!((&refused["value"], &refused["source"]), (&json!("u2"), &json!("header x-user-id")));
    assert_eq!(refused["tried"][0]["why"], "the token is signed by none of the keys");
}
