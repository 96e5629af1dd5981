//! Changing the configuration of a sidecar that runs.
//!
//! One task does it all, so that one change is over before the next begins: it gathers the texts, has them loaded and
//! compiled off the runtime, and refuses them whole or puts them in force ([`Running`]). Whoever wants a change (a file, a
//! signal, a call, a source) only asks for it; asking often costs one more look.

mod feeds;
mod files;
mod places;
mod running;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::ledger::{InForceNext, Ledger};
use super::view::ControlView;
use crate::admin::{SyncError, Synced};
use crate::change::{self, AuditAction, AuditRecord, Past, Plan};
use crate::config::{self, Digest, KeyFile, Loaded, Problems, ReadFiles};

use feeds::Feeds;
use files::{Files, Taken};

pub use feeds::{Feed, Origin};

pub(super) use running::Running;

/// How often it is looked whether configurations that were replaced are still used.
const LET_GO_EVERY: Duration = Duration::from_millis(250);
/// How often what was refused is tried again: it may have wanted a file that nobody watches yet.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(5);
/// The pause between two looks that nobody waits for: twice as long as the last one took, so that whatever changes all the
/// time costs a third of a core at most.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
const MOST_PAUSE: Duration = Duration::from_secs(1);
/// Calls that may wait for the one before them.
const CALLS: usize = 16;

/// What changes the configuration.
pub(super) struct Reloader {
    files: Vec<PathBuf>,
    running: Running,
    view: Arc<ControlView>,
    ledger: Arc<Ledger>,
    /// Which texts come from shared sources.
    shared: Vec<PathBuf>,
    /// The version that the files and sources held when they were read last.
    offered: String,
    calls: Calls,
    hangup: Signal,
    feeds: Feeds,
    /// The files hold something else, or a source posted.
    stirred: Arc<Notify>,
    taken: watch::Sender<Taken>,
    /// The problems that the log was told last: it is not told twice of the same.
    told: Option<Vec<String>>,
    /// What nobody waits for is not read again before then.
    not_before: Instant,
}

/// Somebody asks for a change.
struct Call {
    by: String,
    /// The digest of a plan that is to be let through.
    confirm: Option<String>,
    /// The version to go back to; none: everything is read again.
    back_to: Option<Arc<Past>>,
    answer: oneshot::Sender<Result<Synced, SyncError>>,
}

/// Where it can be asked.
pub(super) struct Desk(mpsc::Sender<Call>);

/// What is asked there.
pub(super) struct Calls(mpsc::Receiver<Call>);

/// A desk with its other end.
pub(super) fn desk() -> (Desk, Calls) {
    let (ask, calls) = mpsc::channel(CALLS);
    (Desk(ask), Calls(calls))
}

impl Reloader {
    /// For these files and sources, and the key files of the configuration in force; `hangup` asks for another look as the
    /// calls do. To be made on the control runtime.
    pub(super) fn new(
        origin: Origin,
        key_files: Vec<KeyFile>,
        running: Running,
        view: Arc<ControlView>,
        ledger: Arc<Ledger>,
        calls: Calls,
        hangup: Signal,
    ) -> Self {
        let Origin { files, feeds } = origin;
        let stirred = Arc::default();
        let feeds = Feeds::start(feeds, &stirred);
        let shared: Vec<PathBuf> = feeds.held().texts().into_iter().map(|text| text.path).collect();
        ledger.begin_with_shared(&shared);
        let taken = watch::Sender::new(Taken { files: None, keys: key_files });
        let (offered, not_before) = (running.current().version.clone(), Instant::now());
        Self {
            files,
            running,
            view,
            ledger,
            shared,
            offered,
            calls,
            hangup,
            feeds,
            stirred,
            taken,
            told: None,
            not_before,
        }
    }

