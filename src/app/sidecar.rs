//! The sidecar as one thing that starts and drains.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::admin_door::AdminDoor;
use super::bind::{self, BindError};
use super::certificates;
use super::configs::ConfigDesk;
use super::doors::Doors;
use super::facts;
use super::faults::FaultDesk;
use super::ledger::Ledger;
use super::memory;
use super::merger::Merger;
use super::reload::{self, Origin, Reloader, Running};
use super::signal;
use super::view::ControlView;
use super::worker::{self, Parts};
use crate::admin::AdminState;
use crate::config::{self, Loaded};
use crate::latch::{Keeping, Latches};
use crate::live::Live;
use crate::proxy::{Epoch, Faults, Making, Snapshot, Stop};
use crate::resilience::Tick;
use crate::telemetry::Telemetry;
use crate::telemetry::access::{AccessLog, KeyError, Sampling, Sink, UserHash};
use crate::upstream::{Care, REFRESH};

/// A sidecar that runs.
pub struct Sidecar {
    control: Runtime,
    workers: Vec<JoinHandle<usize>>,
    stop: watch::Sender<Stop>,
    admin_end: watch::Sender<u64>,
    view: Arc<ControlView>,
    log: Arc<AccessLog>,
    latches: Arc<Latches>,
    ledger: Arc<Ledger>,
    traffic: Vec<SocketAddr>,
    admin: SocketAddr,
    live: Arc<Live<Snapshot>>,
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
    ///
    /// What `origin` names is read again when it changes, on SIGHUP, and when somebody asks for it.
    pub fn start(loaded: Loaded, origin: Origin) -> Result<Self, StartError> {
        let settings = &loaded.settings;
        let admin_address = settings.admin;
        let count = settings.workers.map_or_else(available_workers, std::num::NonZeroUsize::get);
        let (sampling, key_files) = (sampling(settings.access_log), loaded.key_files.clone());
        let (doors, entrances) = Doors::open(&settings.listeners, count)?;
        let admin_listener = bind::admin(admin_address)?;
        let admin = admin_listener.local_addr().map_err(StartError::system("the admin port"))?;

        let telemetry = Arc::new(Telemetry::new(count));
        let log = AccessLog::start(Sink::Stdout, sampling, UserHash::random()?, telemetry.clone());
        let log = Arc::new(log.map_err(StartError::system("the access log"))?);
        let latches = Arc::new(latches(&loaded, &telemetry));
        let ledger = Arc::new(Ledger::open(&loaded, latches.clone()));
        let epoch = Epoch::now();
        let seed = RandomState::new().hash_one(0);
        let making = Making { workers: count, seed, now: Tick::START };
        let (snapshot, succession) = Snapshot::build(loaded, None, &telemetry, &latches, &making);
        let snapshot = Arc::new(snapshot);
        telemetry.config_applied(&snapshot.version);
        let faults = Arc::new(Faults::new(telemetry.clone()));
        faults.configure(&snapshot.settings.faults);
        let control = control_runtime().map_err(StartError::system("the control threads"))?;
        control.block_on(snapshot.directory.refresh());
        let mut care = Care::new(RandomState::new().hash_one(std::process::id()));
        let hangup = {
            let _inside = control.enter();
            care.follow(&snapshot.directory);
            signal::hangups().map_err(StartError::system("waiting for SIGHUP"))?
        };
        let merger = Arc::new(Merger::new(epoch, latches.clone(), snapshot.clone(), succession));
        let judgements = merger.judgements();
        control.spawn(merger.clone().run());
        control.spawn(latches.clone().keep());
        let live = Arc::new(Live::new(snapshot));
        control.spawn(memory::watch(live.clone()));
        control.spawn(keep_fresh(live.clone()));
        control.spawn(facts::keep(live.clone()));
        control.spawn(certificates::keep(live.clone(), telemetry.clone()));
        control.spawn(ledger.clone().keep(live.clone()));
        let (shown, entered) = (live.clone(), doors.shown());
        let view = ControlView::new(shown, telemetry.clone(), latches.clone(), judgements, entered, ledger.clone());
        let view = Arc::new(view);

        let (stop, stops) = watch::channel(Stop::No);
        let mut workers = Vec::new();
        for (id, (first, turns)) in entrances.into_iter().enumerate() {
            let (live, telemetry, faults, stop) = (live.clone(), telemetry.clone(), faults.clone(), stops.clone());
            let parts = Parts { id, first, turns, live, telemetry, log: log.worker(id), epoch, faults, stop };
            workers.push(worker::start(parts).map_err(StartError::system("a worker"))?);
        }
        let traffic = (*doors.shown().get()).clone();
        let desk = Arc::new(FaultDesk { faults: faults.clone(), live: live.clone(), view: view.clone() });
        let (desk_of_changes, calls) = reload::desk();
        let configs = Arc::new(ConfigDesk { desk: desk_of_changes, ledger: ledger.clone(), live: live.clone() });
        let state = AdminState {
            view: view.clone(),
            faults: desk,
            sync: configs.clone(),
            configs,
            telemetry: telemetry.clone(),
            host_names: Vec::new(),
        };
        let admin_door = {
            let _inside = control.enter();
            AdminDoor::open(state, admin_address, admin_listener).map_err(StartError::system("the admin port"))?
        };
        let admin_end = admin_door.end();
        let running = Running {
            live: live.clone(),
            telemetry,
            latches: latches.clone(),
            merger,
            faults,
            log: log.clone(),
            epoch,
            workers: count,
            seed,
            care,
            doors,
            admin: admin_door,
            retired: Vec::new(),
        };
        let reloader = {
            let _inside = control.enter();
            Reloader::new(origin, key_files, running, view.clone(), ledger.clone(), calls, hangup)
        };
        control.spawn(reloader.run());
        view.ready();
        Ok(Self { control, workers, stop, admin_end, view, log, latches, ledger, traffic, admin, live })
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
        let Self { control, workers, stop, admin_end, view, log, latches, ledger, live, .. } = self;
        let drain = live.get().settings.drain;
        view.draining();
        stop.send_replace(Stop::Drain(drain));
        // A worker that panicked outside of its connections has nothing left to drain.
        let cut = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
        admin_end.send_replace(u64::MAX);
        control.shutdown_timeout(CONTROL_END);
        save_last(latches, ledger);
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
fn save_last(latches: Arc<Latches>, ledger: Arc<Ledger>) {
    let (saved, outcome) = std::sync::mpsc::channel::<bool>();
    std::thread::spawn(move || {
        let latches_kept = !latches.is_unsaved() || latches.save() == Keeping::Kept;
        saved.send(ledger.journal().flush() && latches_kept)
    });
    if !matches!(outcome.recv_timeout(STATE_END), Ok(true)) {
        tracing::error!("the last changes are not kept");
    }
}

/// Looks up the names of the configuration in force again and again.
async fn keep_fresh(live: Arc<Live<Snapshot>>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let directory = live.get().directory.clone();
        directory.refresh().await;
    }
}

fn control_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("control").enable_all().build()
}

fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What the access log makes of its setting.
pub(super) fn sampling(setting: config::AccessLog) -> Sampling {
    match setting {
        config::AccessLog::Off => Sampling::Off,
        config::AccessLog::All => Sampling::All,
        config::AccessLog::Share(share) => Sampling::Share(share),
    }
}
