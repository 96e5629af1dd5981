//! Those who look at something now and then do so together: a process that wakes once for five of them sleeps longer than one
//! that wakes five times.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What all beats are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Sleeps until the next beat of a period: a multiple of it since the same moment for everybody in the process.
///
/// # Panics
///
/// With a period of nothing, and outside of a tokio runtime.
pub async fn next(period: Duration) {
    tokio::time::sleep_until(after(Instant::now(), period).into()).await;
}

/// The first beat of a period after a moment.
///
/// # Panics
///
/// With a period of nothing.
pub fn after(moment: Instant, period: Duration) -> Instant {
    let passed = moment.saturating_duration_since(*START).as_nanos();
    let into_period = passed % period.as_nanos();
    // Less than the period, which fits.
    moment + period - Duration::from_nanos(u64::try_from(into_period).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_of_periods_that_divide_each_other_fall_together() {
        let (half, whole) = (Duration::from_millis(500), Duration::from_secs(1));
        let start = *START;
        assert_eq!(after(start, half), start + half);
        assert_eq!(after(start + Duration::from_millis(1), half), start + half);
        assert_eq!(after(start + half, half), start + whole, "the next one, not this one");
        for millis in [0, 3, 499, 500, 999] {
            assert_eq!(after(start + Duration::from_millis(millis), whole), start + whole);
        }
        let far = start + 1000 * whole + Duration::from_nanos(7);
        assert_eq!(after(far, whole), start + 1001 * whole);
    }
}
