//! A moment, as this room knows it.

use std::time::Duration;

/// Nanoseconds of a monotonic clock since some start that all who share a state machine agree on.
///
/// Arithmetic saturates: 584 years is the end of time, and a moment before another is no time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(u64);

impl Tick {
    /// The start of the clock.
    pub const START: Tick = Tick(0);

    /// So many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Tick {
        Tick(nanos)
    }

    /// So long after the start.
    pub fn after_start(time: Duration) -> Tick {
        Tick(nanos_of(time))
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This moment and `time` more.
    pub fn plus(self, time: Duration) -> Tick {
        Tick(self.0.saturating_add(nanos_of(time)))
    }

    /// The time since `earlier`; none where that is later.
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Whole nanoseconds, at most `u64::MAX`.
pub(super) fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_at_both_ends() {
        let second = Tick::after_start(Duration::from_secs(1));
        assert_eq!(second.plus(Duration::MAX), Tick::from_nanos(u64::MAX));
        assert_eq!(Tick::START.since(second), Duration::ZERO);
        assert_eq!(second.plus(Duration::from_nanos(5)).since(second), Duration::from_nanos(5));
        assert_eq!(Tick::after_start(Duration::MAX).nanos(), u64::MAX);
    }
}
