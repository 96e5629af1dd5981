//! What workers ask for every request: one atomic word, and a slot for each trial.
//!
//! The merger alone writes the word. Trials are slots rather than counters, since a slot can be held, given back, filled
//! or given up, each by one compare-and-exchange: there are never more trials than slots, an answer that comes after its
//! lease ran out meets a slot that is no longer its own, and a filled slot holds all that is judged.
//!
//! ```text
//! slot:  free --lease--> leased --report--> filled          (counts)
//!          ^                | \--give_up--> filled          (counts as slow)
//!          \----report------/                               (said nothing: cancelled early, not counted)
//! ```

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::machine::State;
use super::plan::Plan;
use crate::resilience::outcome::Outcome;
use crate::resilience::tick::{Tick, nanos_of};
use crate::resilience::{MERGE_EVERY, window::Limits};

/// Whether a request may go to the lane.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It may.
    Pass,
    /// It may, as a trial; its end has to be reported with the lease.
    Trial(Lease),
    /// It may not.
    Refuse {
        /// When it is worth asking again, at the earliest.
        retry_after: Duration,
    },
}

/// The right to one trial. Dropped without a report, it holds its slot until it runs out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Lease {
    slot: usize,
    held: u64,
}

/// The state in the top two bits, the end of the open time in nanoseconds below.
#[derive(Debug)]
pub(super) struct Gate {
    word: AtomicU64,
    /// None until it is half-open for the first time: of many routes hardly any ever is.
    slots: OnceLock<Box<[AtomicU64]>>,
    trials: u32,
    serial: AtomicU64,
    lease: Duration,
    limits: Limits,
}

/// A trial that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) is_failure: bool,
    /// Cancelled or given up: neither a success nor a failure, and its latency is a lower bound.
    pub(super) is_cut: bool,
    pub(super) latency: Duration,
}

// Slots: two bits of tag, then for a leased one 14 bits of serial number and its end, for a filled one two flags and its
// latency, both in microseconds (48 bits, nine years).
const TAG: u64 = 0b11 << 62;
const FREE: u64 = 0;
const LEASED: u64 = 0b01 << 62;
const FILLED: u64 = 0b10 << 62;
const SERIAL: u64 = 0x3fff;
const SERIAL_AT: u32 = 48;
const IS_FAILURE: u64 = 1 << 61;
const IS_CUT: u64 = 1 << 60;
const MICROS: u64 = (1 << 48) - 1;

// The word.
const CLOSED: u64 = 0;
const HALF_OPEN: u64 = 0b01 << 62;
const OPEN: u64 = 0b10 << 62;

impl Gate {
    pub(super) fn new(plan: &Plan) -> Self {
        Gate {
            word: AtomicU64::new(CLOSED),
            slots: OnceLock::new(),
            trials: plan.timing().trials,
            serial: AtomicU64::new(0),
            lease: plan.lease(),
            limits: plan.limits(),
        }
    }

    /// Whether a request may go to the lane now.
    #[inline]
    pub(super) fn admit(&self, now: Tick) -> Admission {
        let word = self.word.load(Acquire);
        match word & TAG {
            CLOSED => Admission::Pass,
            HALF_OPEN => self.lease(now).map_or(Admission::Refuse { retry_after: MERGE_EVERY }, Admission::Trial),
            _ => Admission::Refuse { retry_after: Tick::from_nanos(word & !TAG).since(now).max(MERGE_EVERY) },
        }
    }

    pub(super) fn state(&self) -> State {
        match self.word.load(Acquire) & TAG {
            CLOSED => State::Closed,
            HALF_OPEN => State::HalfOpen,
            _ => State::Open,
        }
    }

    fn lease(&self, now: Tick) -> Option<Lease> {
        let serial = self.serial.fetch_add(1, Relaxed) & SERIAL;
        let held = LEASED | serial << SERIAL_AT | micros(nanos_of(self.lease).saturating_add(now.nanos()));
        let free = |slot: &AtomicU64| {
            slot.load(Relaxed) == FREE && slot.compare_exchange(FREE, held, Release, Relaxed).is_ok()
        };
        self.slots().iter().position(free).map(|slot| Lease { slot, held })
    }

    /// A trial ended. One whose lease ran out meanwhile is not heard.
    pub(super) fn report(&self, lease: Lease, outcome: Outcome, latency: Duration) {
        let nanos = nanos_of(latency);
        let filled = match outcome {
            Outcome::NotCounted => FREE,
            Outcome::Cancelled if nanos <= self.limits.telling_nanos => FREE,
            Outcome::Cancelled => FILLED | IS_CUT | micros(nanos),
            Outcome::Success => FILLED | micros(nanos),
            Outcome::Failure | Outcome::CallerDeadline => FILLED | IS_FAILURE | micros(nanos),
        };
        // The lease is of this gate unless the caller mixed up two; then there may be no such slot.
        if let Some(slot) = self.slots().get(lease.slot) {
            let _ = slot.compare_exchange(lease.held, filled, Release, Relaxed);
        }
    }

    fn slots(&self) -> &[AtomicU64] {
        self.slots.get().map(|slots| &**slots).unwrap_or_default()
    }

    // For the merger alone.

    pub(super) fn close(&self) {
        self.word.store(CLOSED, Release);
    }

    pub(super) fn open(&self, until: Tick) {
        self.word.store(OPEN | until.nanos().min(!TAG), Release);
    }

    /// Lets trials through, with every slot free.
    pub(super) fn half_open(&self) {
        let fresh = || (0..self.trials).map(|_| AtomicU64::new(FREE)).collect();
        self.slots.get_or_init(fresh).iter().for_each(|slot| slot.store(FREE, Relaxed));
        self.word.store(HALF_OPEN, Release);
    }

