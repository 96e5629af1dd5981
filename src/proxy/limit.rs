//! What a lane may be sent, and when the process has too much to do.
//!
//! A request that finds no room is never queued: a queue before an upstream that is too slow adds its own wait to every
//! answer and bounds nothing. It is answered at once, or goes to stable, as the route says.
//!
//! Rooms are given back by dropping them, so that no way out of a request can forget it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Routed;
use super::breaker::whole_seconds;
use super::failure::Failure;
use super::snapshot::{Route, Snapshot};
use super::worker::Worker;
use crate::beat;
use crate::config::{LaneLimits, OverLimit, Overload};
use crate::decide::LaneId;
use crate::resilience::{
    AdaptiveLimit, AdaptivePermit, AdaptivePlan, ConcurrencyLimit, Load, Outcome, Permit, Tick, TokenBucket,
};
use crate::telemetry::Limit;

/// What an adaptive limit is multiplied by at a sign of overload, in permille.
const DECREASE: u16 = 900;
/// When a request that found the lane full may come again: nobody knows, and a second is soon.
const WHEN_FULL: Duration = Duration::from_secs(1);
/// When a request may come again to a process that has too much to do, in seconds.
const WHEN_OVERLOADED: u32 = 1;
/// So many requests are let in however much memory is taken: with so few under way it is not they who take it, and a
/// process whose memory never comes back must not refuse everybody for ever.
const LET_IN: u32 = 16;
/// How often a worker looks how late its event loop is.
const LOOK_AT_DELAY: Duration = Duration::from_millis(100);
/// How often it looks whether that counts for anything.
const WHETHER_DELAY_COUNTS: Duration = Duration::from_secs(1);

/// The limits of one lane of one route.
pub(super) struct Limits {
    settings: LaneLimits,
    concurrency: Option<Arc<ConcurrencyLimit>>,
    adaptive: Option<Arc<AdaptiveLimit>>,
    rate: Option<Arc<TokenBucket>>,
}

/// Room for one request on its lane.
#[derive(Debug)]
pub(super) struct Room {
    _concurrency: Option<Permit>,
    adaptive: Option<AdaptivePermit>,
}

/// The limit that was reached, and when to come again.
struct Full(Limit, Duration);

impl Limits {
    pub(super) fn new(settings: &LaneLimits) -> Self {
        let adaptive = settings.adaptive.and_then(|bounds| {
            let (least, most) = (bounds.least, bounds.most);
            // It starts at the top: a sidecar that has just started must not refuse what the upstream bears.
            AdaptiveLimit::new(AdaptivePlan {
                least,
                most,
                initial: most,
                decrease: DECREASE,
                latency: None,
                learns_latency: true,
            })
            .ok()
        });
        Self {
            settings: *settings,
            concurrency: settings.concurrency.map(ConcurrencyLimit::new),
            adaptive,
            rate: settings.rate.map(|rate| Arc::new(TokenBucket::new(rate.per_second, rate.burst))),
        }
    }

    /// For the same lane under another configuration: who is under way and what was taken counts on. An adaptive limit
    /// with other bounds starts anew, since it has learned within the old ones.
    pub(super) fn renewed(&self, settings: &LaneLimits) -> Self {
        let fresh = Self::new(settings);
        let is_same_rate = self.settings.rate == settings.rate;
        let rate = match (&self.rate, settings.rate) {
            (Some(old), Some(_)) if is_same_rate => Some(old.clone()),
            (Some(old), Some(rate)) => Some(Arc::new(old.resized(rate.per_second, rate.burst))),
            _ => fresh.rate,
        };
        let concurrency = match (&self.concurrency, settings.concurrency) {
            (Some(old), Some(most)) => Some(old.resized(most)),
            _ => fresh.concurrency,
        };
        let is_same_adaptive = self.settings.adaptive == settings.adaptive;
        let adaptive = self.adaptive.clone().filter(|_| is_same_adaptive).or(fresh.adaptive);
        Self { settings: *settings, concurrency, adaptive, rate }
    }

    /// A token is taken last, because it alone cannot be given back.
    fn enter(&self, now: Tick) -> Result<Room, Full> {
        let full = |limit| Full(limit, WHEN_FULL);
        let concurrency = self.concurrency.as_ref().map(|limit| limit.enter().ok_or(full(Limit::Concurrency)));
        let concurrency = concurrency.transpose()?;
        let adaptive = self.adaptive.as_ref().map(|limit| limit.enter(now).ok_or(full(Limit::Adaptive)));
        let adaptive = adaptive.transpose()?;
        if let Some(rate) = &self.rate {
            rate.take(now).map_err(|wait| Full(Limit::Rate, wait))?;
        }
        Ok(Room { _concurrency: concurrency, adaptive })
    }
}

