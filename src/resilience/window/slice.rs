//! A sliding window: a ring of slices and their sum.

use std::time::Duration;

use super::figures::Figures;
use super::latency::{Histogram, p99};
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
    const EMPTY: Slice = Slice { figures: Figures::NONE, latencies: Histogram::EMPTY };

    fn add(&mut self, added: Added) {
        match added {
            Added::Counts(figures) => self.figures.add(&figures),
            Added::Latencies(bucket, count) => self.latencies.add(bucket, count),
        }
    }

    fn subtract(&mut self, old: &Slice) {
        self.figures.subtract(&old.figures);
        self.latencies.subtract(&old.latencies);
    }
}

/// The slices of a window with their sum, which is kept up to date so that nobody has to add them up.
///
/// Sums wrap, as do slices, so that taking out what was added is always exact. No bucket gets near 2^32 within the
/// longest window a plan may have, an hour.
#[derive(Debug)]
pub(super) struct Sliding {
    clock: SliceClock,
    /// None while the window is empty.
    ring: Option<Box<Ring>>,
}

/// What a window holds that is not empty.
#[derive(Debug)]
struct Ring {
    /// Only those that something came into.
    slices: Box<[Option<Box<Slice>>]>,
    held: usize,
    sum: Slice,
}

impl Ring {
    fn new(count: usize) -> Self {
        Ring { slices: (0..count).map(|_| None).collect(), held: 0, sum: Slice::EMPTY }
    }

    fn slice(&mut self, at: usize) -> &mut Slice {
        let held = &mut self.held;
        self.slices[at].get_or_insert_with(|| {
            *held += 1;
            Box::new(Slice::EMPTY)
        })
    }
}

impl Sliding {
    pub(super) fn new(now: Tick, span: Duration, count: u32) -> Self {
        Sliding { clock: SliceClock::new(now, span, count), ring: None }
    }

    /// Takes out what is too old; answers whether there was anything.
    pub(super) fn advance(&mut self, now: Tick) -> bool {
        let (ring, mut is_changed) = (&mut self.ring, false);
        self.clock.advance(now, |old| {
            let Some(ring) = ring else { return };
            if let Some(old) = ring.slices[old].take() {
                is_changed = true;
                ring.held -= 1;
                ring.sum.subtract(&old);
            }
        });
        self.ring.take_if(|ring| ring.held == 0);
        is_changed
    }

    /// Adds to the newest slice.
    pub(super) fn add(&mut self, added: Added) {
        let Self { clock, ring } = self;
        let ring = ring.get_or_insert_with(|| Box::new(Ring::new(clock.count())));
        ring.slice(clock.newest()).add(added);
        ring.sum.add(added);
    }

    /// Forgets everything.
    pub(super) fn start_over(&mut self, now: Tick) {
        self.ring = None;
        self.clock.start_over(now);
    }

    /// When something may leave the window next; none where there is nothing in it.
    pub(super) fn next_turn(&self) -> Option<Tick> {
        self.ring.as_ref().map(|_| self.clock.next_turn())
    }

    /// The figures of the whole window.
    pub(super) fn figures(&self) -> Figures {
        self.ring.as_ref().map_or(Figures::NONE, |ring| Figures { p99: p99(&ring.sum.latencies), ..ring.sum.figures })
    }

    /// Bytes at most of a window of so many slices, and its sum.
    pub(super) const fn memory(count: u32) -> usize {
        (count as usize + 1) * (size_of::<Figures>() + Histogram::memory())
    }
}
