//! Changing the configuration of a sidecar that runs.
//!
//! One task does it all, so that one change is over before the next begins: it gathers the texts, has them loaded and
//! compiled off the runtime, and refuses them whole or puts them in force ([`Running`]). Whoever wants a change (a file, a
//! signal, a call, a source) only asks for it; asking often costs one more look.

mod changed;
mod files;
mod places;
mod running;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::view::ControlView;
use crate::admin::{SyncControl, SyncError, Synced};
use crate::config::{self, Digest, KeyFile, Loaded, Problems, ReadFiles};

use files::{Files, Taken};

pub(super) use changed::changed;
pub(super) use running::Running;

/// How often it is looked whether configurations that were replaced are still used.
const LET_GO_EVERY: Duration = Duration::from_millis(250);
/// How often what was refused is tried again: it may have wanted a file that nobody watches yet.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(5);
/// Calls that may wait for the one before them.
const CALLS: usize = 16;

/// What changes the configuration.
pub(super) struct Reloader {
    files: Vec<PathBuf>,
    running: Running,
    view: Arc<ControlView>,
    calls: mpsc::Receiver<Call>,
    hangup: Signal,
    /// The files hold something else.
    stirred: Arc<Notify>,
    taken: watch::Sender<Taken>,
    /// The problems that the log was told last: it is not told twice of the same.
    told: Option<Vec<String>>,
}

/// Where the first configuration came from.
pub(super) struct Origin {
    /// Files and folders as named.
    pub(super) files: Vec<PathBuf>,
    /// The key files that went into it.
    pub(super) key_files: Vec<KeyFile>,
}

/// Somebody asks for everything to be read again.
struct Call {
    by: String,
    answer: oneshot::Sender<Result<Synced, SyncError>>,
}

/// Where it can be asked.
pub(super) struct Desk(mpsc::Sender<Call>);

impl Reloader {
    /// For these files and the key files that they name; `hangup` asks for another look as a call does.
    pub(super) fn new(origin: Origin, running: Running, view: Arc<ControlView>, hangup: Signal) -> (Self, Desk) {
        let (ask, calls) = mpsc::channel(CALLS);
        let Origin { files, key_files } = origin;
        let taken = watch::Sender::new(Taken { files: None, keys: key_files });
        (Self { files, running, view, calls, hangup, stirred: Arc::default(), taken, told: None }, Desk(ask))
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
                Some(call) = self.calls.recv() => {
                    let outcome = self.reload(Some(&call.by)).await;
                    // Whoever asked may have gone.
                    let _ = call.answer.send(outcome);
                }
                Some(()) = self.hangup.recv() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    let _ = self.reload(Some("SIGHUP")).await;
                }
                () = self.stirred.notified() => {
                    let _ = self.reload(None).await;
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
        let files = self.files.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let files = ReadFiles::of(&files);
            (files.digest(), config::load_documents(&files, &[]))
        });
        let outcome = match loading.await {
            Ok((digest, loaded)) => self.judge(digest, loaded, by).await,
            Err(_) => Err(vec!["the configuration could not be read to its end".to_owned()]),
        };
        outcome.map_err(|problems| {
            self.refused(&problems, by);
            SyncError::Refused(problems)
        })
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
        let sources: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
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
