//! Changing the configuration of a sidecar that runs.
//!
//! One task does it all, so that one change is over before the next begins: it gathers the texts, has them loaded and
//! compiled off the runtime, and refuses them whole or puts them in force ([`Running`]). Whoever wants a change (a file, a
//! signal, a call, a source) only asks for it; asking often costs one more look.

mod files;
mod places;
mod running;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::ledger::{InForceNext, Ledger, Places};
use super::supply::Supply;
use super::view::ControlView;
use crate::admin::{SyncError, Synced};
use crate::change::{AuditAction, AuditRecord, Past, Plan};
use crate::config::{self, Digest, KeyFile, Loaded, Outset, Problems, ReadFiles};
use crate::products::Event;
use crate::source::Held;

use files::{Files, Taken};

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
    supply: Supply,
    running: Running,
    view: Arc<ControlView>,
    ledger: Arc<Ledger>,
    /// Which texts come from which source.
    places: Places,
    /// The version that the files and sources held when they were read last.
    offered: String,
    calls: Calls,
    hangup: Signal,
    /// The files hold something else.
    stirred: Arc<Notify>,
    taken: watch::Sender<Taken>,
    /// The problems that the log was told last: it is not told twice of the same.
    told: Option<Vec<String>>,
    /// What nobody waits for is not read again before then.
    not_before: Instant,
}

/// What the files and sources came to.
struct Read {
    /// Of the files.
    digest: Digest,
    /// The sources that the files name.
    wanted: Option<Outset>,
    loaded: Result<Loaded, Problems>,
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
    /// For the files and keys that were taken at first; `hangup` asks for another look as the
    /// calls do.
    pub(super) fn new(
        supply: Supply,
        (files, keys): (Digest, Vec<KeyFile>),
        running: Running,
        view: Arc<ControlView>,
        ledger: Arc<Ledger>,
        calls: Calls,
        hangup: Signal,
    ) -> Self {
        let taken = watch::Sender::new(Taken { files: Some(files), keys });
        let (offered, not_before) = (running.current().version.clone(), Instant::now());
        let (places, stirred) = (Places::of(&supply.held()), Arc::default());
        let told = None;
        Self { supply, running, view, ledger, places, offered, calls, hangup, stirred, taken, told, not_before }
    }

