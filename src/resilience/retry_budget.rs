//! How many requests may be tried again, so that retries never become the load that keeps an upstream down.
//!
//! A share of the live requests of the last ten seconds, and a minimum per second so that a quiet route may retry at
//! all. The shape is Finagle's `RetryBudget` (`ttl`, `percentCanRetry`, `minRetriesPerSec`). Envoy's share of the requests
//! in flight was not taken, since in a hang many are in flight, which allows the more retries the worse it gets.

use std::time::Duration;

use super::tick::Tick;
use super::window::SliceClock;

const SECONDS: usize = 10;

/// The budget of one route in one worker: what is counted per worker is never contended.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    /// Retries per thousand requests.
    share: u32,
    /// Retries within the ten seconds that need no request.
    minimum: u64,
    clock: SliceClock,
    slices: [Slice; SECONDS],
    sum: Slice,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// `permille` retries per thousand requests (over 1000 is taken as 1000) and `min_per_second`, which is the process's:
    /// each of its `workers` gets its part of it, rounded up.
    pub fn new(permille: u16, min_per_second: u32, workers: usize, now: Tick) -> Self {
        let minimum = u64::from(min_per_second) * SECONDS as u64;
        RetryBudget {
            share: u32::from(permille.min(1000)),
            minimum: minimum.div_ceil(workers.max(1) as u64),
            clock: SliceClock::new(now, Duration::from_secs(SECONDS as u64), SECONDS as u32),
            slices: [Slice::default(); SECONDS],
            sum: Slice::default(),
        }
    }

    /// A live request has come: one that a client sent, not one of ours.
    pub fn request(&mut self, now: Tick) {
        let newest = self.advance(now);
        self.slices[newest].requests += 1;
        self.sum.requests += 1;
    }

    /// Takes one retry out of the budget, if it holds one.
    #[must_use]
    pub fn take(&mut self, now: Tick) -> bool {
        let newest = self.advance(now);
        let allowed = self.sum.requests * u64::from(self.share) / 1000 + self.minimum;
        let is_within = self.sum.retries < allowed;
        if is_within {
            self.slices[newest].retries += 1;
            self.sum.retries += 1;
        }
        is_within
    }

    fn advance(&mut self, now: Tick) -> usize {
        let (slices, sum) = (&mut self.slices, &mut self.sum);
        self.clock.advance(now, |old| {
            let old = std::mem::take(&mut slices[old]);
            sum.requests -= old.requests;
            sum.retries -= old.retries;
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::after_start(Duration::from_millis(millis))
    }

    fn taken(budget: &mut RetryBudget, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| budget.take(at(now))).count()
    }

    #[test]
    fn a_share_of_the_requests_may_be_tried_again() {
        let mut budget = RetryBudget::new(200, 0, 1, at(0));
        assert_eq!(taken(&mut budget, 0, 10), 0);
        (0..99).for_each(|_| budget.request(at(0)));
        assert_eq!(taken(&mut budget, 0, 100), 19);
        budget.request(at(0));
        assert_eq!(taken(&mut budget, 0, 100), 1);
    }

    #[test]
    fn requests_and_retries_are_forgotten_after_ten_seconds() {
        let mut budget = RetryBudget::new(200, 0, 1, at(0));
        (0..100).for_each(|_| budget.request(at(0)));
        assert_eq!(taken(&mut budget, 5000, 100), 20);
        assert_eq!(taken(&mut budget, 9999, 100), 0);
        assert_eq!(taken(&mut budget, 10_000, 100), 0);
        (0..100).for_each(|_| budget.request(at(15_000)));
        assert_eq!(taken(&mut budget, 15_000, 100), 20);
    }

    #[test]
    fn the_minimum_is_shared_out_among_the_workers() {
        assert_eq!(taken(&mut RetryBudget::new(0, 3, 1, at(0)), 0, 100), 30);
        assert_eq!(taken(&mut RetryBudget::new(0, 3, 8, at(0)), 0, 100), 4);
        assert_eq!(taken(&mut RetryBudget::new(0, 0, 0, at(0)), 0, 100), 0);
    }

    #[test]
    fn a_share_over_all_is_all() {
        let mut budget = RetryBudget::new(u16::MAX, 0, 1, at(0));
        (0..5).for_each(|_| budget.request(at(0)));
        assert_eq!(taken(&mut budget, 0, 100), 5);
    }

    #[test]
    fn a_clock_that_goes_backwards_neither_opens_nor_blocks_the_budget() {
        let mut budget = RetryBudget::new(0, 1, 1, at(5_000_000));
        assert_eq!(taken(&mut budget, 5_000_000, 100), 10);
        assert_eq!(taken(&mut budget, 0, 100), 0);
        assert_eq!(taken(&mut budget, 10_000, 100), 10);
        assert!(budget.take(Tick::from_nanos(u64::MAX)));
    }

    proptest! {
        #[test]
        fn retries_of_any_ten_seconds_stay_within_share_and_minimum(
            steps in proptest::collection::vec((0_u64..3000, 0_u32..50, 0_usize..50), 1..60),
        ) {
            let mut budget = RetryBudget::new(200, 2, 1, at(0));
            let (mut now, mut requests, mut retries) = (0, Vec::new(), Vec::new());
            for (pause, asked, tried) in steps {
                now += pause;
                (0..asked).for_each(|_| {
                    budget.request(at(now));
                    requests.push(now);
                });
                let given = taken(&mut budget, now, tried);
                retries.extend(std::iter::repeat_n(now, given));
                let recent = |all: &[u64]| all.iter().filter(|at| **at / 1000 + 10 > now / 1000).count();
                let allowed = recent(&requests) / 5 + 20;
                prop_assert!(given == tried || recent(&retries) >= allowed, "{given} of {tried}");
                prop_assert!(given == 0 || recent(&retries) <= allowed);
            }
        }
    }
}
