//! The state directory: which releases are latched or paused, and the incidents.
//!
//! ```text
//! DIR/latches.json              every latch and pause; replaced as a whole
//! DIR/latches.json.unreadable   the last one that could not be read, for whoever wants to know why
//! DIR/incidents/000042-NAME.json
//! DIR/lock                      held by the one process that writes
//! ```
//!
//! A file is written beside its place, flushed to the disk and renamed over it, and then the folder is flushed: after a
//! power cut there is the old one or the new one, whole. A directory belongs to one process: a second one reads what is
//! there, and does not write until the first has gone.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::book::{Latched, MOST_INCIDENTS, Paused};
use super::evidence::Incident;

const STATE: &str = "latches.json";
const UNREADABLE: &str = "latches.json.unreadable";
const INCIDENTS: &str = "incidents";
const LOCK: &str = "lock";

/// The version of the state file that this program writes, and the only one it reads.
const VERSION: u32 = 1;
/// No file of ours is larger.
const MOST_BYTES: u64 = 4 << 20;

/// The state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileState {
    pub(super) version: u32,
    /// The number that the next incident gets.
    pub(super) next_incident: u64,
    pub(super) releases: BTreeMap<String, FileRelease>,
}

impl Default for FileState {
    fn default() -> Self {
        Self { version: VERSION, next_incident: 1, releases: BTreeMap::new() }
    }
}

/// A release in the state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileRelease {
    pub(super) revision: u32,
    pub(super) latched: Option<Latched>,
    pub(super) paused: Option<Paused>,
}

/// Why something is not kept, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// The system says no.
    #[error("cannot {what} {path}: {source}")]
    System { what: &'static str, path: PathBuf, source: io::Error },
    /// Another process writes here.
    #[error("another process uses {path}; give each its own `state.dir`")]
    Taken { path: PathBuf },
    /// Not a state file.
    #[error("{path} is not a state file: {source}")]
    Form { path: PathBuf, source: serde_json::Error },
    /// Written by another version of this program.
    #[error("{path} has version {found}; this program reads version {VERSION}")]
    Version { path: PathBuf, found: u64 },
    /// Too large to be ours.
    #[error("{path} is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge { path: PathBuf },
}

fn system<'p>(what: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> StoreError + 'p {
    move |source| StoreError::System { what, path: path.to_owned(), source }
}

/// The directory, and how far it is up to date.
pub(super) struct Store {
    dir: PathBuf,
    lock: Option<File>,
    /// The generation that stands in the directory.
    pub(super) saved: Option<u64>,
    last_incident: u64,
}

impl Store {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), lock: None, saved: None, last_incident: 0 }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state as it was kept; nothing where none ever was. Whatever else keeps it from being read is an error: the
    /// caller must not take that for nothing.
    pub(super) fn read(&self) -> Result<Option<FileState>, StoreError> {
        let path = self.dir.join(STATE);
        let bytes = match read(&path) {
            Err(StoreError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        parse(&path, &bytes).map(Some)
    }

    /// Gives a state file that could not be read a second name, so that writing does not destroy it. It keeps its first
    /// one: until something better is written, the next process must not take a missing file for nothing.
    pub(super) fn put_aside(&self) {
        let aside = self.dir.join(UNREADABLE);
        let _ = fs::remove_file(&aside);
        if let Err(error) = fs::hard_link(self.dir.join(STATE), &aside) {
            tracing::warn!(%error, "the unreadable state file cannot be put aside");
        }
    }

    /// The incidents that were kept, oldest first; what cannot be read is told and passed over.
    pub(super) fn read_incidents(&mut self) -> Vec<Incident> {
        let mut found = Vec::new();
        for (number, path) in self.incident_files() {
            self.last_incident = self.last_incident.max(number);
            let parsed = read(&path).and_then(|bytes| {
                serde_json::from_slice(&bytes).map_err(|source| StoreError::Form { path: path.clone(), source })
            });
            match parsed {
                Ok(incident) => found.push(incident),
                Err(error) => tracing::warn!(%error, "an incident is left out"),
            }
        }
        found
    }

    /// Keeps a state and the incidents that are not kept yet.
    pub(super) fn write(
        &mut self,
        generation: u64,
        state: &FileState,
        incidents: &[Arc<Incident>],
    ) -> Result<(), StoreError> {
        self.claim()?;
        write(&self.dir, STATE, &serde_json::to_vec_pretty(state).expect("a state has text for keys"))?;
        let folder = self.dir.join(INCIDENTS);
        let last = self.last_incident;
        for incident in incidents.iter().filter(|incident| incident.number > last) {
            fs::create_dir_all(&folder).map_err(system("make", &folder))?;
            let text = serde_json::to_vec_pretty(&**incident).expect("an incident has text for keys");
            write(&folder, &file_name(incident), &text)?;
            self.last_incident = incident.number;
        }
        self.forget_oldest();
        self.saved = Some(generation);
        Ok(())
    }

    /// Makes the directory where it is missing, and sees to it that nobody else writes there.
    fn claim(&mut self) -> Result<(), StoreError> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(system("make", &self.dir))?;
        let path = self.dir.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path).map_err(system("open", &path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(StoreError::Taken { path: self.dir.clone() }),
            // Not every file system has locks; keeping state matters more than the check.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            locked => locked.map_err(io::Error::from).map_err(system("lock", &path))?,
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// The files of incidents with their numbers, oldest first.
    fn incident_files(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(self.dir.join(INCIDENTS)).into_iter().flatten().flatten();
        let numbered = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| name.ends_with(".json"))?;
            let number = name.split('-').next()?.parse().ok()?;
            Some((number, entry.path()))
        });
        let mut files: Vec<(u64, PathBuf)> = numbered.collect();
        files.sort();
        files
    }

    fn forget_oldest(&self) {
        let files = self.incident_files();
        let extra = files.len().saturating_sub(MOST_INCIDENTS);
        for (_, path) in &files[..extra] {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, path = %path.display(), "an old incident cannot be removed");
            }
        }
    }
}

/// Names come from the configuration; what a file name may not hold everywhere becomes `_`.
fn file_name(incident: &Incident) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let release: String = incident.release.chars().take(64).map(plain).collect();
    format!("{:06}-{release}.json", incident.number)
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(system("read", path))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(system("read", path))?;
    if bytes.len() as u64 > MOST_BYTES { Err(StoreError::TooLarge { path: path.to_owned() }) } else { Ok(bytes) }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<FileState, StoreError> {
    /// The version alone: the rest of another version's file may have any form.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let form = |source| StoreError::Form { path: path.to_owned(), source };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(form)?;
    if version != u64::from(VERSION) {
        return Err(StoreError::Version { path: path.to_owned(), found: version });
    }
    serde_json::from_slice(bytes).map_err(form)
}

/// Replaces a file as a whole; the folder is there.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&new, &path));
    if placed.is_err() {
        // On a full disk the half file would take room that something else needs.
        let _ = fs::remove_file(&new);
    }
    placed.and_then(|()| File::open(folder)?.sync_all()).map_err(system("write", &path))
}
