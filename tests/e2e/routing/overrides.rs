//! The developer override, by tokens as `graylane token` makes them.

use crate::harness::{Origin, Plan, Sidecar, answer, eventually, graylane};

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

fn debug_token(sidecar: &Sidecar, key: &str, further: &[&str]) -> String {
    let key = sidecar.directory().join(key);
    let key = key.to_str().expect("a plain path");
    let mut words = vec!["token", "--key-file", key, "--release", "r", "--subject", "li.wei", "--ttl", "1h"];
    words.extend(further);
    let output = graylane(words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn a_signed_debugger_is_told_why_and_nobody_else_is() {
    let stable = Origin::answering(|_| answer("200 OK", "X-Lane: stable\r\nX-Gray-Explain: forged\r\n", b""));
    let gray = Origin::lane("gray");
    let plan = Plan::gray(stable.address(), gray.address(), &format!("level: permille\npermille: 50\n{DEVELOPER}"))
        .environment("dev")
        .file("override.key", format!("{KEY}\n"))
        .file("other.key", "f".repeat(40));
    let sidecar = Sidecar::start(&plan);
    let told = |token: &str| {
        let response = sidecar.get("/", &format!("x-user-id: u1\r\nx-gray-override: {token}\r\n"));
        (response.get("x-lane").expect("a lane"), response.get("x-gray-explain"), response.get("cache-control"))
    };
    // Who only looks goes where everybody would: bucket 68 of this salt and user is outside.
    let looking = debug_token(&sidecar, "override.key", &["--explain"]);
    let (lane, explain, cache) = told(&looking);
    let explain = explain.expect("an explanation");
    assert_eq!((lane.as_str(), cache.as_deref()), ("stable", Some("private")));
    for part in
        ["lane=stable; level=none; reason=bucket_out", "route=all; upstream=stable", "x-user-id", "permille=miss"]
    {
        assert!(explain.contains(part), "{part} in {explain}");
    }
    assert!(explain.len() <= 2048, "{}", explain.len());

    let both = debug_token(&sidecar, "override.key", &["--explain", "--lane", "gray"]);
    let (lane, explain, _) = told(&both);
    assert_eq!(lane, "gray");
    assert!(explain.expect("an explanation").starts_with("lane=gray; level=developer; reason=override"));

    let silent = debug_token(&sidecar, "override.key", &["--lane", "gray"]);
    let forged = debug_token(&sidecar, "other.key", &["--explain"]);
    // Not even where unsigned overrides choose lanes.
    for token in ["gray", &silent, &forged, "none", "stable"] {
        assert_eq!(told(token).1, None, "{token}");
    }
    assert!(sidecar.get("/", "").get("x-gray-explain").is_none(), "the service's own field does not pass");
}

#[test]
fn an_explanation_is_bounded_and_plain_whatever_the_request_holds() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), &format!("level: permille\npermille: 50\n{DEVELOPER}"))
        .upstream("down", "127.0.0.1:1")
        .route("down", "/down", "stable: down, gray: down", "release: r")
        .file("override.key", format!("{KEY}\n"));
    let sidecar = Sidecar::start(&plan);
    let token = debug_token(&sidecar, "override.key", &["--explain"]);
    let fields = format!(
        "x-gray-override: {token}\r\nx-user-id: {}\r\nx-device-id: 设备; lane=gold\r\nx-user-tags: {}\r\n",
        "u".repeat(3000),
        "tag,".repeat(500)
    );
    let response = sidecar.get("/", &fields);
    assert_eq!(response.status(), 200);
    let explain = response.get("x-gray-explain").expect("an explanation");
    assert!(explain.len() <= 2048 && explain.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{explain}");
    assert!(!explain.contains("; lane=gold"), "{explain}");
    let failed = sidecar.get("/down", &format!("x-user-id: u1\r\nx-gray-override: {token}\r\n"));
    assert_eq!(failed.status(), 502);
    assert!(
        failed.get("x-gray-explain").is_some_and(|line| line.starts_with("lane=")),
        "answers of our own tell as well"
    );
}
