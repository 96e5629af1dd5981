//! Programs by other people, from PyPI, as independent witnesses: `make test` installs them into a virtual environment.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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

/// A server of a script that prints its port and serves until its standard input ends; killed with the test.
pub(crate) struct PythonServer {
    child: Child,
    port: u16,
}

impl PythonServer {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let output = child.stdout.take().expect("stdout is piped");
        let mut server = Self { child, port: 0 };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("the server prints its port");
        server.port = line.trim().parse().expect("a port");
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