impl Room {
    /// The attempt is over and took the upstream so long; what that says of its load moves an adaptive limit.
    pub(super) fn leave(self, load: Load, took: Duration, now: Tick) {
        if let Some(adaptive) = self.adaptive {
            adaptive.done(load, took, now);
        }
    }
}

impl Routed<'_> {
    /// Lets the request onto its lane: past the breaker first, so that a lane that is out spends no tokens, then past
    /// the lane's limits. What the lane has no room for goes to stable where that is set, once, and is refused there if
    /// stable has none either. The decision stays what it was: the user belongs to gray, only this request does not.
    pub(super) fn enter(&mut self, worker: &Worker, snapshot: &Snapshot, now: Instant) -> Result<(), Failure> {
        self.admit(worker, snapshot, now)?;
        let route = &snapshot.routes[self.route.index()];
        match self.take_room(worker, route, now) {
            Ok(()) => Ok(()),
            Err((OverLimit::Stable, _)) if self.lane != LaneId::STABLE => {
                self.turn_to_stable(snapshot);
                self.admit(worker, snapshot, now)?;
                self.take_room(worker, route, now).map_err(|(_, failure)| failure)
            }
            Err((_, failure)) => Err(failure),
        }
    }

    fn take_room(&mut self, worker: &Worker, route: &Route, now: Instant) -> Result<(), (OverLimit, Failure)> {
        let lane = self.target.lane;
        let Some(Some(limits)) = route.limits.get(lane) else { return Ok(()) };
        let now = worker.tick(now);
        let Full(limit, wait) = match limits.enter(now) {
            Ok(room) => {
                self.room = Some(room);
                return Ok(());
            }
            Err(full) => full,
        };
        if let (Some(guard), lease @ Some(_)) = (&route.guards[lane], self.lease.take()) {
            // The trial was not made; another request may make it.
            guard.record(worker.id, lease, Outcome::NotCounted, now, now);
        }
        route.series.limited(worker.id, lane, limit);
        self.limited.get_or_insert(self.lane);
        Err((limits.settings.over, Failure::Limited { retry_after: whole_seconds(wait) }))
    }
}

/// How much the process has to do, and how much it may have.
pub(super) struct Gauge {
    most: Overload,
    inflight: Arc<ConcurrencyLimit>,
    /// Resident memory in bytes, as last looked at.
    memory: AtomicU64,
}

impl Gauge {
    pub(super) fn new(most: Overload) -> Self {
        let inflight = ConcurrencyLimit::new(most.inflight.unwrap_or(u32::MAX));
        Self { most, inflight, memory: AtomicU64::new(0) }
    }

    /// For another configuration: the requests under way count on.
    pub(super) fn renewed(&self, most: Overload) -> Self {
        let inflight = self.inflight.resized(most.inflight.unwrap_or(u32::MAX));
        Self { most, inflight, memory: AtomicU64::new(self.memory.load(Relaxed)) }
    }

    /// Room for one more request in the process; none is taken where nothing is limited. `delay` is that of the worker's
    /// event loop.
    pub(super) fn enter(&self, delay: Duration) -> Result<Option<Permit>, Failure> {
        if self.most == Overload::default() {
            return Ok(None);
        }
        let overloaded = Failure::Overloaded { retry_after: WHEN_OVERLOADED };
        let permit = self.inflight.enter().ok_or(overloaded)?;
        let has_memory = self.most.memory.is_none_or(|most| self.memory.load(Relaxed) <= most);
        let is_prompt = self.most.delay.is_none_or(|most| delay <= most);
        if is_prompt && (has_memory || self.inflight.in_flight() <= LET_IN) {
            Ok(Some(permit))
        } else {
            Err(overloaded)
        }
    }

    /// Whether anybody has to look at the process's memory.
    pub(super) fn wants_memory(&self) -> bool {
        self.most.memory.is_some()
    }

    /// The process has taken so many bytes.
    pub(super) fn note_memory(&self, bytes: u64) {
        self.memory.store(bytes, Relaxed);
    }
}

