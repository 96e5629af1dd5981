//! What is counted for each store of product facts.

use super::cells::Cells;
use super::label::LookupResult;

/// How the look-ups of one store ended, as the requests saw it.
pub struct LookupSeries(Cells);

impl LookupSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self(Cells::new(workers, LookupResult::ALL.len()))
    }

    /// A request's look-up ended.
    #[inline]
    pub fn ended(&self, worker: usize, result: LookupResult) {
        self.0.add(worker, result as usize, 1);
    }

    /// How many ended so.
    pub fn sum(&self, result: LookupResult) -> u64 {
        self.0.sum(result as usize)
    }
}
