//! Which slice of a sliding window is the newest.

use std::time::Duration;

use crate::resilience::tick::{Tick, nanos_of};

/// Turns a ring of slices by the time that is passed in.
#[derive(Debug, Clone)]
pub(in crate::resilience) struct SliceClock {
    /// When the newest slice began.
    begun: Tick,
    slice_nanos: u64,
    count: u32,
    newest: u32,
}

impl SliceClock {
    /// A window of `span` in `count` slices.
    pub(in crate::resilience) fn new(now: Tick, span: Duration, count: u32) -> Self {
        SliceClock { begun: now, slice_nanos: (nanos_of(span) / u64::from(count)).max(1), count, newest: 0 }
    }

    /// The newest slice, after `expire` was called for each that is to be used anew.
    ///
    /// Where the clock went backwards, the newest slice begins now: what is in the window stays a window longer.
    pub(in crate::resilience) fn advance(&mut self, now: Tick, mut expire: impl FnMut(usize)) -> usize {
        if now < self.begun {
            self.begun = now;
        }
        let passed = (now.nanos() - self.begun.nanos()) / self.slice_nanos;
        for _ in 0..passed.min(u64::from(self.count)) {
            self.newest = (self.newest + 1) % self.count;
            expire(self.newest());
        }
        self.begun = Tick::from_nanos(self.begun.nanos() + passed * self.slice_nanos);
        self.newest()
    }

    /// The newest slice.
    pub(in crate::resilience) fn newest(&self) -> usize {
        self.newest as usize
    }

    /// How many slices there are.
    pub(in crate::resilience) fn count(&self) -> usize {
        self.count as usize
    }

    /// When the next slice begins.
    pub(in crate::resilience) fn next_turn(&self) -> Tick {
        Tick::from_nanos(self.begun.nanos().saturating_add(self.slice_nanos))
    }

    /// The newest slice begins now.
    pub(in crate::resilience) fn start_over(&mut self, now: Tick) {
        self.begun = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Tick {
        Tick::after_start(Duration::from_secs(seconds))
    }

    fn expired(clock: &mut SliceClock, now: Tick) -> Vec<usize> {
        let mut expired = Vec::new();
        clock.advance(now, |slice| expired.push(slice));
        expired
    }

    #[test]
    fn slices_expire_one_after_another() {
        let mut clock = SliceClock::new(seconds(100), Duration::from_secs(3), 3);
        assert_eq!(expired(&mut clock, seconds(100)), [0; 0]);
        assert_eq!(expired(&mut clock, seconds(101)), [1]);
        assert_eq!(expired(&mut clock, seconds(103)), [2, 0]);
    }

    #[test]
    fn a_leap_forwards_expires_each_slice_once() {
        let mut clock = SliceClock::new(seconds(0), Duration::from_secs(3), 3);
        assert_eq!(expired(&mut clock, Tick::from_nanos(u64::MAX)).len(), 3);
        assert_eq!(expired(&mut clock, Tick::from_nanos(u64::MAX)).len(), 0);
    }

    #[test]
    fn a_step_backwards_keeps_the_window_turning() {
        let mut clock = SliceClock::new(seconds(5000), Duration::from_secs(3), 3);
        assert_eq!(expired(&mut clock, seconds(10)), [0; 0]);
        assert_eq!(expired(&mut clock, seconds(11)), [1]);
    }

    #[test]
    fn a_span_shorter_than_its_slices_does_not_stand_still() {
        let mut clock = SliceClock::new(seconds(0), Duration::ZERO, 3);
        assert_eq!(expired(&mut clock, Tick::from_nanos(2)).len(), 2);
    }
}
