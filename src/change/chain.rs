//! The files of the audit trail: lines of JSON, each of which names the one before.
//!
//! ```text
//! DIR/audit-000000000001.jsonl   records from number 1 on; the next file begins where this one ends
//! DIR/head.json                  the first number that is still there, the last one and its hash
//! DIR/lock                       held by the one process that writes
//! ```
//!
//! A record holds its number and the SHA-256 of the line before it, so an edit, a cut or a swap in the middle breaks the
//! chain. A cut at the end shows against the head alone; whoever can write both files can hide it. Compare the head with
//! what `GET /api/v1/audit` said, or send the lines to where nobody edits them.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) const HEAD: &str = "head.json";
pub(super) const LOCK: &str = "lock";
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
/// No line of ours is longer, in bytes.
pub(super) const LONGEST_LINE: u64 = 1 << 20;

/// Where a chain has got to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the oldest record that is still there.
    pub first: u64,
    /// The number of the last record; 0 where there is none.
    pub sequence: u64,
    /// The SHA-256 of the last record's line, without its line end.
    pub hash: String,
}

impl Head {
    /// The head of a chain without records.
    pub(super) fn empty() -> Self {
        Self { first: 1, sequence: 0, hash: "0".repeat(64) }
    }
}

/// What a line says of its place.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) sequence: u64,
    pub(super) previous: String,
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
    /// The number of the first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The hash of the last one.
    pub hash: String,
    /// Whether there was a head to compare the end with; a cut at the end does not show without one.
    pub against_head: bool,
}

/// A chain that does not hold, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The system says no.
    #[error("cannot read {path}: {source}")]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no trail.
    #[error("there is no audit trail in {path}")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// It was cut or edited.
    #[error("{path}:{line}: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where it is about the file as a whole.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

fn system(path: &Path) -> impl FnOnce(io::Error) -> ChainError + '_ {
    move |source| ChainError::System { path: path.to_owned(), source }
}

/// The SHA-256 of a line, as text.
pub(super) fn hash(line: &[u8]) -> String {
    Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn file_name(first: u64) -> String {
    format!("{PREFIX}{first:012}{SUFFIX}")
}

/// The files of a trail with the number each begins with, oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        found.extend(number.map(|number: u64| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

pub(super) fn read_head(folder: &Path) -> io::Result<Option<Head>> {
    match fs::read(folder.join(HEAD)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number and hash of the last whole line of a file; what stands behind it was never finished.
pub(super) fn last_line(path: &Path) -> io::Result<Option<(u64, String)>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * LONGEST_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    let line = bytes[..end].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(serde_json::from_slice::<Link>(line).ok().map(|link| (link.sequence, hash(line))))
}

/// Checks a trail from its first record to its last: a folder with its head, or one file without.
///
/// # Errors
/// The first place where the chain does not hold.
pub fn verify(path: &Path) -> Result<Verified, ChainError> {
    if !path.is_dir() {
        let mut walk = Walk::new(None);
        walk.file(path, None)?;
        return walk.end(path);
    }
    let inside = path.join("audit");
    let folder = if inside.is_dir() { inside } else { path.to_owned() };
    let files = files(&folder).map_err(system(&folder))?;
    let head_path = folder.join(HEAD);
    let head = read_head(&folder).map_err(|error| ChainError::Broken {
        path: head_path.clone(),
        line: 1,
        reason: format!("the head cannot be read: {error}"),
    })?;
    if files.is_empty() && head.as_ref().is_none_or(|head| head.sequence == 0) {
        return Err(ChainError::Nothing { path: folder });
    }
    let mut walk = Walk::new(head);
    for (first, file) in &files {
        walk.file(file, Some(*first))?;
    }
    walk.end(files.last().map_or(&head_path, |(_, file)| file))
}

struct Walk {
    head: Option<Head>,
    first: u64,
    last: Option<(u64, String)>,
    lines: u64,
    records: u64,
}

impl Walk {
    fn new(head: Option<Head>) -> Self {
        Self { head, first: 0, last: None, lines: 0, records: 0 }
    }

    fn file(&mut self, path: &Path, begins: Option<u64>) -> Result<(), ChainError> {
        let mut reader = BufReader::new(File::open(path).map_err(system(path))?);
        self.lines = 0;
        loop {
            let mut line = Vec::new();
            let read = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(system(path))?;
            if read == 0 {
                return Ok(());
            }
            self.lines += 1;
            let broken = |line, reason: String| ChainError::Broken { path: path.to_owned(), line, reason };
            if line.pop() != Some(b'\n') {
                return Err(broken(
                    self.lines,
                    "the line has no end: a write was cut short, or the file was".to_owned(),
                ));
            }
            self.record(&line, begins).map_err(|reason| broken(self.lines, reason))?;
        }
    }

    fn record(&mut self, line: &[u8], begins: Option<u64>) -> Result<(), String> {
        let link: Link = serde_json::from_slice(line).map_err(|error| format!("not a record: {error}"))?;
        let number = link.sequence;
        match &self.last {
            Some((last, _)) if number != last + 1 => return Err(format!("record {number} follows record {last}")),
            Some((last, hash)) if link.previous != *hash => {
                return Err(format!("record {number} does not follow from record {last}: one of the two was changed"));
            }
            None => self.begin(&link, begins)?,
            Some(_) => {}
        }
        let hash = hash(line);
        if let Some(head) = self.head.as_ref().filter(|head| head.sequence == number && head.hash != hash) {
            return Err(format!("record {} is not the one the head names", head.sequence));
        }
        self.last = Some((number, hash));
        self.records += 1;
        Ok(())
    }

    fn begin(&mut self, link: &Link, begins: Option<u64>) -> Result<(), String> {
        let number = link.sequence;
        self.first = number;
        if number == 1 && link.previous != Head::empty().hash {
            return Err("the first record follows from another one".to_owned());
        }
        if let Some(begins) = begins.filter(|begins| *begins != number) {
            return Err(format!("this file begins with record {number}, and its name says {begins}"));
        }
        match self.head.as_ref().map(|head| head.first) {
            Some(first) if first != number => {
                Err(format!("the trail begins with record {number}, and the head says {first}"))
            }
            _ => Ok(()),
        }
    }

    fn end(self, path: &Path) -> Result<Verified, ChainError> {
        let (last, hash) = self.last.unwrap_or((0, Head::empty().hash));
        let missing = self.head.as_ref().map_or(0, |head| head.sequence.saturating_sub(last));
        if missing > 0 {
            let reason = format!("the trail ends with record {last}: the head names {missing} more");
            return Err(ChainError::Broken { path: path.to_owned(), line: self.lines, reason });
        }
        Ok(Verified { records: self.records, first: self.first, last, hash, against_head: self.head.is_some() })
    }
}
