//! What the merger does every tick: take what the workers wrote, turn the windows, add up.

use std::time::Duration;

use super::figures::Merged;
use super::record::{Recorder, Seen};
use super::slice::Sliding;
use crate::resilience::tick::Tick;

/// Slices of the long window: 3 s each of 60 s.
const LONG_SLICES: u32 = 20;
/// Slices of the short window: 1 s each of 10 s.
const SHORT_SLICES: u32 = 10;

/// How long a lane need not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Not at all: something came since the last look, or may move by time alone.
    None,
    /// Until its bell rings or this time has come, when something may leave its windows.
    Until(Tick),
    /// Until its bell rings: its windows are empty.
    UntilCalled,
}

/// The long and the short window over what the workers recorded.
#[derive(Debug)]
pub(in crate::resilience) struct Window {
    /// What was taken from each worker; none until it has recorded.
    seen: Box<[Option<Box<Seen>>]>,
    long: Sliding,
    short: Sliding,
    /// None while the windows are empty.
    merged: Option<Box<Merged>>,
}

impl Window {
    /// Empty windows over a recorder of so many workers.
    pub(in crate::resilience) fn new(workers: usize, long: Duration, short: Duration, now: Tick) -> Self {
        Window {
            seen: (0..workers).map(|_| None).collect(),
            long: Sliding::new(now, long, LONG_SLICES),
            short: Sliding::new(now, short, SHORT_SLICES),
            merged: None,
        }
    }

    /// Takes in what was recorded since the last time, which counts from `now`, and gives the figures of both windows.
    pub(in crate::resilience) fn merge(&mut self, recorder: &Recorder, now: Tick) -> Merged {
        recorder.bound_since(now);
        let (long, short) = (&mut self.long, &mut self.short);
        let mut is_changed = long.advance(now) | short.advance(now);
        for (worker, seen) in self.seen.iter_mut().enumerate().take(recorder.workers()) {
            is_changed |= recorder.take(worker, seen, |added| {
                long.add(added);
                short.add(added);
            });
        }
        if is_changed {
            let merged = Merged { long: long.figures(), short: short.figures() };
            match &mut self.merged {
                _ if merged == Merged::default() => self.merged = None,
                Some(before) => **before = merged,
                None => self.merged = Some(Box::new(merged)),
            }
        }
        self.merged()
    }

    /// Empties both windows; calls that began before `now` do not count any more, whenever they end.
    pub(in crate::resilience) fn start_over(&mut self, recorder: &Recorder, now: Tick) {
        recorder.start_over(now);
        for (worker, seen) in self.seen.iter_mut().enumerate().take(recorder.workers()) {
            recorder.take(worker, seen, |_| {});
        }
        self.long.start_over(now);
        self.short.start_over(now);
        self.merged = None;
    }

    /// How long no merge is needed: the next one then finds everything as if there had been one at every tick.
    pub(in crate::resilience) fn rest(&self, recorder: &Recorder) -> Rest {
        if !(0..recorder.workers()).all(|worker| recorder.sleeps(worker, self.seen[worker].as_deref())) {
            return Rest::None;
        }
        let turns = [self.long.next_turn(), self.short.next_turn()];
        turns.into_iter().flatten().min().map_or(Rest::UntilCalled, Rest::Until)
    }

    /// The figures of the last merge.
    pub(in crate::resilience) fn merged(&self) -> Merged {
        self.merged.as_deref().copied().unwrap_or_default()
    }

