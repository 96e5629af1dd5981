//! What is counted for each route and for each of its lanes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cells::Cells;
use super::exemplar::{Exemplar, Exemplars, TraceId};
use super::label::{BreakerCause, BreakerState, CodeClass, Limit};
use super::recent::{FailedRequest, Recent};
use crate::decide::Level;
use crate::evidence::{Counts, Pair};

/// Upper bounds of the duration histogram in nanoseconds; above the last is `+Inf`.
///
/// 800 ms and 1.2 s stand among them because those are the breaker's usual limits for mean and P99.
pub const BOUNDS: [u64; 15] = {
    const MS: u64 = 1_000_000;
    [
        MS,
        5 * MS / 2,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        800 * MS,
        1_200 * MS,
        2_000 * MS,
        3_000 * MS,
        5_000 * MS,
        10_000 * MS,
    ]
};

/// Where the counters of a route stand in its cells.
#[derive(Clone, Copy)]
pub(super) enum RouteCell {
    Inflight,
    Disconnects,
    Shielded,
    Replays,
    ExpiredDeadlines,
    GrayDrained,
}

const ROUTE_CELLS: usize = 6;

/// Behind them the counters of the comparison: for each lane calls, errors and slow calls, stable's first.
const CALLS: usize = 0;
const ERRORS: usize = 1;
const SLOW: usize = 2;
const COMPARED: usize = 3;

fn compared(gray: bool, counter: usize) -> usize {
    ROUTE_CELLS + usize::from(gray) * COMPARED + counter
}

/// Where the counters of a lane stand in its cells: level by class, then the histogram, the sum, the limits.
const CLASSES: usize = CodeClass::ALL.len();
const HISTOGRAM: usize = Level::ALL.len() * CLASSES;
const SUM: usize = HISTOGRAM + BOUNDS.len() + 1;
const LIMITED: usize = SUM + 1;
const LANE_CELLS: usize = LIMITED + Limit::ALL.len();

/// The counters of one route that do not depend on the lane.
pub(super) struct RouteTotals(Cells);

impl RouteTotals {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, ROUTE_CELLS + 2 * COMPARED))
    }

    pub(super) fn sum(&self, cell: RouteCell) -> u64 {
        match cell {
            RouteCell::Inflight => self.0.level(cell as usize),
            _ => self.0.sum(cell as usize),
        }
    }
}

/// The counters of one lane of one route.
pub(super) struct LaneSeries {
    cells: Cells,
    /// Written by the one who judges, a few times a minute at most.
    breaker: AtomicU64,
    /// None until there is something to hold.
    rare: OnceLock<Box<Rare>>,
}

/// What most lanes never have: breakers that moved, requests that failed, and requests with a trace.
struct Rare {
    transitions: [AtomicU64; BreakerCause::ALL.len()],
    recent: Recent,
    exemplars: Exemplars,
}

impl LaneSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            cells: Cells::new(workers, LANE_CELLS),
            breaker: AtomicU64::new(BreakerState::Closed as u64),
            rare: OnceLock::new(),
        }
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(|| {
            let workers = self.cells.workers();
            Box::new(Rare {
                transitions: std::array::from_fn(|_| AtomicU64::new(0)),
                recent: Recent::new(workers),
                exemplars: Exemplars::new(workers),
            })
        })
    }

    pub(super) fn requests(&self, level: Level, class: CodeClass) -> u64 {
        self.cells.sum(level as usize * CLASSES + class as usize)
    }

    /// The counts per bucket, not cumulated; the last is above every bound.
    pub(super) fn buckets(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.cells.sum(HISTOGRAM + bucket))
    }

    /// A request of each bucket that has one; empty where none had a trace.
    pub(super) fn exemplars(&self) -> Vec<Option<Exemplar>> {
        self.rare.get().map(|rare| rare.exemplars.latest()).unwrap_or_default()
    }

    /// The sum of all durations.
    pub(super) fn duration_sum(&self) -> Duration {
        Duration::from_nanos(self.cells.sum(SUM))
    }

    pub(super) fn limited(&self, limit: Limit) -> u64 {
        self.cells.sum(LIMITED + limit as usize)
    }

    /// 0, 1 or 2, as in [`BreakerState`].
    pub(super) fn breaker(&self) -> u64 {
        self.breaker.load(Relaxed)
    }

    pub(super) fn transitions(&self, cause: BreakerCause) -> u64 {
        self.rare.get().map_or(0, |rare| rare.transitions[cause as usize].load(Relaxed))
    }
}

/// What one lane has served since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneCounts {
    /// All requests.
    pub requests: u64,
    /// Those answered with 500 to 599.
    pub server_errors: u64,
    /// The sum of their durations.
    pub duration_sum: Duration,
}

/// The series of one route as one configuration sees it: its lanes by their position there.
///
/// The counters belong to the names, so another view with the same names goes on where this one stands.
pub struct RouteSeries {
    pub(super) totals: Arc<RouteTotals>,
    pub(super) lanes: Box<[Arc<LaneSeries>]>,
}

