//! How much may be compared before nothing is said.

use std::borrow::Borrow;
use std::cell::Cell;

use super::super::condition::Condition;

/// Comparisons that are left. Every list of conditions has some for each of its tests and values, so that judging a file takes
/// a time that its length bounds.
pub(super) struct Steps(Cell<usize>);

impl Steps {
    /// For each test and each value of one: sixteen alternatives of 64 are a common case at the upper end.
    pub(super) const EACH: usize = 1024;
    /// For each where one is compared with all others.
    const FEW: usize = 16;
    /// For a short list, whatever is in it.
    pub(super) const LEAST: usize = 1 << 16;

    /// As many as judging these may take.
    pub(super) fn of(conditions: &[impl Borrow<Condition>]) -> Steps {
        let tests: usize = conditions.iter().map(|condition| size(condition.borrow())).sum();
        Steps(Cell::new(Steps::LEAST.saturating_add(tests.saturating_mul(Steps::EACH))))
    }

    /// As many as finding out which of these contradicts another may take: it is worth a look at each, and no more.
    pub(super) fn few_of(conditions: &[impl Borrow<Condition>]) -> Steps {
        let tests: usize = conditions.iter().map(|condition| size(condition.borrow())).sum();
        Steps(Cell::new(Steps::LEAST.saturating_add(tests.saturating_mul(Steps::FEW))))
    }

    /// Takes some; nothing where there are not as many.
    pub(super) fn take(&self, steps: usize) -> Option<()> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.map(|_| ())
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.get()
    }
}

/// Tests and their values.
fn size(condition: &Condition) -> usize {
    match condition {
        Condition::Test(test) => 1 + test.values().len(),
        Condition::Expression(_) => 1,
        Condition::All(parts) | Condition::Any(parts) => 1 + parts.iter().map(size).sum::<usize>(),
        Condition::Not(part) => 1 + size(part),
    }
}
