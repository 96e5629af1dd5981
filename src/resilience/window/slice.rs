//! A sliding window: a ring of slices and their sum.

use std::time::Duration;

use super::figures::Figures;
use super::latency::{BUCKETS, Histogram, p99};
use super::record::Added;
use super::slice_clock::SliceClock;
use crate::resilience::tick::Tick;

/// What came in within some time.
#[derive(Debug, Clone)]
struct Slice {
    figures: Figures,
    latencies: Histogram,
}

impl Slice {
    const EMPTY: Slice = Slice { figures: Figures::NONE, latencies: [0; BUCKETS] };

    fn add(&mut self, added: Added) {
        match added {
            Added::Counts(figures) => self.figures.add(&figures),
            Added::Latencies(bucket, count) => {
                self.latencies[bucket] = self.latencies[bucket].wrapping_add(count);
            }
        }
    }

    fn subtract(&mut self, old: &Slice) {
        self.figures.subtract(&old.figures);
        for (count, old) in self.latencies.iter_mut().zip(&old.latencies) {
            *count = count.wrapping_sub(*old);
        }
    }
}

/// The slices of a window with their sum, which is kept up to date so that nobody has to add them up.
///
/// Sums wrap, as do slices, so that taking out what was added is always exact. No bucket gets near 2^32 within the
/// longest window a plan may have, an hour.
#[derive(Debug)]
pub(super) struct Sliding {
    clock: SliceClock,
    newest: usize,
    slices: Box<[Slice]>,
    sum: Box<Slice>,
}

impl Sliding {
    pub(super) fn new(now: Tick, span: Duration, count: usize) -> Self {
        Sliding {
            clock: SliceClock::new(now, span, count),
            newest: 0,
            slices: vec![Slice::EMPTY; count].into_boxed_slice(),
            sum: Box::new(Slice::EMPTY),
        }
    }

    /// Takes out what is too old; answers whether there was anything.
    pub(super) fn advance(&mut self, now: Tick) -> bool {
        let (slices, sum, mut is_changed) = (&mut self.slices, &mut self.sum, false);
        self.newest = self.clock.advance(now, |old| {
            let old = &mut slices[old];
            if old.figures != Figures::NONE {
                is_changed = true;
                sum.subtract(old);
                *old = Slice::EMPTY;
            }
        });
        is_changed
    }

    /// Adds to the newest slice.
    pub(super) fn add(&mut self, added: Added) {
        self.slices[self.newest].add(added);
        self.sum.add(added);
    }

    /// Forgets everything.
    pub(super) fn start_over(&mut self, now: Tick) {
        self.slices.iter_mut().for_each(|slice| *slice = Slice::EMPTY);
        *self.sum = Slice::EMPTY;
        self.clock.start_over(now);
    }

    /// The figures of the whole window.
    pub(super) fn figures(&self) -> Figures {
        Figures { p99: p99(&self.sum.latencies), ..self.sum.figures }
    }

    /// Bytes of a window of so many slices, and its sum.
    pub(super) const fn memory(count: usize) -> usize {
        (count + 1) * size_of::<Slice>()
    }
}
