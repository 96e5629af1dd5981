//! When to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Every SIGHUP from now on; to be called on a runtime.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Blocks until SIGTERM or SIGINT; says which.
pub fn wait_for_stop() -> io::Result<&'static str> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => Ok("SIGTERM"),
            _ = interrupt.recv() => Ok("SIGINT"),
        }
    })
}
