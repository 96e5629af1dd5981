//! The figures of a window, as they are judged and told.

use std::time::Duration;

/// The figures of a window, or of half-open's trials.
///
/// A call is finished where it succeeded or failed. A cancelled one is no error and no success, so it is not among the
/// calls that an error rate is a share of; it is among those that latency is judged over only where its time so far is
/// longer than one of the limits, as a shorter one says nothing about how long it would have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Calls that succeeded or failed.
    pub finished: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Calls that the client cancelled.
    pub cancelled: u64,
    /// Calls that latency is judged over: the finished ones and the cancelled ones that took long already.
    pub timed: u64,
    /// Those of them over the slow limit.
    pub slow: u64,
    /// The sum of their latencies in nanoseconds.
    pub sum_nanos: u64,
    /// The 99th percentile of their latencies within 1 %; none without such calls.
    pub p99: Option<Duration>,
}

impl Figures {
    /// Of no calls.
    pub(super) const NONE: Figures =
        Figures { finished: 0, failures: 0, cancelled: 0, timed: 0, slow: 0, sum_nanos: 0, p99: None };

    /// The mean latency; none without calls.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_nanos.checked_div(self.timed).map(Duration::from_nanos)
    }

    /// Failures among the finished calls, 0.0 to 1.0; none without calls.
    pub fn error_rate(&self) -> Option<f64> {
        share(self.failures, self.finished)
    }

    /// Slow calls among those that latency is judged over, 0.0 to 1.0; none without calls.
    pub fn slow_rate(&self) -> Option<f64> {
        share(self.slow, self.timed)
    }

    /// Adds what came in since; the quantile is not added.
    pub(super) fn add(&mut self, more: &Figures) {
        for (sum, more) in self.counts().into_iter().zip(more.values()) {
            *sum = sum.wrapping_add(more);
        }
    }

    /// Takes out what is too old; the quantile is not taken out.
    pub(super) fn subtract(&mut self, less: &Figures) {
        for (sum, less) in self.counts().into_iter().zip(less.values()) {
            *sum = sum.wrapping_sub(less);
        }
    }

    fn counts(&mut self) -> [&mut u64; 6] {
        [
            &mut self.finished,
            &mut self.failures,
            &mut self.cancelled,
            &mut self.timed,
            &mut self.slow,
            &mut self.sum_nanos,
        ]
    }

    fn values(&self) -> [u64; 6] {
        [self.finished, self.failures, self.cancelled, self.timed, self.slow, self.sum_nanos]
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The figures of both windows after a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Of the sliding window.
    pub long: Figures,
    /// Of the short window, that trips too.
    pub short: Figures,
}
