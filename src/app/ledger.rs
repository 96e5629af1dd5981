//! What is known of the changes of a running sidecar: the configuration in force as it was written, the audit trail, the
//! earlier versions, and what a plan has to know of the moment.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::releases;
use crate::admin::{DocumentView, PinView};
use crate::beat;
use crate::change::{self, AuditAction, AuditRecord, History, Journal, Need, Plan, Side, Standing};
use crate::config::{Loaded, Reach, Source};
use crate::latch::Latches;
use crate::live::Live;
use crate::proxy::Snapshot;
use crate::source::Held;

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
    named: Vec<PathBuf>,
    places: Places,
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

/// Which texts of a configuration come from which source; the others are files.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<HashMap<PathBuf, Arc<str>>>);

impl Places {
    /// Of what sources hold.
    pub(super) fn of(held: &Held) -> Self {
        let texts = held.sources.iter().filter_map(|source| Some((&source.name, source.documents.as_ref()?)));
        let places = texts.flat_map(|(name, documents)| {
            documents.texts.iter().map(move |text| (text.path.clone(), Arc::clone(name)))
        });
        Self(Arc::new(places.collect()))
    }

    /// Of texts that go by `SOURCE:KEY` and are no files.
    pub(super) fn named<'n>(texts: &[Source], names: impl Iterator<Item = &'n Arc<str>>, files: &[PathBuf]) -> Self {
        let names: Vec<&Arc<str>> = names.collect();
        let source_of = |text: &Source| {
            let (before, _) = text.path.to_str()?.split_once(':')?;
            let name = names.iter().find(|name| &****name == before)?;
            (!files.contains(&text.path)).then(|| (text.path.clone(), Arc::clone(name)))
        };
        Self(Arc::new(texts.iter().filter_map(source_of).collect()))
    }

    /// How many texts each source has.
    fn counts(&self) -> HashMap<Arc<str>, usize> {
        let mut counts = HashMap::new();
        self.0.values().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        counts
    }

    /// The source that a text comes from.
    pub(super) fn source_of(&self, path: &Path) -> Option<&Arc<str>> {
        self.0.get(path)
    }
}

/// The requests of a route when they were last looked at.
struct Seen {
    requests: u64,
    last: Instant,
}

