//! So many requests at a time.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A fixed number of requests at a time; one that finds no room is not queued.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    in_flight: Arc<AtomicU32>,
    most: u32,
}

/// Room for one request, given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit(Arc<ConcurrencyLimit>);

impl ConcurrencyLimit {
    /// At most so many at a time; with 0 none ever.
    pub fn new(most: u32) -> Arc<Self> {
        Arc::new(ConcurrencyLimit { in_flight: Arc::default(), most })
    }

    /// Another limit for the same requests: those under way count for both.
    pub fn resized(&self, most: u32) -> Arc<Self> {
        Arc::new(ConcurrencyLimit { in_flight: self.in_flight.clone(), most })
    }

    /// Takes room for one request, if there is any.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        enter(&self.in_flight, self.most).then(|| Permit(self.clone()))
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Counts one more, unless there are `most` already.
pub(super) fn enter(in_flight: &AtomicU32, most: u32) -> bool {
    in_flight.fetch_update(Relaxed, Relaxed, |count| (count < most).then(|| count + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_under_way_counts_for_another_limit_too() {
        let one = ConcurrencyLimit::new(1);
        let permit = one.enter();
        let two = one.resized(2);
        assert_eq!(two.in_flight(), 1);
        let second = two.enter();
        assert!(second.is_some() && two.enter().is_none() && one.enter().is_none());
        drop((permit, second));
        assert_eq!((one.in_flight(), two.in_flight()), (0, 0));
    }

    #[test]
    fn room_comes_back_with_the_permit() {
        let limit = ConcurrencyLimit::new(2);
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_some() && second.is_some() && limit.enter().is_none());
        drop(first);
        assert_eq!(limit.in_flight(), 1);
        assert!(limit.enter().is_some());
        assert!(ConcurrencyLimit::new(0).enter().is_none());
    }

    #[test]
    fn threads_never_exceed_it_and_nothing_stays_behind() {
        let limit = ConcurrencyLimit::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        if let Some(_permit) = limit.enter() {
                            assert!(limit.in_flight() <= 3);
                        }
                    }
                });
            }
        });
        assert_eq!(limit.in_flight(), 0);
    }
}
