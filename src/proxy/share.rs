//! What of an attempt's time is its upstream's. Whoever judges a lane by time asks here: the breaker, the rollbacks and
//! figures behind it, the comparison with stable, the adaptive limit, and the balance by latency.
//!
//! It is the time from the attempt's beginning to the head of the answer, or to its end where none came, less what was
//! spent in waiting for the client. What follows the head waits for the client as well, so it is not counted at all.
//!
//! The client is waited for while all that came of its body was passed on and the rest of it is still to come. An upstream
//! that takes nothing of what is at hand lets its own time pass. In a call that streams both ways nobody can tell an upstream
//! that thinks from one that waits for the next message, and that is the client's time too: a stranger could make any lane
//! look slow by saying nothing.
//!
//! A client that expects `100 Continue` waits for the upstream's word, and the upstream that says nothing may be waiting for the
//! body. Which of them it was shows in what comes: a word of the upstream makes the time its own, a body, or nothing, the
//! client's.
//!
//! A request whose body came with its head never waits, so it costs no look at the clock.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The client's share of an attempt's time.
#[derive(Debug, Default)]
pub(super) struct ClientShare {
    /// How long the client was waited for, up to `since`.
    waited: Cell<Duration>,
    /// Since when it is waited for.
    since: Cell<Option<Instant>>,
}

impl ClientShare {
    /// Another attempt begins.
    pub(super) fn begin(&self) {
        self.waited.set(Duration::ZERO);
        self.since.set(None);
    }

    /// The client is waited for, from now on unless it was before.
    pub(super) fn wait(&self, now: Instant) {
        self.since.set(self.since.get().or(Some(now)));
    }

    /// Whether the client is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.get().is_some()
    }

    /// What was waited for has come.
    pub(super) fn came(&self, now: Instant) {
        self.waited.set(self.until(now));
        self.since.set(None);
    }

    /// What was waited for since it is waited for was not the client after all.
    pub(super) fn take_back(&self) {
        self.since.set(None);
    }

    /// So much of the time was the client's too, unless the client was waited for anyway.
    pub(super) fn excuse(&self, time: Duration) {
        if !self.is_waiting() {
            self.waited.set(self.waited.get() + time);
        }
    }

    /// How long the client was waited for until then.
    pub(super) fn until(&self, then: Instant) -> Duration {
        let waited = self.waited.get();
        self.since.get().map_or(waited, |since| waited + then.saturating_duration_since(since))
    }

    /// What of the time between the attempt's beginning and then was the upstream's.
    pub(super) fn upstreams(&self, began: Instant, then: Instant) -> Duration {
        then.saturating_duration_since(began).saturating_sub(self.until(then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_upstream_is_not_charged_with_waits_for_the_client() {
        let (share, began) = (ClientShare::default(), Instant::now());
        let at = |second: u32| began + second * SECOND;
        assert_eq!(share.upstreams(began, at(2)), 2 * SECOND);
        share.wait(at(2));
        share.wait(at(3));
        assert_eq!(share.upstreams(began, at(7)), 2 * SECOND, "the wait goes on");
        share.came(at(7));
        assert_eq!(share.upstreams(began, at(8)), 3 * SECOND);
        share.came(at(9));
        share.wait(at(9));
        share.take_back();
        share.wait(at(10));
        share.came(at(20));
        assert_eq!((share.until(at(21)), share.upstreams(began, at(21))), (15 * SECOND, 6 * SECOND));
    }

    #[test]
    fn another_attempt_has_a_time_of_its_own() {
        let (share, start) = (ClientShare::default(), Instant::now());
        share.wait(start);
        share.came(start + 5 * SECOND);
        share.wait(start + 6 * SECOND);
        share.begin();
        assert!(!share.is_waiting());
        assert_eq!(share.upstreams(start + 7 * SECOND, start + 8 * SECOND), SECOND);
        assert_eq!(
            share.upstreams(start + 8 * SECOND, start + 7 * SECOND),
            Duration::ZERO,
            "a clock that went backwards"
        );
    }
}