    /// Bytes that a window and its recorder hold for so many workers at most: where every slice and every worker had calls of every
    /// power of two.
    pub(in crate::resilience) const fn memory(workers: usize) -> usize {
        let shared = Sliding::memory(LONG_SLICES) + Sliding::memory(SHORT_SLICES);
        shared + Recorder::memory(workers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resilience::bell::{Bell, BellMaker};
    use crate::resilience::outcome::Outcome;
    use crate::resilience::window::{Figures, Limits};

    const LIMITS: Limits = Limits { slow_nanos: 1_200_000_000, telling_nanos: 800_000_000 };
    const MINUTE: Duration = Duration::from_secs(60);
    const TEN: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Tick {
        Tick::after_start(Duration::from_millis(millis))
    }

    fn bell() -> Bell {
        BellMaker::default().bell()
    }

    struct Fixture {
        recorder: Recorder,
        window: Window,
    }

    impl Fixture {
        fn new(workers: usize) -> Self {
            Fixture {
                recorder: Recorder::new(workers, LIMITS, bell()),
                window: Window::new(workers, MINUTE, TEN, at(0)),
            }
        }

        fn call(&self, outcome: Outcome, began: u64, millis: u64) {
            self.recorder.record(0, outcome, at(began), at(began + millis));
        }

        fn merge(&mut self, now: u64) -> Merged {
            self.window.merge(&self.recorder, at(now))
        }
    }

    #[test]
    fn memory_per_breaker_is_what_the_page_says() {
        assert_eq!(Window::memory(0), 190_720);
        assert_eq!(Window::memory(1) - Window::memory(0), 12_112);
        assert!(Window::memory(4) < 250_000);
    }

    #[test]
    fn calls_leave_the_short_window_first_and_then_the_long() {
        let mut fixture = Fixture::new(1);
        fixture.call(Outcome::Failure, 0, 5);
        assert_eq!(fixture.merge(20).short.failures, 1);
        assert_eq!(fixture.merge(9_000).short.failures, 1);
        let merged = fixture.merge(10_000);
        assert_eq!((merged.short.failures, merged.long.failures), (0, 1));
        assert_eq!(merged.short.p99, None);
        assert_eq!(fixture.merge(57_000).long.failures, 1);
        assert_eq!(fixture.merge(60_000).long, Figures::default());
    }

    #[test]
    fn a_cancelled_call_is_no_error_and_tells_only_where_it_took_long() {
        let mut fixture = Fixture::new(1);
        for millis in [5, 800, 801, 1200, 1201] {
            fixture.call(Outcome::Cancelled, 0, millis);
        }
        let figures = fixture.merge(20).long;
        assert_eq!((figures.cancelled, figures.finished, figures.failures), (5, 0, 0));
        assert_eq!((figures.timed, figures.slow), (3, 1));
        assert_eq!(figures.mean(), Some(Duration::from_millis(3202) / 3));
        assert_eq!(figures.error_rate(), None);
    }

    #[test]
    fn what_is_not_counted_leaves_no_trace() {
        let mut fixture = Fixture::new(1);
        fixture.call(Outcome::NotCounted, 0, 9000);
        assert_eq!(fixture.merge(20), Merged::default());
    }

    #[test]
    fn a_window_that_starts_over_knows_no_call_that_began_before() {
        let mut fixture = Fixture::new(1);
        fixture.call(Outcome::Failure, 0, 5);
        fixture.merge(100);
        fixture.call(Outcome::Failure, 100, 5);
        fixture.window.start_over(&fixture.recorder, at(200));
        assert_eq!(fixture.window.merged(), Merged::default());
        fixture.call(Outcome::Failure, 199, 15_000);
        fixture.call(Outcome::Success, 201, 5);
        let figures = fixture.merge(15_300).long;
        assert_eq!((figures.finished, figures.failures), (1, 0));
    }

    #[test]
    fn a_clock_that_goes_backwards_does_not_blind_the_window() {
        let mut fixture = Fixture::new(1);
        fixture.window.start_over(&fixture.recorder, at(5_000_000));
        fixture.merge(10);
        fixture.call(Outcome::Failure, 20, 5);
        assert_eq!(fixture.merge(30).short.failures, 1);
        assert_eq!(fixture.merge(10_030).short.failures, 0);
        // A call over which the clock went backwards took no time.
        fixture.recorder.record(0, Outcome::Success, at(10_100), at(10_000));
        assert_eq!(fixture.merge(10_200).short.sum_nanos, 0);
    }

    #[test]
    fn a_leap_forwards_empties_the_window() {
        let mut fixture = Fixture::new(1);
        fixture.call(Outcome::Failure, 0, 5);
        fixture.merge(20);
        assert_eq!(fixture.window.merge(&fixture.recorder, Tick::from_nanos(u64::MAX)), Merged::default());
    }

    #[test]
    fn an_endless_call_does_not_overflow_the_sum() {
        let mut fixture = Fixture::new(1);
        for _ in 0..1000 {
            fixture.recorder.record(0, Outcome::Failure, at(0), Tick::from_nanos(u64::MAX));
        }
        assert_eq!(fixture.merge(20).long.mean(), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn nothing_is_lost_between_workers_and_a_merger_that_looks_all_the_time() {
        let recorder = Recorder::new(2, LIMITS, bell());
        let mut window = Window::new(2, MINUTE, TEN, at(0));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..2)
                .map(|worker| {
                    let recorder = &recorder;
                    scope.spawn(move || {
                        for call in 0..50_000 {
                            recorder.record(worker, Outcome::Failure, at(0), Tick::from_nanos(call * 40_000));
                        }
                    })
                })
                .collect();
            while !workers.iter().all(|worker| worker.is_finished()) {
                window.merge(&recorder, at(1));
            }
        });
        let figures = window.merge(&recorder, at(1)).long;
        assert_eq!((figures.finished, figures.failures, figures.timed), (100_000, 100_000, 100_000));
        assert_eq!(figures.sum_nanos, 2 * 40_000 * (49_999 * 50_000 / 2));
        let p99 = figures.p99.unwrap().as_secs_f64();
        assert!((p99 / 1.98 - 1.0).abs() < 0.01, "{p99}");
    }

    /// A call of the model: when it was merged, what came out and how long it took.
    #[derive(Debug, Clone, Copy)]
    struct Call {
        merged: u64,
        outcome: Outcome,
        nanos: u64,
    }

    /// What the figures should be, from every call there ever was.
    fn expected(calls: &[Call], now: u64, slice: u64, slices: u64) -> Figures {
        let mut figures = Figures::default();
        let mut latencies = Vec::new();
        for call in calls.iter().filter(|call| call.merged / slice + slices > now / slice) {
            let is_cancelled = call.outcome == Outcome::Cancelled;
            figures.cancelled += u64::from(is_cancelled);
            figures.finished += u64::from(!is_cancelled);
            figures.failures += u64::from(call.outcome == Outcome::Failure);
            if !is_cancelled || call.nanos > LIMITS.telling_nanos {
                figures.timed += 1;
                figures.slow += u64::from(call.nanos > LIMITS.slow_nanos);
                figures.sum_nanos += call.nanos;
                latencies.push(call.nanos);
            }
        }
        latencies.sort_unstable();
        let rank = (latencies.len() as u64 * 99).div_ceil(100);
        figures.p99 = rank.checked_sub(1).map(|rank| Duration::from_nanos(latencies[rank as usize]));
        figures
    }

    fn agree(told: Figures, expected: Figures) -> bool {
        let near = match (told.p99, expected.p99) {
            (Some(told), Some(expected)) => (told.as_secs_f64() / expected.as_secs_f64() - 1.0).abs() < 0.01,
            (told, expected) => told == expected,
        };
        near && Figures { p99: None, ..told } == Figures { p99: None, ..expected }
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Cancelled)]
    }

    proptest! {
        #[test]
        fn both_windows_agree_with_a_list_of_all_calls(
            steps in proptest::collection::vec(
                (0_u64..7_000, proptest::collection::vec((outcomes(), 50_000_u64..5_000_000_000, 0_usize..3), 0..20)),
                1..60,
            ),
        ) {
            let recorder = Recorder::new(3, LIMITS, bell());
            let mut window = Window::new(3, MINUTE, TEN, at(0));
            let (mut calls, mut now) = (Vec::new(), 0);
            for (pause, batch) in steps {
                now += pause;
                for (outcome, nanos, worker) in batch {
                    recorder.record(worker, outcome, at(now), Tick::from_nanos(at(now).nanos() + nanos));
                    calls.push(Call { merged: now, outcome, nanos });
                }
                let merged = window.merge(&recorder, at(now));
                prop_assert!(agree(merged.long, expected(&calls, now, 3_000, 20)), "{merged:?}");
                prop_assert!(agree(merged.short, expected(&calls, now, 1_000, 10)), "{merged:?}");
            }
        }

        #[test]
        fn a_window_that_sleeps_is_the_same_as_one_that_is_merged_at_every_tick(
            steps in proptest::collection::vec(
                (
                    prop_oneof![Just(25_u64), 0_u64..7_000, 50_000_u64..90_000],
                    proptest::collection::vec((outcomes(), 50_000_u64..5_000_000_000, 0_usize..2), 0..4),
                    proptest::bool::weighted(0.1),
                ),
                1..60,
            ),
        ) {
            let (always, lazy) = (Recorder::new(2, LIMITS, bell()), Recorder::new(2, LIMITS, bell()));
            let (mut merged, mut sleeping) = (Window::new(2, MINUTE, TEN, at(0)), Window::new(2, MINUTE, TEN, at(0)));
            let (mut now, mut rest) = (0, Rest::None);
            for (pause, batch, starts_over) in steps {
                now += pause;
                for (outcome, nanos, worker) in batch {
                    for recorder in [&always, &lazy] {
                        recorder.record(worker, outcome, at(now), Tick::from_nanos(at(now).nanos() + nanos));
                    }
                }
                if starts_over {
                    merged.start_over(&always, at(now));
                    sleeping.start_over(&lazy, at(now));
                }
                merged.merge(&always, at(now));
                let is_due = match rest {
                    Rest::None => true,
                    Rest::Until(turn) => at(now) >= turn,
                    Rest::UntilCalled => false,
                };
                if lazy.bell().belfry().rung() != 0 || is_due {
                    sleeping.merge(&lazy, at(now));
                    rest = sleeping.rest(&lazy);
                    prop_assert!(rest != Rest::None, "nobody records meanwhile");
                }
                prop_assert_eq!(merged.merged(), sleeping.merged());
                prop_assert!(rest != Rest::UntilCalled || sleeping.merged() == Merged::default());
            }
        }
    }
}