impl RouteSeries {
    /// A request of this route begins.
    #[inline]
    pub fn begin(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::Inflight as usize, 1);
    }

    /// A request of this route has ended, in whatever way.
    #[inline]
    pub fn end(&self, worker: usize) {
        self.totals.0.sub(worker, RouteCell::Inflight as usize, 1);
    }

    /// Counts one answered request; `lane` is the lane's position in the list that the series was asked for with.
    #[inline]
    pub fn record(&self, worker: usize, lane: usize, level: Level, class: CodeClass, duration: Duration) {
        debug_assert!(lane < self.lanes.len(), "lane {lane} is not one of the route");
        let Some(series) = self.lanes.get(lane) else {
            return;
        };
        let (nanos, bucket) = measured(duration);
        let cells = &series.cells;
        cells.add(worker, level as usize * CLASSES + class as usize, 1);
        cells.add(worker, HISTOGRAM + bucket, 1);
        cells.add(worker, SUM, nanos);
    }

    /// Remembers the trace of an answered request, beside counting it, as an example of those that took as long.
    pub fn traced(&self, worker: usize, lane: usize, trace: TraceId, duration: Duration) {
        if let Some(series) = self.lanes.get(lane) {
            let (nanos, bucket) = measured(duration);
            series.rare().exemplars.note(worker, bucket, trace, nanos);
        }
    }

    /// A limit of a lane had no room for a request.
    #[inline]
    pub fn limited(&self, worker: usize, lane: usize, limit: Limit) {
        if let Some(series) = self.lanes.get(lane) {
            series.cells.add(worker, LIMITED + limit as usize, 1);
        }
    }

    /// Remembers a request that failed, beside counting it; for a while, and not at any price.
    pub fn failed(&self, worker: usize, lane: usize, request: FailedRequest) {
        if let Some(series) = self.lanes.get(lane) {
            series.rare().recent.note(worker, request);
        }
    }

    /// The last requests of a lane that failed, oldest first: a few.
    pub fn last_failures(&self, lane: usize) -> Vec<FailedRequest> {
        self.lanes.get(lane).and_then(|series| Some(series.rare.get()?.recent.last())).unwrap_or_default()
    }

    /// The client left before its answer was complete.
    #[inline]
    pub fn client_disconnected(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::Disconnects as usize, 1);
    }

    /// A gray attempt failed and stable answered instead.
    #[inline]
    pub fn shielded(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::Shielded as usize, 1);
    }

    /// The request was sent once more because a kept connection was closed under it.
    #[inline]
    pub fn replayed(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::Replays as usize, 1);
    }

    /// The deadline that the caller had set passed before the request was done.
    #[inline]
    pub fn deadline_expired(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::ExpiredDeadlines as usize, 1);
    }

    /// The route has no breakers any more.
    pub fn without_breakers(&self) {
        self.lanes.iter().for_each(|series| series.breaker.store(BreakerState::Closed as u64, Relaxed));
    }

    /// What ran on gray was ended because its release was taken back.
    #[inline]
    pub fn gray_drained(&self, worker: usize) {
        self.totals.0.add(worker, RouteCell::GrayDrained as usize, 1);
    }

    /// Counts one call that the lane answered or failed where the bucket had decided for it.
    #[inline]
    pub fn compared(&self, worker: usize, gray: bool, failed: bool, slow: bool) {
        let cells = &self.totals.0;
        cells.add(worker, compared(gray, CALLS), 1);
        if failed {
            cells.add(worker, compared(gray, ERRORS), 1);
        }
        if slow {
            cells.add(worker, compared(gray, SLOW), 1);
        }
    }

    /// Whether the route never had a request.
    pub fn is_untouched(&self) -> bool {
        self.totals.0.is_untouched()
    }

    /// The calls counted by [`compared`](Self::compared) so far.
    pub fn answered(&self) -> Pair<Counts> {
        if self.is_untouched() {
            return Pair::default();
        }
        let sum = |gray, counter| self.totals.0.sum(compared(gray, counter));
        let lane = |gray| Counts { calls: sum(gray, CALLS), errors: sum(gray, ERRORS), slow: sum(gray, SLOW) };
        Pair { stable: lane(false), gray: lane(true) }
    }

    /// The breaker of a lane moved; for the one place that judges, not for workers.
    pub fn breaker_moved(&self, lane: usize, cause: BreakerCause) {
        if let Some(series) = self.lanes.get(lane) {
            series.breaker.store(cause.to() as u64, Relaxed);
            series.rare().transitions[cause as usize].fetch_add(1, Relaxed);
        }
    }

    /// How many requests of a lane took how long: one count for each of [`BOUNDS`] and one for what took longer; zeros for
    /// a lane that the route does not have.
    pub fn durations(&self, lane: usize) -> [u64; BOUNDS.len() + 1] {
        self.lanes.get(lane).map_or([0; BOUNDS.len() + 1], |series| series.buckets())
    }

    /// How many requests are being served now.
    pub fn inflight(&self) -> u64 {
        self.totals.sum(RouteCell::Inflight)
    }

    /// What a lane has served; zeros for a lane that the route does not have.
    pub fn counts(&self, lane: usize) -> LaneCounts {
        let Some(series) = self.lanes.get(lane).filter(|series| !series.cells.is_untouched()) else {
            return LaneCounts::default();
        };
        let errors = |level: &Level| series.requests(*level, CodeClass::ServerError);
        LaneCounts {
            requests: series.buckets().iter().sum(),
            server_errors: Level::ALL.iter().map(errors).sum(),
            duration_sum: series.duration_sum(),
        }
    }
}

