//! Changing the configuration of a sidecar that runs.
//!
//! One task does it all, so that one change is over before the next begins: it gathers the texts, has them loaded and
//! compiled off the runtime, and refuses them whole or puts them in force ([`Running`]). Whoever wants a change (a file, a
//! signal, a call, a source) only asks for it; asking often costs one more look.

mod changed;
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

use super::view::ControlView;
use crate::admin::{SyncControl, SyncError, Synced};
use crate::config::{self, Digest, KeyFile, Loaded, Problems, ReadFiles};

use feeds::{Feeds, Held};
use files::{Files, Taken};

pub use feeds::{Feed, Origin};

pub(super) use changed::changed;
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

/// Somebody asks for everything to be read again.
struct Call {
    by: String,
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
        calls: Calls,
        hangup: Signal,
    ) -> Self {
        let Origin { files, feeds } = origin;
        let stirred = Arc::default();
        let feeds = Feeds::start(feeds, &stirred);
        let taken = watch::Sender::new(Taken { files: None, keys: key_files });
        Self { files, running, view, calls, hangup, feeds, stirred, taken, told: None, not_before: Instant::now() }
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
                    let outcome = self.reload(Some(&call.by)).await;
                    // Whoever asked may have gone.
                    let _ = call.answer.send(outcome);
                }
                Some(()) = self.hangup.recv() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    let _ = self.reload(Some("SIGHUP")).await;
                }
                () = stirred(&self.stirred, self.not_before) => {
                    let began = Instant::now();
                    let _ = self.reload(None).await;
                    self.not_before = Instant::now() + (2 * began.elapsed()).clamp(LEAST_PAUSE, MOST_PAUSE);
                }
                _ = again.tick(), if self.told.is_some() => {
                    let _ = self.reload(None).await;
                }
                _ = letting_go.tick() => self.running.let_go(),
            }
        }
    }

    /// Reads everything and puts it in force, unless it is in force already or is refused.
    async fn reload(&mut self, by: Option<&str>) -> Result<Synced, SyncError> {
        if self.view.is_draining() {
            return Err(SyncError::Away("the sidecar is ending"));
        }
        let (files, held) = (self.files.clone(), self.feeds.held());
        let texts = held.texts();
        let loading = tokio::task::spawn_blocking(move || {
            let files = ReadFiles::of(&files);
            (files.digest(), config::load_documents(&files, &texts))
        });
        let outcome = match loading.await {
            Ok((digest, loaded)) => self.judge(digest, loaded, by).await,
            Err(_) => Err(vec!["the configuration could not be read to its end".to_owned()]),
        };
        self.tell(&held, outcome, by)
    }

    /// Tells sources what became of their part, and everybody what was refused.
    fn tell(
        &mut self,
        held: &Held,
        outcome: Result<Synced, Vec<String>>,
        by: Option<&str>,
    ) -> Result<Synced, SyncError> {
        match outcome {
            Ok(synced) => {
                self.feeds.accept(held, &synced.version);
                Ok(synced)
            }
            Err(problems) => {
                self.feeds.refuse(held, &problems);
                self.refused(&problems, by);
                Err(SyncError::Refused(problems))
            }
        }
    }

    /// Applies what was loaded, and remembers which files that were.
    async fn judge(
        &mut self,
        files: Digest,
        loaded: Result<Loaded, Problems>,
        by: Option<&str>,
    ) -> Result<Synced, Vec<String>> {
        let keys = loaded.as_ref().ok().map(|loaded| loaded.key_files.clone());
        let outcome = match loaded {
            Ok(loaded) => self.apply(loaded, by).await,
            Err(problems) => Err(listed(&problems)),
        };
        // Only other names have to be watched anew; what differs all the time must not be looked at all the time.
        self.taken.send_if_modified(|taken| {
            taken.files = Some(files);
            let Some(keys) = keys else { return false };
            let before = std::mem::replace(&mut taken.keys, keys);
            !before.iter().map(|key| &key.path).eq(taken.keys.iter().map(|key| &key.path))
        });
        outcome
    }

    async fn apply(&mut self, loaded: Loaded, by: Option<&str>) -> Result<Synced, Vec<String>> {
        let old = self.running.current();
        let (from, version) = (old.version.clone(), loaded.version.clone());
        if from == version {
            self.view.unrefused();
            self.told = None;
            return Ok(Synced { version, from, changed: false, names: Vec::new() });
        }
        let names = changed(&old.settings, &loaded.settings);
        drop(old);
        let warnings = loaded.warnings.clone();
        self.running.apply(loaded).await?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        tracing::info!(from, version, by, changed = names.join(", "), "another configuration is in force");
        self.told = None;
        self.view.applied(&from, names.clone(), by);
        Ok(Synced { version, from, changed: true, names })
    }

    fn refused(&mut self, problems: &[String], by: Option<&str>) {
        if by.is_none() && self.told.as_deref() == Some(problems) {
            return;
        }
        self.running.refused();
        let files = self.files.iter().map(|file| file.display().to_string());
        let sources: Vec<String> = files.chain(self.feeds.names()).collect();
        self.view.refused(sources.join(", "), problems, by);
        if self.told.as_deref() == Some(problems) {
            return;
        }
        let first = problems.first().map_or("", String::as_str);
        let version = &self.running.current().version;
        let count = problems.len();
        tracing::error!(
            problem = first,
            problems = count,
            in_force = version,
            "a configuration was refused as a whole"
        );
        self.told = Some(problems.to_vec());
    }
}

/// When something has stirred, and it is not too soon to look again.
async fn stirred(stirred: &Notify, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    stirred.notified().await;
}

/// Each problem as a line, and how many there are besides.
fn listed(problems: &Problems) -> Vec<String> {
    let mut listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if problems.omitted() > 0 {
        listed.push(format!("{} more problems", problems.omitted()));
    }
    listed
}

impl SyncControl for Desk {
    fn sync(&self, by: &str) -> Result<Synced, SyncError> {
        let (answer, told) = oneshot::channel();
        let call = Call { by: by.to_owned(), answer };
        self.0.try_send(call).map_err(|_| SyncError::Away("too many ask at once, or the sidecar is ending"))?;
        told.blocking_recv().unwrap_or(Err(SyncError::Away("the sidecar is ending")))
    }
}
