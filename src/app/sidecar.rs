//! The sidecar as one thing that starts and drains.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::access_log;
use super::admin_door::AdminDoor;
use super::bind::{self, BindError};
use super::certificates;
use super::configs::ConfigDesk;
use super::doors::Doors;
use super::facts;
use super::faults::FaultDesk;
use super::first::First;
use super::inherit::{Inherited, Spares};
use super::ledger::Ledger;
use super::memory;
use super::merger::{Merger, MergerDoor};
use super::probes;
use super::reload::{self, Reloader, Running};
use super::signal;
use super::view::ControlView;
use super::worker::{self, Parts};
use crate::admin::AdminState;
use crate::config::{Loaded, Problems};
use crate::latch::{Keeping, Latches};
use crate::live::Live;
use crate::products::Products;
use crate::proxy::{Crowd, Epoch, Faults, Making, Snapshot, Stop};
use crate::resilience::Tick;
use crate::source;
use crate::telemetry::Telemetry;
use crate::telemetry::access::{AccessLog, KeyError, UserHash};
use crate::trace::Tracing;
use crate::upstream::Care;

/// A sidecar that runs.
pub struct Sidecar {
    control: Runtime,
    workers: Vec<JoinHandle<usize>>,
    stop: watch::Sender<Stop>,
    admin_end: watch::Sender<u64>,
    view: Arc<ControlView>,
    log: Arc<AccessLog>,
    pub(super) latches: Arc<Latches>,
    ledger: Arc<Ledger>,
    traffic: Vec<SocketAddr>,
    admin: SocketAddr,
    live: Arc<Live<Snapshot>>,
    pub(super) spares: Arc<Spares>,
}

