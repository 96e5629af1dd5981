//! What is counted for each fault on purpose.

use super::cells::Cells;

/// How many requests met one fault.
pub struct FaultSeries(Cells);

impl FaultSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, 1))
    }

    /// A request met the fault.
    #[inline]
    pub fn injected(&self, worker: usize) {
        self.0.add(worker, 0, 1);
    }

    /// How many requests met it.
    pub fn sum(&self) -> u64 {
        self.0.sum(0)
    }
}
