//! Everything of a running sidecar that follows its configuration.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::access_log;
use crate::app::admin_door::AdminDoor;
use crate::app::bind::BindError;
use crate::app::doors::Doors;
use crate::app::merger::Merger;
use crate::config::Loaded;
use crate::latch::Latches;
use crate::live::Live;
use crate::products::Products;
use crate::proxy::{Epoch, Faults, Making, Snapshot, Succession};
use crate::telemetry::Telemetry;
use crate::telemetry::access::AccessLog;
use crate::trace::Tracing;
use crate::upstream::Care;

/// How long new names may take to be looked up before requests are sent where they are needed.
const LOOK_UP: Duration = Duration::from_secs(5);

/// What follows the configuration.
pub(in crate::app) struct Running {
    pub(in crate::app) live: Arc<Live<Snapshot>>,
    pub(in crate::app) telemetry: Arc<Telemetry>,
    pub(in crate::app) latches: Arc<Latches>,
    pub(in crate::app) merger: Arc<Merger>,
    pub(in crate::app) faults: Arc<Faults>,
    pub(in crate::app) log: Arc<AccessLog>,
    pub(in crate::app) epoch: Epoch,
    pub(in crate::app) workers: usize,
    pub(in crate::app) seed: u64,
    pub(in crate::app) care: Care,
    pub(in crate::app) products: Products,
    pub(in crate::app) tracing: Tracing,
    pub(in crate::app) doors: Doors,
    pub(in crate::app) admin: AdminDoor,
    /// Snapshots that are not in force any more and that requests may still hold. The last one to let go of a snapshot
    /// frees it, which takes its time where there are many routes: that is to be here, not on a worker.
    pub(in crate::app) retired: Vec<Arc<Snapshot>>,
}

impl Running {
    /// What is in force.
    pub(in crate::app) fn current(&self) -> Arc<Snapshot> {
        self.live.get()
    }

    /// Puts a configuration in force, or changes nothing and says why.
    pub(in crate::app) async fn apply(&mut self, loaded: Loaded) -> Result<(), Vec<String>> {
        let old = self.current();
        self.check_running(&old, &loaded)?;
        let bound = |error: BindError| vec![error.to_string()];
        let doors = self.doors.plan(&loaded.settings.listeners).map_err(bound)?;
        let admin = self.admin.plan(loaded.settings.admin).map_err(bound)?;
        // From here on nothing is refused any more.
        let Some((snapshot, succession)) = self.build(loaded, old.clone()).await else {
            return Err(vec!["the configuration could not be compiled to its end".to_owned()]);
        };
        // A name that nobody knows yet must not fail the requests of the next moment, nor hold up the change for ever.
        let _ = tokio::time::timeout(LOOK_UP, snapshot.directory.look_up()).await;
        self.merger.take_over(snapshot.clone(), succession, || self.live.publish(snapshot.clone()));
        self.faults.configure(&snapshot.settings.faults);
        access_log::follow(&self.log, &old.settings, &snapshot.settings);
        self.care.follow(&snapshot.directory);
        self.products.follow(&snapshot.settings.products);
        self.telemetry.config_applied(&snapshot.version);
        self.doors.turn(doors).await;
        if let Some(listener) = admin {
            self.admin.turn(snapshot.settings.admin, listener);
        }
        self.retired.push(old);
        Ok(())
    }

    /// A configuration was refused.
    pub(in crate::app) fn refused(&self) {
        self.telemetry.config_refused();
    }

    /// Frees what no request holds any more, with the series that only it counted in.
    pub(in crate::app) fn let_go(&mut self) {
        let before = self.retired.len();
        // Nobody can take another hold of a snapshot that is not in force.
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        if self.retired.len() < before {
            self.telemetry.retain_held();
        }
    }

    /// Off the runtime: many routes take a while, and breakers are to be turned meanwhile.
    async fn build(&mut self, loaded: Loaded, old: Arc<Snapshot>) -> Option<(Arc<Snapshot>, Succession)> {
        let (telemetry, latches) = (self.telemetry.clone(), self.latches.clone());
        let (now, tracer) = (self.epoch.tick(Instant::now()), self.tracing.follow(&loaded.settings));
        let making = Making { workers: self.workers, seed: self.seed, now, tracer, knock: self.merger.knock() };
        let building = tokio::task::spawn_blocking(move || {
            latches.adopt(&loaded.settings, &loaded.version);
            let (snapshot, succession) = Snapshot::build(loaded, Some(&old), &telemetry, &latches, &making);
            (Arc::new(snapshot), succession)
        });
        building.await.ok()
    }

    /// What a process cannot change of itself, and product data that is older than what is served already.
    fn check_running(&self, old: &Snapshot, loaded: &Loaded) -> Result<(), Vec<String>> {
        let (was, is) = (&old.settings, &loaded.settings);
        let mut problems = Vec::new();
        let workers = is.workers.map(std::num::NonZeroUsize::get).filter(|workers| *workers != self.workers);
        if let Some(workers) = workers {
            let running = self.workers;
            problems.push(format!("`workers`: {running} -> {workers} needs a restart; until then write {running}"));
        }
        if was.state_dir != is.state_dir {
            problems.push("`state.dir`: another folder needs a restart; until then write the one in use".to_owned());
        }
        if let (Some(bound), Some(offered)) = (was.products.version, is.products.version)
            && offered < bound
        {
            problems.push(format!("`products.version` {offered} is older than {bound}, which is bound"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