/// Why a sidecar does not start. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("the configuration is refused")]
    Refused(Problems),
    /// A source never said anything.
    #[error(transparent)]
    Sources(#[from] source::StartError),
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
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

impl Sidecar {
    /// Starts everything that these files ask for, with the sources that they name, and returns once traffic is accepted.
    ///
    /// All of it is read again when it changes, on SIGHUP, and when somebody asks for it. It listens with what was handed
    /// to it as far as that fits, and binds the rest.
    pub fn start(files: Vec<PathBuf>, mut inherited: Inherited) -> Result<Self, StartError> {
        let First { loaded, digest, places, workers: count, control, telemetry, supply } = First::find(files)?;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let settings = &loaded.settings;
        let admin_address = settings.admin;
        let taken = (digest, loaded.key_files.clone());
        let spares = Arc::new(Spares::default());
        let (doors, entrances) = Doors::open(&settings.listeners, count, &mut inherited, spares.clone())?;
        let handed = inherited.take(admin_address).pop();
        let admin_listener = handed.map_or_else(|| bind::admin(admin_address), Ok)?;
        admin_listener.set_nonblocking(true).map_err(StartError::system("the admin port"))?;
        let probes_listener = settings.probes.map(bind::probes).transpose()?;
        inherited.forget_rest();
        let admin = admin_listener.local_addr().map_err(StartError::system("the admin port"))?;

        let users = UserHash::random()?;
        let (sink, sampling) = (access_log::sink(settings), access_log::sampling(settings));
        let log = AccessLog::start(sink, sampling, users.clone(), telemetry.clone());
        let log = Arc::new(log.map_err(StartError::system("the access log"))?);
        let latches = Arc::new(latches(&loaded, &telemetry));
        let ledger = Arc::new(Ledger::open(&loaded, places, latches.clone()));
        let epoch = Epoch::now();
        let seed = RandomState::new().hash_one(0);
        let mut tracing = Tracing::new(telemetry.clone(), users);
        let tracer = {
            let _inside = control.enter();
            tracing.follow(&loaded.settings)
        };
        let door = MergerDoor::default();
        let making = Making { workers: count, seed, now: Tick::START, tracer, knock: door.knock() };
        let (snapshot, succession) = Snapshot::build(loaded, None, &telemetry, &latches, &making);
        let snapshot = Arc::new(snapshot);
        telemetry.config_applied(&snapshot.version);
        let faults = Arc::new(Faults::new(telemetry.clone()));
        faults.configure(&snapshot.settings.faults);
        control.block_on(snapshot.directory.look_up());
        let mut care = Care::new(RandomState::new().hash_one(std::process::id()));
        let mut products = Products::new(telemetry.clone());
        let hangup = {
            let _inside = control.enter();
            care.follow(&snapshot.directory);
            products.follow(&snapshot.settings.products);
            let reopenings = signal::reopenings().map_err(StartError::system("waiting for SIGUSR1"))?;
            control.spawn(access_log::reopen(log.clone(), reopenings));
            signal::hangups().map_err(StartError::system("waiting for SIGHUP"))?
        };
        let merger = Arc::new(Merger::new(epoch, latches.clone(), snapshot.clone(), succession, door));
        let judgements = merger.judgements();
        control.spawn(merger.clone().run());
        control.spawn(latches.clone().keep());
        let live = Arc::new(Live::new(snapshot));
        control.spawn(memory::watch(live.clone()));
        control.spawn(facts::keep(live.clone()));
        control.spawn(certificates::keep(live.clone(), telemetry.clone()));
        control.spawn(ledger.clone().keep(live.clone()));
        let (shown, entered) = (live.clone(), doors.shown());
        let view = ControlView::new(
            shown,
            telemetry.clone(),
            latches.clone(),
            judgements,
            entered,
            ledger.clone(),
            supply.view(),
        );
        let view = Arc::new(view);

        let (stop, stops) = watch::channel(Stop::No);
        let (mut workers, crowd) = (Vec::new(), Arc::<Crowd>::default());
        for (id, (first, turns)) in entrances.into_iter().enumerate() {
            let (live, telemetry, faults, stop) = (live.clone(), telemetry.clone(), faults.clone(), stops.clone());
            let crowd = crowd.clone();
            let parts = Parts { id, first, turns, live, telemetry, log: log.worker(id), epoch, faults, crowd, stop };
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
            AdminDoor::open(state, admin_address, admin_listener, spares.clone())
                .map_err(StartError::system("the admin port"))?
        };
        let admin_end = admin_door.end();
        if let Some(listener) = probes_listener {
            let leaver = probes::Leaver { view: view.clone(), stop: stop.clone() };
            probes::open(&control, listener, leaver, &admin_end).map_err(StartError::system("the probes' address"))?;
        }
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
            products,
            tracing,
            doors,
            admin: admin_door,
            retired: Vec::new(),
        };
        let reloader = Reloader::new(supply, taken, running, view.clone(), ledger.clone(), calls, hangup);
        control.spawn(reloader.run());
        view.ready();
        Ok(Self { control, workers, stop, admin_end, view, log, latches, ledger, traffic, admin, live, spares })
    }

    /// The addresses that take traffic, with the ports they really have.
    pub fn traffic(&self) -> &[SocketAddr] {
        &self.traffic
    }

    /// The version of the configuration in force.
    pub fn version(&self) -> String {
        self.live.get().version.clone()
    }

    /// The admin address, with the port it really has.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What can end a drain before its time, from another thread.
    pub fn cutter(&self) -> Cutter {
        Cutter(self.stop.clone())
    }

    /// Ends in order: readiness is taken back, after a while (`leave`) nothing more is accepted, what is under way is
    /// finished within the configured time, then the rest is cut off. Returns how many connections that were.
    pub fn drain(self, leave: Leave) -> usize {
        let Self { control, workers, stop, admin_end, view, log, latches, ledger, live, spares, .. } = self;
        let snapshot = live.get();
        let settings = &snapshot.settings;
        view.draining();
        match leave {
            Leave::WhenNoticed => wait(&control, &stop, settings.drain_wait.unwrap_or_else(usual_wait)),
            Leave::AtOnce => {}
            // The other process answers on the same port.
            Leave::HandedOver => _ = admin_end.send_replace(u64::MAX),
        }
        // What a spare holds open would let connections in that nobody takes.
        spares.drop_all();
        stop.send_if_modified(|stop| {
            let goes_on = matches!(*stop, Stop::No | Stop::Leave);
            if goes_on {
                *stop = Stop::Drain(settings.drain);
            }
            goes_on
        });
        // A worker that panicked outside of its connections has nothing left to drain.
        let cut = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
        admin_end.send_replace(u64::MAX);
        if let Some(tracer) = &live.get().tracer
            && !control.block_on(tracer.flush(TRACES_END))
        {
            tracing::warn!("the last spans are not told");
        }
        control.shutdown_timeout(CONTROL_END);
        save_last(latches, ledger);
        log.flush(LOG_END);
        cut
    }
}

/// How long a sidecar that is told to end goes on as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// For `drain_wait`: so long others may still send it what is new.
    WhenNoticed,
    /// Not at all.
    AtOnce,
    /// Not at all, and another process has the listeners.
    HandedOver,
}

/// Ends a drain before its time.
pub struct Cutter(watch::Sender<Stop>);

impl Cutter {
    /// What is under way is cut off.
    pub fn cut(&self) {
        self.0.send_replace(Stop::Now);
    }
}

/// Goes on as before for a while, unless the drain is cut.
fn wait(control: &Runtime, stop: &watch::Sender<Stop>, within: Duration) {
    if within.is_zero() {
        return;
    }
    let mut told = stop.subscribe();
    control.block_on(async {
        let _ = tokio::time::timeout(within, told.wait_for(|stop| *stop == Stop::Now)).await;
    });
}

/// Kubernetes takes a pod out of its services while it is told to end, and both take their time.
fn usual_wait() -> Duration {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() { IN_KUBERNETES } else { Duration::ZERO }
}

/// How long a sidecar that is told to end goes on in Kubernetes.
const IN_KUBERNETES: Duration = Duration::from_secs(5);
/// How long control work may take to end.
const CONTROL_END: Duration = Duration::from_secs(1);
/// How long the state directory may take to hold the last changes.
const STATE_END: Duration = Duration::from_secs(2);
/// How long the collector may take over the last spans.
const TRACES_END: Duration = Duration::from_secs(2);
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
