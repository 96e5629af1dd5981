//! The sidecar as one thing that starts and drains.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::bind::{self, BindError};
use super::facts;
use super::faults::FaultDesk;
use super::judge::Judge;
use super::memory;
use super::merger::Merger;
use super::view::ControlView;
use super::worker::{self, Parts};
use crate::admin::{self, AdminState};
use crate::config::{self, Loaded};
use crate::latch::{Keeping, Latches};
use crate::live::Live;
use crate::proxy::{Epoch, Faults, Making, Snapshot, Stop};
use crate::resilience::Tick;
use crate::telemetry::Telemetry;
use crate::telemetry::access::{AccessLog, KeyError, Sampling, Sink, UserHash};
use crate::upstream::Directory;

/// A sidecar that runs.
pub struct Sidecar {
    control: Runtime,
    workers: Vec<JoinHandle<usize>>,
    stop: watch::Sender<Stop>,
    admin_stop: oneshot::Sender<()>,
    view: Arc<ControlView>,
    log: AccessLog,
    latches: Arc<Latches>,
    traffic: Vec<SocketAddr>,
    admin: SocketAddr,
    drain: Duration,
}

/// Why a sidecar does not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused something else.
    #[error("cannot start {what}")]
    System {
        /// What was to be started.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// There is no key to hash user ids with.
    #[error("cannot make a key for the access log")]
    Key(#[from] KeyError),
}

impl StartError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

impl Sidecar {
    /// Starts everything a configuration asks for and returns once traffic is accepted.
    pub fn start(loaded: Loaded) -> Result<Self, StartError> {
        let settings = &loaded.settings;
        let (drain, admin_address) = (settings.drain, settings.admin);
        let count = settings.workers.map_or_else(available_workers, std::num::NonZeroUsize::get);
        let sampling = sampling(settings.access_log);
        let (mut traffic, mut bound) = (Vec::new(), Vec::new());
        for address in &settings.listeners {
            let (address, listeners) = bind::listeners(*address, count)?;
            traffic.push(address);
            bound.push(listeners);
        }
        let admin_listener = bind::admin(admin_address)?;
        let admin = admin_listener.local_addr().map_err(StartError::system("the admin port"))?;

        let telemetry = Arc::new(Telemetry::new(count));
        let log = AccessLog::start(Sink::Stdout, sampling, UserHash::random()?, telemetry.clone());
        let log = log.map_err(StartError::system("the access log"))?;
        let latches = Arc::new(latches(&loaded, &telemetry));
        let epoch = Epoch::now();
        let making = Making { workers: count, seed: RandomState::new().hash_one(0), now: Tick::START };
        let (snapshot, watches) = Snapshot::build(loaded, &Directory::default(), &telemetry, &latches, &making);
        let snapshot = Arc::new(snapshot);
        telemetry.config_applied(&snapshot.version);
        let faults = Arc::new(Faults::new(telemetry.clone()));
        faults.configure(&snapshot.settings.faults);
        let control = control_runtime().map_err(StartError::system("the control threads"))?;
        control.block_on(snapshot.directory.refresh());
        control.spawn({
            let directory = snapshot.directory.clone();
            // Checks of many sidecars must not come together; that is all the number is for.
            let seed = RandomState::new().hash_one(std::process::id());
            async move { tokio::join!(directory.keep_fresh(), directory.keep_watched(seed)) }
        });
        let judge = Judge::of(&snapshot.settings);
        let judgements = judge.judgements();
        let merger = Merger { watches, epoch, snapshot: snapshot.clone(), latches: latches.clone(), judge };
        control.spawn(merger.run());
        control.spawn(latches.clone().keep());
        if snapshot.wants_memory() {
            control.spawn(memory::watch(snapshot.clone()));
        }
        let live = Arc::new(Live::new(snapshot));
        control.spawn(facts::keep(live.clone()));
        let view = ControlView::new(live.clone(), telemetry.clone(), latches.clone(), judgements, traffic.clone());
        let view = Arc::new(view);

        let (stop, stops) = watch::channel(Stop::No);
        let mut workers = Vec::new();
        for id in 0..count {
            let listeners = bound.iter_mut().filter_map(Vec::pop).collect();
            let (live, telemetry, faults, stop) = (live.clone(), telemetry.clone(), faults.clone(), stops.clone());
            let parts = Parts { id, listeners, live, telemetry, log: log.worker(id), epoch, faults, stop };
            workers.push(worker::start(parts).map_err(StartError::system("a worker"))?);
        }
        let (admin_stop, admin_stops) = oneshot::channel::<()>();
        let desk = Arc::new(FaultDesk { faults, live, view: view.clone() });
        let state = AdminState { view: view.clone(), faults: desk, telemetry, host_names: Vec::new() };
        let listener = {
            let _inside = control.enter();
            tokio::net::TcpListener::from_std(admin_listener).map_err(StartError::system("the admin port"))?
        };
        control.spawn(async move {
            let stopped = async move {
                let _ = admin_stops.await;
            };
            if let Err(error) = admin::serve(listener, state, stopped).await {
                tracing::error!(%error, "the admin port ended");
            }
        });
        view.ready();
        Ok(Self { control, workers, stop, admin_stop, view, log, latches, traffic, admin, drain })
    }

    /// The addresses that take traffic, with the ports they really have.
    pub fn traffic(&self) -> &[SocketAddr] {
        &self.traffic
    }

    /// The admin address, with the port it really has.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Ends in order: nothing more is accepted, what is under way is finished within the configured time, then the
    /// rest is cut off. Returns how many connections that were.
    pub fn drain(self) -> usize {
        let Self { control, workers, stop, admin_stop, view, log, latches, drain, .. } = self;
        view.draining();
        stop.send_replace(Stop::Drain(drain));
        // A worker that panicked outside of its connections has nothing left to drain.
        let cut = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
        let _ = admin_stop.send(());
        control.shutdown_timeout(CONTROL_END);
        save_last(latches);
        log.flush(LOG_END);
        cut
    }
}

/// How long control work may take to end.
const CONTROL_END: Duration = Duration::from_secs(1);
/// How long the state directory may take to hold the last changes.
const STATE_END: Duration = Duration::from_secs(2);
/// How long the access log may take to write its last lines.
const LOG_END: Duration = Duration::from_secs(2);

/// What an earlier process left, and what this configuration makes of it. Kept at once: that the directory cannot be
/// written is better told now than when something has to be kept.
fn latches(loaded: &Loaded, telemetry: &Arc<Telemetry>) -> Latches {
    let latches = Latches::open(loaded.settings.state_dir.as_deref(), telemetry.clone());
    latches.adopt(&loaded.settings, &loaded.version);
    latches.save();
    latches
}

/// Keeps what changed last, if the disk answers in time.
fn save_last(latches: Arc<Latches>) {
    if !latches.is_unsaved() {
        return;
    }
    let (saved, outcome) = std::sync::mpsc::channel::<Keeping>();
    std::thread::spawn(move || saved.send(latches.save()));
    if !matches!(outcome.recv_timeout(STATE_END), Ok(Keeping::Kept)) {
        tracing::error!("the last changes of releases are not kept");
    }
}

fn control_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("control").enable_all().build()
}

fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

fn sampling(setting: config::AccessLog) -> Sampling {
    match setting {
        config::AccessLog::Off => Sampling::Off,
        config::AccessLog::All => Sampling::All,
        config::AccessLog::Share(share) => Sampling::Share(share),
    }
}
