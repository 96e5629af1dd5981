//! Pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::config::BackoffPlan;

/// Pauses that double up to a bound, each shortened by chance to between a half and the whole of it, so that many
/// sidecars that lost the same server do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    plan: BackoffPlan,
    next: Duration,
    chance: RandomState,
    drawn: u64,
}

impl Backoff {
    pub(super) fn new(plan: BackoffPlan) -> Self {
        Self { plan, next: plan.first, chance: RandomState::new(), drawn: 0 }
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.plan.most);
        self.drawn += 1;
        let share = self.chance.hash_one(self.drawn) as f64 / u64::MAX as f64;
        whole.div_f64(2.0) + whole.mul_f64(share / 2.0)
    }

    /// It went well for so long; if that was longer than the longest pause, what failed before does not count any more.
    pub(super) fn went_well_for(&mut self, time: Duration) {
        if time >= self.plan.most.min(self.next) {
            self.next = self.plan.first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_begin_anew_after_good_times() {
        let plan = BackoffPlan { first: Duration::from_millis(100), most: Duration::from_millis(300) };
        let mut backoff = Backoff::new(plan);
        for whole in [100, 200, 300, 300] {
            let pause = backoff.pause().as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
        backoff.went_well_for(Duration::from_millis(10));
        assert!(backoff.pause().as_millis() >= 150);
        backoff.went_well_for(Duration::from_secs(1));
        assert!(backoff.pause().as_millis() <= 100);
    }
}
