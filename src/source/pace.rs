//! How often a source that changes all the time is read or posted.

use std::time::Duration;

use tokio::time::Instant;

/// Changes that come this close together are taken together.
const SETTLE: Duration = Duration::from_millis(10);
/// Shortest time from one round to the next.
const GAP: Duration = Duration::from_millis(100);
/// A round takes at most one part in this many of the time.
const SHARE: u32 = 5;
/// Unless that would take longer than this.
const MOST_GAP: Duration = Duration::from_secs(2);

/// Lets a change through at once after a quiet time, and makes those that follow wait: a hundred changes a second cost
/// ten rounds at most, and fewer where a round is dear.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Option<Instant>,
}

impl Pace {
    /// When a change that was noticed at `now` may be acted on.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let settled = now + SETTLE;
        self.not_before.map_or(settled, |least| settled.max(least))
    }

    /// A round began at `begun` and is over at `now`.
    pub(super) fn done(&mut self, begun: Instant, now: Instant) {
        self.not_before = Some(now + ((now - begun) * (SHARE - 1)).clamp(GAP, MOST_GAP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_rounds_leave_long_gaps() {
        let mut pace = Pace::default();
        let start = Instant::now();
        assert_eq!(pace.due(start), start + SETTLE);
        pace.done(start, start + Duration::from_millis(1));
        assert_eq!(pace.due(start), start + Duration::from_millis(101));
        pace.done(start, start + Duration::from_millis(400));
        assert_eq!(pace.due(start), start + Duration::from_secs(2));
        pace.done(start, start + Duration::from_secs(10));
        assert_eq!(pace.due(start), start + Duration::from_secs(12));
    }
}
