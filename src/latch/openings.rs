//! How often breakers opened lately. Pure: `now` is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts openings in a sliding window, up to the number that is too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openings {
    most: usize,
    within: Duration,
    /// At most `most`, oldest first.
    times: VecDeque<Instant>,
}

impl Openings {
    /// `most` openings (at least 1) within `within` are too many.
    pub fn new(most: u32, within: Duration) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        Self { most, within, times: VecDeque::new() }
    }

    /// A breaker opened at `now`. Whether that makes too many; the count then begins anew.
    pub fn opened(&mut self, now: Instant) -> bool {
        self.times.push_back(now);
        let reached = self.count(now) >= self.most;
        if reached {
            self.clear();
        }
        reached
    }

    /// A breaker opened at `now`, and so many together are not enough by themselves: the last ones are kept. Whether that
    /// makes too many.
    pub fn noted(&mut self, now: Instant) -> bool {
        if self.times.len() == self.most {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.is_reached(now)
    }

    /// Whether there are too many now.
    pub fn is_reached(&mut self, now: Instant) -> bool {
        self.count(now) >= self.most
    }

    /// Openings that are not older than the window.
    pub fn count(&mut self, now: Instant) -> usize {
        while self.times.front().is_some_and(|time| now.saturating_duration_since(*time) > self.within) {
            self.times.pop_front();
        }
        self.times.len()
    }

    /// Forgets every opening.
    pub fn clear(&mut self) {
        self.times.clear();
    }

    /// How many are too many, and within how long.
    pub fn limit(&self) -> (usize, Duration) {
        (self.most, self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Openings at these seconds; which of them are one too many.
    fn check(most: u32, seconds: &[u64], expected: &[bool]) {
        let start = Instant::now();
        let mut openings = Openings::new(most, 10 * MINUTE);
        let found: Vec<bool> =
            seconds.iter().map(|second| openings.opened(start + Duration::from_secs(*second))).collect();
        assert_eq!(found, expected, "{most} of {seconds:?}");
    }

    #[test]
    fn the_last_of_enough_openings_is_one_too_many() {
        check(3, &[0, 100, 200], &[false, false, true]);
        check(1, &[0, 0], &[true, true]);
        check(0, &[0], &[true]);
    }

    #[test]
    fn the_window_holds_its_own_length_and_no_more() {
        check(2, &[0, 600], &[false, true]);
        check(2, &[0, 601], &[false, false]);
        check(3, &[0, 300, 601, 900], &[false, false, false, true]);
    }

    #[test]
    fn the_count_begins_anew_behind_one_too_many() {
        check(2, &[0, 1, 2, 3], &[false, true, false, true]);
    }

    #[test]
    fn openings_that_are_only_noted_stay_reached_until_they_are_old() {
        let start = Instant::now();
        let mut openings = Openings::new(2, 10 * MINUTE);
        let at = |minute: u32| start + minute * MINUTE;
        assert_eq!([0, 1, 2].map(|minute| openings.noted(at(minute))), [false, true, true]);
        assert_eq!(openings.times.len(), 2);
        assert!(openings.is_reached(at(11)) && !openings.is_reached(at(12)));
    }

    #[test]
    fn an_opening_told_late_counts() {
        check(2, &[100, 50], &[false, true]);
    }

    #[test]
    fn a_hundred_thousand_openings_take_no_more_room_than_the_limit() {
        let start = Instant::now();
        let mut openings = Openings::new(1000, MINUTE);
        let reached = (0..100_000).filter(|at| openings.opened(start + Duration::from_millis(*at))).count();
        assert_eq!(reached, 100);
        assert!(openings.times.capacity() <= 2048);
    }
}
