//! Worker threads: one single-threaded runtime each.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use crate::live::Live;
use crate::proxy::{self, Crowd, Epoch, Faults, Snapshot, Stop, Turn, Worker};
use crate::telemetry::Telemetry;
use crate::telemetry::access::WorkerLog;

/// What one worker is made of.
pub(super) struct Parts {
    pub(super) id: usize,
    pub(super) first: Turn,
    pub(super) turns: mpsc::Receiver<Turn>,
    pub(super) live: Arc<Live<Snapshot>>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) log: WorkerLog,
    pub(super) epoch: Epoch,
    pub(super) faults: Arc<Faults>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) stop: watch::Receiver<Stop>,
}

/// Starts a worker and returns once it listens; its thread ends when it has drained, with the number of connections that
/// were cut off.
pub(super) fn start(parts: Parts) -> io::Result<JoinHandle<usize>> {
    let (tell, told) = sync_channel(1);
    let thread = Builder::new().name(format!("worker-{}", parts.id)).spawn(move || run(parts, &tell))?;
    match told.recv() {
        Ok(begun) => begun.map(|()| thread),
        // It ended without a word, which only a panic can do.
        Err(_) => Err(io::Error::other("the worker's thread ended at once")),
    }
}

/// Tasks that take a turn before the system is asked for events again, unless all have had theirs. Asking costs a system
/// call; a busy worker then takes more events at once.
const TURNS: u32 = 256;

fn run(parts: Parts, tell: &SyncSender<io::Result<()>>) -> usize {
    let Parts { id, first, turns, live, telemetry, log, epoch, faults, crowd, stop } = parts;
    // A local runtime is built on the thread that runs it.
    let local = runtime::LocalOptions::default();
    let mut builder = runtime::Builder::new_current_thread();
    let runtime = match builder.enable_all().event_interval(TURNS).build_local(local) {
        Ok(runtime) => runtime,
        Err(error) => return refuse(tell, error),
    };
    // Balancing and request ids want numbers that differ between workers and processes, not secret ones.
    let seed = RandomState::new().hash_one(id);
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(proxy::Parts { id, seed, epoch, live, telemetry, log, faults, crowd }));
        // Whoever started us may have given up waiting; then the stop comes soon.
        let begun = || _ = tell.send(Ok(()));
        proxy::run(worker, first, turns, stop, begun).await.unwrap_or_else(|error| refuse(tell, error))
    })
}

fn refuse(tell: &SyncSender<io::Result<()>>, error: io::Error) -> usize {
    let _ = tell.send(Err(error));
    0
}
