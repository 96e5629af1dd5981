//! Things that are kept for reuse, no more than were needed lately.

use std::cell::{Cell, RefCell};

/// How many small things are kept however seldom they are needed.
const FEW: usize = 4;

/// What one worker keeps for reuse. After a burst, what was not needed since the last look is let go.
pub struct Spares<T> {
    free: RefCell<Vec<T>>,
    /// The fewest that lay here since the last look: so many were not needed.
    fewest: Cell<usize>,
    few: usize,
    most: usize,
}

impl<T> Spares<T> {
    /// Keeps at most `most`.
    pub const fn new(most: usize) -> Self {
        Self { free: RefCell::new(Vec::new()), fewest: Cell::new(0), few: FEW, most }
    }

    /// Keeps at most `most`, and none that was not needed lately.
    pub const fn of_large(most: usize) -> Self {
        Self { free: RefCell::new(Vec::new()), fewest: Cell::new(0), few: 0, most }
    }

    /// One that was used before, if there is any.
    pub fn take(&self) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let taken = free.pop();
        self.fewest.set(self.fewest.get().min(free.len()));
        taken
    }

    /// Keeps one for others; drops it if there are enough.
    pub fn give(&self, one: T) {
        let mut free = self.free.borrow_mut();
        if free.len() < self.most {
            free.push(one);
        }
    }

    /// Lets go of those that nobody took since this was called last. Called about once a second.
    pub fn sweep(&self) {
        let mut free = self.free.borrow_mut();
        let kept = (free.len() - self.fewest.get()).max(self.few).min(free.len());
        free.truncate(kept);
        free.shrink_to(kept);
        self.fewest.set(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_needed_since_the_last_look_is_let_go() {
        let spares = Spares::new(100);
        (0..100).for_each(|one| spares.give(one));
        spares.sweep();
        let taken: Vec<_> = (0..30).map_while(|_| spares.take()).collect();
        assert_eq!(taken.len(), 30, "nobody had a chance to need them before");
        taken.into_iter().for_each(|one| spares.give(one));
        spares.sweep();
        assert_eq!(spares.free.borrow().len(), 30);
        assert!(spares.free.borrow().capacity() < 100);
        spares.sweep();
        assert_eq!(spares.free.borrow().len(), FEW);
    }

    #[test]
    fn a_large_thing_that_was_not_needed_is_let_go() {
        let spares = Spares::of_large(2);
        spares.give(1);
        spares.sweep();
        assert_eq!(spares.take(), Some(1), "it was given a moment ago");
        spares.give(1);
        spares.sweep();
        spares.sweep();
        assert_eq!(spares.take(), None);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let spares = Spares::new(2);
        (0..5).for_each(|one| spares.give(one));
        assert_eq!((spares.take(), spares.take(), spares.take()), (Some(1), Some(0), None));
        spares.sweep();
        assert_eq!(spares.take(), None);
    }
}