/// How late a worker's event loop is.
///
/// What counts is a delay that lasts: the smaller one of the last two looks, as in CoDel (RFC 8289). One long step, or a
/// machine that stood still for a moment, says nothing about the next tenth of a second.
#[derive(Default)]
pub(super) struct Delay {
    last: Cell<Duration>,
    lasting: Cell<Duration>,
}

impl Delay {
    /// The delay that lasts.
    pub(super) fn lasting(&self) -> Duration {
        self.lasting.get()
    }

    fn note(&self, late: Duration) {
        self.lasting.set(late.min(self.last.replace(late)));
    }

    /// Looks on and on, as long as anybody is refused for a delay by the configuration in force; runs until dropped.
    pub(super) async fn watch(&self, worker: &Worker) {
        loop {
            let counts = worker.view().snapshot.gauge.most.delay.is_some();
            if !counts {
                self.last.set(Duration::ZERO);
                self.lasting.set(Duration::ZERO);
                beat::next(WHETHER_DELAY_COUNTS).await;
                continue;
            }
            // Not on the beat: two looks in a row are to be of different moments, however late the first one was.
            let due = Instant::now() + LOOK_AT_DELAY;
            tokio::time::sleep_until(due.into()).await;
            self.note(due.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::{AdaptiveBounds, RateLimit};

    const NONE: LaneLimits = LaneLimits { concurrency: None, adaptive: None, rate: None, over: OverLimit::Reject };

    fn reached(entered: Result<Room, Full>) -> Option<(Limit, Duration)> {
        entered.err().map(|Full(limit, wait)| (limit, wait))
    }

    #[test]
    fn a_request_without_a_place_spends_no_token() {
        let one = NonZeroU32::MIN;
        let rate = Some(RateLimit { per_second: one, burst: one });
        let limits = Limits::new(&LaneLimits { concurrency: Some(1), rate, ..NONE });
        let first = limits.enter(Tick::START).ok().expect("room");
        assert_eq!(reached(limits.enter(Tick::START)), Some((Limit::Concurrency, WHEN_FULL)));
        drop(first);
        assert_eq!(reached(limits.enter(Tick::START)), Some((Limit::Rate, Duration::from_secs(1))));
        let later = Tick::after_start(Duration::from_secs(1));
        assert!(limits.enter(later).is_ok(), "what was refused for its rate gave its place back");
    }

    #[test]
    fn an_adaptive_limit_starts_at_its_top_and_comes_down_with_the_load() {
        let adaptive = Some(AdaptiveBounds { least: 1, most: 10 });
        let limits = Limits::new(&LaneLimits { adaptive, ..NONE });
        let all: Vec<Room> = (0..10).map(|_| limits.enter(Tick::START).ok().expect("room")).collect();
        assert_eq!(reached(limits.enter(Tick::START)), Some((Limit::Adaptive, WHEN_FULL)));
        all.into_iter().for_each(|room| room.leave(Load::TooMuch, Duration::ZERO, Tick::from_nanos(1)));
        let left = std::iter::from_fn(|| limits.enter(Tick::from_nanos(2)).ok()).collect::<Vec<_>>();
        assert_eq!(left.len(), 9);
    }

    #[test]
    fn nothing_is_refused_where_nothing_is_set() {
        let gauge = Gauge::new(Overload::default());
        gauge.note_memory(u64::MAX);
        assert!(matches!(gauge.enter(Duration::MAX), Ok(None)));
    }

    #[test]
    fn full_memory_lets_a_few_in_and_more_come_when_it_is_free_again() {
        let gauge = Gauge::new(Overload { memory: Some(100), ..Overload::default() });
        gauge.note_memory(101);
        let few: Vec<_> = std::iter::from_fn(|| gauge.enter(Duration::ZERO).ok()).collect();
        assert_eq!(few.len(), LET_IN as usize);
        gauge.note_memory(100);
        assert!(gauge.enter(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_late_loop_refuses_and_leaves_nothing_behind() {
        let gauge = Gauge::new(Overload { delay: Some(Duration::from_millis(50)), ..Overload::default() });
        assert!(gauge.enter(Duration::from_millis(51)).is_err());
        assert_eq!(gauge.inflight.in_flight(), 0);
        assert!(gauge.enter(Duration::from_millis(50)).is_ok());
    }

    #[test]
    fn a_delay_counts_when_it_lasts() {
        let delay = Delay::default();
        let after = |late| {
            delay.note(Duration::from_millis(late));
            delay.lasting().as_millis()
        };
        assert_eq!([900, 2, 300, 200, 250, 1].map(after), [0, 2, 2, 200, 200, 1]);
    }
}
