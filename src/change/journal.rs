//! The audit trail: the last records in memory, all of them in files where there is a state directory.
//!
//! A record is taken at once and written by whoever may wait for the disk ([`Journal::flush`]). Where the disk cannot
//! take it, it waits in memory; where too many wait, the oldest go and a record says how many.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::chain::{self, Head};
use super::record::{AuditAction, AuditRecord};

/// How many records are kept in memory; the oldest go first.
const KEPT: usize = 1000;
/// How many records may wait for the disk.
const MOST_WAITING: usize = 1000;
/// A file of this size is the last but one, in bytes.
const FILE_BYTES: u64 = 4 << 20;
/// Most files that are kept.
const MOST_FILES: usize = 8;

/// A record with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1; none while it waits for the disk.
    pub sequence: Option<u64>,
    /// The hash of the record before it.
    pub previous: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub record: AuditRecord,
}

/// How the trail is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalState {
    /// The end of the chain: compare it with what the files say.
    pub head: Head,
    /// The folder; none where the trail lasts as long as the process.
    pub dir: Option<PathBuf>,
    /// How many records wait to be written.
    pub waiting: usize,
    /// Why they do; none where none does.
    pub problem: Option<String>,
}

/// Bounds of the files, smaller in tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) file_bytes: u64,
    pub(super) files: usize,
}

/// The audit trail.
#[derive(Debug)]
pub struct Journal {
    dir: Option<PathBuf>,
    bounds: Bounds,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// As written, each in one piece: dozens of small ones, kept among all that a change of the configuration takes and gives
    /// back, hold a page here and there for as long as the record is kept.
    kept: VecDeque<Arc<[u8]>>,
    waiting: VecDeque<AuditRecord>,
    lost: u64,
    head: Head,
    /// Held from the first write on.
    lock: Option<File>,
    /// The head in its file is behind.
    head_behind: bool,
    problem: Option<String>,
}

impl Journal {
    /// A trail below a state directory, or in memory alone. Nothing is touched until something is written.
    pub fn open(state_dir: Option<&Path>) -> Self {
        Self::with_bounds(state_dir, Bounds { file_bytes: FILE_BYTES, files: MOST_FILES })
    }

    pub(super) fn with_bounds(state_dir: Option<&Path>, bounds: Bounds) -> Self {
        let inner = Inner {
            kept: VecDeque::new(),
            waiting: VecDeque::new(),
            lost: 0,
            head: Head::empty(),
            lock: None,
            head_behind: false,
            problem: None,
        };
        Self { dir: state_dir.map(|dir| dir.join("audit")), bounds, inner: Mutex::new(inner) }
    }

    /// Adds a record; it is written with the next [`Journal::flush`].
    pub fn push(&self, record: AuditRecord) {
        let mut inner = self.locked();
        if inner.waiting.len() == MOST_WAITING {
            inner.waiting.pop_front();
            inner.lost += 1;
        }
        inner.waiting.push_back(record);
        if self.dir.is_none() {
            inner.chain_waiting();
        }
    }

    /// Writes what waits. Waits for the disk; says whether everything is kept.
    pub fn flush(&self) -> bool {
        let Some(dir) = &self.dir else { return true };
        let mut inner = self.locked();
        if !inner.is_behind() {
            return true;
        }
        match inner.write(dir, self.bounds) {
            Ok(()) => {
                if inner.problem.take().is_some() {
                    tracing::info!(dir = %dir.display(), "the audit trail is kept again");
                }
                true
            }
            Err(error) => {
                let problem = format!("cannot write the audit trail in {}: {error}", dir.display());
                if inner.problem.as_ref() != Some(&problem) {
                    tracing::error!("{problem}; its last records are kept in memory");
                }
                inner.problem = Some(problem);
                false
            }
        }
    }

    /// The last records, oldest first, those that wait included.
    pub fn entries(&self) -> Vec<Entry> {
        // Read outside of the lock: a change that is noted waits for no reader.
        let (kept, waiting): (Vec<Arc<[u8]>>, Vec<AuditRecord>) = {
            let inner = self.locked();
            (inner.kept.iter().cloned().collect(), inner.waiting.iter().cloned().collect())
        };
        let kept = kept.iter().map(|line| serde_json::from_slice(line).expect("a record is read as it was written"));
        let waiting = waiting.into_iter().map(|record| Entry { sequence: None, previous: None, record });
        let mut entries: Vec<Entry> = kept.chain(waiting).collect();
        entries.drain(..entries.len().saturating_sub(KEPT));
        entries
    }

    /// How it is kept.
    pub fn state(&self) -> JournalState {
        let inner = self.locked();
        JournalState {
            head: inner.head.clone(),
            dir: self.dir.clone(),
            waiting: inner.waiting.len(),
            problem: inner.problem.clone(),
        }
    }

    /// Whether [`Self::flush`] has something to do. Never waits for the disk.
    pub fn is_behind(&self) -> bool {
        // Whoever holds it is writing, and may not see the newest record.
        self.dir.is_some() && self.inner.try_lock().map_or(true, |inner| inner.is_behind())
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.head_behind || self.problem.is_some()
    }

