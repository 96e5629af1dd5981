//! The latches as everybody holds them: workers read flags, control work changes what is behind.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::book::{Book, Counted, Lifted, Paused, ReleaseState};
use super::evidence::{Cause, Evidence, Incident, Moment};
use super::keeping::Keeping;
use super::store::Store;
use crate::config::Settings;
use crate::telemetry::Telemetry;

/// Changes that are remembered; the oldest go first.
const MOST_CHANGES: usize = 1000;

/// Whether a release is latched: what workers read, once for each decision.
#[derive(Debug, Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Whether the release is latched now.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Nothing else is read because of it: a decision a moment later may see it a moment later.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, latched: bool) {
        self.0.store(latched, Ordering::Relaxed);
    }

    /// For tests of those who read it.
    #[cfg(test)]
    pub(crate) fn set_for_test(&self, latched: bool) {
        self.set(latched);
    }
}

/// Why a release cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatchError {
    /// The configuration has no such release.
    #[error("no release is named `{release}`")]
    Unknown {
        /// The name.
        release: String,
    },
    /// It is paused, so nothing may open it.
    #[error("release `{release}` is paused, so nothing may open it; resume it first")]
    Paused {
        /// The name.
        release: String,
    },
}

/// What an opening of a breaker came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Nobody counts: the release has no `rollback`, is latched already, or is not configured.
    Ignored,
    /// So many openings count now, and they are not too many.
    Counted(usize),
    /// It was one too many: the release is latched, as the incident of this number.
    Latched(u64),
}

/// What a changing call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is so now.
    Changed {
        /// The incident that it made, where it latched.
        incident: Option<u64>,
    },
    /// It was so before.
    Unchanged,
}

/// What happened to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was latched.
    Latched,
    /// Its latch was lifted.
    Lifted,
    /// It was paused.
    Paused,
    /// It was resumed.
    Resumed,
}

/// One change of a release, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub time: Moment,
    /// The release.
    pub release: Arc<str>,
    /// What happened.
    pub action: Action,
    /// Who did it.
    pub by: String,
    /// Why, or with what figures.
    pub detail: String,
}

/// All latches of the process.
pub struct Latches {
    pub(super) book: Mutex<Book>,
    changes: Mutex<VecDeque<Change>>,
    pub(super) store: Option<Mutex<Store>>,
    pub(super) dir: Option<PathBuf>,
    pub(super) keeping: Mutex<Keeping>,
    changed: watch::Sender<()>,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Nothing that happens under these locks can leave what they guard half done, so a poisoned one is as good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Latches {
    /// What an earlier process left in `dir`. Where that cannot be read it is put aside, and every release of the first
    /// configuration starts latched: to show stable to all is the harmless mistake of the two.
    pub fn open(dir: Option<&Path>, telemetry: Arc<Telemetry>) -> Self {
        let mut store = dir.map(Store::new);
        let book = store.as_mut().map(remembered).unwrap_or_else(|| Book::remembering(Default::default(), Vec::new()));
        Self {
            book: Mutex::new(book),
            changes: Mutex::default(),
            store: store.map(Mutex::new),
            dir: dir.map(Path::to_owned),
            keeping: Mutex::new(if dir.is_some() { Keeping::Kept } else { Keeping::Off }),
            changed: watch::Sender::new(()),
            telemetry,
        }
    }

    /// Takes over the releases of a configuration that is about to come into force, and lifts the latches whose release
    /// has another revision there.
    pub fn adopt(&self, settings: &Settings, version: &str) {
        let now = Moment::now();
        let releases = settings.program.releases().iter().zip(&settings.rollbacks);
        let releases = releases.map(|(release, plan)| {
            let name = release.name.as_str();
            (name, &**plan, self.telemetry.release(name))
        });
        let adopted = locked(&self.book).adopt(version, releases, now);
        for release in adopted.latched {
            tracing::error!(%release, "latched: nobody knows whether it was rolled back; `reset` opens it");
            let detail = "the state directory could not be read".to_owned();
            self.record(Change { time: now, release, action: Action::Latched, by: "state directory".into(), detail });
        }
        adopted.lifted.into_iter().for_each(|lifted| self.lifted(lifted, now));
        self.changed.send_replace(());
    }

    /// The flag by which a release's decisions are made; one that is never set for a release that was not adopted.
    pub fn flag(&self, release: &str) -> Flag {
        locked(&self.book).flag(release)
    }

    /// A number that grows with every change of a latch.
    pub fn generation(&self) -> u64 {
        locked(&self.book).generation
    }

    /// One release as it stands.
    pub fn state(&self, release: &str) -> ReleaseState {
        locked(&self.book).state(release, Instant::now())
    }

    /// The last incidents, oldest first.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        locked(&self.book).incidents()
    }

    /// Whether [`Latches::take_changes`] would give any.
    pub fn has_changes(&self) -> bool {
        !locked(&self.changes).is_empty()
    }

    /// What happened to releases since the start, oldest first.
    pub fn changes(&self) -> Vec<Change> {
        locked(&self.changes).iter().cloned().collect()
    }

    /// The same once: what was taken is not given again. For whoever keeps it.
    pub fn take_changes(&self) -> Vec<Change> {
        locked(&self.changes).drain(..).collect()
    }

