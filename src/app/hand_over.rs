//! Another process takes over on the same ports, and nobody notices: the binary is replaced, the port is never closed.
//!
//! ```text
//!  this process                      the next one (the same program and arguments, read anew from the disk)
//!    │ starts it, hands it the listeners ─▶ loads the configuration, builds everything
//!    │ serves                               accepts from the same queues
//!    │ ◀──────────────── "ready" ────────── on a socket that is its standard input
//!    ▼ drains
//! ```
//!
//! A second listening socket on the same port (`SO_REUSEPORT`) would not do: connections wait in the queue of the socket
//! that the kernel chose for them, and are reset with it. A queue that both hold is not closed by one of them.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::AsyncReadExt;

use super::inherit::FIRST;
use super::sidecar::Sidecar;

/// Set for a process that takes over; its standard input is then a socket to the one before.
const TAKES_OVER: &str = "GRAYLANE_TAKES_OVER";
/// What it says there once it serves.
const READY: &[u8] = b"ready\n";
/// How long it may take until then.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Why this process goes on.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It cannot be started, or not be handed the listeners.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended before it was ready; its log says why.
    #[error("the process that was to take over ended before it was ready")]
    Ended,
    /// It did not get ready.
    #[error("the process that was to take over was not ready after {} s", START_LIMIT.as_secs())]
    Late,
    /// The first process of a container, with whose end the container ends.
    #[error("process 1 cannot hand over: its end would be the end of the container")]
    First,
}

/// A process that is about to take over. Dropped, it is ended.
pub struct Handing {
    child: Option<Child>,
    told: UnixStream,
}

impl Handing {
    /// Starts `program` with this process's arguments and the sidecar's listeners.
    ///
    /// # Errors
    ///
    /// When it cannot be started; then nothing has changed.
    pub fn begin(sidecar: &Sidecar, program: &Path) -> Result<Self, HandOverError> {
        if std::process::id() == 1 {
            return Err(HandOverError::First);
        }
        let failed = |source| HandOverError::Start { program: program.to_owned(), source };
        // What it reads there is then as new as can be.
        sidecar.latches.save();
        let listeners = sidecar.spares.hand_out().map_err(failed)?;
        let (told, tells) = UnixStream::pair().map_err(failed)?;
        let count = listeners.len();
        let mappings = listeners
            .into_iter()
            .zip(FIRST..)
            .map(|(listener, at)| FdMapping { parent_fd: OwnedFd::from(listener), child_fd: at as i32 })
            .collect();
        let mut command = Command::new(program);
        command
            .args(std::env::args_os().skip(1))
            .env(TAKES_OVER, "1")
            .env("LISTEN_FDS", count.to_string())
            // Its id is not known before it runs; without one, whoever is started is meant.
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .stdin(OwnedFd::from(tells));
        command.fd_mappings(mappings).expect("numbers that count up do not collide");
        let child = command.spawn().map_err(failed)?;
        Ok(Self { child: Some(child), told })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits until it serves; from then on it lives on its own.
    ///
    /// # Errors
    ///
    /// When it ended or is late; then it is gone, and nothing has changed.
    pub(super) async fn ready(&mut self) -> Result<(), HandOverError> {
        let mut said = [0; READY.len()];
        let heard = async {
            let told = self.told.try_clone()?;
            told.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(told)?.read_exact(&mut said).await
        };
        match tokio::time::timeout(START_LIMIT, heard).await {
            Err(_) => Err(HandOverError::Late),
            Ok(Ok(_)) if said == READY => {
                self.child = None;
                Ok(())
            }
            Ok(_) => Err(HandOverError::Ended),
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Tells the process before this one, if there is one, that this one serves.
///
/// # Errors
///
/// When it is gone; then nobody serves but this process, which is as well.
pub fn tell_predecessor() -> io::Result<()> {
    if std::env::var_os(TAKES_OVER).is_none() {
        return Ok(());
    }
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    UnixStream::from(socket).write_all(READY)
}
