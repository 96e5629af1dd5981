//! One writer publishes, many read: the pointer to what is in force.
//!
//! A reader takes what is there and keeps it for as long as its request lasts, so that no request sees half of a
//! change and no change waits for a request. The old value is freed when its last reader lets go.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A value that is replaced as a whole.
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    /// With the first value.
    pub fn new(value: Arc<T>) -> Self {
        Self(ArcSwap::new(value))
    }

    /// Puts another value in force.
    pub fn publish(&self, value: Arc<T>) {
        self.0.store(value);
    }

    /// What is in force.
    pub fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Whether this is still in force; cheaper than [`Live::get`].
    pub fn is_current(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.0.load(), value)
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
}
