//! What outlives the process: the latches, written to the state directory as they change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::latches::{Latches, locked};

/// How long until state that could not be kept is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Whether latches outlive the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// No: no directory is configured.
    Off,
    /// Yes: everything stands in the directory.
    Kept,
    /// Not all of them: the directory could not be written, for this reason. It is tried again.
    Failing(String),
}

impl Latches {
    /// Whether latches outlive the process.
    pub fn keeping(&self) -> Keeping {
        locked(&self.keeping).clone()
    }

    /// The directory, if one is configured.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Writes what is not kept yet and says whether everything is. Blocks on the disk: never for a worker.
    pub fn save(&self) -> Keeping {
        let Some(store) = &self.store else { return Keeping::Off };
        let mut store = locked(store);
        let (generation, state, incidents) = {
            let book = locked(&self.book);
            (book.generation, book.to_file(), book.incidents())
        };
        if store.saved == Some(generation) {
            return Keeping::Kept;
        }
        let outcome = match store.write(generation, &state, &incidents) {
            Ok(()) => Keeping::Kept,
            Err(error) => Keeping::Failing(error.to_string()),
        };
        self.telemetry.state_kept(outcome == Keeping::Kept);
        let before = std::mem::replace(&mut *locked(&self.keeping), outcome.clone());
        match &outcome {
            Keeping::Failing(reason) if before != outcome => {
                tracing::error!(reason, "state is not kept: latches last for the process only until it is");
            }
            Keeping::Kept if matches!(before, Keeping::Failing(_)) => {
                tracing::info!(dir = %store.dir().display(), "state is kept again");
            }
            _ => {}
        }
        outcome
    }

    /// Whether [`Latches::save`] has something to do.
    pub fn is_unsaved(&self) -> bool {
        let Some(store) = &self.store else { return false };
        // Whoever holds the store is saving now, and may not see the newest change.
        store.try_lock().map_or(true, |store| store.saved != Some(locked(&self.book).generation))
    }

    /// Keeps state as it changes, and again after a while where that failed. Runs until dropped.
    pub async fn keep(self: Arc<Self>) {
        let (Some(_), mut changes) = (&self.store, self.follow()) else { return };
        loop {
            let latches = self.clone();
            let _ = tokio::task::spawn_blocking(move || latches.save()).await;
            let is_failing = matches!(self.keeping(), Keeping::Failing(_));
            let _ = tokio::time::timeout(if is_failing { RETRY } else { Duration::MAX }, changes.changed()).await;
        }
    }
}
