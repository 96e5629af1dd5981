//! How slowly a client's body may come on the whole: who drips is as bad as who stops.
//!
//! A pause has a limit of its own (`body_idle`), and a byte before each of its ends would keep a connection for ever. So the
//! time that is spent in waiting for the client adds up: `body_idle`, and what the bytes so far take at
//! `body_bytes_per_second`, is all there is. Waiting for the upstream costs the client nothing.

use std::time::{Duration, Instant};

use super::timer::NEVER;
use crate::config::Limits;

/// How a body comes along.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time that is given besides what the bytes earn.
    grace: Duration,
    /// Bytes that earn a second; 0 earns all of them.
    per_second: u32,
    /// How long the client was waited for, up to `since`.
    waited: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
}

impl Pace {
    /// For a body under these limits. A gRPC client may think between two messages of its stream: it has its pauses and its
    /// own deadline.
    pub(super) fn of(limits: &Limits, is_grpc: bool) -> Self {
        let per_second = if is_grpc { 0 } else { limits.body_bytes_per_second };
        Self { grace: limits.body_idle, per_second, waited: Duration::ZERO, since: None }
    }

    /// The client is waited for; `bytes` of its body have come. Returns by when more of it has to come.
    pub(super) fn wait(&mut self, now: Instant, bytes: u64) -> Instant {
        if self.per_second == 0 {
            return now + NEVER;
        }
        let since = *self.since.get_or_insert(now);
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / u64::from(self.per_second));
        since + (self.grace.saturating_add(earned)).saturating_sub(self.waited).min(NEVER)
    }

    /// What was waited for has come.
    pub(super) fn came(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(per_second: u32) -> Pace {
        let limits = Limits { body_idle: 10 * SECOND, body_bytes_per_second: per_second, ..Limits::default() };
        Pace::of(&limits, false)
    }

    #[test]
    fn a_byte_a_second_uses_the_time_up() {
        let (mut pace, start) = (pace(100), Instant::now());
        let dripped = (0..60).find(|second| {
            let due = pace.wait(start + *second * SECOND, u64::from(*second));
            pace.came(start + (*second + 1) * SECOND);
            due < start + (*second + 1) * SECOND
        });
        assert_eq!(dripped, Some(10), "ten seconds, and a tenth for ten bytes");
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_client_costs_nothing() {
        let (mut pace, start) = (pace(100), Instant::now());
        assert_eq!(pace.wait(start, 0), start + 10 * SECOND);
        pace.came(start + 4 * SECOND);
        let later = start + 1000 * SECOND;
        assert_eq!(pace.wait(later, 0), later + 6 * SECOND);
        assert_eq!(pace.wait(later + SECOND, 0), later + 6 * SECOND, "it is still the same wait");
    }

    #[test]
    fn who_keeps_the_pace_is_never_late() {
        let (mut pace, start) = (pace(100), Instant::now());
        for second in 0..100_000 {
            let due = pace.wait(start + second * SECOND, u64::from(second) * 100);
            assert!(due > start + (second + 1) * SECOND);
            pace.came(start + (second + 1) * SECOND);
        }
    }

    #[test]
    fn no_pace_is_asked_of_grpc_or_where_it_is_off() {
        let start = Instant::now();
        assert_eq!(pace(0).wait(start, 0), start + NEVER);
        assert_eq!(Pace::of(&Limits::default(), true).wait(start, 0), start + NEVER);
        assert!(pace(1).wait(start, u64::MAX) <= start + NEVER);
    }
}
