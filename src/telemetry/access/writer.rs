//! From workers to the sink: a bounded queue and one thread.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::encode::encode;
use super::outlet::{Outlet, Sink};
use super::user::UserHash;
use super::{Entry, Sampling};
use crate::telemetry::Telemetry;
use crate::telemetry::label::LineFate;

/// Lines that may wait. A line is below 4 KiB, so a stuck sink costs 16 MiB at the very worst.
const QUEUE: usize = 4096;

/// How long the thread lets lines gather once the first has come. A worker that finds it asleep in `recv` has to wake
/// it by a system call; during this pause it need not.
const GATHER: Duration = Duration::from_millis(20);

enum Message {
    Line(Vec<u8>),
    /// Write what came before, then say so.
    Flush(SyncSender<()>),
    /// Something else is asked, see [`Asked`].
    Look,
}

/// What the thread is to do besides writing; in a place of its own, because a full queue would refuse it.
#[derive(Default)]
struct Asked {
    reopen: bool,
    turn: Option<Sink>,
}

/// The access log of the process. Its thread ends when this and every [`WorkerLog`] are gone.
pub struct AccessLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    telemetry: Arc<Telemetry>,
    users: UserHash,
    asked: Mutex<Asked>,
    /// Lines in a thousand; 1000 is all, [`OFF`] none at all.
    permille: AtomicU32,
    secrets: RapidSecrets,
}

/// Stands for [`Sampling::Off`]; a share of 0 still logs errors.
const OFF: u32 = u32::MAX;

impl AccessLog {
    /// Starts the thread. A sink that cannot be opened costs lines, which are counted, and is tried again: the log is no reason
    /// not to serve.
    pub fn start(sink: Sink, sampling: Sampling, users: UserHash, telemetry: Arc<Telemetry>) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            telemetry,
            secrets: RapidSecrets::seed(random_seed(&users)),
            users,
            asked: Mutex::default(),
            permille: AtomicU32::new(OFF),
        });
        let (batch, told) = (Vec::new(), shared.clone());
        let writer = Writer { lines, outlet: Outlet::new(sink), batch, batched: 0, lost: 0, shared: told };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        let log = Self { queue, shared };
        log.sample(sampling);
        Ok(log)
    }

    /// Has the file opened anew, for those who put it aside themselves: what comes next goes to the one at its path.
    pub fn reopen(&self) {
        self.ask(|asked| asked.reopen = true);
    }

    /// Writes to another sink from now on.
    pub fn turn_to(&self, sink: Sink) {
        self.ask(|asked| asked.turn = Some(sink));
    }

    fn ask(&self, ask: impl FnOnce(&mut Asked)) {
        ask(&mut self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner));
        // Where the queue is full the thread is awake, and looks before it writes.
        let _ = self.queue.try_send(Message::Look);
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
    /// Whether a request with this id is to be logged; one that failed always is. Ask before making an [`Entry`].
    #[inline]
    pub fn wants(&self, request_id: &str, has_failed: bool) -> bool {
        match self.shared.permille.load(Relaxed) {
            OFF => false,
            1000 => true,
            _ if has_failed => true,
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
    outlet: Outlet,
    batch: Vec<u8>,
    batched: u64,
    /// Lines that were lost since the sink began to fail; 0 while it does not.
    lost: u64,
    shared: Arc<Shared>,
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
            Message::Look => self.put(),
        }
    }

    /// Writes the batch, then does what was asked. After an error the rest of the batch is gone: keeping it would grow, or
    /// repeat what was written before the error.
    fn put(&mut self) {
        if self.batched > 0 {
            let put = self.outlet.put(&self.batch);
            let written = memchr::memchr_iter(b'\n', &self.batch[..put.whole]).count() as u64;
            let lost = self.batched - written;
            let totals = self.shared.telemetry.totals();
            totals.lines(usize::MAX, LineFate::Written, written);
            totals.lines(usize::MAX, LineFate::Dropped, lost);
            self.tell(lost, put.error.as_ref());
            self.batch.clear();
            self.batched = 0;
        }
        let mut asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let Asked { reopen, turn } = std::mem::take(&mut *asked);
        drop(asked);
        if let Some(sink) = turn {
            self.outlet = Outlet::new(sink);
        } else if reopen {
            self.outlet.reopen();
        }
    }

    /// Says once that lines are lost, and once that they are not any more.
    fn tell(&mut self, lost: u64, error: Option<&io::Error>) {
        match error {
            Some(error) if self.lost == 0 && lost > 0 => {
                tracing::warn!(%error, "access log cannot be written; lines are dropped");
            }
            None if self.lost > 0 => {
                tracing::info!(dropped = self.lost, "access log is written again");
                self.lost = 0;
            }
            _ => {}
        }
        self.lost += lost;
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
