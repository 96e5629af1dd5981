//! When requests are due: by the clock alone, whatever the answers take (an open loop), so that a slow sidecar is
//! seen as slow instead of being spared.

use std::time::Duration;

/// The requests of this much time may be sent at once after the process was kept from running; more are given up.
const MAX_CATCH_UP: Duration = Duration::from_millis(200);

/// A rate of requests per second.
#[derive(Debug)]
pub(in super::super) struct Pace {
    rps: u32,
    issued: u64,
}

/// What to do at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Due {
    /// How many requests to send now.
    pub(in super::super) now: u64,
    /// How many were due so long ago that they are given up.
    pub(in super::super) missed: u64,
    /// When the next one is due, since the start.
    pub(in super::super) next: Duration,
}

impl Pace {
    /// `rps` is more than 0.
    pub(in super::super) fn new(rps: u32) -> Pace {
        Pace { rps: rps.max(1), issued: 0 }
    }

    /// What is due at `elapsed` since the start, each request once.
    pub(in super::super) fn due(&mut self, elapsed: Duration) -> Due {
        let total = u64::try_from(elapsed.as_nanos() * u128::from(self.rps) / 1_000_000_000).unwrap_or(u64::MAX);
        let waiting = total.saturating_sub(self.issued);
        let most = (MAX_CATCH_UP.as_secs_f64() * f64::from(self.rps)).ceil() as u64;
        let now = waiting.min(most.max(1));
        self.issued = self.issued.max(total);
        let next = u128::from(self.issued + 1) * 1_000_000_000 / u128::from(self.rps) + 1;
        let next = Duration::from_nanos(u64::try_from(next).unwrap_or(u64::MAX));
        Due { now, missed: waiting - now, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_request_is_due_once_and_on_time() {
        for rps in [1, 3, 7, 1000, 20_000] {
            let mut pace = Pace::new(rps);
            let (mut elapsed, mut sent) = (Duration::ZERO, 0);
            while elapsed <= Duration::from_secs(3) {
                let due = pace.due(elapsed);
                assert_eq!(due.missed, 0);
                assert!(due.next > elapsed);
                sent += due.now;
                elapsed = due.next.max(elapsed + ms(1));
            }
            let expected = u64::from(rps) * 3;
            assert!(sent.abs_diff(expected) <= u64::from(rps) / 1000 + 1, "{rps}: {sent}");
        }
    }

    #[test]
    fn after_a_pause_only_a_little_is_caught_up() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.due(ms(100)).now, 10);
        let due = pace.due(ms(10_100));
        assert_eq!((due.now, due.missed), (20, 980));
        assert_eq!(pace.due(ms(10_110)).now, 1);
    }
}