impl Ledger {
    /// Begins with the first configuration, and with what an earlier process left.
    pub(super) fn open(loaded: &Loaded, places: Places, latches: Arc<Latches>) -> Self {
        let dir = loaded.settings.state_dir.as_deref();
        let (journal, history) = (Journal::open(dir), History::open(dir));
        let sources: Arc<[Source]> = loaded.sources.clone().into();
        history.add(&loaded.version, SystemTime::now(), sources.clone());
        let (keys, named) = (loaded.keys.clone(), loaded.named.clone());
        let force = InForce { sources, keys, named, places, pin: None };
        let ledger = Self { journal, history, latches, force: Mutex::new(force), traffic: Mutex::default() };
        let named: Vec<String> = loaded.sources.iter().map(|source| source.path.display().to_string()).collect();
        let mut first = AuditRecord::now(AuditAction::Applied, named.join(", "));
        first.version = Some(loaded.version.clone());
        ledger.push(first);
        ledger.journal.flush();
        ledger
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
        let InForceNext { version, sources, keys, named, places } = next;
        let sources: Arc<[Source]> = sources.into();
        self.history.add(&version, SystemTime::now(), sources.clone());
        let pin = offered.filter(|offered| *offered != version).map(|offered| Pin { undone: from.to_owned(), offered });
        *self.locked() = InForce { sources, keys, named, places, pin };
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
            origin: if force.places.source_of(&source.path).is_some() { "shared" } else { "file" },
            source: force.places.source_of(&source.path).map(ToString::to_string),
            bytes: source.text.len(),
            defines: change::defined(std::slice::from_ref(source)),
        };
        force.sources.iter().map(view).collect()
    }

    /// Where a plan may look at files: beside those that the configuration in force is made of.
    pub(super) fn reach(&self) -> Reach {
        let force = self.locked().clone();
        let texts = force.sources.iter().map(|source| source.path.as_path());
        let files = texts.filter(|path| force.places.source_of(path).is_none());
        Reach::beside(files.chain(force.named.iter().map(PathBuf::as_path)))
    }

    /// Texts of the configuration in force.
    pub(super) fn texts(&self) -> Arc<[Source]> {
        self.locked().sources.clone()
    }

    /// Whether a change comes from a source. `places` are those of the configuration that is to come.
    pub(super) fn origin(&self, next: &Loaded, places: &Places, action: AuditAction) -> change::Origin {
        if action == AuditAction::RolledBack {
            return change::Origin::Files;
        }
        let force = self.locked().clone();
        let is_shared = |path: &Path| force.places.source_of(path).or(places.source_of(path)).is_some();
        change::Origin::of(&force.sources, &next.sources, is_shared)
    }

    /// The sources that still are named and hold nothing any more, where routes would go with what they held: more likely a
    /// store that was lost than a wish.
    pub(super) fn emptied(&self, current: &Snapshot, next: &Loaded, places: &Places) -> Vec<Need> {
        let is_kept = |name: &str| next.settings.routes.iter().any(|route| &*route.name == name);
        let before = self.locked().places.clone();
        let (before, after) = (before.counts(), places.counts());
        let emptied = next.settings.sources.iter().map(|plan| &plan.name).filter(|name| !after.contains_key(*name));
        let mut emptied = emptied.filter_map(|name| Some((name, *before.get(name)?))).peekable();
        if emptied.peek().is_none() || current.routes.iter().all(|route| is_kept(&route.plan.name)) {
            return Vec::new();
        }
        emptied.map(|(name, documents)| Need::SourceEmptied { source: name.to_string(), documents }).collect()
    }

    fn standing(&self, current: &Snapshot) -> Standing {
        self.look(current);
        let releases = current.settings.program.releases().iter();
        let latched = releases.filter(|release| self.latches.state(&release.name).latched.is_some());
        let latched = latched.map(|release| release.name.clone()).collect();
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |seen: &Seen| seen.last.elapsed() < LIVE_FOR;
        let busy: BTreeSet<String> =
            traffic.iter().filter(|(_, seen)| is_live(seen)).map(|(name, _)| name.to_string()).collect();
        Standing { latched, busy }
    }

    /// Notes which routes had requests since the last look.
    fn look(&self, current: &Snapshot) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Routes that nobody has asked for yet are left out: there may be thousands.
        let requested = current.routes.iter().filter_map(|route| {
            let lanes = 0..route.plan.lanes.len();
            let requests = lanes.map(|lane| route.series.counts(lane).requests).sum();
            (requests > 0).then_some((route, requests))
        });
        let next = requested.map(|(route, requests)| {
            let before = traffic.get(&route.plan.name).filter(|before| before.requests == requests);
            (route.plan.name.clone(), Seen { requests, last: before.map_or(now, |before| before.last) })
        });
        let next = next.collect();
        *traffic = next;
    }

    /// Writes what waits, for as long as the control runtime runs.
    pub(super) async fn keep(self: Arc<Self>, live: Arc<Live<Snapshot>>) {
        loop {
            self.look(&live.get());
            if self.latches.has_changes() || self.journal.is_behind() {
                let ledger = self.clone();
                // A panic there is told by itself, and the next look tries again.
                let _ = tokio::task::spawn_blocking(move || ledger.journal().flush()).await;
            }
            beat::next(LOOK_EVERY).await;
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
    named: Vec<PathBuf>,
    places: Places,
}

impl InForceNext {
    /// Of a configuration with texts at these places.
    pub(super) fn of(loaded: &Loaded, places: &Places) -> Self {
        Self {
            version: loaded.version.clone(),
            sources: loaded.sources.clone(),
            keys: loaded.keys.clone(),
            named: loaded.named.clone(),
            places: places.clone(),
        }
    }
}
