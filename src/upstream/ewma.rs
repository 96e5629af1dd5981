//! How long an endpoint takes, as the balance `least_latency` sees it: a moving average that rises at once.
//!
//! The peak EWMA of Twitter's Finagle (`PeakEwma`, 2016), which linkerd took over: a sample above the average replaces
//! it, one below it is averaged in, weighted by the time since the last one; the average is multiplied by the requests
//! under way. An endpoint that turns slow is left at once and taken back with caution.
//!
//! What is added here: a failure counts as [`PENALTY`], averaged and not as a peak. Counted by its own time, an
//! endpoint that fails fast would look like the best of all and draw every request; counted as a peak, one error in a
//! thousand would empty an endpoint for a minute. Averaged, the cost of an endpoint is what its answers take plus its
//! share of failures times the penalty.

use std::time::{Duration, Instant};

/// After this time without samples an average has lost 63 % of its weight (Finagle's default).
const DECAY: Duration = Duration::from_secs(10);
/// What a failure counts as, unless it took longer. Longer than what people wait for, so that an endpoint that only
/// fails loses against any that answers.
pub(super) const PENALTY: Duration = Duration::from_secs(5);
/// What an endpoint costs that has a request under way and has never answered one: so that a fresh one is tried by one
/// request and not by all that come before the first answer.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The average of one endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeakEwma(Option<Average>);

#[derive(Debug, Clone, Copy)]
struct Average {
    nanos: f64,
    at: Instant,
}

impl PeakEwma {
    /// A request was answered in so long.
    pub(super) fn answered(&mut self, took: Duration, now: Instant) {
        match &mut self.0 {
            Some(average) if nanos(took) < average.nanos => average.blend(nanos(took), now),
            average => *average = Some(Average { nanos: nanos(took), at: now }),
        }
    }

    /// A request failed after so long.
    pub(super) fn failed(&mut self, took: Duration, now: Instant) {
        let cost = nanos(took.max(PENALTY));
        match &mut self.0 {
            Some(average) => average.blend(cost, now),
            average => *average = Some(Average { nanos: cost, at: now }),
        }
    }

    /// Nobody waited for the answer any longer: it would have taken at least so long.
    pub(super) fn abandoned(&mut self, took: Duration, now: Instant) {
        if self.0.is_some_and(|average| average.decayed(now) < nanos(took)) {
            self.0 = Some(Average { nanos: nanos(took), at: now });
        }
    }

    /// What one request more would cost, in nanoseconds times requests under way. An average that nothing renews fades,
    /// so that an endpoint that was left is tried again.
    pub(super) fn cost(&self, in_flight: u32, now: Instant) -> u64 {
        let one = match &self.0 {
            Some(average) => average.decayed(now),
            None if in_flight == 0 => return 0,
            None => nanos(UNKNOWN),
        };
        // A float beyond `u64` saturates.
        (one * (f64::from(in_flight) + 1.0)) as u64
    }
}

impl Average {
    fn decayed(&self, now: Instant) -> f64 {
        self.nanos * self.weight(now)
    }

    /// The share of the old average in a new one.
    fn weight(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }

    fn blend(&mut self, sample: f64, now: Instant) {
        let weight = self.weight(now);
        *self = Self { nanos: self.nanos * weight + sample * (1.0 - weight), at: now };
    }
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_peak_counts_at_once_and_fades_slowly() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        ewma.answered(5 * MS, start);
        ewma.answered(500 * MS, start + MS);
        assert_eq!(ewma.cost(0, start + MS), 500_000_000);
        for step in 2..1_000 {
            ewma.answered(5 * MS, start + step * MS);
        }
        let after_a_second = ewma.cost(0, start + 1_000 * MS);
        assert!((440_000_000..470_000_000).contains(&after_a_second), "{after_a_second}");
    }

    #[test]
    fn requests_under_way_multiply_the_cost() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        ewma.answered(10 * MS, start);
        assert_eq!(ewma.cost(3, start), 40_000_000);
    }

    #[test]
    fn an_unknown_endpoint_is_tried_by_one_request() {
        let now = Instant::now();
        assert_eq!(PeakEwma::default().cost(0, now), 0);
        assert_eq!(PeakEwma::default().cost(1, now), 2_000_000_000);
    }

    #[test]
    fn failing_fast_costs_more_than_answering_slowly() {
        let start = Instant::now();
        let (mut failing, mut slow) = (PeakEwma::default(), PeakEwma::default());
        failing.answered(MS, start);
        slow.answered(100 * MS, start);
        for step in 1..=100 {
            failing.failed(MS / 10, start + step * 5 * MS);
            slow.answered(100 * MS, start + step * 5 * MS);
        }
        let now = start + 505 * MS;
        assert!(failing.cost(0, now) > slow.cost(1, now), "{failing:?} {slow:?}");
    }

    #[test]
    fn one_failure_in_a_thousand_hardly_counts() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        for step in 0..20_000 {
            let now = start + step * MS;
            if step % 1_000 == 999 { ewma.failed(MS, now) } else { ewma.answered(5 * MS, now) }
        }
        let cost = ewma.cost(0, start + 20_000 * MS);
        assert!((5_000_000..15_000_000).contains(&cost), "{cost}");
    }

    #[test]
    fn an_abandoned_request_says_how_long_it_took_at_least() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        ewma.abandoned(MS, start);
        assert_eq!(ewma.cost(0, start), 0, "nothing is known by it alone");
        ewma.answered(100 * MS, start);
        ewma.abandoned(50 * MS, start);
        assert_eq!(ewma.cost(0, start), 100_000_000);
        ewma.abandoned(3_000 * MS, start);
        assert_eq!(ewma.cost(0, start), 3_000_000_000);
    }

    proptest! {
        #[test]
        fn the_average_stays_within_what_was_seen(samples in prop::collection::vec((0u64..10_000, 0u64..5_000, any::<bool>()), 1..50)) {
            let start = Instant::now();
            let (mut ewma, mut now, mut most) = (PeakEwma::default(), start, 0);
            for (took, step, failed) in samples {
                now += Duration::from_millis(step);
                let took = Duration::from_millis(took);
                if failed { ewma.failed(took, now) } else { ewma.answered(took, now) }
                most = most.max(if failed { took.max(PENALTY) } else { took }.as_nanos() as u64);
                prop_assert!(ewma.cost(0, now) <= most);
                prop_assert!(ewma.cost(0, now + DECAY) <= ewma.cost(0, now));
            }
        }
    }
}