    /// Runs on the control runtime until that ends.
    pub(super) async fn run(mut self) {
        tokio::spawn(Files::new(self.supply.files().to_vec(), self.taken.subscribe()).watch(self.stirred.clone()));
        let mut again = tokio::time::interval(TRY_AGAIN_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut letting_go = tokio::time::interval(LET_GO_EVERY);
        letting_go.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.supply.is_behind() {
            let _ = self.reload(None, None).await;
        }
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
                () = stirred(&self.stirred, &mut self.supply, self.not_before) => {
                    let began = Instant::now();
                    let _ = self.reload(None, None).await;
                    self.not_before = Instant::now() + (2 * began.elapsed()).clamp(LEAST_PAUSE, MOST_PAUSE);
                }
                _ = again.tick() => {
                    if self.told.is_some() {
                        let _ = self.reload(None, None).await;
                    }
                    self.supply.keep_again().await;
                }
                _ = letting_go.tick(), if !self.running.retired.is_empty() => self.running.let_go(),
            }
        }
    }

    /// Reads everything and puts it in force, unless it is in force already or is refused.
    async fn reload(&mut self, by: Option<&str>, confirm: Option<String>) -> Result<Synced, SyncError> {
        if self.view.is_draining() {
            return Err(SyncError::Away("the sidecar is ending"));
        }
        let (held, read) = self.read().await;
        self.places = Places::of(&held);
        let outcome = match read {
            Some(Read { digest, loaded, .. }) => {
                let keys = loaded.as_ref().ok().map(|loaded| loaded.key_files.clone());
                let outcome = match (self.supply.missing(&held), loaded) {
                    (Some(problem), _) => Err(self.refused(None, vec![problem], by)),
                    (None, Ok(loaded)) => self.offered(loaded, by, confirm).await,
                    (None, Err(problems)) => Err(self.refused(None, listed(&problems), by)),
                };
                self.remember(digest, keys);
                outcome
            }
            None => {
                let problem = "the configuration could not be read to its end".to_owned();
                Err(self.refused(None, vec![problem], by))
            }
        };
        self.tell_sources(&held, &outcome).await;
        outcome
    }

    /// Reads the files, with what sources hold; sources that the files name anew are asked first.
    async fn read(&mut self) -> (Held, Option<Read>) {
        let held = self.supply.held();
        let read = self.load(&held).await;
        let wanted = read.as_ref().and_then(|read| read.wanted.clone());
        match wanted.filter(|wanted| !self.supply.follows(&wanted.sources)) {
            Some(wanted) => {
                self.supply.follow(wanted).await;
                let held = self.supply.held();
                let read = self.load(&held).await;
                (held, read)
            }
            None => (held, read),
        }
    }

    async fn load(&self, held: &Held) -> Option<Read> {
        let (files, texts) = (self.supply.files().to_vec(), held.texts());
        let loading = tokio::task::spawn_blocking(move || {
            let files = ReadFiles::of(&files);
            let loaded = config::load_documents(&files, &texts);
            Read { digest: files.digest(), wanted: wanted(&files, &loaded), loaded }
        });
        loading.await.ok()
    }

    /// Sources are told what became of their part.
    async fn tell_sources(&mut self, held: &Held, outcome: &Result<Synced, SyncError>) {
        match outcome {
            Ok(_) if self.ledger.pin().is_some() => {
                self.supply.refuse(held, "an earlier version was put back in force, and stays until this changes");
            }
            Ok(synced) => self.supply.accept(held, &synced.version).await,
            Err(SyncError::Refused(problems)) => self.supply.refuse(held, &problems.join("; ")),
            Err(other) => self.supply.refuse(held, &other.to_string()),
        }
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
        let loading = tokio::task::spawn_blocking(move || config::load_texts(&sources));
        let loaded = match loading.await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => return Err(self.refused(None, listed(&problems), Some(by))),
            Err(_) => return Err(SyncError::Away("the earlier version could not be read to its end")),
        };
        let version = self.running.current().version.clone();
        if version == loaded.version {
            return Ok(Synced { from: version.clone(), version, changed: false, names: Vec::new() });
        }
        self.places = self.supply.places_of(&loaded);
        let texts = loaded.sources.clone();
        let outcome = self.judged(loaded, Some(by), confirm, AuditAction::RolledBack).await;
        if let Ok(synced) = &outcome {
            self.supply.rolled_back(&texts, &self.places, &synced.version).await;
        }
        outcome
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
        let Ok((mut plan, loaded)) = planning.await else {
            return Err(self.refused(None, vec!["the change could not be planned".to_owned()], by));
        };
        let origin = self.ledger.origin(&loaded, &self.places, action);
        plan.needs.extend(self.ledger.emptied(&old, &loaded, &self.places));
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
        let next = InForceNext::of(&loaded, &self.places);
        if let Err(problems) = self.running.apply(loaded).await {
            return Err(self.refused(Some(&plan), problems, by));
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let now = self.running.current();
        let bound = now.settings.products.version;
        if let Some(event) = Event::of(plan.skus.clone(), &now.settings.service, bound, &from, &version) {
            self.running.products.tell(&event);
        }
        let source = now.sources.join(", ");
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
        let sources = self.supply.names();
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

/// When the files or a source have stirred, and it is not too soon to look again.
async fn stirred(files: &Notify, supply: &mut Supply, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    tokio::select! {
        () = files.notified() => {}
        () = supply.changed() => {}
    }
}

/// The sources that the files name; unknown where the files are too wrong to tell.
fn wanted(files: &ReadFiles, loaded: &Result<Loaded, Problems>) -> Option<Outset> {
    let outset = config::outset(files).ok()?;
    // Half a file may have lost them; files that name none have to be good without.
    let is_whole = || loaded.is_ok() || !outset.sources.is_empty() || config::load_documents(files, &[]).is_ok();
    is_whole().then_some(outset)
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
