//! What is counted for each release.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::cells::Cells;
use crate::decide::{Bucket, Level, Permille, Reason};
use crate::evidence::{Pair, Verdict};

const REASONS: usize = Reason::ALL.len();
/// Where the decisions of the bucket stand.
const SPLIT: usize = Level::ALL.len() * REASONS;
const BUCKETS: usize = 1000;

/// The series of one release; the empty name stands for routes that have none.
pub struct ReleaseSeries {
    /// Decisions by level and reason, and behind them those of the bucket by lane, stable's first.
    decisions: Cells,
    /// Requests by bucket. A thousand counters for each worker are too many for releases that nobody visits, so they
    /// come with the first visitor.
    buckets: OnceLock<Cells>,
    workers: usize,
    verdict: AtomicU64,
    permille: AtomicU64,
    latched: AtomicBool,
    paused: AtomicBool,
}

impl ReleaseSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            decisions: Cells::new(workers, SPLIT + 2),
            buckets: OnceLock::new(),
            workers,
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
        self.decisions.add(worker, SPLIT + usize::from(gray), 1);
    }

    /// Counts one request of a user of this bucket, whatever decided about it.
    #[inline]
    pub fn visited(&self, worker: usize, bucket: Bucket) {
        let cells = self.buckets.get_or_init(|| Cells::new(self.workers, BUCKETS));
        cells.add(worker, usize::from(bucket.get()), 1);
    }

    /// Requests by bucket, as counted by [`visited`](Self::visited): one number for each of the 1000.
    pub fn visits(&self) -> Vec<u64> {
        match self.buckets.get() {
            Some(cells) => (0..BUCKETS).map(|bucket| cells.sum(bucket)).collect(),
            None => vec![0; BUCKETS],
        }
    }

    /// The decisions counted by [`bucketed`](Self::bucketed) so far.
    pub fn split(&self) -> Pair<u64> {
        Pair { stable: self.decisions.sum(SPLIT), gray: self.decisions.sum(SPLIT + 1) }
    }

    /// Whether the bucket never decided; see [`split`](Self::split).
    pub fn is_untouched(&self) -> bool {
        self.decisions.is_untouched() || self.split() == Pair::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_of_the_bucket_are_counted_by_lane_and_over_all_workers() {
        let series = ReleaseSeries::new(2);
        [0, 1, usize::MAX].into_iter().for_each(|worker| series.bucketed(worker, true));
        series.bucketed(0, false);
        assert_eq!(series.split(), Pair { stable: 1, gray: 3 });
    }

    #[test]
    fn visits_are_counted_by_bucket_and_over_all_workers() {
        let series = ReleaseSeries::new(2);
        assert_eq!(series.visits(), vec![0; 1000]);
        let bucket = Bucket::new(999).unwrap();
        [0, 1, usize::MAX].into_iter().for_each(|worker| series.visited(worker, bucket));
        let visits = series.visits();
        assert_eq!((visits.len(), visits[999], visits.iter().sum::<u64>()), (1000, 3, 3));
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
