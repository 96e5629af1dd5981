//! Changing the configuration of a sidecar that runs.
//!
//! One task does it all, so that one change is over before the next begins: it gathers the texts, has them loaded and
//! compiled off the runtime, and refuses them whole or puts them in force ([`Running`]). Whoever wants a change (a file, a
//! signal, a call, a source) only asks for it; asking often costs one more look.

mod changed;
mod running;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::view::ControlView;
use crate::admin::{SyncControl, SyncError, Synced};
use crate::config::{self, Loaded, Problems};

pub(super) use changed::changed;
pub(super) use running::Running;

/// How often it is looked whether configurations that were replaced are still used.
const LET_GO_EVERY: Duration = Duration::from_millis(250);
/// Calls that may wait for the one before them.
const CALLS: usize = 16;

/// What changes the configuration.
pub(super) struct Reloader {
    files: Vec<PathBuf>,
    running: Running,
    view: Arc<ControlView>,
    calls: mpsc::Receiver<Call>,
    hangup: Signal,
    /// The problems that the log was told last: it is not told twice of the same.
    told: Option<Vec<String>>,
}

/// Somebody asks for everything to be read again.
struct Call {
    by: String,
    answer: oneshot::Sender<Result<Synced, SyncError>>,
}

/// Where it can be asked.
pub(super) struct Desk(mpsc::Sender<Call>);

impl Reloader {
    /// For these files; `hangup` asks for another look as a call does.
    pub(super) fn new(files: Vec<PathBuf>, running: Running, view: Arc<ControlView>, hangup: Signal) -> (Self, Desk) {
        let (ask, calls) = mpsc::channel(CALLS);
        (Self { files, running, view, calls, hangup, told: None }, Desk(ask))
    }

    /// Runs on the control runtime until that ends.
    pub(super) async fn run(mut self) {
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
                _ = letting_go.tick() => self.running.let_go(),
            }
        }
    }

    /// Reads everything and puts it in force, unless it is in force already or is refused.
    async fn reload(&mut self, by: Option<&str>) -> Result<Synced, SyncError> {
        let files = self.files.clone();
        let loading = tokio::task::spawn_blocking(move || config::load_documents(&files, &[]));
        let outcome = match loading.await {
            Ok(Ok(loaded)) => self.apply(loaded, by).await,
            Ok(Err(problems)) => Err(listed(&problems)),
            Err(_) => Err(vec!["the configuration could not be read to its end".to_owned()]),
        };
        outcome.map_err(|problems| {
            self.refused(&problems, by);
            SyncError::Refused(problems)
        })
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