/// A duration in nanoseconds, and the bucket that it falls into.
#[inline]
fn measured(duration: Duration) -> (u64, usize) {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    (nanos, BOUNDS.partition_point(|bound| *bound < nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(workers: usize, lanes: usize) -> RouteSeries {
        RouteSeries {
            totals: Arc::new(RouteTotals::new(workers)),
            lanes: (0..lanes).map(|_| Arc::new(LaneSeries::new(workers))).collect(),
        }
    }

    #[test]
    fn a_level_stands_in_all_at_its_own_number() {
        for (index, level) in Level::ALL.iter().enumerate() {
            assert_eq!(*level as usize, index);
        }
    }

    #[test]
    fn a_lane_that_nobody_calls_is_small() {
        let size = size_of::<LaneSeries>();
        assert!(size <= 64, "{size} bytes");
        let series = series(1, 1);
        series.record(0, 0, Level::None, CodeClass::Success, Duration::ZERO);
        assert!(series.lanes[0].rare.get().is_none(), "nothing rare happened");
    }

    #[test]
    fn a_request_is_counted_for_its_lane_level_and_class_alone() {
        let series = series(2, 2);
        series.record(1, 1, Level::Permille, CodeClass::ServerError, Duration::from_millis(3));
        for (lane, lane_series) in series.lanes.iter().enumerate() {
            for level in Level::ALL {
                for class in CodeClass::ALL {
                    let hit = (lane, *level, *class) == (1, Level::Permille, CodeClass::ServerError);
                    assert_eq!(lane_series.requests(*level, *class), u64::from(hit));
                }
            }
        }
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let check = |duration: Duration, bucket: usize| {
            let series = series(1, 1);
            series.record(0, 0, Level::None, CodeClass::Success, duration);
            let found = series.lanes[0].buckets().iter().position(|count| *count == 1);
            assert_eq!(found, Some(bucket), "{duration:?}");
        };
        check(Duration::ZERO, 0);
        check(Duration::from_millis(1), 0);
        check(Duration::from_nanos(1_000_001), 1);
        check(Duration::from_millis(1200), 10);
        check(Duration::from_secs(10), 14);
        check(Duration::from_secs(11), 15);
        check(Duration::MAX, 15);
    }

    #[test]
    fn counts_add_up_over_workers() {
        let series = series(2, 1);
        for worker in 0..2 {
            series.record(worker, 0, Level::Full, CodeClass::Success, Duration::from_millis(20));
            series.record(worker, 0, Level::None, CodeClass::ServerError, Duration::from_millis(30));
        }
        let counts = series.counts(0);
        assert_eq!(counts.requests, 4);
        assert_eq!(counts.server_errors, 2);
        assert_eq!(counts.duration_sum, Duration::from_millis(100));
        assert_eq!(series.counts(7), LaneCounts::default());
    }

    #[test]
    fn compared_calls_are_counted_by_lane_and_over_all_workers() {
        let series = series(2, 2);
        for worker in [0, 1, usize::MAX] {
            series.compared(worker, true, true, false);
            series.compared(worker, false, false, true);
        }
        series.compared(1, true, true, true);
        series.begin(0);
        let gray = Counts { calls: 4, errors: 4, slow: 1 };
        let stable = Counts { calls: 3, errors: 0, slow: 3 };
        assert_eq!(series.answered(), Pair { stable, gray });
    }

    #[test]
    fn requests_in_flight_go_up_and_down() {
        let series = series(2, 1);
        series.begin(0);
        series.begin(1);
        assert_eq!(series.inflight(), 2);
        series.end(0);
        series.end(1);
        assert_eq!(series.inflight(), 0);
    }

    #[test]
    fn a_breaker_is_closed_until_it_moves() {
        let series = series(1, 2);
        assert_eq!(series.lanes[1].breaker(), 0);
        series.breaker_moved(1, BreakerCause::P99);
        assert_eq!(series.lanes[1].breaker(), 2);
        assert_eq!(series.lanes[1].transitions(BreakerCause::P99), 1);
        assert_eq!(series.lanes[0].breaker(), 0);
        series.breaker_moved(1, BreakerCause::OpenTimeOver);
        assert_eq!(series.lanes[1].breaker(), 1);
        series.breaker_moved(1, BreakerCause::TrialsPassed);
        assert_eq!(series.lanes[1].breaker(), 0);
    }
}
