//! What signals ask for.

use std::io;
use std::thread;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

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

/// The stack that a process's first thread usually has.
const START_STACK: usize = 8 * 1024 * 1024;

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
            // Left alone, these end the process; whoever rotates logs, or writes a file, may send them before anybody waits for them.
            drop((reopenings()?, hangups()?));
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

    /// Does what starts the process, on a thread of its own, and blocks until that is over or the process is asked to end: then the
    /// signal's name. What is being started may wait for others (sources, names, certificates) and is left behind: the process
    /// ends, and it has accepted nothing yet.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    ///
    /// # Panics
    ///
    /// Where `start` does.
    pub fn unless_stopped<T: Send + 'static>(
        &mut self,
        start: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Result<T, &'static str>> {
        let (tell, told) = oneshot::channel();
        // Nobody listens any more where the process was asked to end.
        let starting = thread::Builder::new().name("start".to_owned()).stack_size(START_STACK);
        let starting = starting.spawn(move || drop(tell.send(start())))?;
        let Self { runtime, terminate, interrupt, .. } = self;
        let ended = runtime.block_on(async {
            tokio::select! {
                started = told => Ok(started),
                _ = terminate.recv() => Err("SIGTERM"),
                _ = interrupt.recv() => Err("SIGINT"),
            }
        });
        let started = match ended {
            Ok(Ok(started)) => started,
            // It went without a word, so it panicked.
            Ok(Err(_)) => match starting.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("a start that does not panic tells how it ended"),
            },
            Err(signal) => return Ok(Err(signal)),
        };
        Ok(Ok(started))
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