    /// The waiting records as lines that follow the head, and the head behind them.
    fn chained(&mut self) -> (Vec<Arc<[u8]>>, Vec<u8>, Head) {
        if self.lost > 0 {
            let mut record = AuditRecord::now(AuditAction::Lost, "the audit trail");
            record.detail = Some(format!("{} records could not be kept", self.lost));
            self.waiting.push_front(record);
            self.lost = 0;
        }
        let (mut entries, mut bytes, mut head) = (Vec::new(), Vec::new(), self.head.clone());
        for record in &self.waiting {
            let sequence = head.sequence + 1;
            let entry = Entry { sequence: Some(sequence), previous: Some(head.hash), record: record.clone() };
            let line = serde_json::to_vec(&entry).expect("a record has text for keys");
            head = Head { sequence, hash: chain::hash(&line), ..head };
            bytes.extend(&line);
            bytes.push(b'\n');
            entries.push(line.into());
        }
        (entries, bytes, head)
    }

    fn keep(&mut self, entries: Vec<Arc<[u8]>>, head: Head) {
        self.head = head;
        self.waiting.clear();
        self.kept.extend(entries);
        let extra = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..extra);
    }

    fn chain_waiting(&mut self) {
        let (entries, _, head) = self.chained();
        self.keep(entries, head);
    }

    fn write(&mut self, dir: &Path, bounds: Bounds) -> io::Result<()> {
        self.claim(dir)?;
        if !self.waiting.is_empty() {
            let (entries, bytes, head) = self.chained();
            let path = self.file(dir, bounds)?;
            append(&path, &bytes)?;
            self.keep(entries, head);
            self.head_behind = true;
        }
        self.forget_oldest(dir, bounds)?;
        if self.head_behind {
            let text = serde_json::to_vec(&self.head).expect("a head has text for keys");
            super::disk::replace(dir, chain::HEAD, &text)?;
            self.head_behind = false;
        }
        Ok(())
    }

    /// Makes the folder, sees to it that nobody else writes there, and takes the chain up where it ends.
    fn claim(&mut self, dir: &Path) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        let lock = File::options().create(true).append(true).open(dir.join(chain::LOCK))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process uses it; give each its own `state.dir`"));
            }
            // Not every file system has locks; keeping the trail matters more than the check.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            locked => locked.map_err(io::Error::from)?,
        }
        self.head = end_of(dir)?;
        self.lock = Some(lock);
        Ok(())
    }

    /// The file that the next record goes to.
    fn file(&self, dir: &Path, bounds: Bounds) -> io::Result<PathBuf> {
        let next = dir.join(chain::file_name(self.head.sequence + 1));
        let Some((_, last)) = chain::files(dir)?.pop() else { return Ok(next) };
        trim(&last)?;
        // A file that does not end where the chain does was cut or edited: what follows must not hide it.
        let continues = chain::last_line(&last)?.is_some_and(|(_, hash)| hash == self.head.hash);
        Ok(if continues && fs::metadata(&last)?.len() < bounds.file_bytes { last } else { next })
    }

    fn forget_oldest(&mut self, dir: &Path, bounds: Bounds) -> io::Result<()> {
        let files = chain::files(dir)?;
        for (_, path) in &files[..files.len().saturating_sub(bounds.files)] {
            fs::remove_file(path)?;
        }
        if let Some((first, _)) =
            files.get(files.len().saturating_sub(bounds.files)).filter(|_| files.len() > bounds.files)
        {
            self.head_behind |= self.head.first != *first;
            self.head.first = *first;
        }
        Ok(())
    }
}

/// Where the chain in a folder ends. The head counts where it is ahead of the files or differs from them: then something
/// was cut or edited, and the next record must not hide that. A crash leaves the files ahead.
fn end_of(dir: &Path) -> io::Result<Head> {
    let head = chain::read_head(dir).unwrap_or_else(|error| {
        tracing::error!(%error, "the head of the audit trail cannot be read; it is taken from the files");
        None
    });
    let files = chain::files(dir)?;
    let last = match files.last() {
        Some((_, path)) => chain::last_line(path)?,
        None => None,
    };
    let first = files.first().map_or(1, |(first, _)| *first);
    Ok(match (head, last) {
        (None, None) => Head::empty(),
        (None, Some((sequence, hash))) => Head { first, sequence, hash },
        (Some(head), Some((sequence, hash))) if sequence > head.sequence => Head { sequence, hash, ..head },
        (Some(head), last) => {
            if last.is_none_or(|(sequence, hash)| sequence != head.sequence || hash != head.hash) && head.sequence > 0 {
                tracing::error!(dir = %dir.display(), "the audit trail was cut or edited; see `graylane audit verify`");
            }
            head
        }
    })
}

/// Cuts off a line that was never finished.
fn trim(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * chain::LONGEST_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    (&mut file).take(length - start).read_to_end(&mut bytes)?;
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        _ if bytes.last().is_none_or(|byte| *byte == b'\n') => Ok(()),
        Some(end) => file.set_len(start + end as u64 + 1),
        None => file.set_len(start),
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a record would break the chain; where this fails too, the next write cuts it off.
        let _ = file.set_len(before);
    }
    written
}
