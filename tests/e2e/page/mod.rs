//! The page in a real browser, and the admin port against its own description. Both are driven by tools of other people's.

mod api;
mod browser;
mod reference;
mod stream;

use std::process::Command;

use crate::harness::{Origin, Plan, Sidecar};

const TOKEN: &str = "9f8a1c0d-the-token-of-the-page-and-its-tests";

/// A sidecar with half of the users on gray, a breaker on both lanes, and changes for those who show the token.
fn scene() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::new()
        .upstream("stable", stable.address())
        .upstream("gray", gray.address())
        .release("r", "level: permille\npermille: 500")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r\nbreaker: b")
        .more("breakers: { b: { min_calls: 100000 } }")
        .admin("token_file: admin.token")
        .file("admin.token", TOKEN);
    (Sidecar::start(&plan), stable, gray)
}

/// Runs a tool to its end, and shows what it said if it failed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run scripts/setup-test-env"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    said.into_owned()
}
