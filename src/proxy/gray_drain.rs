//! What runs on gray when its release is taken back: it may go on for a while, and is then ended.
//!
//! Nobody is told of a latch. An exchange on gray looks at the latch itself, whenever its connection's timer fires, and has
//! the timer fire at least every [`LOOK_EVERY`]; a short exchange is over before it ever looks.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Routed;
use super::failure::Failure;
use super::snapshot::Snapshot;
use super::timer::Timer;
use crate::decide::{LaneId, Reason};
use crate::latch::Flag;
use crate::wire::{BodyWriter, Fields, Known, ResponseHead};

/// How often an exchange looks at the latch of its release; more often where it may not live on for long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the end of an answer may take to be written.
const END: Duration = Duration::from_secs(1);
/// Timers are no more exact than this.
const SHORTEST: Duration = Duration::from_millis(10);

/// The time that an exchange on gray has once its release is taken back.
pub(super) struct GrayDrain {
    latch: Flag,
    lasts: Duration,
    /// When it was first seen that the release is taken back.
    seen: Cell<Option<Instant>>,
    /// When to look next.
    next: Cell<Instant>,
}

/// Why an exchange was ended before its work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// A deadline passed.
    Late,
    /// Its release was taken back some time ago.
    Drained,
}

impl GrayDrain {
    /// Nothing for what runs on stable, and for an override: developers may go on with a release that was taken back.
    pub(super) fn of(snapshot: &Snapshot, routed: &Routed<'_>, now: Instant) -> Option<Self> {
        let release = routed.decision.release.filter(|_| routed.lane != LaneId::STABLE)?;
        if routed.decision.reason == Reason::Override {
            return None;
        }
        let lasts = snapshot.settings.rollbacks[release.index()].gray_drain;
        Some(Self::new(snapshot.latches[release.index()].clone(), lasts, now))
    }

    fn new(latch: Flag, lasts: Duration, now: Instant) -> Self {
        Self { latch, lasts, seen: Cell::new(None), next: Cell::new(now + step(lasts)) }
    }

    /// Looks whether its time is over.
    fn is_over(&self, now: Instant) -> bool {
        let step = step(self.lasts);
        self.next.set(now + step);
        if !self.latch.is_set() {
            // Opened again meanwhile: it may go on.
            self.seen.set(None);
            return false;
        }
        let seen = self.seen.get().unwrap_or(now);
        self.seen.set(Some(seen));
        // It may have been taken back just after the last look.
        let end = seen + self.lasts.saturating_sub(step);
        self.next.set(end.min(now + step));
        now >= end
    }
}

fn step(lasts: Duration) -> Duration {
    (lasts / 4).clamp(SHORTEST, LOOK_EVERY)
}

/// Does the work unless it gets late, or the release that it runs for was taken back long enough ago. `due` is asked
/// only when the work has to wait.
pub(super) async fn race<T>(
    timer: &mut Timer,
    mut due: impl FnMut() -> Instant,
    drain: Option<&GrayDrain>,
    work: impl Future<Output = T>,
) -> Result<T, Ended> {
    let Some(drain) = drain else { return timer.race(due, work).await.map_err(|_| Ended::Late) };
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        while timer.poll_due(cx, due().min(drain.next.get())).is_ready() {
            let now = Instant::now();
            if due() <= now {
                return Poll::Ready(Err(Ended::Late));
            }
            if drain.is_over(now) {
                return Poll::Ready(Err(Ended::Drained));
            }
        }
        Poll::Pending
    })
    .await
}

/// Ends an answer under way as its kind allows, between two parts of it; false where it can only be broken off. A gRPC call
/// is told UNAVAILABLE in its trailers. A stream of events has no end of its own: browsers connect again. Any other answer must
/// not look whole: an HTTP/2 stream is reset, and the chunks or the length of an HTTP/1 answer stay short.
pub(super) async fn end(head: &ResponseHead, writer: &mut BodyWriter<'_>) -> bool {
    let kind = head.fields.first(Known::ContentType).unwrap_or_default();
    let ended = async {
        match writer {
            BodyWriter::H2(stream) if kind.starts_with(b"application/grpc") => {
                let mut trailers = Fields::default();
                trailers.push(b"grpc-status", Failure::GrayDrained.grpc_status().as_bytes());
                trailers.push(b"grpc-message", Failure::GrayDrained.word().as_bytes());
                stream.end(Some(&trailers))
            }
            _ if kind.starts_with(b"text/event-stream") && !head.fields.has(Known::ContentLength) => writer.end().await,
            _ => Err(std::io::ErrorKind::Unsupported.into()),
        }
    };
    matches!(tokio::time::timeout(END, ended).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_lives_at_most_so_long_once_its_release_is_taken_back() {
        let (start, latch) = (Instant::now(), Flag::default());
        let drain = GrayDrain::new(latch.clone(), 5 * MINUTE, start);
        let over = |second: u64| drain.is_over(start + Duration::from_secs(second));
        assert!(!over(1) && !over(10_000));
        latch.set_for_test(true);
        assert!(!over(10_001) && !over(10_299));
        assert!(over(10_300), "that is five minutes and not a look more");
    }

    #[test]
    fn a_release_that_is_opened_again_lets_it_go_on() {
        let (start, latch) = (Instant::now(), Flag::default());
        let drain = GrayDrain::new(latch.clone(), MINUTE, start);
        let over = |second: u64| drain.is_over(start + Duration::from_secs(second));
        latch.set_for_test(true);
        assert!(!over(0) && !over(58));
        latch.set_for_test(false);
        assert!(!over(70));
        latch.set_for_test(true);
        assert!(!over(71) && over(130));
    }

    #[tokio::test]
    async fn work_without_an_end_is_ended_and_short_work_is_not() {
        let latch = Flag::default();
        latch.set_for_test(true);
        let due = Instant::now() + MINUTE;
        let (mut timer, lasts) = (Timer::default(), Duration::from_millis(80));
        let drain = GrayDrain::new(latch, lasts, Instant::now());
        let began = Instant::now();
        let ended = race(&mut timer, || due, Some(&drain), std::future::pending::<()>()).await;
        assert_eq!(ended, Err(Ended::Drained));
        assert!(began.elapsed() >= lasts / 2 && began.elapsed() < MINUTE / 2);
        assert_eq!(race(&mut timer, || due, Some(&drain), async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn a_deadline_holds_whatever_the_release_does() {
        let due = Instant::now() + Duration::from_millis(20);
        let drain = GrayDrain::new(Flag::default(), 5 * MINUTE, Instant::now());
        let ended = race(&mut Timer::default(), || due, Some(&drain), std::future::pending::<()>()).await;
        assert_eq!(ended, Err(Ended::Late));
    }
}
