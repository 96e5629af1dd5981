//! What sources held when a configuration came into force, kept on the disk for a start at which their servers are away.
//!
//! ```text
//! DIR/last-good.json         a line with the checksum, then what was kept as JSON; replaced as a whole
//! DIR/last-good.lock         held by the one process that writes
//! ```
//!
//! The file is written beside its place, flushed to the disk and renamed over it, and then the folder is flushed: after a
//! power cut there is the old one or the new one, whole. One that was cut or edited is refused. Files of the
//! configuration are not kept: they stay what they are on the disk.

mod start;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::call::hexadecimal;
use super::{Documents, Held, Order};
use crate::config;
use crate::telemetry::Telemetry;

pub use start::{Start, StartError, first};

const FILE: &str = "last-good.json";
const NEW: &str = "last-good.json.new";
const LOCK: &str = "last-good.lock";
/// How the first line begins; the number is that of the form.
const MARK: &str = "graylane last good 1 sha256:";
/// The largest file that is written or read: the texts of the largest sources, twice.
const MOST_BYTES: usize = 256 << 20;

/// The place where it is kept. Calls wait for the disk: they do not belong on a thread that others wait for.
pub struct LastGood {
    dir: PathBuf,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lock: Option<File>,
    /// What stands on the disk.
    kept: Option<String>,
    /// Why the last attempt failed; told once.
    problem: Option<String>,
}

/// What was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The version of the configuration that was in force.
    pub version: String,
    /// When it was kept, in RFC 3339.
    pub time: String,
    /// Each source by name, with what it held.
    pub sources: Vec<(String, Documents)>,
}

/// Why nothing is kept, or nothing can be taken from what was kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LastGoodError {
    /// The system says no.
    #[error("cannot {what} {path}: {why}")]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Another process writes there.
    #[error("another process uses {0}; give each its own `state.dir`")]
    Taken(PathBuf),
    /// It was cut, edited, or written by another version of this program.
    #[error("{path} is not taken: {why}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// More than is ever kept.
    #[error("{0} bytes are more than the {MOST_BYTES} that are kept")]
    TooLarge(usize),
}

#[derive(Serialize, Deserialize)]
struct FileKept {
    version: String,
    time: String,
    sources: Vec<FileSource>,
}

#[derive(Serialize, Deserialize)]
struct FileSource {
    name: String,
    revision: String,
    /// Lineage and number.
    order: Option<(String, u64)>,
    /// Path and text.
    texts: Vec<(String, String)>,
}

impl LastGood {
    /// In this directory, which is made when something is kept.
    pub fn new(dir: &Path, telemetry: Arc<Telemetry>) -> Self {
        Self { dir: dir.to_owned(), telemetry, state: Mutex::default() }
    }

    /// Keeps what sources held when the configuration of this version came into force. Sources that never said anything
    /// are left out, and so those that have none keep nothing. A failure is told once, in the log and the metrics,
    /// and is no reason to stop: what was kept before stays.
    pub fn keep(&self, held: &Held, version: &str) -> Result<(), LastGoodError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.kept.as_deref() == Some(version) && state.problem.is_none() {
            return Ok(());
        }
        let outcome = self.write(&mut state, held, version);
        self.telemetry.last_good_kept(outcome.is_ok());
        match &outcome {
            Ok(()) => {
                state.kept = Some(version.to_owned());
                if state.problem.take().is_some() {
                    tracing::info!(version, "the last good configuration is kept again");
                }
            }
            Err(error) => {
                let told = error.to_string();
                if state.problem.as_ref() != Some(&told) {
                    tracing::error!(version, "the last good configuration is not kept: {told}; everything runs on");
                    state.problem = Some(told);
                }
            }
        }
        outcome
    }

    /// Why the last attempt to keep something failed, unless one succeeded since.
    pub fn problem(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// What an earlier process kept; nothing where none ever did.
    pub fn load(&self) -> Result<Option<Kept>, LastGoodError> {
        let path = self.dir.join(FILE);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(system("read", &path))?,
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(system("read", &path))?;
        match parse(&bytes) {
            Ok(kept) => Ok(Some(kept)),
            Err(why) => Err(LastGoodError::Broken { path, why }),
        }
    }

    fn write(&self, state: &mut State, held: &Held, version: &str) -> Result<(), LastGoodError> {
        if state.lock.is_none() {
            state.lock = Some(claim(&self.dir)?);
        }
        let bytes = render(held, version);
        if bytes.len() > MOST_BYTES {
            return Err(LastGoodError::TooLarge(bytes.len()));
        }
        let (path, new) = (self.dir.join(FILE), self.dir.join(NEW));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&new, &path));
        if placed.is_err() {
            // On a full disk the half file would take room that something else needs.
            let _ = fs::remove_file(&new);
        }
        placed.and_then(|()| File::open(&self.dir)?.sync_all()).map_err(system("write", &path))
    }
}

/// Makes the directory where it is missing, and sees to it that nobody else writes there.
fn claim(dir: &Path) -> Result<File, LastGoodError> {
    fs::create_dir_all(dir).map_err(system("make", dir))?;
    let path = dir.join(LOCK);
    let lock = File::options().create(true).append(true).open(&path).map_err(system("open", &path))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(LastGoodError::Taken(dir.to_owned())),
        // Not every file system has locks; keeping matters more than the check.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        locked => locked.map_err(io::Error::from).map_err(system("lock", &path))?,
    }
    Ok(lock)
}

fn render(held: &Held, version: &str) -> Vec<u8> {
    let said = held.sources.iter().filter_map(|source| Some((&source.name, source.documents.as_ref()?)));
    let sources = said.map(|(name, documents)| FileSource {
        name: name.to_string(),
        revision: documents.revision.clone(),
        order: documents.order.as_ref().map(|order| (order.lineage.clone(), order.number)),
        texts: documents.texts.iter().map(|text| (text.path.to_string_lossy().into(), text.text.clone())).collect(),
    });
    let kept = FileKept { version: version.to_owned(), time: Timestamp::now().to_string(), sources: sources.collect() };
    let body = serde_json::to_vec(&kept).expect("what is kept has text for keys");
    let mut bytes = format!("{MARK}{}\n", hexadecimal(&Sha256::digest(&body))).into_bytes();
    bytes.extend(body);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Kept, String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("it is larger than the {MOST_BYTES} bytes that are ever kept"));
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (line, body) = (&bytes[..end], &bytes[end + 1..]);
    let sum = line.strip_prefix(MARK.as_bytes()).ok_or("it does not begin like one of this version")?;
    if sum != hexadecimal(&Sha256::digest(body)).as_bytes() {
        return Err("its checksum is wrong: it was cut or edited".to_owned());
    }
    let FileKept { version, time, sources } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let source = |(path, text): (String, String)| config::Source { path: path.into(), text };
    let sources = sources.into_iter().map(|FileSource { name, revision, order, texts }| {
        let order = order.map(|(lineage, number)| Order { lineage, number });
        (name, Documents { revision, order, texts: texts.into_iter().map(source).collect() })
    });
    Ok(Kept { version, time, sources: sources.collect() })
}

fn system<'p>(what: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> LastGoodError + 'p {
    move |error| LastGoodError::System { what, path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests;
