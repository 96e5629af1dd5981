//! Chromium shows the page of a running sidecar, and a script does what people do there.

use std::path::PathBuf;
use std::process::Command;

use super::{TOKEN, run, scene};

/// A script of `tests/page/`, with the packages that `scripts/setup-test-env` installs.
fn script(name: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let modules = std::env::var_os("GRAYLANE_TEST_NODE").map_or_else(|| root.join("target/test-node"), PathBuf::from);
    assert!(modules.join("node_modules").exists(), "{} is missing: run `make test`", modules.display());
    let mut command = Command::new("node");
    command.arg(root.join("tests/page").join(name)).env("GRAYLANE_TEST_NODE", modules);
    command
}

/// Figures move; both languages; nothing serious for axe-core in any view, light or dark; a phone's width; a script tag as a
/// user id is text; errors show; a stream that was cut comes back; by keyboard alone a rollback takes traffic away within a
/// second; the token is kept nowhere; what happened is listed.
#[test]
fn people_can_use_the_page() {
    let (sidecar, _stable, _gray) = scene();
    let address = |socket| format!("http://{socket}/");
    let said = run(script("check.mjs").args([address(sidecar.admin()), address(sidecar.traffic()), TOKEN.to_owned()]));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 10, "{said}");
}
