//! What signals ask for.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::hand_over::{HandOverError, Handing};

/// Every SIGHUP from now on; to be called on a runtime.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Every SIGUSR1 from now on; to be called on a runtime.
pub(super) fn reopenings() -> io::Result<Signal> {
    signal(SignalKind::user_defined1())
}

/// What a signal asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To end; the signal's name.
    Stop(&'static str),
    /// To let another process take over.
    HandOver,
}

/// The signals that end the process, or replace it. None is lost between two looks.
pub struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    replace: Signal,
}

impl Signals {
    /// From now on.
    ///
    /// # Errors
    ///
    /// When the system does not let us wait for signals.
    pub fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (terminate, interrupt, replace) = {
            let _inside = runtime.enter();
            // Left alone, this one ends the process; whoever rotates logs may send it before there is one.
            drop(reopenings()?);
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::user_defined2())?)
        };
        Ok(Self { runtime, terminate, interrupt, replace })
    }

    /// Blocks until the next signal.
    pub fn wait(&mut self) -> Asked {
        let Self { runtime, terminate, interrupt, replace } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Asked::Stop("SIGTERM"),
                _ = interrupt.recv() => Asked::Stop("SIGINT"),
                _ = replace.recv() => Asked::HandOver,
            }
        })
    }

    /// Blocks until the other process serves, or this one is asked to end; then the other one is ended.
    ///
    /// # Errors
    ///
    /// When the other one does not get ready.
    pub fn until_ready(&mut self, mut handing: Handing) -> Result<Option<Asked>, HandOverError> {
        let Self { runtime, terminate, interrupt, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                ready = handing.ready() => ready.map(|()| None),
                _ = terminate.recv() => Ok(Some(Asked::Stop("SIGTERM"))),
                _ = interrupt.recv() => Ok(Some(Asked::Stop("SIGINT"))),
            }
        })
    }
}
