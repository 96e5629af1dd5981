//! Whether an upstream queues: the median latency of the last calls against the lowest that was seen.
//!
//! ```text
//!            the median is over 1.5 times the baseline
//!     clear ──────────────────────────────────────────▶ queueing
//!       ▲                                                  │
//!       └──────────────────────────────────────────────────┘
//!            it is not any more
//! ```
//!
//! The median, because one miss among hits or one call that hangs must not look like load; a mean or a low percentile moves with
//! them. The baseline goes down at once and up slowly (half of the way in about 18 s of bad windows), so that an upstream that
//! has become slower for good is not throttled for good.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use crate::resilience::tick::{Tick, nanos_of};

/// The shortest window, and the fewest calls in it.
const WINDOW: Duration = Duration::from_millis(100);
const LEAST_CALLS: u32 = 50;
/// Over this many tenths of the baseline the upstream queues.
const TOLERANCE_TENTHS: u64 = 15;
/// How slowly the baseline follows a median that stays high: this part of the way with each window.
const CREEP: u64 = 256;
/// Eight buckets for each doubling: a bucket is 9 to 13 % wide.
const BUCKETS: usize = 64 * 8;

/// Latencies of the window under way, and what the last ones said. 2 KiB, and atomics alone.
#[derive(Debug)]
pub(super) struct Queueing {
    buckets: Box<[AtomicU32]>,
    calls: AtomicU32,
    /// When the window may be closed, in nanoseconds.
    closes: AtomicU64,
    /// Calls that began before this do not count, in nanoseconds.
    since: AtomicU64,
    /// The lowest median, in nanoseconds; 0 before the first window.
    baseline: AtomicU64,
    is_queueing: AtomicBool,
}

impl Queueing {
    pub(super) fn new() -> Self {
        Queueing {
            buckets: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(),
            calls: AtomicU32::new(0),
            closes: AtomicU64::new(0),
            since: AtomicU64::new(0),
            baseline: AtomicU64::new(0),
            is_queueing: AtomicBool::new(false),
        }
    }

    /// What the last window said.
    pub(super) fn is_queueing(&self) -> bool {
        self.is_queueing.load(Relaxed)
    }

    /// Calls that are under way at `now` say nothing of what is changed now.
    pub(super) fn changed(&self, now: Tick) {
        self.since.store(now.nanos(), Relaxed);
    }

    /// Takes in a call that went well and took the upstream so long; whether it closed a window, for one caller alone.
    pub(super) fn note(&self, began: Tick, took: Duration, now: Tick) -> bool {
        let since = self.since.load(Relaxed);
        // A start that is still to come was noted before the clock went backwards.
        if began.nanos() < since && since <= now.nanos() {
            return false;
        }
        let nanos = nanos_of(took);
        self.buckets[bucket_of(nanos)].fetch_add(1, Relaxed);
        let calls = self.calls.fetch_add(1, Relaxed).saturating_add(1);
        let closes = self.closes.load(Relaxed);
        let next = now.plus(WINDOW).nanos();
        if calls < LEAST_CALLS || (now.nanos() < closes && closes <= next) {
            return false;
        }
        if self.closes.compare_exchange(closes, next, Relaxed, Relaxed).is_err() {
            return false;
        }
        self.close();
        true
    }

    fn close(&self) {
        self.calls.store(0, Relaxed);
        let counts: Vec<u32> = self.buckets.iter().map(|bucket| bucket.swap(0, Relaxed)).collect();
        let half = counts.iter().map(|count| u64::from(*count)).sum::<u64>().div_ceil(2);
        let mut passed = 0;
        let middle = counts.iter().position(|count| {
            passed += u64::from(*count);
            passed >= half
        });
        let median = middle.map_or(0, value_of).max(1);
        let baseline = match self.baseline.load(Relaxed) {
            0 => median,
            baseline => baseline.min(median),
        };
        let is_queueing = median.saturating_mul(10) > baseline.saturating_mul(TOLERANCE_TENTHS);
        let crept = if is_queueing { (median - baseline) / CREEP } else { 0 };
        self.baseline.store(baseline + crept, Relaxed);
        self.is_queueing.store(is_queueing, Relaxed);
    }
}

fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(8);
    let exponent = 63 - nanos.leading_zeros();
    let eighth = (nanos >> (exponent - 3)) & 7;
    (exponent as usize) * 8 + eighth as usize
}

/// The middle of a bucket in nanoseconds.
fn value_of(bucket: usize) -> u64 {
    let (exponent, eighth) = (bucket / 8, (bucket % 8) as u64);
    let step = 1_u64 << exponent.saturating_sub(3);
    (8 + eighth).saturating_mul(step).saturating_add(step / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::tests::at;

    /// A window of so many calls, each of which took so long; it ends so many milliseconds after the start.
    fn window(queueing: &Queueing, ends: u64, calls: &[(u32, u64)]) -> bool {
        for (count, millis) in calls {
            let took = Duration::from_millis(*millis);
            (0..*count).for_each(|_| _ = queueing.note(at(ends - millis), took, at(ends)));
        }
        queueing.is_queueing()
    }

    #[test]
    fn a_bucket_holds_its_own_value() {
        for nanos in [8, 9, 1000, 123_456_789, u64::MAX / 2, u64::MAX] {
            let value = value_of(bucket_of(nanos));
            assert!(value.abs_diff(nanos) <= nanos / 8, "{nanos}: {value}");
        }
        assert_eq!(bucket_of(0), bucket_of(8));
    }

    #[test]
    fn a_median_that_rises_by_half_is_a_queue_and_the_tail_is_not() {
        let queueing = Queueing::new();
        assert!(!window(&queueing, 10_000, &[(50, 10)]));
        assert!(!window(&queueing, 11_000, &[(30, 10), (20, 2000)]), "hits and misses");
        assert!(!window(&queueing, 12_000, &[(50, 12)]));
        assert!(window(&queueing, 13_000, &[(50, 20)]));
        assert!(!window(&queueing, 14_000, &[(50, 10)]));
    }

    #[test]
    fn few_calls_say_nothing() {
        let queueing = Queueing::new();
        window(&queueing, 10_000, &[(50, 10)]);
        assert!(!window(&queueing, 11_000, &[(49, 500)]));
        assert!(window(&queueing, 12_000, &[(1, 500)]), "they are gathered until there are enough");
    }

    #[test]
    fn an_upstream_that_is_slower_for_good_becomes_the_baseline() {
        let queueing = Queueing::new();
        window(&queueing, 10_000, &[(50, 10)]);
        let over = (0..1000).find(|step| !window(&queueing, 11_000 + step * 100, &[(50, 50)]));
        assert!(over.is_some_and(|windows| (100..600).contains(&windows)), "{over:?}");
        assert!(!window(&queueing, 200_000, &[(50, 10)]), "and goes down at once");
        assert!(window(&queueing, 200_200, &[(50, 50)]));
    }

    #[test]
    fn calls_that_began_before_a_change_do_not_count() {
        let queueing = Queueing::new();
        window(&queueing, 10_000, &[(50, 10)]);
        queueing.changed(at(10_900));
        assert!(!window(&queueing, 11_000, &[(100, 500)]));
        // Nor does a clock that went backwards deafen it.
        assert!(window(&queueing, 3_000, &[(50, 500)]));
    }
}
