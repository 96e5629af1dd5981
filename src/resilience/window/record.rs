//! What workers write: a few nanoseconds per call, no lock, nothing shared, nothing allocated after the first of a power of two.
//!
//! A shard comes with the first call, and a lane without calls sleeps: the merger does not look at it until its bell rings.
//! Whether to ring is read from the counter of calls itself, by one atomic instruction of the worker against one of the
//! merger, so that no call falls between the merger's last look and its sleep.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::figures::Figures;
use super::latency::{GROUPS, Group, PER_GROUP, bucket_of};
use crate::resilience::bell::Bell;
use crate::resilience::outcome::Outcome;
use crate::resilience::tick::Tick;

/// The longest latency that a sum takes in, so that one absurd call cannot overflow it: an hour.
const LONGEST_NANOS: u64 = 3_600_000_000_000;

/// Stands in a counter of calls while nobody looks at it; the next call takes it out and rings.
const ASLEEP: u64 = 1 << 63;

/// The limits that a worker compares a latency with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::resilience) struct Limits {
    /// A call that took longer is slow.
    pub(in crate::resilience) slow_nanos: u64,
    /// A cancelled call that took longer tells something about latency.
    pub(in crate::resilience) telling_nanos: u64,
}

/// Counters of calls that only grow, one shard for each worker.
///
/// One thread alone writes to a shard, so that adding is a load and a store. Were two threads to share one, counts
/// would be lost, nothing worse.
#[derive(Debug)]
pub(in crate::resilience) struct Recorder {
    limits: Limits,
    /// Calls that began before do not count: they belong to what the window was emptied of.
    since: AtomicU64,
    bell: Bell,
    /// One a worker, from its first call on.
    shards: Box<[OnceLock<Box<Shard>>]>,
}

/// Two cache lines apart from the next, since processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    /// Calls of any kind, and [`ASLEEP`]; written last, so whoever sees it sees all that belongs to them.
    records: AtomicU64,
    finished: AtomicU64,
    failures: AtomicU64,
    cancelled: AtomicU64,
    timed: AtomicU64,
    slow: AtomicU64,
    sum_nanos: AtomicU64,
    /// Calls by group of buckets, so that the merger looks only where something happened.
    groups: [AtomicU32; GROUPS],
    /// The buckets of a group, from its first call on.
    buckets: [OnceLock<Box<[AtomicU32; PER_GROUP]>>; GROUPS],
}

/// What came in since the last look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Added {
    /// Calls and the sum of their latencies.
    Counts(Figures),
    /// A bucket and how many latencies fell into it.
    Latencies(usize, u32),
}

/// What the merger has taken from a shard so far. 32 bits are enough for buckets: they wrap, and differences hold as long
/// as fewer than four thousand million calls come in between two merges.
#[derive(Debug)]
pub(super) struct Seen {
    records: u64,
    figures: Figures,
    groups: [u32; GROUPS],
    buckets: [Option<Box<Group>>; GROUPS],
}

impl Recorder {
    pub(in crate::resilience) fn new(workers: usize, limits: Limits, bell: Bell) -> Self {
        let shards = (0..workers).map(|_| OnceLock::new()).collect();
        Recorder { limits, since: AtomicU64::new(0), bell, shards }
    }

    /// Adds a call that began and ended then. A clock that went backwards makes it a call of no time.
    ///
    /// # Panics
    ///
    /// Where there is no such worker.
    #[inline]
    pub(in crate::resilience) fn record(&self, worker: usize, outcome: Outcome, began: Tick, ended: Tick) {
        if outcome == Outcome::NotCounted {
            return;
        }
        if began.nanos() < self.since.load(Relaxed) {
            // Where the clock went backwards, the merger has to come and see to it.
            self.bell.ring();
            return;
        }
        let nanos = ended.nanos().saturating_sub(began.nanos()).min(LONGEST_NANOS);
        let shard = self.shards[worker].get_or_init(|| Box::new(Shard::new()));
        if shard.add(outcome, nanos, self.limits) {
            self.bell.ring();
        }
    }

    /// The bell that rings when a sleep ends.
    pub(in crate::resilience) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Whether nothing came since `seen`; if so, the next call of this worker rings.
    pub(super) fn sleeps(&self, worker: usize, seen: Option<&Seen>) -> bool {
        // A shard that is not there yet is made asleep.
        let Some(shard) = self.shards[worker].get() else { return true };
        let seen = seen.map_or(0, |seen| seen.records);
        let asleep = seen | ASLEEP;
        match shard.records.compare_exchange(seen, asleep, AcqRel, Acquire) {
            Ok(_) => true,
            Err(records) => records == asleep,
        }
    }

