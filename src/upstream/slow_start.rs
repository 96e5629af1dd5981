//! How much of its share an endpoint gets that has just come in: pure.
//!
//! The share grows in a straight line over the configured time, from a tenth: a service with cold caches gets slower
//! under a full load at once, and one with nothing at all would never get warm.

use std::time::Duration;

/// The whole of its share, in thousandths.
pub(super) const WHOLE: u16 = 1000;
/// The share at the start.
const FIRST: u16 = 100;

/// The share in thousandths after so long.
pub(super) fn warmth(in_for: Duration, slow_start: Duration) -> u16 {
    if in_for >= slow_start {
        return WHOLE;
    }
    let share = in_for.as_secs_f64() / slow_start.as_secs_f64() * f64::from(WHOLE);
    (share as u16).clamp(FIRST, WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_in_a_line_from_a_tenth() {
        let of = |seconds| warmth(Duration::from_secs(seconds), Duration::from_secs(100));
        assert_eq!([of(0), of(10), of(50), of(99), of(100), of(1000)], [100, 100, 500, 990, 1000, 1000]);
        assert_eq!(warmth(Duration::ZERO, Duration::ZERO), WHOLE);
    }
}
