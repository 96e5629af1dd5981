//! Whether a store is worth asking.
//!
//! ```text
//! up ──some failures in a row──► down ──time over: one probe──► up, or down for twice as long
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that say a store is down.
const FAILURES: u32 = 3;
/// How long it is first left alone.
const SHORTEST: Duration = Duration::from_millis(100);
/// How long it is left alone at most.
const LONGEST: Duration = Duration::from_secs(5);

/// Answers in a row that are no records, after which it is told.
const UNUSABLE: u32 = 16;

/// How a store does.
#[derive(Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    /// Answers in a row that were no records.
    unusable: u32,
    /// While it is down: when it is asked next, and how long it is left alone then.
    down: Option<(Instant, Duration)>,
}

impl Health {
    /// Whether a look-up may begin. While the store is down, one may from time to time.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        let mut state = self.state();
        match &mut state.down {
            None => true,
            Some((next, _)) if now < *next => false,
            Some((next, pause)) => {
                // This one is the probe; the next is due if it does not come back.
                *next = now + *pause;
                true
            }
        }
    }

    /// The store answered, with a record or that there is none.
    pub(super) fn answered(&self) {
        *self.state() = State::default();
    }

    /// The store answered, and with no record. Says whether it has long said nothing else, once.
    pub(super) fn unusable(&self) -> bool {
        let mut state = self.state();
        let unusable = state.unusable.saturating_add(1);
        *state = State { unusable, ..State::default() };
        unusable == UNUSABLE
    }

    /// The store did not answer. Says whether it counts as down from now on.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES {
            return false;
        }
        let was_up = state.down.is_none();
        // Failures of look-ups that began before it was down say nothing new.
        let pause = match state.down {
            None => SHORTEST,
            Some((next, pause)) if now < next && next - now < pause / 2 => pause,
            Some((_, pause)) => (pause * 2).min(LONGEST),
        };
        state.down = Some((now + pause, pause));
        was_up
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_is_left_alone_and_probed() {
        let (health, start) = (Health::default(), Instant::now());
        assert!(!health.failed(start) && !health.failed(start));
        assert!(health.may_ask(start));
        assert!(health.failed(start));
        assert!(!health.may_ask(start));
        let later = start + SHORTEST;
        assert!(health.may_ask(later));
        assert!(!health.may_ask(later), "one probe at a time");
        assert!(!health.failed(later));
        assert!(!health.may_ask(later + SHORTEST));
        assert!(health.may_ask(later + SHORTEST * 2));
        health.answered();
        assert!(health.may_ask(later));
    }

    #[test]
    fn pauses_have_a_longest() {
        let (health, mut now) = (Health::default(), Instant::now());
        for _ in 0..100 {
            health.failed(now);
            now += LONGEST;
        }
        assert!(health.may_ask(now));
    }

    #[test]
    fn a_store_that_only_answers_what_is_no_record_is_told_of_once_and_stays_up() {
        let (health, now) = (Health::default(), Instant::now());
        let told = |times| (0..times).filter(|_| health.unusable()).count();
        assert_eq!(told(UNUSABLE - 1), 0);
        health.answered();
        assert_eq!((told(UNUSABLE - 1), told(100)), (0, 1));
        health.failed(now);
        assert_eq!(told(100), 0, "a failure between them is no record either");
        health.answered();
        assert_eq!(told(100), 1);
        assert!(health.may_ask(now));
    }

    #[test]
    fn one_success_between_failures_keeps_it_up() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..10 {
            health.failed(now);
            health.failed(now);
            health.answered();
        }
        assert!(health.may_ask(now));
    }
}
