//! What is counted for each release.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::cells::Cells;
use crate::decide::{Level, Permille, Reason};
use crate::evidence::{Counts, Pair, Verdict};

const REASONS: usize = Reason::ALL.len();

/// Counters of the comparison: for each lane decisions, calls, errors and slow calls, stable's first.
const DECIDED: usize = 0;
const CALLS: usize = 1;
const ERRORS: usize = 2;
const SLOW: usize = 3;
const PER_LANE: usize = 4;

/// The series of one release; the empty name stands for routes that have none.
pub struct ReleaseSeries {
    decisions: Cells,
    compared: Cells,
    verdict: AtomicU64,
    permille: AtomicU64,
    latched: AtomicBool,
    paused: AtomicBool,
}

impl ReleaseSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            decisions: Cells::new(workers, Level::ALL.len() * REASONS),
            compared: Cells::new(workers, 2 * PER_LANE),
            verdict: AtomicU64::new(0),
            permille: AtomicU64::new(0),
            latched: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        }
    }

    /// Counts one decision.
    #[inline]
    pub fn decided(&self, worker: usize, level: Level, reason: Reason) {
        self.decisions.add(worker, level as usize * REASONS + reason as usize, 1);
    }

    /// Counts one decision of the bucket, for the split between the lanes.
    #[inline]
    pub fn bucketed(&self, worker: usize, gray: bool) {
        self.compared.add(worker, place(gray, DECIDED), 1);
    }

    /// Counts one call that the lane answered or failed where the bucket had decided for it.
    #[inline]
    pub fn compared(&self, worker: usize, gray: bool, failed: bool, slow: bool) {
        self.compared.add(worker, place(gray, CALLS), 1);
        if failed {
            self.compared.add(worker, place(gray, ERRORS), 1);
        }
        if slow {
            self.compared.add(worker, place(gray, SLOW), 1);
        }
    }

    /// The calls counted by [`compared`](Self::compared) so far.
    pub fn answered(&self) -> Pair<Counts> {
        let lane = |gray| Counts {
            calls: self.compared.sum(place(gray, CALLS)),
            errors: self.compared.sum(place(gray, ERRORS)),
            slow: self.compared.sum(place(gray, SLOW)),
        };
        Pair { stable: lane(false), gray: lane(true) }
    }

    /// The decisions counted by [`bucketed`](Self::bucketed) so far.
    pub fn split(&self) -> Pair<u64> {
        Pair { stable: self.compared.sum(place(false, DECIDED)), gray: self.compared.sum(place(true, DECIDED)) }
    }

    /// Tells what the comparison of its lanes says.
    pub fn set_verdict(&self, verdict: Verdict) {
        let number = match verdict {
            Verdict::NoData => 0,
            Verdict::NotWorseSoFar => 1,
            Verdict::Worse => 2,
        };
        self.verdict.store(number, Relaxed);
    }

    /// Tells how far the release is open; for whoever applies a configuration or latches a release.
    pub fn set_permille(&self, permille: Permille) {
        self.permille.store(u64::from(permille.get()), Relaxed);
    }

    /// Tells whether the release is rolled back and stays closed.
    pub fn set_latched(&self, latched: bool) {
        self.latched.store(latched, Relaxed);
    }

    /// Tells whether nothing may open the release.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Relaxed);
    }

    /// How many decisions were made with this level for this reason.
    pub fn decisions(&self, level: Level, reason: Reason) -> u64 {
        self.decisions.sum(level as usize * REASONS + reason as usize)
    }

    pub(super) fn permille(&self) -> u64 {
        self.permille.load(Relaxed)
    }

    pub(super) fn verdict(&self) -> u64 {
        self.verdict.load(Relaxed)
    }

    pub(super) fn latched(&self) -> u64 {
        u64::from(self.latched.load(Relaxed))
    }

    pub(super) fn paused(&self) -> u64 {
        u64::from(self.paused.load(Relaxed))
    }

    /// Whether the pair is one that decisions have by their nature, so that its series exists from the start.
    pub(super) fn is_expected(level: Level, reason: Reason) -> bool {
        let own = match reason {
            Reason::Override => Level::Developer,
            Reason::AbGroup => Level::Ab,
            Reason::Region => Level::Region,
            Reason::Bucket => Level::Permille,
            Reason::Full => Level::Full,
            _ => Level::None,
        };
        level == own
    }
}

fn place(gray: bool, counter: usize) -> usize {
    usize::from(gray) * PER_LANE + counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_are_counted_apart_and_over_all_workers() {
        let series = ReleaseSeries::new(2);
        for worker in [0, 1, usize::MAX] {
            series.bucketed(worker, true);
            series.compared(worker, true, true, false);
            series.compared(worker, false, false, true);
        }
        series.bucketed(0, false);
        series.compared(1, true, false, false);
        let gray = Counts { calls: 4, errors: 3, slow: 0 };
        let stable = Counts { calls: 3, errors: 0, slow: 3 };
        assert_eq!(series.answered(), Pair { stable, gray });
        assert_eq!(series.split(), Pair { stable: 1, gray: 3 });
    }

    #[test]
    fn a_call_may_fail_and_be_slow_at_once() {
        let series = ReleaseSeries::new(1);
        series.compared(0, false, true, true);
        assert_eq!(series.answered().stable, Counts { calls: 1, errors: 1, slow: 1 });
        assert_eq!(series.answered().gray, Counts::default());
    }

    #[test]
    fn a_verdict_is_a_number_that_grows_with_the_trouble() {
        let series = ReleaseSeries::new(1);
        assert_eq!(series.verdict(), 0);
        let numbers = [Verdict::NoData, Verdict::NotWorseSoFar, Verdict::Worse].map(|verdict| {
            series.set_verdict(verdict);
            series.verdict()
        });
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_reason_stands_in_all_at_its_own_number() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }

    #[test]
    fn a_decision_is_counted_for_its_level_and_reason_alone() {
        let series = ReleaseSeries::new(2);
        series.decided(0, Level::Permille, Reason::Bucket);
        series.decided(1, Level::Permille, Reason::Bucket);
        for level in Level::ALL {
            for reason in Reason::ALL {
                let hit = (*level, *reason) == (Level::Permille, Reason::Bucket);
                assert_eq!(series.decisions(*level, *reason), if hit { 2 } else { 0 });
            }
        }
    }

    #[test]
    fn every_reason_is_expected_with_one_level() {
        for reason in Reason::ALL {
            let levels = Level::ALL.iter().filter(|level: &&Level| ReleaseSeries::is_expected(**level, *reason));
            assert_eq!(levels.count(), 1, "{}", reason.as_str());
        }
    }
}
