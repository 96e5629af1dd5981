//! What is known of the changes of a running sidecar: the configuration in force as it was written, the audit trail, the
//! earlier versions, and what a plan has to know of the moment.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::time::MissedTickBehavior;

use super::releases;
use crate::admin::{DocumentView, PinView};
use crate::change::{self, AuditAction, AuditRecord, History, Journal, Plan, Side, Standing};
use crate::config::{Loaded, Source};
use crate::latch::Latches;
use crate::live::Live;
use crate::proxy::Snapshot;

/// How often what waits is written, and requests are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A route that had a request within this time has live traffic.
const LIVE_FOR: Duration = Duration::from_secs(300);

/// What is known of changes.
pub(super) struct Ledger {
    journal: Journal,
    history: History,
    latches: Arc<Latches>,
    force: Mutex<InForce>,
    traffic: Mutex<HashMap<Arc<str>, Seen>>,
}

/// The configuration in force, beside what its snapshot holds.
#[derive(Clone)]
struct InForce {
    sources: Arc<[Source]>,
    keys: String,
    /// Texts that came from shared sources.
    shared: Arc<[PathBuf]>,
    pin: Option<Pin>,
}

/// An earlier version that stays in force although its source says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pin {
    /// The version that was rolled back from.
    undone: String,
    /// The version that the source holds: any other one ends the pin.
    offered: String,
}

/// The requests of a route when they were last looked at.
struct Seen {
    requests: u64,
    last: Option<Instant>,
}

impl Ledger {
    /// Begins with the first configuration, and with what an earlier process left.
    pub(super) fn open(loaded: &Loaded, latches: Arc<Latches>) -> Self {
        let dir = loaded.settings.state_dir.as_deref();
        let (journal, history) = (Journal::open(dir), History::open(dir));
        history.add(&loaded.version, SystemTime::now(), &loaded.sources);
        let force = InForce {
            sources: loaded.sources.clone().into(),
            keys: loaded.keys.clone(),
            shared: Arc::default(),
            pin: None,
        };
        let ledger = Self { journal, history, latches, force: Mutex::new(force), traffic: Mutex::default() };
        let named: Vec<String> = loaded.sources.iter().map(|source| source.path.display().to_string()).collect();
        let mut first = AuditRecord::now(AuditAction::Applied, named.join(", "));
        first.version = Some(loaded.version.clone());
        ledger.push(first);
        ledger.journal.flush();
        ledger
    }

    /// The texts at these places of the first configuration came from shared sources.
    pub(super) fn begin_with_shared(&self, shared: &[PathBuf]) {
        self.locked().shared = shared.into();
    }

    /// The trail.
    pub(super) fn journal(&self) -> &Journal {
        self.take_releases();
        &self.journal
    }

    /// The earlier versions.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// Adds a record behind what happened to releases before.
    pub(super) fn push(&self, record: AuditRecord) {
        self.take_releases();
        self.journal.push(record);
    }

    fn take_releases(&self) {
        for change in self.latches.take_changes() {
            self.journal.push(releases::record(change));
        }
    }

    /// What it takes to get from the configuration in force to this one. Takes a while where there is much of both.
    pub(super) fn plan(&self, current: &Snapshot, next: &Loaded) -> Plan {
        let force = self.locked().clone();
        let old =
            Side { version: &current.version, settings: &current.settings, sources: &force.sources, keys: &force.keys };
        let undone = force.pin.as_ref().map(|pin| pin.undone.as_str());
        Plan::between(old, next.into(), &self.standing(current), undone)
    }

    /// A configuration came into force. `offered`: the version that its source holds, where this is an earlier one.
    pub(super) fn applied(&self, from: &str, next: InForceNext, offered: Option<String>) {
        let InForceNext { version, sources, keys, shared } = next;
        self.history.add(&version, SystemTime::now(), &sources);
        let pin = offered.filter(|offered| *offered != version).map(|offered| Pin { undone: from.to_owned(), offered });
        *self.locked() = InForce { sources: sources.into(), keys, shared: shared.into(), pin };
    }

    /// Whether the source still holds what was rolled back from.
    pub(super) fn is_pinned_over(&self, offered: &str) -> bool {
        self.locked().pin.as_ref().is_some_and(|pin| pin.offered == offered)
    }

    /// The pin, for people.
    pub(super) fn pin(&self) -> Option<PinView> {
        let pin = self.locked().pin.clone()?;
        Some(PinView { rolled_back_from: pin.undone, source_holds: pin.offered })
    }

    /// The texts in force, for people.
    pub(super) fn documents(&self) -> Vec<DocumentView> {
        let force = self.locked().clone();
        let view = |source: &Source| DocumentView {
            name: source.path.display().to_string(),
            origin: if force.shared.contains(&source.path) { "shared" } else { "file" },
            bytes: source.text.len(),
            defines: change::defined(std::slice::from_ref(source)),
        };
        force.sources.iter().map(view).collect()
    }

    /// Texts of the configuration in force, and the places of shared ones among them.
    pub(super) fn texts(&self) -> (Arc<[Source]>, Arc<[PathBuf]>) {
        let force = self.locked();
        (force.sources.clone(), force.shared.clone())
    }

    fn standing(&self, current: &Snapshot) -> Standing {
        self.look(current);
        let releases = current.settings.program.releases().iter();
        let latched = releases.filter(|release| self.latches.state(&release.name).latched.is_some());
        let latched = latched.map(|release| release.name.clone()).collect();
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |seen: &Seen| seen.last.is_some_and(|last| last.elapsed() < LIVE_FOR);
        let busy: BTreeSet<String> =
            traffic.iter().filter(|(_, seen)| is_live(seen)).map(|(name, _)| name.to_string()).collect();
        Standing { latched, busy }
    }

    /// Notes which routes had requests since the last look.
    fn look(&self, current: &Snapshot) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let next = current.routes.iter().map(|route| {
            let lanes = 0..route.plan.lanes.len();
            let requests = lanes.map(|lane| route.series.counts(lane).requests).sum();
            let before = traffic.get(&route.plan.name);
            let last = match before {
                Some(before) if before.requests == requests => before.last,
                _ if requests == 0 => None,
                _ => Some(now),
            };
            (route.plan.name.clone(), Seen { requests, last })
        });
        let next = next.collect();
        *traffic = next;
    }

    /// Writes what waits, for as long as the control runtime runs.
    pub(super) async fn keep(self: Arc<Self>, live: Arc<Live<Snapshot>>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(&live.get());
            let ledger = self.clone();
            // A panic there is told by itself, and the next look tries again.
            let _ = tokio::task::spawn_blocking(move || ledger.journal().flush()).await;
        }
    }

    fn locked(&self) -> MutexGuard<'_, InForce> {
        self.force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a snapshot does not keep of the configuration it was made of.
pub(super) struct InForceNext {
    version: String,
    sources: Vec<Source>,
    keys: String,
    shared: Vec<PathBuf>,
}

impl InForceNext {
    /// Of a configuration with these texts from shared sources.
    pub(super) fn of(loaded: &Loaded, shared: &[PathBuf]) -> Self {
        let Loaded { version, sources, keys, .. } = loaded;
        Self { version: version.clone(), sources: sources.clone(), keys: keys.clone(), shared: shared.to_vec() }
    }
}
