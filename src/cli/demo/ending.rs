//! What ends the demo: Ctrl-C, SIGTERM, or the time it was given.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the end; signals count from the moment it was made.
#[derive(Debug)]
pub(super) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    duration: Option<Duration>,
}

impl Ending {
    /// Has to be called on a runtime.
    pub(super) fn listen(duration: Option<Duration>) -> io::Result<Ending> {
        Ok(Ending {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            duration,
        })
    }

    /// Returns at the end; the duration counts from `start`. Dropping the future loses nothing.
    pub(super) async fn wait(&mut self, start: Instant) {
        let over = async {
            // A duration beyond what the clock can hold is no end either.
            match self.duration.and_then(|duration| start.checked_add(duration)) {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = over => {}
        }
    }
}
