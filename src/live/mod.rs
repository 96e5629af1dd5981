//! One writer publishes, many read: the pointer to what is in force.
//!
//! A reader takes what is there and keeps it for as long as its request lasts, so that no request sees half of a
//! change and no change waits for a request. The old value is freed when its last reader lets go.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// A value that is replaced as a whole.
pub struct Live<T> {
    value: ArcSwap<T>,
    /// Where the value is, for those who have one and want to know whether it is the same. Never followed.
    place: AtomicPtr<T>,
    /// Two that publish at once would leave the place of the one beside the value of the other.
    publishing: Mutex<()>,
}

impl<T> Live<T> {
    /// With the first value.
    pub fn new(value: Arc<T>) -> Self {
        let place = AtomicPtr::new(Arc::as_ptr(&value).cast_mut());
        Self { value: ArcSwap::new(value), place, publishing: Mutex::default() }
    }

    /// Puts another value in force.
    pub fn publish(&self, value: Arc<T>) {
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::as_ptr(&value).cast_mut();
        self.value.store(value);
        // Whoever sees the new place finds the new value, or a later one.
        self.place.store(place, Ordering::Release);
    }

    /// What is in force.
    pub fn get(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Whether this is still in force; far cheaper than [`Live::get`]. No other value can be in the place of one that
    /// somebody holds.
    pub fn is_current(&self, value: &Arc<T>) -> bool {
        std::ptr::eq(self.place.load(Ordering::Acquire), Arc::as_ptr(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_it_took() {
        let live = Live::new(Arc::new(1));
        let taken = live.get();
        live.publish(Arc::new(2));
        assert_eq!((*taken, *live.get()), (1, 2));
        assert!(!live.is_current(&taken));
    }

    #[test]
    fn what_is_in_force_is_current_whoever_published_it() {
        let live = Live::new(Arc::new(0));
        std::thread::scope(|scope| {
            for publisher in 0..4 {
                let live = &live;
                scope.spawn(move || (0..1000).for_each(|number| live.publish(Arc::new(publisher * 1000 + number))));
            }
        });
        assert!(live.is_current(&live.get()));
    }
}