    /// Runs on the control runtime until that ends.
    pub(super) async fn run(mut self) {
        tokio::spawn(Files::new(self.files.clone(), self.taken.subscribe()).watch(self.stirred.clone()));
        let mut again = tokio::time::interval(TRY_AGAIN_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut letting_go = tokio::time::interval(LET_GO_EVERY);
        letting_go.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(call) = self.calls.0.recv() => {
                    let outcome = match &call.back_to {
                        None => self.reload(Some(&call.by), call.confirm.clone()).await,
                        Some(past) => self.roll_back(past, &call.by, call.confirm.clone()).await,
                    };
                    // Whoever asked may have gone.
                    let _ = call.answer.send(outcome);
                }
                Some(()) = self.hangup.recv() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    let _ = self.reload(Some("SIGHUP"), None).await;
                }
                () = stirred(&self.stirred, self.not_before) => {
                    let began = Instant::now();
                    let _ = self.reload(None, None).await;
                    self.not_before = Instant::now() + (2 * began.elapsed()).clamp(LEAST_PAUSE, MOST_PAUSE);
                }
                _ = again.tick(), if self.told.is_some() => {
                    let _ = self.reload(None, None).await;
                }
                _ = letting_go.tick() => self.running.let_go(),
            }
        }
    }

    /// Reads everything and puts it in force, unless it is in force already or is refused.
    async fn reload(&mut self, by: Option<&str>, confirm: Option<String>) -> Result<Synced, SyncError> {
        if self.view.is_draining() {
            return Err(SyncError::Away("the sidecar is ending"));
        }
        let (files, held) = (self.files.clone(), self.feeds.held());
        let texts = held.texts();
        self.shared = texts.iter().map(|text| text.path.clone()).collect();
        let loading = tokio::task::spawn_blocking(move || {
            let files = ReadFiles::of(&files);
            (files.digest(), config::load_documents(&files, &texts))
        });
        let outcome = match loading.await {
            Ok((digest, loaded)) => {
                let keys = loaded.as_ref().ok().map(|loaded| loaded.key_files.clone());
                let outcome = match loaded {
                    Ok(loaded) => self.offered(loaded, by, confirm).await,
                    Err(problems) => Err(self.refused(None, listed(&problems), by)),
                };
                self.remember(digest, keys);
                outcome
            }
            Err(_) => {
                let problem = "the configuration could not be read to its end".to_owned();
                Err(self.refused(None, vec![problem], by))
            }
        };
        // Sources are told what became of their part.
        match &outcome {
            Ok(synced) => self.feeds.accept(&held, &synced.version),
            Err(SyncError::Refused(problems)) => self.feeds.refuse(&held, problems),
            Err(other) => self.feeds.refuse(&held, &[other.to_string()]),
        }
        outcome
    }

    /// Remembers which files were taken.
    fn remember(&self, files: Digest, keys: Option<Vec<KeyFile>>) {
        // Only other names have to be watched anew; what differs all the time must not be looked at all the time.
        self.taken.send_if_modified(|taken| {
            taken.files = Some(files);
            let Some(keys) = keys else { return false };
            let before = std::mem::replace(&mut taken.keys, keys);
            !before.iter().map(|key| &key.path).eq(taken.keys.iter().map(|key| &key.path))
        });
    }

    /// Takes what the files and sources hold, unless it is in force or was rolled back from.
    async fn offered(
        &mut self,
        loaded: Loaded,
        by: Option<&str>,
        confirm: Option<String>,
    ) -> Result<Synced, SyncError> {
        self.offered = loaded.version.clone();
        let old = self.running.current();
        // What was rolled back from stays away for as long as its text stands there.
        if old.version == loaded.version || self.ledger.is_pinned_over(&loaded.version) {
            self.view.unrefused();
            self.told = None;
            let version = old.version.clone();
            return Ok(Synced { from: version.clone(), version, changed: false, names: Vec::new() });
        }
        self.judged(loaded, by, confirm, AuditAction::Applied).await
    }

    /// Puts an earlier version in force. It stays until its source holds another text than now.
    async fn roll_back(&mut self, past: &Past, by: &str, confirm: Option<String>) -> Result<Synced, SyncError> {
        let sources = past.sources();
        let loading = tokio::task::spawn_blocking(move || config::load_documents(&ReadFiles::of(&[]), &sources));
        let loaded = match loading.await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => return Err(self.refused(None, listed(&problems), Some(by))),
            Err(_) => return Err(SyncError::Away("the earlier version could not be read to its end")),
        };
        let version = self.running.current().version.clone();
        if version == loaded.version {
            return Ok(Synced { from: version.clone(), version, changed: false, names: Vec::new() });
        }
        self.judged(loaded, Some(by), confirm, AuditAction::RolledBack).await
    }

    /// Plans a change, guards it, makes it and records it.
    async fn judged(
        &mut self,
        loaded: Loaded,
        by: Option<&str>,
        confirm: Option<String>,
        action: AuditAction,
    ) -> Result<Synced, SyncError> {
        let (old, ledger) = (self.running.current(), self.ledger.clone());
        let current = old.clone();
        let planning = tokio::task::spawn_blocking(move || (ledger.plan(&current, &loaded), loaded));
        let Ok((plan, loaded)) = planning.await else {
            return Err(self.refused(None, vec!["the change could not be planned".to_owned()], by));
        };
        let (texts, shared) = self.ledger.texts();
        let origin = match action {
            AuditAction::RolledBack => change::Origin::Files,
            _ => change::Origin::of(&texts, &loaded.sources, &[&shared, &self.shared]),
        };
        let mut confirmations = loaded.settings.confirmations.clone();
        confirmations.extend(confirm);
        if let Err(unconfirmed) = plan.allow(old.settings.guard, origin, &confirmations) {
            let (reason, digest) = (unconfirmed.to_string(), unconfirmed.digest);
            self.refused(Some(&plan), vec![reason.clone()], by);
            return Err(SyncError::Unconfirmed { reason, digest });
        }
        let (from, version) = (old.version.clone(), loaded.version.clone());
        drop(old);
        let warnings = loaded.warnings.clone();
        let next = InForceNext::of(&loaded, &self.shared);
        if let Err(problems) = self.running.apply(loaded).await {
            return Err(self.refused(Some(&plan), problems, by));
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let source = self.running.current().sources.join(", ");
        let record = AuditRecord { by: by.map(str::to_owned), ..AuditRecord::now(action, source) }.about(&plan);
        let names = record.changed.clone();
        tracing::info!(from, version, by, changed = names.join(", "), "another configuration is in force");
        self.told = None;
        let (ledger, before) = (self.ledger.clone(), from.clone());
        let offered = (action == AuditAction::RolledBack).then(|| self.offered.clone());
        self.view.applied(record);
        // The texts go to a disk, which may be slow; whoever asked is told what is so.
        let keeping = tokio::task::spawn_blocking(move || {
            ledger.applied(&before, next, offered);
            ledger.journal().flush();
        });
        if keeping.await.is_err() {
            tracing::error!("a change could not be recorded to its end");
        }
        Ok(Synced { version, from, changed: true, names })
    }

    fn refused(&mut self, plan: Option<&Plan>, problems: Vec<String>, by: Option<&str>) -> SyncError {
        if by.is_none() && self.told.as_ref() == Some(&problems) {
            return SyncError::Refused(problems);
        }
        self.running.refused();
        let files = self.files.iter().map(|file| file.display().to_string());
        let sources: Vec<String> = files.chain(self.feeds.names()).collect();
        let version = self.running.current().version.clone();
        let mut record = AuditRecord::now(AuditAction::Refused, sources.join(", "));
        record.from = Some(version.clone());
        if let Some(plan) = plan {
            record = record.about(plan);
        }
        record.problems = problems.clone();
        record.by = by.map(str::to_owned);
        self.view.refused(record);
        if self.told.as_ref() != Some(&problems) {
            let (first, count) = (problems.first().map_or("", String::as_str), problems.len());
            tracing::error!(
                problem = first,
                problems = count,
                in_force = version,
                "a configuration was refused as a whole"
            );
            self.told = Some(problems.clone());
        }
        SyncError::Refused(problems)
    }
}

/// When something has stirred, and it is not too soon to look again.
async fn stirred(stirred: &Notify, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    stirred.notified().await;
}

/// Each problem as a line, and how many there are besides.
pub(super) fn listed(problems: &Problems) -> Vec<String> {
    let mut listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if problems.omitted() > 0 {
        listed.push(format!("{} more problems", problems.omitted()));
    }
    listed
}

impl Desk {
    /// Reads everything again.
    pub(super) fn sync(&self, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        self.ask(by, confirm, None)
    }

    /// Puts an earlier version in force.
    pub(super) fn roll_back(&self, past: Arc<Past>, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError> {
        self.ask(by, confirm, Some(past))
    }

    fn ask(&self, by: &str, confirm: Option<&str>, back_to: Option<Arc<Past>>) -> Result<Synced, SyncError> {
        let (answer, told) = oneshot::channel();
        let call = Call { by: by.to_owned(), confirm: confirm.map(str::to_owned), back_to, answer };
        self.0.try_send(call).map_err(|_| SyncError::Away("too many ask at once, or the sidecar is ending"))?;
        told.blocking_recv().unwrap_or(Err(SyncError::Away("the sidecar is ending")))
    }
}
