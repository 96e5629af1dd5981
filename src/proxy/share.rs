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
//! What an upstream does after its client kept it waiting for long is the client's doing as well: servers give up bodies that
//! stop, some by closing the connection, some by a 500. Whether an upstream that failed was kept waiting is told here too. A call
//! of gRPC that has brought a message is no such body: its upstream had something to answer.
//!
//! An answer that its client does not take keeps the upstream waiting as well; the clock of the exchange knows
//! ([`super::timer::Clock::was_untaken`]).
//!
//! A request whose body came with its head never waits, so it costs no look at the clock.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// An upstream that fails although it waits for its client fails sooner; one that was kept waiting for longer gave the client up.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The client's share of an attempt's time.
#[derive(Debug, Default)]
pub(super) struct ClientShare {
    /// How long the client was waited for, up to `since`.
    waited: Cell<Duration>,
    /// Since when it is waited for.
    since: Cell<Option<Instant>>,
    /// Until when it was waited for last.
    came: Cell<Option<Instant>>,
    /// The upstream had been kept waiting when it answered that it failed.
    was_kept: Cell<bool>,
    /// The upstream has something to answer, whatever else may come.
    is_asked: Cell<bool>,
}

impl ClientShare {
    /// Another attempt begins.
    pub(super) fn begin(&self) {
        self.waited.set(Duration::ZERO);
        self.since.set(None);
        self.came.set(None);
        self.was_kept.set(false);
        self.is_asked.set(false);
    }

    /// The upstream got something to answer before the rest of the body: however it fails from here on, it is not for the want
    /// of a body.
    pub(super) fn asks(&self) {
        self.is_asked.set(true);
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
        if self.is_waiting() {
            self.waited.set(self.until(now));
            self.since.set(None);
            self.came.set(Some(now));
        }
    }

    /// The upstream's answer has come; `failed` is whether its head says that the request failed. What an answer that begins well
    /// comes to is the upstream's, however long it waited before.
    pub(super) fn answered(&self, now: Instant, failed: impl FnOnce() -> bool) {
        if self.is_waiting() {
            self.was_kept.set(self.kept_waiting(now) && failed());
            self.came(now);
        }
    }

    /// Whether the upstream had been kept waiting for long until then, or until it failed by its answer: then it gave its client up.
    pub(super) fn kept_waiting(&self, then: Instant) -> bool {
        let since = self.since.get().filter(|_| !self.is_asked.get());
        self.was_kept.get() || since.is_some_and(|since| then.saturating_duration_since(since) >= PATIENCE)
    }

    /// What was waited for since it is waited for was not the client after all.
    pub(super) fn take_back(&self) {
        self.since.set(None);
    }

    /// That time was the client's too, but for what it was waited for in it anyway.
    pub(super) fn excuse(&self, from: Instant, to: Instant) {
        if !self.is_waiting() {
            let from = self.came.get().map_or(from, |came| came.max(from));
            self.waited.set(self.waited.get() + to.saturating_duration_since(from));
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
    fn an_upstream_was_kept_waiting_if_the_wait_lasts_when_it_fails() {
        let (share, start) = (ClientShare::default(), Instant::now());
        assert!(!share.kept_waiting(start + 9 * SECOND));
        share.wait(start);
        assert!(!share.kept_waiting(start + SECOND / 2) && share.kept_waiting(start + SECOND));
        share.came(start + 5 * SECOND);
        assert!(!share.kept_waiting(start + 9 * SECOND), "what it waited for came");
        share.wait(start + 10 * SECOND);
        share.answered(start + 12 * SECOND, || true);
        assert!(share.kept_waiting(start + 12 * SECOND), "it answered because nothing came");
        share.begin();
        assert!(!share.kept_waiting(start + 12 * SECOND));
        share.wait(start);
        share.answered(start + 2 * SECOND, || false);
        assert!(!share.kept_waiting(start + 9 * SECOND), "what follows an answer that begins well is the upstream's");
    }

    #[test]
    fn an_upstream_that_has_something_to_answer_is_not_kept_waiting() {
        let (share, start) = (ClientShare::default(), Instant::now());
        share.wait(start);
        share.asks();
        assert!(!share.kept_waiting(start + 9 * SECOND), "it broke off what it was asked");
        assert_eq!(share.upstreams(start, start + 9 * SECOND), Duration::ZERO, "it may have waited all the same");
        share.answered(start + 9 * SECOND, || true);
        assert!(!share.kept_waiting(start + 9 * SECOND), "it answered that it failed");
        share.begin();
        share.wait(start);
        assert!(share.kept_waiting(start + SECOND), "nothing of another attempt's has come yet");
    }

    #[test]
    fn what_the_client_was_waited_for_twice_over_is_excused_once() {
        let (share, began) = (ClientShare::default(), Instant::now());
        let at = |second: u32| began + second * SECOND;
        share.excuse(at(1), at(3));
        assert_eq!(share.upstreams(began, at(4)), 2 * SECOND);
        share.wait(at(4));
        share.came(at(7));
        share.excuse(at(5), at(8));
        assert_eq!(share.upstreams(began, at(9)), 3 * SECOND, "its body came while it took an interim answer");
        share.wait(at(9));
        share.excuse(at(8), at(10));
        assert_eq!(share.upstreams(began, at(10)), 3 * SECOND, "it is waited for");
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
