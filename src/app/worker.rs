//! Worker threads: one single-threaded runtime each.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::runtime;
use tokio::sync::watch;

use crate::live::Live;
use crate::proxy::{self, Epoch, Faults, Snapshot, Stop, Worker};
use crate::telemetry::Telemetry;
use crate::telemetry::access::WorkerLog;

/// What one worker is made of.
pub(super) struct Parts {
    pub(super) id: usize,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) live: Arc<Live<Snapshot>>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) log: WorkerLog,
    pub(super) epoch: Epoch,
    pub(super) faults: Arc<Faults>,
    pub(super) stop: watch::Receiver<Stop>,
}

/// Starts a worker; its thread ends once it has drained, with the number of connections that were cut off.
pub(super) fn start(parts: Parts) -> io::Result<JoinHandle<usize>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build_local(runtime::LocalOptions::default());
    // Only to find out whether it can be had: a local runtime is built on the thread that runs it.
    drop(runtime?);
    Builder::new().name(format!("worker-{}", parts.id)).spawn(move || run(parts))
}

fn run(parts: Parts) -> usize {
    let Parts { id, listeners, live, telemetry, log, epoch, faults, stop } = parts;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(runtime::LocalOptions::default())
        .expect("a runtime could be had a moment ago");
    // Balancing and request ids want numbers that differ between workers and processes, not secret ones.
    let seed = RandomState::new().hash_one(id);
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(proxy::Parts { id, seed, epoch, live, telemetry, log, faults }));
        let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<_>>();
        proxy::run(worker, listeners.expect("a bound listener can be registered"), stop).await
    })
}
