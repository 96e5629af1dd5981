//! A recent request of each histogram bucket, by its trace, so that a slow bucket leads to a slow trace.
//!
//! Every worker has a slot a bucket that it alone writes, and nobody waits: a version, odd while the slot is written, tells a
//! reader that it met a writer (a seqlock, Boehm, "Can seqlocks get along with programming language memory models?", 2012).
//! The slots come with the first request that has a trace.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, SystemTime};

use super::route::BOUNDS;

/// Buckets of the histogram, the one above every bound included.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How often a reader tries a slot that is being written.
const TRIES: usize = 4;

/// A trace of W3C Trace Context; shown as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// From 32 hex digits that are not all zero.
    pub fn parse(hex: &str) -> Option<Self> {
        let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(hex, 16).ok())??;
        (number != 0).then_some(Self(number))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One request of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exemplar {
    pub(super) trace: TraceId,
    /// How long it took.
    pub(super) took: Duration,
    /// When it was over, since the epoch, to the millisecond.
    pub(super) at: Duration,
}

/// What one worker remembers of one bucket.
#[derive(Default)]
struct Slot {
    /// 0 while nothing was written, odd while something is.
    version: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    nanos: AtomicU64,
    at_millis: AtomicU64,
}

impl Slot {
    /// For the one thread that owns the slot.
    fn write(&self, trace: TraceId, nanos: u64, at_millis: u64) {
        use Ordering::{Relaxed, Release};
        let version = self.version.load(Relaxed);
        self.version.store(version.wrapping_add(1), Relaxed);
        fence(Release);
        self.trace_high.store((trace.0 >> 64) as u64, Relaxed);
        self.trace_low.store(trace.0 as u64, Relaxed);
        self.nanos.store(nanos, Relaxed);
        self.at_millis.store(at_millis, Relaxed);
        self.version.store(version.wrapping_add(2), Release);
    }

    /// What stands there; nothing where nothing was written, or where it is written all the time.
    fn read(&self) -> Option<Exemplar> {
        use Ordering::{Acquire, Relaxed};
        for _ in 0..TRIES {
            let before = self.version.load(Acquire);
            if before == 0 {
                return None;
            }
            let (high, low) = (self.trace_high.load(Relaxed), self.trace_low.load(Relaxed));
            let (nanos, at_millis) = (self.nanos.load(Relaxed), self.at_millis.load(Relaxed));
            fence(Acquire);
            if before.is_multiple_of(2) && self.version.load(Relaxed) == before {
                let trace = TraceId(u128::from(high) << 64 | u128::from(low));
                return Some(Exemplar {
                    trace,
                    took: Duration::from_nanos(nanos),
                    at: Duration::from_millis(at_millis),
                });
            }
        }
        None
    }
}

/// The slots of one worker, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Shard([Slot; BUCKETS]);

/// The exemplars of one lane.
pub(super) struct Exemplars {
    workers: usize,
    shards: OnceLock<Box<[Shard]>>,
}

impl Exemplars {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, shards: OnceLock::new() }
    }

    /// Remembers a request; one that no worker served is not remembered.
    pub(super) fn note(&self, worker: usize, bucket: usize, trace: TraceId, nanos: u64) {
        if worker >= self.workers || bucket >= BUCKETS {
            return;
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let shards = self.shards.get_or_init(|| (0..self.workers).map(|_| Shard::default()).collect());
        shards[worker].0[bucket].write(trace, nanos, at_millis);
    }

    /// The latest of each bucket over all workers; empty where no request had a trace.
    pub(super) fn latest(&self) -> Vec<Option<Exemplar>> {
        let Some(shards) = self.shards.get() else { return Vec::new() };
        let latest = |bucket: usize| {
            let of_workers = shards.iter().filter_map(|shard| shard.0[bucket].read());
            of_workers.max_by_key(|exemplar| exemplar.at)
        };
        (0..BUCKETS).map(latest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn only_traces_are_taken_for_traces() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(TraceId::parse(id).unwrap().to_string(), id);
        assert_eq!(TraceId::parse("0000000000000000000000000000000f").unwrap().0, 15);
        for wrong in ["", "4bf9", &"0".repeat(32), &"g".repeat(32), &"a".repeat(33), &format!("+{}", "1".repeat(31))] {
            assert_eq!(TraceId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_latest_of_all_workers_is_given_and_nothing_costs_nothing() {
        let exemplars = Exemplars::new(2);
        assert!(exemplars.latest().is_empty());
        exemplars.note(2, 0, TraceId(1), 1);
        exemplars.note(usize::MAX, 0, TraceId(1), 1);
        assert!(exemplars.shards.get().is_none(), "nobody but a worker makes slots");
        exemplars.note(0, 3, TraceId(7), 70);
        exemplars.note(1, 3, TraceId(8), 80);
        exemplars.note(1, 15, TraceId(u128::MAX), u64::MAX);
        let latest = exemplars.latest();
        assert_eq!(latest.iter().filter(|slot| slot.is_some()).count(), 2);
        assert!(matches!(latest[3], Some(Exemplar { trace: TraceId(7 | 8), .. })), "{latest:?}");
        assert_eq!(latest[15].unwrap().trace, TraceId(u128::MAX));
        // Written again, each slot holds what came last.
        exemplars.shards.get().unwrap()[0].0[3].write(TraceId(9), 90, u64::MAX);
        let third = exemplars.latest()[3].unwrap();
        assert_eq!((third.trace, third.took), (TraceId(9), Duration::from_nanos(90)));
    }

    #[test]
    fn a_reader_never_sees_half_of_two_requests() {
        let (slot, ended) = (Slot::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..200_000_u64 {
                    slot.write(TraceId(u128::from(number) << 64 | u128::from(number)), number, number);
                }
                ended.store(true, Ordering::Release);
            });
            let mut seen = 0;
            while !ended.load(Ordering::Acquire) || seen == 0 {
                let Some(Exemplar { trace, took, at }) = slot.read() else { continue };
                seen += 1;
                let (high, low) = ((trace.0 >> 64) as u64, trace.0 as u64);
                assert_eq!((u128::from(high), took.as_nanos()), (at.as_millis(), u128::from(low)));
                assert_eq!(high, low);
            }
        });
    }
}