    /// From now on, calls that began before `now` do not count.
    pub(super) fn start_over(&self, now: Tick) {
        self.since.store(now.nanos(), Relaxed);
    }

    /// Where the clock went backwards, calls of the new time would be taken for old ones.
    pub(super) fn bound_since(&self, now: Tick) {
        if self.since.load(Relaxed) > now.nanos() {
            self.start_over(now);
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.shards.len()
    }

    /// Hands over what was added since `seen`; answers whether anything was.
    ///
    /// A call that is being written meanwhile may be seen in part, at most one per worker; the rest of it comes with the
    /// next look.
    pub(super) fn take(&self, worker: usize, seen: &mut Option<Box<Seen>>, mut add: impl FnMut(Added)) -> bool {
        let Some(shard) = self.shards[worker].get() else { return false };
        let records = shard.records.load(Acquire) & !ASLEEP;
        if records == seen.as_ref().map_or(0, |seen| seen.records) {
            return false;
        }
        let seen = seen.get_or_insert_with(|| Box::new(Seen::nothing()));
        seen.records = records;
        let figures = shard.figures();
        let mut added = figures;
        added.subtract(&seen.figures);
        seen.figures = figures;
        add(Added::Counts(added));
        for group in 0..GROUPS {
            let count = shard.groups[group].load(Acquire);
            if count == seen.groups[group] {
                continue;
            }
            seen.groups[group] = count;
            // It is there: its calls were counted before those of the group.
            let Some(buckets) = shard.buckets[group].get() else { continue };
            let seen = seen.buckets[group].get_or_insert_with(|| Box::new([0; PER_GROUP]));
            for (at, (bucket, seen)) in buckets.iter().zip(seen.iter_mut()).enumerate() {
                let count = bucket.load(Relaxed);
                if count != *seen {
                    add(Added::Latencies(group * PER_GROUP + at, count.wrapping_sub(*seen)));
                    *seen = count;
                }
            }
        }
        true
    }

    /// Bytes at most of the shards of so many workers, and of what was seen of them.
    pub(super) const fn memory(workers: usize) -> usize {
        workers * (size_of::<Shard>() + size_of::<Seen>() + 2 * GROUPS * size_of::<Group>())
    }
}

impl Shard {
    fn new() -> Self {
        Shard {
            records: AtomicU64::new(ASLEEP),
            finished: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            timed: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
            groups: [const { AtomicU32::new(0) }; GROUPS],
            buckets: [const { OnceLock::new() }; GROUPS],
        }
    }

    /// Answers whether the merger was asleep.
    #[inline]
    fn add(&self, outcome: Outcome, nanos: u64, limits: Limits) -> bool {
        let is_cancelled = outcome == Outcome::Cancelled;
        if is_cancelled {
            grow(&self.cancelled, 1);
        } else {
            grow(&self.finished, 1);
            if outcome.is_failure() {
                grow(&self.failures, 1);
            }
        }
        if !is_cancelled || nanos > limits.telling_nanos {
            grow(&self.timed, 1);
            grow(&self.sum_nanos, nanos);
            if nanos > limits.slow_nanos {
                grow(&self.slow, 1);
            }
            let bucket = bucket_of(nanos);
            let (group, at) = (bucket / PER_GROUP, bucket % PER_GROUP);
            let fresh = || Box::new([const { AtomicU32::new(0) }; PER_GROUP]);
            grow_32(&self.buckets[group].get_or_init(fresh)[at]);
            // After its bucket, or the merger could take the group for read.
            let group = &self.groups[group];
            group.store(group.load(Relaxed).wrapping_add(1), Release);
        }
        let was_asleep = self.records.fetch_add(1, AcqRel) & ASLEEP != 0;
        if was_asleep {
            self.records.fetch_and(!ASLEEP, Relaxed);
        }
        was_asleep
    }

    fn figures(&self) -> Figures {
        Figures {
            failures: self.failures.load(Relaxed),
            slow: self.slow.load(Relaxed),
            finished: self.finished.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            timed: self.timed.load(Relaxed),
            sum_nanos: self.sum_nanos.load(Relaxed),
            p99: None,
        }
    }
}

impl Seen {
    pub(super) fn nothing() -> Self {
        Seen { records: 0, figures: Figures::default(), groups: [0; GROUPS], buckets: [const { None }; GROUPS] }
    }
}

#[inline]
fn grow(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
}

#[inline]
fn grow_32(cell: &AtomicU32) {
    cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
}