    /// A breaker of a lane of this release opened. `evidence` is asked for only if that latches the release; its cause
    /// and sentence are set here.
    pub fn opening(&self, release: &str, now: Instant, evidence: impl FnOnce() -> Evidence) -> Opening {
        let (most, within) = match locked(&self.book).opening(release, now) {
            Counted::Ignored => return Opening::Ignored,
            Counted::Few(count) => return Opening::Counted(count),
            Counted::TooMany { most, within } => (most, within),
        };
        let detail = format!("breakers opened {most} times within {within:?}");
        let evidence = Evidence { cause: Cause::Openings, detail, ..evidence() };
        match self.latch(release, evidence) {
            Ok(Outcome::Changed { incident: Some(number) }) => Opening::Latched(number),
            // Somebody else latched it between the two locks.
            _ => Opening::Ignored,
        }
    }

    /// The comparison of a release's lanes says whether gray is worse. `evidence` is asked for only if that latches the
    /// release. The number of the incident where it did.
    pub fn judged(&self, release: &str, worse: bool, now: Instant, evidence: impl FnOnce() -> Evidence) -> Option<u64> {
        if !locked(&self.book).judged(release, worse, now) {
            return None;
        }
        match self.latch(release, evidence()) {
            Ok(Outcome::Changed { incident }) => incident,
            _ => None,
        }
    }

    /// Takes a release back: from the next decision on it serves stable. Kept soon afterwards; [`Latches::save`] waits
    /// for that.
    pub fn latch(&self, release: &str, evidence: Evidence) -> Result<Outcome, LatchError> {
        let now = Moment::now();
        let Some(incident) = locked(&self.book).latch(release, evidence, now)? else { return Ok(Outcome::Unchanged) };
        tell(&incident);
        let (by, detail) = (incident.evidence.by.clone(), incident.evidence.detail.clone());
        self.record(Change { time: now, release: release.into(), action: Action::Latched, by, detail });
        self.changed.send_replace(());
        Ok(Outcome::Changed { incident: Some(incident.number) })
    }

    /// Opens a latched release again.
    pub fn reset(&self, release: &str, by: &str, reason: Option<&str>) -> Result<Outcome, LatchError> {
        let lifted = locked(&self.book).reset(release)?;
        Ok(self.changed(lifted, release, Action::Lifted, by, reason))
    }

    /// Forbids whatever opens a release: a reset, another revision. What closes it stays possible.
    pub fn pause(&self, release: &str, by: &str, reason: Option<&str>) -> Result<Outcome, LatchError> {
        let paused = Paused { time: Moment::now(), by: by.to_owned(), reason: reason.map(str::to_owned) };
        let paused = locked(&self.book).pause(release, paused)?;
        Ok(self.changed(paused, release, Action::Paused, by, reason))
    }

    /// Ends a pause; a revision that came meanwhile lifts the latch now.
    pub fn resume(&self, release: &str, by: &str, reason: Option<&str>) -> Result<Outcome, LatchError> {
        let (resumed, lifted) = locked(&self.book).resume(release)?;
        let outcome = self.changed(resumed, release, Action::Resumed, by, reason);
        lifted.into_iter().for_each(|lifted| self.lifted(lifted, Moment::now()));
        Ok(outcome)
    }

    /// Tells of every change from now on, those of other configurations included.
    pub fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn changed(&self, changed: bool, release: &str, action: Action, by: &str, reason: Option<&str>) -> Outcome {
        if !changed {
            return Outcome::Unchanged;
        }
        let (time, detail) = (Moment::now(), reason.unwrap_or_default().to_owned());
        tracing::info!(release, by, reason = detail, "release {}", action.as_str());
        self.record(Change { time, release: release.into(), action, by: by.to_owned(), detail });
        self.changed.send_replace(());
        Outcome::Changed { incident: None }
    }

    fn lifted(&self, lifted: Lifted, time: Moment) {
        let Lifted { release, from, to } = lifted;
        tracing::info!(%release, from, to, "release lifted: it has another revision");
        let detail = format!("revision {to}, latched at {from}");
        self.record(Change { time, release, action: Action::Lifted, by: "configuration".into(), detail });
    }

    fn record(&self, change: Change) {
        let mut changes = locked(&self.changes);
        if changes.len() == MOST_CHANGES {
            changes.pop_front();
        }
        changes.push_back(change);
    }
}

impl Action {
    /// The word in logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latched => "latched",
            Self::Lifted => "lifted",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
        }
    }
}

fn remembered(store: &mut Store) -> Book {
    let incidents = store.read_incidents();
    match store.read() {
        Ok(state) => Book::remembering(state.unwrap_or_default(), incidents),
        Err(error) => {
            tracing::error!(%error, "the state cannot be read: every release starts latched");
            store.put_aside();
            Book::ignorant(error.to_string(), incidents)
        }
    }
}

/// One line with everything that is known.
fn tell(incident: &Incident) {
    let Incident { number, release, revision, config_version, evidence, .. } = incident;
    let Evidence { cause, detail, by, figures, thresholds, failures } = evidence;
    let json = |value: serde_json::Result<String>| value.expect("evidence has text for keys");
    tracing::warn!(
        release,
        revision,
        incident = number,
        cause = cause.as_str(),
        detail,
        by,
        config_version,
        figures = json(serde_json::to_string(figures)),
        thresholds = json(serde_json::to_string(thresholds)),
        failures = json(serde_json::to_string(failures)),
        "release rolled back"
    );
}