    /// Fills the slots whose lease ran out. Where the clock went backwards, a lease that would last longer than two is
    /// taken back.
    pub(super) fn give_up(&self, now: Tick) {
        let twice = micros(nanos_of(self.lease.saturating_mul(2)).saturating_add(now.nanos()));
        for slot in self.slots() {
            let held = slot.load(Relaxed);
            if held & TAG != LEASED {
                continue;
            }
            let given_up = match held & MICROS {
                end if end <= now.nanos() / 1000 => FILLED | IS_CUT | micros(nanos_of(self.lease)),
                end if end > twice => FREE,
                _ => continue,
            };
            let _ = slot.compare_exchange(held, given_up, Relaxed, Relaxed);
        }
    }

    /// The trials that count so far.
    pub(super) fn trials(&self) -> impl Iterator<Item = Trial> {
        self.slots().iter().map(|slot| slot.load(Acquire)).filter(|slot| slot & TAG == FILLED).map(|slot| Trial {
            is_failure: slot & IS_FAILURE != 0,
            is_cut: slot & IS_CUT != 0,
            latency: Duration::from_micros(slot & MICROS),
        })
    }
}

/// Rounded up, so that what is over a limit stays over it.
fn micros(nanos: u64) -> u64 {
    nanos.div_ceil(1000).min(MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::tests::{TIMING, at, plan};

    fn half_open() -> Gate {
        let gate = Gate::new(&plan());
        gate.half_open();
        gate
    }

    fn lease(gate: &Gate, now: u64) -> Option<Lease> {
        match gate.admit(at(now)) {
            Admission::Trial(lease) => Some(lease),
            Admission::Refuse { .. } => None,
            Admission::Pass => panic!("it is half-open"),
        }
    }

    #[test]
    fn closed_passes_and_open_says_for_how_long() {
        let gate = Gate::new(&plan());
        assert_eq!((gate.admit(at(0)), gate.state()), (Admission::Pass, State::Closed));
        gate.open(at(5000));
        assert_eq!(gate.admit(at(1000)), Admission::Refuse { retry_after: Duration::from_secs(4) });
        assert_eq!(gate.admit(at(6000)), Admission::Refuse { retry_after: MERGE_EVERY });
        assert_eq!(gate.state(), State::Open);
    }

    #[test]
    fn there_are_as_many_trials_as_slots() {
        let gate = half_open();
        let leases: Vec<_> = (0..50).filter_map(|now| lease(&gate, now)).collect();
        assert_eq!(leases.len(), TIMING.trials as usize);
        for lease in leases {
            gate.report(lease, Outcome::Success, Duration::from_millis(5));
        }
        assert_eq!(lease(&gate, 60), None, "trials that are done are not made again");
        assert_eq!(gate.trials().count(), TIMING.trials as usize);
    }

    #[test]
    fn slots_come_with_the_first_trials() {
        let gate = Gate::new(&plan());
        gate.give_up(at(0));
        assert_eq!((gate.slots.get().is_none(), gate.trials().count()), (true, 0));
        gate.half_open();
        assert_eq!(gate.slots().len(), TIMING.trials as usize);
    }

    #[test]
    fn a_trial_that_says_nothing_gives_its_slot_back() {
        let gate = half_open();
        for now in 0..100 {
            let lease = lease(&gate, now).expect("a free slot");
            let outcome = if now % 2 == 0 { Outcome::NotCounted } else { Outcome::Cancelled };
            gate.report(lease, outcome, Duration::from_millis(800));
        }
        assert_eq!(gate.trials().count(), 0);
    }

    #[test]
    fn a_lost_trial_is_given_up_and_not_heard_afterwards() {
        let gate = half_open();
        let lost = lease(&gate, 0).expect("a free slot");
        gate.give_up(at(29_999));
        assert_eq!(gate.trials().count(), 0);
        gate.give_up(at(30_000));
        let given_up = Trial { is_failure: false, is_cut: true, latency: Duration::from_secs(30) };
        assert_eq!(gate.trials().collect::<Vec<_>>(), [given_up]);
        gate.report(lost, Outcome::Failure, Duration::from_secs(31));
        assert_eq!(gate.trials().collect::<Vec<_>>(), [given_up]);
    }

    #[test]
    fn a_report_of_an_earlier_half_open_is_not_heard() {
        let gate = half_open();
        let old = lease(&gate, 0).expect("a free slot");
        gate.half_open();
        let new = lease(&gate, 0).expect("a free slot");
        gate.report(old, Outcome::Failure, Duration::ZERO);
        assert_eq!(gate.trials().count(), 0);
        gate.report(new, Outcome::Success, Duration::ZERO);
        assert_eq!(gate.trials().count(), 1);
    }

    #[test]
    fn a_lease_of_a_clock_that_went_backwards_is_taken_back() {
        let gate = half_open();
        let lease = lease(&gate, 5_000_000).expect("a free slot");
        gate.give_up(at(10));
        gate.report(lease, Outcome::Failure, Duration::ZERO);
        assert_eq!(gate.trials().count(), 0);
    }

    #[test]
    fn a_latency_over_a_limit_stays_over_it() {
        let gate = half_open();
        let over = Duration::from_millis(1200) + Duration::from_nanos(1);
        gate.report(lease(&gate, 0).expect("a free slot"), Outcome::Success, over);
        assert!(gate.trials().all(|trial| trial.latency > Duration::from_millis(1200)));
    }

    #[test]
    fn threads_never_share_a_slot() {
        let gate = half_open();
        let leased = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if lease(&gate, 0).is_some() {
                            leased.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(leased.into_inner(), TIMING.trials as usize);
    }
}
