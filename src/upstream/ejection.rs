//! An address that is out because requests to it failed: pure. Who may be out at the same time is decided in `roster`.
//!
//! ```text
//!       ┌────────────────────── the time is over ◀─────────────────────┐
//!       ▼                                                              │
//!      in ── `failures` in a row, and the cap allows it (`eject`) ──▶ out, the nth time for base · 2ⁿ⁻¹
//!       └─ in for `max` without going out: n starts again
//! ```

use std::time::Duration;

use super::moment::Moment;
use crate::config::Ejection;

/// The absences of one address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    /// How often it went out without a long stay between.
    times: u32,
    until: Moment,
}

impl Default for Absence {
    fn default() -> Self {
        Self { times: 0, until: Moment::START }
    }
}

impl Absence {
    /// Goes out; says for how long. Nothing happens to one that is out.
    pub(super) fn eject(&mut self, rule: &Ejection, now: Moment, draw: u64) -> Option<Duration> {
        if self.is_out(now) {
            return None;
        }
        if now.since(self.until) >= rule.max {
            self.times = 0;
        }
        let time = spell(rule, self.times, draw);
        (self.times, self.until) = (self.times.saturating_add(1), now.after(time));
        Some(time)
    }

    /// Whether it is out.
    pub(super) fn is_out(&self, now: Moment) -> bool {
        now < self.until
    }

    /// From when on it is in.
    pub(super) fn open_from(&self) -> Moment {
        self.until
    }
}

/// How long an absence lasts after so many before it: doubled each time up to `max`, and up to a tenth longer, so that
/// addresses that went out together do not come back together.
fn spell(rule: &Ejection, before: u32, draw: u64) -> Duration {
    let doubled = rule.base.saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX));
    let time = doubled.min(rule.max);
    time.saturating_add(time.mul_f64((draw >> 32) as f64 / u32::MAX as f64 / 10.0)).min(rule.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule() -> Ejection {
        Ejection { base: Duration::from_secs(10), max: Duration::from_secs(300), ..Ejection::default() }
    }

    /// Ejected again and again, each time so long after it came back.
    fn spells(stays: &[u64]) -> Vec<u64> {
        let (mut absence, mut now, rule) = (Absence::default(), Moment::START, rule());
        let mut found = Vec::new();
        for stay in stays {
            now = now.after(Duration::from_secs(*stay));
            let time = absence.eject(&rule, now, 0).unwrap();
            assert_eq!(absence.eject(&rule, now, 0), None, "it is out");
            now = now.after(time);
            assert!(!absence.is_out(now), "it is in again once the time is over");
            found.push(time.as_secs());
        }
        found
    }

    #[test]
    fn whoever_comes_back_bad_stays_out_longer_each_time() {
        assert_eq!(spells(&[0, 5, 5, 5, 5, 5, 5]), [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_long_good_stay_is_a_fresh_start() {
        assert_eq!(spells(&[0, 5, 299, 300, 5]), [10, 20, 40, 10, 20]);
    }

    proptest! {
        #[test]
        fn a_spell_is_between_base_and_max(before in any::<u32>(), draw: u64, base in 1u64..100_000, more in 0u64..1_000_000) {
            let (base, max) = (Duration::from_millis(base), Duration::from_millis(base + more));
            let rule = Ejection { base, max, ..Ejection::default() };
            let time = spell(&rule, before, draw);
            prop_assert!(base <= time && time <= max);
        }
    }
}
