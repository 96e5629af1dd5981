//! Points of an upstream's own time, small enough for an atomic.

use std::time::Duration;

/// Milliseconds since the upstream was made; whoever reads a clock makes one, everybody else compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// When the upstream was made: what holds from here on has always held.
    pub(super) const START: Self = Self(0);
    /// Later than any clock will show.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// So long after the start; always before [`Moment::NEVER`].
    pub(super) fn at(since_start: Duration) -> Self {
        Self::START.after(since_start)
    }

    /// So long after this one; always before [`Moment::NEVER`].
    pub(super) fn after(self, time: Duration) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis).min(u64::MAX - 1))
    }

    /// The time from an earlier moment to this one; none where it is not earlier.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As an atomic keeps it.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// From what an atomic kept.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_before_never() {
        let late = Moment::at(Duration::MAX);
        assert!(late < Moment::NEVER && late.after(Duration::MAX) < Moment::NEVER);
        assert_eq!(Moment::START.since(late), Duration::ZERO);
        assert_eq!(Moment::at(Duration::from_secs(2)).since(Moment::START), Duration::from_secs(2));
    }
}
