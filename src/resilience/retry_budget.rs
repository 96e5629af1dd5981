//! How many second attempts a route may make: a share of its requests, and a few a second at the least.
//!
//! The idea is Finagle's (`RetryBudget`): retries are paid by requests, so a failing lane cannot multiply the load of the
//! other one, however many requests fail at once; the few a second keep a quiet route from never being helped.

/// Length of one slice of the window, in milliseconds.
const SLICE_MS: u64 = 1_000;
/// Slices of the window: requests of the last ten seconds pay.
const SLICES: usize = 10;
/// Second attempts a second that need no request to pay for them.
const FREE_PER_SECOND: u64 = 3;

/// The budget of one route in one worker.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    /// In thousandths of the requests.
    share: u64,
    slices: [Slice; SLICES],
    current: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// For this share of the requests, in thousandths.
    pub fn new(share_permille: u16) -> Self {
        Self { share: u64::from(share_permille), slices: [Slice::default(); SLICES], current: 0 }
    }

    /// A request pays in. `now_ms` are milliseconds since any fixed moment; a clock that steps back counts as standing.
    pub fn deposit(&mut self, now_ms: u64) {
        self.turn(now_ms).requests += 1;
    }

    /// Takes one second attempt out, if there is one.
    pub fn withdraw(&mut self, now_ms: u64) -> bool {
        self.turn(now_ms);
        let sum = |of: fn(&Slice) -> u64| self.slices.iter().map(of).sum::<u64>();
        let (requests, retries) = (sum(|slice| slice.requests), sum(|slice| slice.retries));
        let free = if self.share == 0 { 0 } else { FREE_PER_SECOND * SLICES as u64 };
        let affordable = requests * self.share / 1000 + free;
        if retries >= affordable {
            return false;
        }
        self.turn(now_ms).retries += 1;
        true
    }

    /// The slice of now, after those that time has passed over were emptied.
    fn turn(&mut self, now_ms: u64) -> &mut Slice {
        let now = (now_ms / SLICE_MS).max(self.current);
        let passed = (now - self.current).min(SLICES as u64);
        for step in 1..=passed {
            self.slices[((self.current + step) % SLICES as u64) as usize] = Slice::default();
        }
        if passed == SLICES as u64 {
            self.slices = [Slice::default(); SLICES];
        }
        self.current = now;
        &mut self.slices[(now % SLICES as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn withdrawn(budget: &mut RetryBudget, now_ms: u64) -> u64 {
        (0..10_000).take_while(|_| budget.withdraw(now_ms)).count() as u64
    }

    #[test]
    fn requests_pay_for_a_share_of_retries_for_ten_seconds() {
        let mut budget = RetryBudget::new(200);
        (0..1_000).for_each(|_| budget.deposit(500));
        assert_eq!(withdrawn(&mut budget, 900), 230);
        assert_eq!(withdrawn(&mut budget, 9_900), 0);
        assert_eq!(withdrawn(&mut budget, 10_000), 30, "what was paid and taken is forgotten together");
    }

    #[test]
    fn a_share_of_nothing_allows_nothing() {
        let mut budget = RetryBudget::new(0);
        (0..1_000).for_each(|_| budget.deposit(0));
        assert_eq!(withdrawn(&mut budget, 0), 0);
    }

    proptest! {
        #[test]
        fn within_one_window_retries_never_exceed_what_is_affordable(
            share in 0u16..=1000,
            steps in prop::collection::vec((0u64..10_000, any::<bool>()), 1..300),
        ) {
            let mut budget = RetryBudget::new(share);
            let (mut requests, mut retries) = (0u64, 0u64);
            for (now, pays) in steps {
                if pays {
                    budget.deposit(now);
                    requests += 1;
                } else if budget.withdraw(now) {
                    retries += 1;
                }
            }
            prop_assert!(retries <= requests * u64::from(share) / 1000 + 30);
        }
    }
}
