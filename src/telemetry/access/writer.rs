//! From workers to the sink: a bounded queue and one thread.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::encode::encode;
use super::user::UserHash;
use super::{Entry, Sampling};
use crate::telemetry::Telemetry;
use crate::telemetry::label::LineFate;

/// Lines that may wait. A line is below 4 KiB, so a stuck sink costs 16 MiB at the very worst.
const QUEUE: usize = 4096;

/// How long the thread lets lines gather once the first has come. A worker that finds it asleep in `recv` has to wake
/// it by a system call; during this pause it need not.
const GATHER: Duration = Duration::from_millis(20);

/// How often at most the process log hears that the sink fails.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Where lines go.
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file, appended to; made if it is not there.
    File(PathBuf),
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

impl Sink {
    fn open(self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
            Self::Writer(writer) => writer,
        })
    }
}

enum Message {
    Line(Vec<u8>),
    /// Write what came before, then say so.
    Flush(SyncSender<()>),
}

/// The access log of the process. Its thread ends when this and every [`WorkerLog`] are gone.
pub struct AccessLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    telemetry: Arc<Telemetry>,
    users: UserHash,
    /// Lines in a thousand; 1000 is all, [`OFF`] none at all.
    permille: AtomicU32,
    secrets: RapidSecrets,
}

/// Stands for [`Sampling::Off`]; a share of 0 still logs errors.
const OFF: u32 = u32::MAX;

impl AccessLog {
    /// Opens the sink and starts the thread.
    pub fn start(sink: Sink, sampling: Sampling, users: UserHash, telemetry: Arc<Telemetry>) -> io::Result<Self> {
        let sink = sink.open()?;
        let (queue, lines) = sync_channel(QUEUE);
        let told = telemetry.clone();
        let writer = Writer { lines, sink, batch: Vec::new(), batched: 0, complained: None, telemetry: told };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        let log = Self {
            queue,
            shared: Arc::new(Shared {
                telemetry,
                secrets: RapidSecrets::seed(random_seed(&users)),
                users,
                permille: AtomicU32::new(OFF),
            }),
        };
        log.sample(sampling);
        Ok(log)
    }

    /// Changes which requests are logged, from now on.
    pub fn sample(&self, sampling: Sampling) {
        let permille = match sampling {
            Sampling::Off => OFF,
            Sampling::All => 1000,
            Sampling::Share(permille) => u32::from(permille.get()),
        };
        self.shared.permille.store(permille, Relaxed);
    }

    /// The log for one worker.
    pub fn worker(&self, worker: usize) -> WorkerLog {
        WorkerLog {
            worker,
            queue: self.queue.clone(),
            shared: self.shared.clone(),
            scratch: RefCell::new(Vec::with_capacity(1024)),
        }
    }

    /// Waits until every line so far is in the sink; false if that took longer than `limit`.
    ///
    /// This blocks: call it when workers have ended, not from one.
    pub fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + limit;
        let mut message = Message::Flush(done);
        // A full queue refuses the request to flush too; the standard channel has no send with a time-out.
        while let Err(error) = self.queue.try_send(message) {
            let std::sync::mpsc::TrySendError::Full(back) = error else {
                return false;
            };
            if Instant::now() >= until {
                return false;
            }
            message = back;
            thread::sleep(Duration::from_millis(1));
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// A seed that clients cannot guess, so that nobody can choose a request id that is never logged.
fn random_seed(users: &UserHash) -> u64 {
    let hash = users.hash("access log sampling");
    hash.as_bytes().iter().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// The access log as one worker sees it: a buffer of its own, and its end of the queue.
pub struct WorkerLog {
    worker: usize,
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    scratch: RefCell<Vec<u8>>,
}

impl WorkerLog {
    /// Whether a request with this id and status is to be logged; ask before making an [`Entry`].
    #[inline]
    pub fn wants(&self, request_id: &str, status: u16) -> bool {
        match self.shared.permille.load(Relaxed) {
            OFF => false,
            1000 => true,
            _ if status >= 500 => true,
            permille => {
                let hash = rapidhash_v3_seeded(request_id.as_bytes(), &self.shared.secrets);
                // The upper half scaled to 0..1000.
                (((hash >> 32) * 1000) >> 32) < u64::from(permille)
            }
        }
    }

    /// Whether nothing at all is logged, so that not even an id is needed.
    #[inline]
    pub fn is_off(&self) -> bool {
        self.shared.permille.load(Relaxed) == OFF
    }

    /// Queues the line, or drops and counts it if the queue is full. Never waits.
    pub fn write(&self, entry: &Entry<'_>) {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        encode(entry, &self.shared.users, &mut scratch);
        // An exact copy, so that what waits in the queue is no larger than its text.
        if self.queue.try_send(Message::Line(scratch.as_slice().to_vec())).is_err() {
            self.shared.telemetry.totals().lines(self.worker, LineFate::Dropped, 1);
        }
    }
}

/// What the thread has.
struct Writer {
    lines: Receiver<Message>,
    sink: Box<dyn Write + Send>,
    batch: Vec<u8>,
    batched: u64,
    complained: Option<Instant>,
    telemetry: Arc<Telemetry>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.lines.recv() {
            if matches!(first, Message::Line(_)) {
                thread::sleep(GATHER);
            }
            self.take(first);
            while let Ok(next) = self.lines.try_recv() {
                self.take(next);
            }
            self.put();
        }
    }

    fn take(&mut self, message: Message) {
        /// Written at once at the latest when this much has gathered.
        const BATCH: usize = 64 * 1024;
        match message {
            Message::Line(line) => {
                self.batch.extend_from_slice(&line);
                self.batched += 1;
                if self.batch.len() >= BATCH {
                    self.put();
                }
            }
            Message::Flush(done) => {
                self.put();
                // Whoever asked may have given up.
                let _ = done.try_send(());
            }
        }
    }

    /// Writes the batch. After an error the batch is gone: keeping it would repeat what was written before the error.
    fn put(&mut self) {
        if self.batched == 0 {
            return;
        }
        let fate = match self.sink.write_all(&self.batch).and_then(|()| self.sink.flush()) {
            Ok(()) => LineFate::Written,
            Err(error) => {
                self.complain(&error);
                LineFate::Dropped
            }
        };
        self.telemetry.totals().lines(usize::MAX, fate, self.batched);
        self.batch.clear();
        self.batched = 0;
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(%error, "access log cannot be written; lines are dropped");
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
