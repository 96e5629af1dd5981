//! When the files of the configuration change.
//!
//! The kernel tells of names that change in the folders of the files ([`places`]); what a change comes to is found by
//! reading, never believed. Behind it stands a slow poll, because watches can be lost: a folder that was replaced, a file
//! system that does not tell, a limit of the system that is reached. What is still being written is waited for, for a
//! moment: a half file would only be refused, and taken when it is whole.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::places::places;
use crate::config::{Digest, KeyFile, ReadFiles};

/// How long nothing may stir before files are read.
const QUIET: Duration = Duration::from_millis(50);
/// How long a file that is being written may take to be closed.
const WRITING: Duration = Duration::from_millis(300);
/// Files that stir without end are read after this all the same.
const MOST: Duration = Duration::from_millis(500);
/// The safety net behind the watches.
const POLL: Duration = Duration::from_secs(5);
/// How often files are read where they cannot be watched.
const POLL_UNWATCHED: Duration = Duration::from_millis(500);
/// Events that wait; with more of them, that something stirs is known anyhow.
const STIRS: usize = 64;

/// What the kernel told.
#[derive(Clone, Copy)]
enum Stir {
    /// Somebody writes, and has not closed yet.
    Writing,
    /// Whoever wrote has closed.
    Closed,
    /// A name came, went or means something else.
    Name,
}

/// Device and inode: whether a folder is the one that is watched.
type Identity = (u64, u64);

/// What was loaded last, in force or refused.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// All files; `None` where that is not known.
    pub(super) files: Option<Digest>,
    /// The key files of the configuration in force.
    pub(super) keys: Vec<KeyFile>,
}

impl Taken {
    /// Whether the files hold the same now. Waits for the disk.
    fn is_current(&self, named: &[PathBuf]) -> bool {
        self.files == Some(ReadFiles::of(named).digest()) && self.keys.iter().all(KeyFile::is_unchanged)
    }
}

/// Watches the files of the configuration.
pub(super) struct Files {
    named: Vec<PathBuf>,
    taken: watch::Receiver<Taken>,
    watcher: Option<RecommendedWatcher>,
    armed: BTreeMap<PathBuf, Identity>,
    stirs: mpsc::Receiver<Stir>,
    is_blind: bool,
}

impl Files {
    pub(super) fn new(named: Vec<PathBuf>, taken: watch::Receiver<Taken>) -> Self {
        let (stir, stirs) = mpsc::channel(STIRS);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(told) = told(&event) {
                // A full channel says that something stirs.
                let _ = stir.try_send(told);
            }
        });
        let watcher = watcher.map_err(|error| tracing::warn!(%error, "files cannot be watched and are polled")).ok();
        Self { named, taken, watcher, armed: BTreeMap::new(), stirs, is_blind: false }
    }

    /// Tells `changed` whenever the files hold something else than what was taken last. Runs on the control runtime until
    /// that ends.
    pub(super) async fn watch(mut self, changed: Arc<Notify>) {
        loop {
            self.arm();
            let (named, taken) = (self.named.clone(), self.taken.borrow_and_update().clone());
            let looking = tokio::task::spawn_blocking(move || taken.is_current(&named));
            if matches!(looking.await, Ok(false)) {
                changed.notify_one();
            }
            self.wait().await;
        }
    }

    /// Until it is time to read again.
    async fn wait(&mut self) {
        let poll = if self.watcher.is_none() || self.is_blind { POLL_UNWATCHED } else { POLL };
        let stir = tokio::select! {
            () = tokio::time::sleep(poll) => return,
            // Whoever has the other end lives as long as this.
            _ = self.taken.changed() => return,
            stir = next(&mut self.stirs) => stir,
        };
        let (most, mut is_writing) = (Instant::now() + MOST, matches!(stir, Stir::Writing));
        loop {
            let quiet = Instant::now() + if is_writing { WRITING } else { QUIET };
            match tokio::time::timeout_at(quiet.min(most), next(&mut self.stirs)).await {
                Ok(Stir::Writing) => is_writing = true,
                Ok(Stir::Closed) => is_writing = false,
                Ok(Stir::Name) => {}
                Err(_) => return,
            }
        }
    }

    /// Watches the folders that matter now. Done before each look, so that nothing can change between the two unseen.
    fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = {
            let taken = self.taken.borrow();
            places(self.named.iter().chain(taken.keys.iter().map(|key| &key.path)))
        };
        self.armed.retain(|place, identity| {
            let stays = wanted.contains(place) && identity_of(place) == Some(*identity);
            if !stays {
                // A folder that has gone took its watch along.
                let _ = watcher.unwatch(place);
            }
            stays
        });
        let mut is_blind = false;
        for place in wanted {
            let Some(identity) = identity_of(&place) else { continue };
            // Once more where it is watched already: the end of an earlier folder of this name may take the watch along.
            match watcher.watch(&place, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.armed.insert(place, identity),
                Err(error) => {
                    is_blind = true;
                    if !self.is_blind {
                        let folder = place.display();
                        tracing::warn!(%folder, %error, "a folder cannot be watched: its files are polled");
                    }
                }
            }
        }
        self.is_blind = is_blind;
    }
}

/// The next event; none ever where files cannot be watched.
async fn next(stirs: &mut mpsc::Receiver<Stir>) -> Stir {
    match stirs.recv().await {
        Some(stir) => stir,
        None => std::future::pending().await,
    }
}

fn identity_of(folder: &Path) -> Option<Identity> {
    std::fs::metadata(folder).ok().map(|known| (known.dev(), known.ino()))
}

/// What an event says. That somebody reads says nothing, and is ourselves most of the time.
fn told(event: &notify::Result<notify::Event>) -> Option<Stir> {
    match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(AccessKind::Close(AccessMode::Write))) => Some(Stir::Closed),
        Ok(EventKind::Access(_)) => None,
        Ok(EventKind::Modify(ModifyKind::Data(_))) => Some(Stir::Writing),
        // An error means that events may have been lost.
        _ => Some(Stir::Name),
    }
}
