//! Programs by other people, from PyPI, as independent witnesses: `make test` installs them into a virtual environment.

use std::path::PathBuf;
use std::process::Command;

/// The interpreter that has the packages of `scripts/requirements.txt`. A test that cannot find it fails.
fn python() -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("GRAYLANE_TEST_PYTHON")
        .map_or_else(|| root.join("target/test-venv/bin/python"), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make test`, or `scripts/setup-test-env` once", path.display());
    Command::new(path)
}

/// A script of `tests/e2e/python/`.
pub(crate) fn python_script(name: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut command = python();
    command.arg(root.join("tests/e2e/python").join(name));
    command
}
