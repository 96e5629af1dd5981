//! Deadlines that cost nothing while nothing is late.
//!
//! A connection has one timer for all it ever waits for. Moving a deadline later does not touch the timer: it fires
//! early, sees that nothing is due, and is set again. So a busy connection sets its timer once in seconds, not several
//! times a request.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::deadline::Passed;
use super::failure::Failure;
use crate::config::Timeouts;

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

/// The timer of one task.
#[derive(Default)]
pub(super) struct Timer {
    armed: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Ready once `due` has passed.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let (at, sleep) = self.armed.get_or_insert_with(|| (due, Box::pin(tokio::time::sleep_until(due.into()))));
        if due < *at {
            *at = due;
            sleep.as_mut().reset(due.into());
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                // The next deadline is set afresh.
                self.armed = None;
                return Poll::Ready(());
            }
            *at = due;
            sleep.as_mut().reset(due.into());
        }
        Poll::Pending
    }

    /// Does the work unless it gets late. `due` may be moved while it is done.
    pub(super) async fn race<T>(&mut self, due: &Cell<Instant>, work: impl Future<Output = T>) -> Result<T, Late> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_due(cx, due.get()).map(|()| Err(Late))
        })
        .await
    }
}

/// What an exchange is waiting for; tells whose lateness it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The client's body.
    Upload,
    /// The upstream's first byte.
    FirstByte,
    /// The rest of the upstream's answer.
    Download,
}

/// The deadlines of one exchange.
pub(super) struct Clock {
    last: Instant,
    /// Whether and how the upstream is told what is left.
    pub(super) passed: Passed,
    first_byte: Duration,
    upload: Duration,
    idle: Duration,
    /// The deadline now; moves as the exchange goes on.
    pub(super) due: Cell<Instant>,
    waiting: Cell<Waiting>,
}

impl Clock {
    /// For a request that began at `started`; `whole` bounds the exchange as a whole, `upload` the client's pauses.
    pub(super) fn new(started: Instant, whole: Option<Duration>, limits: &Timeouts, upload: Duration) -> Self {
        let Timeouts { first_byte, idle, .. } = *limits;
        let last = started + whole.map_or(NEVER, |whole| whole.min(NEVER));
        let due = Cell::new(last.min(started + first_byte));
        Self {
            last,
            passed: Passed::default(),
            first_byte,
            upload: upload.min(idle),
            idle,
            due,
            waiting: Cell::new(Waiting::FirstByte),
        }
    }

    /// The exchange now waits for this; what there was to wait for before has come.
    pub(super) fn wait_for(&self, waiting: Waiting, now: Instant) {
        let within = match waiting {
            Waiting::Upload => self.upload,
            Waiting::FirstByte => self.first_byte,
            Waiting::Download => self.idle,
        };
        self.waiting.set(waiting);
        self.due.set(self.last.min(now + within));
    }

    /// What went wrong when the exchange got late: whatever it was waiting for.
    pub(super) fn lateness(&self) -> Failure {
        match self.waiting.get() {
            _ if self.is_over() => Failure::RequestLate,
            Waiting::Upload => Failure::ClientLate,
            Waiting::FirstByte => Failure::FirstByteLate,
            Waiting::Download => Failure::BodyLate,
        }
    }

    /// Whether the exchange as a whole is late, not one of its steps.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.last
    }

    /// How long nothing may move.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// The time left for the exchange as a whole, at most `limit`.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        limit.min(self.last.saturating_duration_since(Instant::now()))
    }
}

/// Longer than any exchange.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_is_in_time_is_done_and_late_work_is_not() {
        let mut timer = Timer::default();
        let due = Cell::new(Instant::now() + Duration::from_secs(60));
        assert_eq!(timer.race(&due, async { 1 }).await, Ok(1));
        due.set(Instant::now() + Duration::from_millis(20));
        assert_eq!(timer.race(&due, std::future::pending::<()>()).await, Err(Late));
        assert!(Instant::now() >= due.get());
    }

    #[tokio::test]
    async fn a_deadline_that_moves_on_is_not_late() {
        let mut timer = Timer::default();
        let due = Cell::new(Instant::now() + Duration::from_millis(20));
        let work = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                due.set(Instant::now() + Duration::from_millis(40));
            }
        };
        assert_eq!(timer.race(&due, work).await, Ok(()));
    }
}
