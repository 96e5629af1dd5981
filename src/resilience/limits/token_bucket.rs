//! So many requests a second, and so many at once.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::resilience::tick::Tick;

const SECOND: u64 = 1_000_000_000;

/// A token bucket, full at the start.
///
/// Kept as the one number of the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): the time at which the
/// next request would be due if all came evenly. The bucket is empty when that time is a burst ahead of now. One number
/// can be compared and exchanged, where tokens and their time would need a lock.
#[derive(Debug)]
pub struct TokenBucket {
    /// In nanoseconds.
    due: AtomicU64,
    /// Nanoseconds between two requests.
    interval: u64,
    /// How far ahead `due` may be.
    burst: u64,
}

impl TokenBucket {
    /// The highest rate; beyond it the interval in whole nanoseconds would be off by more than 0.1 %.
    pub const MOST_PER_SECOND: u32 = 1_000_000;

    /// `per_second` requests a second (at most [`TokenBucket::MOST_PER_SECOND`]), of which `burst` may come at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let interval = SECOND / u64::from(per_second.get().min(Self::MOST_PER_SECOND));
        TokenBucket { due: AtomicU64::new(0), interval, burst: interval * u64::from(burst.get()) }
    }

    /// Another rate for the same requests: what was taken stays taken.
    pub fn resized(&self, per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let other = Self::new(per_second, burst);
        other.due.store(self.due.load(Relaxed), Relaxed);
        other
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// Where there is none: the time until there will be one, if nobody else takes it.
    pub fn take(&self, now: Tick) -> Result<(), Duration> {
        let now = now.nanos();
        let full = now.saturating_add(self.burst);
        let mut seen = self.due.load(Relaxed);
        loop {
            // Never further ahead than empty, or a clock that went backwards would keep it shut.
            let due = seen.clamp(now, full);
            let next = due.saturating_add(self.interval);
            let (kept, answer) = if next <= full { (next, Ok(())) } else { (due, Err(next - full)) };
            if kept == seen {
                return answer.map_err(Duration::from_nanos);
            }
            match self.due.compare_exchange_weak(seen, kept, Relaxed, Relaxed) {
                Ok(_) => return answer.map_err(Duration::from_nanos),
                Err(newer) => seen = newer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(per_second: u32, burst: u32) -> TokenBucket {
        TokenBucket::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn at(millis: u64) -> Tick {
        Tick::after_start(Duration::from_millis(millis))
    }

    fn taken(bucket: &TokenBucket, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.take(at(now)).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = bucket(10, 5);
        assert_eq!(taken(&bucket, 1000, 100), 5);
        assert_eq!(bucket.take(at(1000)), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(at(1060)), Err(Duration::from_millis(40)));
        assert_eq!(taken(&bucket, 1100, 100), 1);
        assert_eq!(taken(&bucket, 1450, 100), 3);
        assert_eq!(taken(&bucket, 60_000, 100), 5, "no more than a burst is saved");
    }

    #[test]
    fn a_clock_that_goes_backwards_does_not_shut_it() {
        let bucket = bucket(10, 5);
        assert_eq!(taken(&bucket, 5_000_000, 100), 5);
        assert_eq!(taken(&bucket, 0, 100), 0);
        assert_eq!(taken(&bucket, 1000, 100), 5);
    }

    #[test]
    fn another_rate_gives_nothing_back_at_once() {
        let one = bucket(1, 10);
        assert_eq!(taken(&one, 1000, 100), 10);
        let same = one.resized(NonZeroU32::MIN, NonZeroU32::new(10).unwrap());
        assert_eq!(taken(&same, 1000, 100), 0);
        let faster = one.resized(NonZeroU32::new(10).unwrap(), NonZeroU32::new(10).unwrap());
        assert_eq!(taken(&faster, 1000, 100), 0);
        assert_eq!(taken(&faster, 1200, 100), 2);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let bucket = bucket(1, u32::MAX);
        assert!(bucket.take(Tick::from_nanos(u64::MAX)).is_ok() || bucket.take(Tick::from_nanos(u64::MAX)).is_err());
        assert_eq!(super::TokenBucket::new(NonZeroU32::MAX, NonZeroU32::MIN).interval, 1000);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let bucket = bucket(1, 1000);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&bucket, 0, 1000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_bucket_of_counted_tokens(
            steps in proptest::collection::vec((0_u64..500, 0_usize..30), 1..60),
        ) {
            let bucket = bucket(20, 10);
            // In tokens of 1/50: 20 a second are one per 50 ms.
            let (mut now, mut tokens) = (0, 500);
            for (pause, tries) in steps {
                now += pause;
                tokens = (tokens + pause).min(500);
                let expected = tries.min(tokens as usize / 50);
                tokens -= expected as u64 * 50;
                prop_assert_eq!(taken(&bucket, now, tries), expected);
            }
        }
    }
}
