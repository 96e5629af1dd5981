//! The last configurations that were in use, with their texts: what can be taken again by one call.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::Source;

/// How many versions are kept.
pub const MOST_VERSIONS: usize = 20;
/// How many bytes of text all of them together may have; the one in use is kept however long it is.
pub(super) const MOST_BYTES: usize = 32 << 20;
/// The version of the file form.
const FORM: u32 = 1;

/// One configuration that was in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The version of the file form.
    form: u32,
    /// Its place in the order in which versions came into use.
    pub number: u64,
    /// Its version.
    pub version: String,
    /// When it came into use, in nanoseconds since 1970.
    time_unix_nano: u64,
    /// Shared with what is in force.
    texts: Arc<[Source]>,
}

impl Past {
    /// When it came into use.
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.time_unix_nano)
    }

    /// Its texts as they were read.
    pub fn sources(&self) -> Vec<Source> {
        self.texts.to_vec()
    }

    /// How long its texts are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(|text| text.text.len()).sum()
    }

    /// The names of its texts.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.texts.iter().map(|text| text.path.as_path())
    }

    fn file_name(&self) -> String {
        format!("{:06}-{}.json", self.number, self.version)
    }
}

/// The last configurations that were in use.
#[derive(Debug)]
pub struct History {
    dir: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    versions: VecDeque<Arc<Past>>,
    last_number: u64,
    problem: Option<String>,
}

impl History {
    /// What is kept below a state directory; in memory alone without one. A file that cannot be read is told and left out.
    pub fn open(state_dir: Option<&Path>) -> Self {
        let dir = state_dir.map(|dir| dir.join("history"));
        let mut inner = Inner::default();
        for past in dir.iter().flat_map(|dir| read_all(dir)) {
            inner.last_number = inner.last_number.max(past.number);
            inner.add(past);
        }
        Self { dir, inner: Mutex::new(inner) }
    }

    /// Adds what came into use; keeps it where state is kept, which waits for the disk.
    pub fn add(&self, version: &str, time: SystemTime, sources: Arc<[Source]>) {
        let mut inner = self.locked();
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        inner.last_number += 1;
        let past = Past {
            form: FORM,
            number: inner.last_number,
            version: version.to_owned(),
            time_unix_nano: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            texts: sources,
        };
        inner.add(past);
        let Some(dir) = &self.dir else { return };
        let problem = keep(dir, &inner.versions).err();
        let problem = problem.map(|error| format!("cannot keep the history in {}: {error}", dir.display()));
        if let Some(problem) = problem.as_ref().filter(|problem| inner.problem.as_ref() != Some(problem)) {
            tracing::error!("{problem}; it is kept in memory");
        }
        inner.problem = problem;
    }

    /// All that are kept, oldest first.
    pub fn versions(&self) -> Vec<Arc<Past>> {
        self.locked().versions.iter().cloned().collect()
    }

    /// One of them.
    pub fn version(&self, version: &str) -> Option<Arc<Past>> {
        self.locked().versions.iter().find(|past| past.version == version).cloned()
    }

    /// Why it is not kept over a restart although it should be.
    pub fn problem(&self) -> Option<String> {
        self.locked().problem.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, past: Past) {
        self.versions.retain(|known| known.version != past.version);
        self.versions.push_back(Arc::new(past));
        let bytes = |versions: &VecDeque<Arc<Past>>| versions.iter().map(|past| past.bytes()).sum::<usize>();
        while self.versions.len() > MOST_VERSIONS || (self.versions.len() > 1 && bytes(&self.versions) > MOST_BYTES) {
            self.versions.pop_front();
        }
    }
}

fn keep(dir: &Path, versions: &VecDeque<Arc<Past>>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let wanted: Vec<String> = versions.iter().map(|past| past.file_name()).collect();
    for (past, name) in versions.iter().zip(&wanted) {
        if !dir.join(name).exists() {
            super::disk::replace(dir, name, &serde_json::to_vec(&**past).expect("a version has text for keys"))?;
        }
    }
    for path in files(dir)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !wanted.contains(&name) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    Ok(files)
}

fn read_all(dir: &Path) -> Vec<Past> {
    let read = |path: PathBuf| -> Option<Past> {
        let parsed = fs::read(&path).and_then(|bytes| serde_json::from_slice::<Past>(&bytes).map_err(io::Error::from));
        match parsed {
            Ok(past) if past.form == FORM => return Some(past),
            Ok(past) => tracing::warn!(path = %path.display(), form = past.form, "an earlier version is left out"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "an earlier version is left out"),
        }
        None
    };
    files(dir).unwrap_or_default().into_iter().rev().take(MOST_VERSIONS).rev().filter_map(read).collect()
}
