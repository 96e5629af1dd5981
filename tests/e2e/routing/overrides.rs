//! The developer override, by tokens as `graylane token` makes them.

use crate::harness::{Origin, Plan, Sidecar, eventually, graylane};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const DEVELOPER: &str = "developer: { header: x-gray-override, key_file: override.key }";

fn scene(environment: &'static str, release: &str) -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), release)
        .environment(environment)
        .file("override.key", format!("{KEY}\n"))
        .file("other.key", "f".repeat(40));
    (Sidecar::start(&plan), stable, gray)
}

fn token(sidecar: &Sidecar, key: &str, release: &str, lane: &str, ttl: &str) -> String {
    let key = sidecar.directory().join(key);
    let key = key.to_str().expect("a plain path");
    let output = graylane([
        "token",
        "--key-file",
        key,
        "--release",
        release,
        "--lane",
        lane,
        "--subject",
        "li.wei",
        "--ttl",
        ttl,
    ]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn lane_with(sidecar: &Sidecar, token: &str) -> String {
    let response = sidecar.get("/", &format!("x-gray-override: {token}\r\n"));
    assert_eq!(response.status(), 200, "{response:?}");
    response.get("x-lane").expect("the origin names its lane")
}

#[test]
fn a_signed_token_takes_its_bearer_to_gray() {
    let (sidecar, _stable, _gray) = scene("prod", &format!("level: developer\n{DEVELOPER}"));
    let token = token(&sidecar, "override.key", "r", "gray", "1h");
    assert_eq!(lane_with(&sidecar, &token), "gray");
}

#[test]
fn a_signed_token_takes_its_bearer_to_stable_too() {
    let (sidecar, _stable, _gray) = scene("prod", &format!("level: full\n{DEVELOPER}"));
    assert_eq!(lane_with(&sidecar, "none at all"), "gray");
    let token = token(&sidecar, "override.key", "r", "stable", "1h");
    assert_eq!(lane_with(&sidecar, &token), "stable");
}

#[test]
fn a_wrong_token_is_ignored_and_never_an_error() {
    let (sidecar, _stable, _gray) = scene("prod", &format!("level: developer\n{DEVELOPER}"));
    let good = token(&sidecar, "override.key", "r", "gray", "1h");
    let foreign = token(&sidecar, "other.key", "r", "gray", "1h");
    let elsewhere = token(&sidecar, "override.key", "another", "gray", "1h");
    let mut tampered = good.clone();
    let last = tampered.pop().expect("a token is long");
    tampered.push(if last == 'A' { 'B' } else { 'A' });
    let cut = &good[..good.len() / 2];
    for bad in [&foreign, &elsewhere, &tampered, cut, "gray", ".", "…"] {
        assert_eq!(lane_with(&sidecar, bad), "stable", "{bad}");
    }
    assert_eq!(lane_with(&sidecar, &good), "gray");
}

#[test]
fn an_expired_token_is_ignored() {
    let (sidecar, _stable, _gray) = scene("prod", &format!("level: developer\n{DEVELOPER}"));
    let token = token(&sidecar, "override.key", "r", "gray", "2s");
    eventually("the token to expire", || (lane_with(&sidecar, &token) == "stable").then_some(()));
}

#[test]
fn an_unsigned_override_counts_in_dev_only() {
    let release = format!("level: developer\n{DEVELOPER}");
    let (dev, _stable, _gray) = scene("dev", &release);
    assert_eq!(lane_with(&dev, "gray"), "gray");
    let (prod, _stable, _gray) = scene("prod", &release);
    assert_eq!(lane_with(&prod, "gray"), "stable");
}
