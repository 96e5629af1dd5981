//! What a row of health checks says of an address: pure, the checks themselves are in `check` and `probe`.
//!
//! ```text
//! unknown ── first check passes ──▶ healthy ── `unhealthy_after` failures in a row ──▶ unhealthy
//!    └────── first check fails ───────────────────────────────────────────────────────────▲ │
//!                                      healthy ◀── `healthy_after` passes in a row ─────────┘
//! ```
//! All three arrows of a kind are [`Checked::record`]. An address that nobody has checked yet gets requests.

use std::time::Duration;

use super::moment::Moment;
use crate::config::Health;

/// What the checks of one address have said so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    healthy: Option<bool>,
    /// Results in a row that speak against `healthy`.
    against: u32,
    healthy_since: Moment,
}

impl Default for Checked {
    fn default() -> Self {
        Self { healthy: None, against: 0, healthy_since: Moment::START }
    }
}

impl Checked {
    /// Takes in one result; says the new verdict where it changes.
    pub(super) fn record(&mut self, passed: bool, health: &Health, now: Moment) -> Option<bool> {
        let enough = match self.healthy {
            Some(known) if known == passed => {
                self.against = 0;
                return None;
            }
            None => 1,
            Some(_) if passed => health.healthy_after,
            Some(_) => health.unhealthy_after,
        };
        self.against = self.against.saturating_add(1);
        if self.against < enough {
            return None;
        }
        if passed && self.healthy == Some(false) {
            self.healthy_since = now;
        }
        (self.healthy, self.against) = (Some(passed), 0);
        Some(passed)
    }

    /// The verdict; `None` before the first check.
    pub(super) fn healthy(&self) -> Option<bool> {
        self.healthy
    }

    /// From when on the checks allow requests.
    pub(super) fn open_from(&self) -> Moment {
        if self.healthy == Some(false) { Moment::NEVER } else { self.healthy_since }
    }
}

/// How long to wait before the first check: within a tenth of the interval, so that checks of many sidecars that start
/// together do not come together.
pub(super) fn first_wait(interval: Duration, draw: u64) -> Duration {
    interval.mul_f64(share(draw) / 10.0)
}

/// How long to wait between two checks: the interval, up to a tenth more or less.
pub(super) fn next_wait(interval: Duration, draw: u64) -> Duration {
    interval.mul_f64(0.9 + share(draw) / 5.0)
}

/// A draw as a number from 0 to 1.
fn share(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Probe;

    fn health() -> Health {
        Health { healthy_after: 2, unhealthy_after: 3, ..Health::new(Probe::Tcp) }
    }

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[track_caller]
    fn check(results: &str, verdict: Option<bool>, open_from: Moment) {
        let mut checked = Checked::default();
        for (second, result) in results.chars().enumerate() {
            checked.record(result == '+', &health(), at(second as u64));
        }
        assert_eq!((checked.healthy(), checked.open_from()), (verdict, open_from), "{results}");
    }

    #[test]
    fn the_first_check_decides_and_later_ones_need_a_row() {
        check("", None, Moment::START);
        check("+", Some(true), Moment::START);
        check("-", Some(false), Moment::NEVER);
        check("+--", Some(true), Moment::START);
        check("+--+--", Some(true), Moment::START);
        check("+---", Some(false), Moment::NEVER);
        check("+---+", Some(false), Moment::NEVER);
        check("+---+-+", Some(false), Moment::NEVER);
        check("+---++", Some(true), at(5));
        check("-++", Some(true), at(2));
    }

    #[test]
    fn waits_are_near_the_interval() {
        let interval = Duration::from_secs(10);
        for draw in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(first_wait(interval, draw) <= Duration::from_secs(1));
            let next = next_wait(interval, draw);
            assert!((Duration::from_secs(9)..=Duration::from_secs(11)).contains(&next), "{next:?}");
        }
        assert_ne!(next_wait(interval, 0), next_wait(interval, u64::MAX));
    }
}
