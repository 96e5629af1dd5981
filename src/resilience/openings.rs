//! When a breaker has opened too often: N openings within some time.

use std::collections::VecDeque;
use std::time::Duration;

use super::tick::Tick;

/// Whether a release is to be latched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// Not yet.
    Hold,
    /// Too often: take the release back, and keep it so.
    Latch,
}

/// A number of openings that can never be too many, or a time in which nothing can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpeningsError {
    /// No number of openings, or no time.
    #[error("`{what}` must not be 0")]
    Zero {
        /// The setting.
        what: &'static str,
    },
    /// More than are remembered.
    #[error("`openings` of {given} is too many; at most {most} are remembered")]
    TooMany {
        /// What was given.
        given: u32,
        /// The most there are.
        most: u32,
    },
}

/// The last openings of one release, as many as it takes.
#[derive(Debug, Clone)]
pub struct Openings {
    count: usize,
    within: Duration,
    last: VecDeque<Tick>,
}

impl Openings {
    /// The most openings that can be asked for, so that memory has a bound.
    pub const MOST: u32 = 1000;

    /// Latches at `count` openings of which the first and the last are at most `within` apart.
    ///
    /// # Errors
    ///
    /// Where either is 0, or `count` over [`Openings::MOST`].
    pub fn new(count: u32, within: Duration) -> Result<Self, OpeningsError> {
        if count == 0 {
            return Err(OpeningsError::Zero { what: "openings" });
        }
        if within.is_zero() {
            return Err(OpeningsError::Zero { what: "within" });
        }
        if count > Self::MOST {
            return Err(OpeningsError::TooMany { given: count, most: Self::MOST });
        }
        Ok(Openings { count: count as usize, within, last: VecDeque::with_capacity(count as usize) })
    }

    /// A breaker has opened. An opening of a time that is still to come (the clock went backwards) is as if it were now.
    pub fn opened(&mut self, now: Tick) -> Verdict {
        if self.last.len() == self.count {
            self.last.pop_front();
        }
        for earlier in &mut self.last {
            *earlier = (*earlier).min(now);
        }
        self.last.push_back(now);
        match self.last.front() {
            Some(first) if self.last.len() == self.count && now.since(*first) <= self.within => Verdict::Latch,
            _ => Verdict::Hold,
        }
    }

    /// Forgets all openings, as after a reset of the latch.
    pub fn reset(&mut self) {
        self.last.clear();
    }

    /// How many openings lie within the time at `now`, for those who look.
    pub fn recent(&self, now: Tick) -> usize {
        self.last.iter().filter(|earlier| now.since(**earlier) <= self.within).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(seconds: u64) -> Tick {
        Tick::after_start(Duration::from_secs(seconds))
    }

    fn three_in_ten_minutes() -> Openings {
        Openings::new(3, Duration::from_secs(600)).unwrap()
    }

    #[test]
    fn the_third_within_ten_minutes_latches() {
        let mut openings = three_in_ten_minutes();
        assert_eq!(openings.opened(second(0)), Verdict::Hold);
        assert_eq!(openings.opened(second(300)), Verdict::Hold);
        assert_eq!(openings.opened(second(601)), Verdict::Hold);
        assert_eq!(openings.recent(second(601)), 2);
        assert_eq!(openings.opened(second(900)), Verdict::Latch);
        openings.reset();
        assert_eq!(openings.opened(second(901)), Verdict::Hold);
    }

    #[test]
    fn one_opening_is_enough_where_one_is_asked_for() {
        assert_eq!(Openings::new(1, Duration::from_secs(1)).unwrap().opened(second(7)), Verdict::Latch);
    }

    #[test]
    fn nonsense_is_refused() {
        let of = |count, seconds| Openings::new(count, Duration::from_secs(seconds)).unwrap_err().to_string();
        assert_eq!(of(0, 1), "`openings` must not be 0");
        assert_eq!(of(1, 0), "`within` must not be 0");
        assert_eq!(of(1001, 1), "`openings` of 1001 is too many; at most 1000 are remembered");
    }

    #[test]
    fn a_clock_that_goes_backwards_forgets_no_opening() {
        let mut openings = three_in_ten_minutes();
        assert_eq!(openings.opened(second(5000)), Verdict::Hold);
        assert_eq!(openings.opened(second(10)), Verdict::Hold);
        assert_eq!(openings.opened(second(20)), Verdict::Latch);
        assert_eq!(openings.opened(second(5000)), Verdict::Hold);
    }

    #[test]
    fn memory_is_bounded_over_a_hundred_thousand_openings() {
        let mut openings = three_in_ten_minutes();
        let before = openings.last.capacity();
        let latched = (0..100_000).filter(|at| openings.opened(second(at * 301)) == Verdict::Latch).count();
        assert_eq!((latched, openings.last.capacity()), (0, before));
    }

    proptest! {
        #[test]
        fn it_latches_where_enough_of_all_openings_are_recent(
            count in 1_usize..6, within in 1_u64..100, pauses in proptest::collection::vec(0_u64..60, 1..80),
        ) {
            let mut openings = Openings::new(count as u32, Duration::from_secs(within)).unwrap();
            let (mut now, mut all) = (0, Vec::new());
            for pause in pauses {
                now += pause;
                all.push(now);
                let recent = all.iter().filter(|at| now - **at <= within).count();
                let expected = if recent >= count { Verdict::Latch } else { Verdict::Hold };
                prop_assert_eq!(openings.opened(second(now)), expected);
            }
        }
    }
}
