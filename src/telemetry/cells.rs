//! Counters that the hot path writes without sharing anything.
//!
//! Every worker owns one shard, and a shard starts on a cache line of its own. Because one thread alone writes to a
//! shard, adding is a relaxed load and a relaxed store: no read-modify-write, no lock, no line that travels between
//! cores. Readers sum the shards; a sum taken while workers write is some value that was true in between.
//!
//! Whoever is no worker (a watcher, a health check) uses the last shard, which is written by `fetch_add`. A worker
//! index that is out of range lands there too: the count stays right and nothing panics.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many counters share one [`Line`].
const PER_LINE: usize = 16;

/// Two cache lines, since processors fetch lines in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Line([AtomicU64; PER_LINE]);

/// A fixed number of counters, each kept once per worker.
pub(super) struct Cells {
    workers: usize,
    len: usize,
    /// One per worker, and the shared one at the end. Each comes with the first that is counted in it: of ten thousand
    /// routes most are never asked for by most workers.
    shards: Box<[OnceLock<Box<[Line]>>]>,
}

impl Cells {
    /// `len` counters at zero for `workers` single-writer shards.
    pub(super) fn new(workers: usize, len: usize) -> Self {
        Self { workers, len, shards: (0..=workers).map(|_| OnceLock::new()).collect() }
    }

    #[inline]
    fn cell(&self, shard: usize, index: usize) -> &AtomicU64 {
        let lines = self.shards[shard].get_or_init(|| {
            let mut lines = Vec::new();
            lines.resize_with(self.len.div_ceil(PER_LINE), Line::default);
            lines.into_boxed_slice()
        });
        &lines[index / PER_LINE].0[index % PER_LINE]
    }

    /// Adds `n` to counter `index` in the shard of `worker`.
    #[inline]
    pub(super) fn add(&self, worker: usize, index: usize, n: u64) {
        if worker < self.workers {
            let cell = self.cell(worker, index);
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        } else {
            self.cell(self.workers, index).fetch_add(n, Relaxed);
        }
    }

    /// Takes `n` from counter `index`; a shard may go below zero as long as the sum does not.
    #[inline]
    pub(super) fn sub(&self, worker: usize, index: usize, n: u64) {
        self.add(worker, index, n.wrapping_neg());
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Whether nothing was ever counted.
    pub(super) fn is_untouched(&self) -> bool {
        self.shards.iter().all(|shard| shard.get().is_none())
    }

    /// The sum over all shards.
    pub(super) fn sum(&self, index: usize) -> u64 {
        let (line, slot) = (index / PER_LINE, index % PER_LINE);
        let counted = self.shards.iter().filter_map(OnceLock::get);
        counted.fold(0, |sum: u64, lines| sum.wrapping_add(lines[line].0[slot].load(Relaxed)))
    }

    /// The sum of a counter that goes up and down. Shards are read one after another, so that a reader may meet a
    /// "down" whose "up" it did not see; a gauge below zero would be nonsense, and is zero.
    pub(super) fn level(&self, index: usize) -> u64 {
        let sum = self.sum(index);
        if sum > i64::MAX as u64 { 0 } else { sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_over_all_workers_and_the_shared_shard() {
        let cells = Cells::new(3, 20);
        for worker in 0..5 {
            cells.add(worker, 17, 2);
        }
        assert_eq!(cells.sum(17), 10);
        assert_eq!(cells.sum(16), 0);
        assert_eq!(cells.sum(18), 0);
    }

    #[test]
    fn what_goes_up_in_one_shard_may_come_down_in_another() {
        let cells = Cells::new(2, 1);
        cells.add(0, 0, 3);
        cells.sub(1, 0, 2);
        assert_eq!(cells.level(0), 1);
        cells.sub(1, 0, 2);
        assert_eq!(cells.level(0), 0, "never below zero for a reader");
    }

    #[test]
    fn nothing_is_lost_with_one_thread_per_worker_and_two_outside() {
        let cells = Cells::new(2, 1);
        std::thread::scope(|scope| {
            for worker in [0, 1, 2, 9] {
                let cells = &cells;
                scope.spawn(move || (0..10_000).for_each(|_| cells.add(worker, 0, 1)));
            }
        });
        assert_eq!(cells.sum(0), 40_000);
    }

    #[test]
    fn shards_start_on_lines_of_their_own() {
        let cells = Cells::new(2, 1);
        for shard in (0..=2).map(|worker| cells.cell(worker, 0)) {
            assert_eq!(std::ptr::from_ref(shard) as usize % 128, 0);
        }
    }
}
