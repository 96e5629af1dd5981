//! As many requests at a time as the upstream bears: additive increase, multiplicative decrease.
//!
//! AIMD (Chiu and Jain 1989, "Analysis of the increase and decrease algorithms for congestion avoidance"; RFC 5681), with two
//! signs of overload: an answer that says so (time-out, connect failure, 429, 503, RESOURCE_EXHAUSTED), and a median latency that
//! shows a queue ([`Queueing`]), because an upstream may slow down for long before it fails.
//!
//! Rejected: a gradient that sets the limit in proportion to the latency of an unloaded upstream (Netflix's `Gradient2Limit`,
//! Envoy's adaptive concurrency). A route of a commodity service has no such figure: a cache hit takes 1 ms and a miss 200, so
//! the mix of requests would set the limit. AIMD asks only for a yes or no, which the median answers whatever the tail does,
//! and is fair between sidecars that share an upstream.
//!
//! What is taken over from both: the lowest latency is learned, and it has to be learned anew now and then, since a sidecar that
//! started amid a queue has never seen anything else. So while the limit refuses requests anyway, it is halved every few seconds
//! until fifty calls are through. A limit that refuses nobody is never halved.
//!
//! What it costs: where nothing answers at all, the sign comes only with the time-out; until then `most` is the bound.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use super::concurrency::enter;
use super::queueing::Queueing;
use crate::resilience::outcome::Load;
use crate::resilience::tick::Tick;

/// How an adaptive limit moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptivePlan {
    /// The limit never falls below this; at least 1, or nothing could ever show that the load is gone.
    pub least: u32,
    /// The limit never rises above this.
    pub most: u32,
    /// The limit at the start.
    pub initial: u32,
    /// What the limit is multiplied by at a sign of overload, in permille: 1 to 999; 900 is common.
    pub decrease: u16,
    /// A call that took longer is a sign of overload; none where only answers are.
    pub latency: Option<Duration>,
    /// Whether a median latency that rises over what was learned is a sign too.
    pub learns_latency: bool,
}

/// How often a limit that refuses requests is halved for a moment.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Settings that make no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdaptiveError {
    /// Bounds out of order.
    #[error("an adaptive limit needs 1 <= least <= initial <= most <= {most}", most = AdaptiveLimit::MOST)]
    Bounds,
    /// A factor that does not decrease.
    #[error("`decrease` of {given} permille has to be between 1 and 999")]
    Decrease {
        /// What was given.
        given: u16,
    },
}

/// A limit of requests at a time that follows what the upstream bears.
#[derive(Debug)]
pub struct AdaptiveLimit {
    plan: AdaptivePlan,
    in_flight: AtomicU32,
    /// The limit in thousandths.
    limit: AtomicU64,
    /// When it was last decreased, in nanoseconds.
    decreased: AtomicU64,
    queueing: Option<Queueing>,
    /// Somebody found no room since the last window.
    refused: AtomicBool,
    /// The limit to go back to once the probe under way is over, in thousandths; 0 without one.
    held: AtomicU64,
    /// When the last probe began, in nanoseconds.
    probed: AtomicU64,
}

/// Room for one request, given back when dropped; [`AdaptivePermit::done`] tells how it went.
#[derive(Debug)]
#[must_use]
pub struct AdaptivePermit {
    limit: Arc<AdaptiveLimit>,
    began: Tick,
}

impl AdaptiveLimit {
    /// The highest limit there is.
    pub const MOST: u32 = 1_000_000;

    /// Starts at the plan's initial limit.
    ///
    /// # Errors
    ///
    /// Where the plan's numbers are out of order.
    pub fn new(plan: AdaptivePlan) -> Result<Arc<Self>, AdaptiveError> {
        let AdaptivePlan { least, most, initial, decrease, .. } = plan;
        if !(1 <= least && least <= initial && initial <= most && most <= Self::MOST) {
            return Err(AdaptiveError::Bounds);
        }
        if !(1..1000).contains(&decrease) {
            return Err(AdaptiveError::Decrease { given: decrease });
        }
        let limit = AtomicU64::new(u64::from(initial) * 1000);
        Ok(Arc::new(AdaptiveLimit {
            plan,
            in_flight: AtomicU32::new(0),
            limit,
            decreased: AtomicU64::new(0),
            queueing: plan.learns_latency.then(Queueing::new),
            refused: AtomicBool::new(false),
            held: AtomicU64::new(0),
            probed: AtomicU64::new(0),
        }))
    }

    /// Takes room for one request, if there is any.
    pub fn enter(self: &Arc<Self>, now: Tick) -> Option<AdaptivePermit> {
        if enter(&self.in_flight, self.limit()) {
            return Some(AdaptivePermit { limit: self.clone(), began: now });
        }
        if self.queueing.is_some() && !self.refused.load(Relaxed) {
            self.refused.store(true, Relaxed);
        }
        None
    }

    /// The limit now.
    pub fn limit(&self) -> u32 {
        (self.limit.load(Relaxed) / 1000) as u32
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// A call went well; where latency is learned, it may have shown a queue all the same.
    fn went_well(&self, began: Tick, took: Duration, now: Tick) {
        let Some(queueing) = &self.queueing else { return self.increase() };
        if queueing.note(began, took, now) {
            self.window_closed(queueing, now);
        } else if !queueing.is_queueing() && self.held.load(Relaxed) == 0 {
            self.increase();
        }
    }

    /// Once for each window, by one caller: ends a probe, or answers a queue, or begins a probe.
    fn window_closed(&self, queueing: &Queueing, now: Tick) {
        let refused = self.refused.swap(false, Relaxed);
        match self.held.swap(0, Relaxed) {
            0 => {}
            held => {
                self.limit.store(held, Relaxed);
                queueing.changed(now);
                return;
            }
        }
        if queueing.is_queueing() {
            self.shrink();
            queueing.changed(now);
        } else if refused && self.is_probe_due(now) {
            let least = u64::from(self.plan.least) * 1000;
            let limit = self.limit.load(Relaxed);
            self.held.store(limit, Relaxed);
            self.limit.store((limit / 2).max(least), Relaxed);
            queueing.changed(now);
        }
    }

    fn is_probe_due(&self, now: Tick) -> bool {
        let last = self.probed.load(Relaxed);
        let is_recent = last <= now.nanos() && now.since(Tick::from_nanos(last)) < PROBE_EVERY;
        if !is_recent {
            self.probed.store(now.nanos(), Relaxed);
        }
        !is_recent
    }

    /// A step down from what is in use: a limit far above that would take long to be felt.
    fn shrink(&self) {
        let least = u64::from(self.plan.least) * 1000;
        let used = u64::from(self.in_flight()).max(1) * 2000;
        self.change(|limit| (limit.min(used) * u64::from(self.plan.decrease) / 1000).max(least));
    }

    /// One more per round of calls. A limit that is not used says nothing about what the upstream bears, so it grows only
    /// where at least half of it is in use (RFC 7661 has the same for TCP).
    fn increase(&self) {
        if u64::from(self.in_flight()) * 2000 < self.limit.load(Relaxed) {
            return;
        }
        let most = u64::from(self.plan.most) * 1000;
        self.change(|limit| (limit + (1_000_000 / limit).max(1)).min(most));
    }

    /// Once for all calls that were under way together: those that began before the last decrease speak of the load that
    /// it answered (RFC 5681 reduces once per window of data, for the same reason).
    fn decrease(&self, began: Tick, now: Tick) {
        let last = self.decreased.load(Relaxed);
        // One that is still to come was made before the clock went backwards.
        let is_answered = began.nanos() < last && last <= now.nanos();
        if is_answered || self.decreased.compare_exchange(last, now.nanos(), Relaxed, Relaxed).is_err() {
            return;
        }
        let least = u64::from(self.plan.least) * 1000;
        self.change(|limit| (limit * u64::from(self.plan.decrease) / 1000).max(least));
    }

    fn change(&self, to: impl Fn(u64) -> u64) {
        // The closure always gives a value, so there is no failure to tell.
        let _ = self.limit.fetch_update(Relaxed, Relaxed, |limit| Some(to(limit)));
    }
}

impl AdaptivePermit {
    /// The call has ended; `took` is what of its time was the upstream's. Dropped without this, it only gives its room back.
    pub fn done(self, load: Load, took: Duration, now: Tick) {
        let is_late = self.limit.plan.latency.is_some_and(|most| took > most);
        match load {
            _ if is_late => self.limit.decrease(self.began, now),
            Load::TooMuch => self.limit.decrease(self.began, now),
            Load::Fine => self.limit.went_well(self.began, took, now),
            Load::Unknown => {}
        }
    }
}

impl Drop for AdaptivePermit {
    fn drop(&mut self) {
        self.limit.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAN: AdaptivePlan = AdaptivePlan {
        least: 2,
        most: 100,
        initial: 20,
        decrease: 900,
        latency: Some(Duration::from_millis(1200)),
        learns_latency: false,
    };

    fn at(millis: u64) -> Tick {
        Tick::after_start(Duration::from_millis(millis))
    }

    /// As many calls as there is room for, all ending so at `ended`.
    fn round(limit: &Arc<AdaptiveLimit>, began: u64, ended: u64, load: Load) -> usize {
        let permits: Vec<_> = std::iter::from_fn(|| limit.enter(at(began))).collect();
        let count = permits.len();
        let took = at(ended).since(at(began));
        permits.into_iter().for_each(|permit| permit.done(load, took, at(ended)));
        count
    }

    #[test]
    fn a_full_round_adds_about_one_half_and_no_more_than_one() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        // All end one after another, so that from the middle on the limit is not in use any more.
        assert_eq!(round(&limit, 10, 20, Load::Fine), 20);
        assert_eq!(limit.limit.load(Relaxed), 20_490);
        (0..2).for_each(|_| _ = round(&limit, 30, 40, Load::Fine));
        assert_eq!(limit.limit(), 21);
    }

    #[test]
    fn calls_that_were_under_way_together_decrease_once() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        round(&limit, 10, 20, Load::TooMuch);
        assert_eq!(limit.limit(), 18);
        round(&limit, 20, 30, Load::TooMuch);
        assert_eq!(limit.limit(), 16);
        round(&limit, 40, 2000, Load::Fine);
        assert_eq!(limit.limit(), 14, "too late is too much, whatever was answered");
    }

    #[test]
    fn a_call_whose_client_took_its_time_is_not_late() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        let permit = limit.enter(at(10)).expect("room");
        permit.done(Load::Fine, Duration::from_millis(5), at(60_000));
        assert_eq!(limit.limit(), 20);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        (0..100).for_each(|step| _ = round(&limit, 10 * step, 10 * step + 5, Load::TooMuch));
        assert_eq!((limit.limit(), limit.in_flight()), (2, 0));
        (100..20_000).for_each(|step| _ = round(&limit, 10 * step, 10 * step + 5, Load::Fine));
        assert_eq!((limit.limit(), limit.in_flight()), (100, 0));
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        let took = Duration::from_millis(1);
        (0..1000).for_each(|now| limit.enter(at(now)).expect("room").done(Load::Fine, took, at(now + 1)));
        assert_eq!(limit.limit(), 20);
    }

    #[test]
    fn a_call_that_says_nothing_only_gives_its_room_back() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        round(&limit, 10, 20, Load::Unknown);
        drop(limit.enter(at(20)));
        assert_eq!((limit.limit(), limit.in_flight()), (20, 0));
    }

    #[test]
    fn a_clock_that_goes_backwards_does_not_deafen_it() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        round(&limit, 5_000_000, 5_000_010, Load::TooMuch);
        round(&limit, 10, 20, Load::TooMuch);
        assert_eq!(limit.limit(), 16);
    }

    #[test]
    fn settings_that_make_no_limit_are_refused() {
        let refused = |plan| AdaptiveLimit::new(plan).unwrap_err();
        for plan in [
            AdaptivePlan { least: 0, ..PLAN },
            AdaptivePlan { least: 21, ..PLAN },
            AdaptivePlan { most: 19, ..PLAN },
            AdaptivePlan { most: AdaptiveLimit::MOST + 1, ..PLAN },
        ] {
            assert_eq!(refused(plan), AdaptiveError::Bounds);
        }
        for given in [0, 1000] {
            assert_eq!(refused(AdaptivePlan { decrease: given, ..PLAN }), AdaptiveError::Decrease { given });
        }
    }

    #[test]
    fn it_settles_around_what_an_upstream_bears() {
        let limit = AdaptiveLimit::new(PLAN).unwrap();
        let mut seen = Vec::new();
        for step in 1..2000 {
            let permits: Vec<_> = std::iter::from_fn(|| limit.enter(at(step * 10))).collect();
            let load = if permits.len() > 40 { Load::TooMuch } else { Load::Fine };
            permits.into_iter().for_each(|permit| permit.done(load, Duration::from_millis(5), at(step * 10 + 5)));
            seen.push(limit.limit());
        }
        assert!(seen[1000..].iter().all(|limit| (35..=41).contains(limit)), "{:?}", &seen[1900..]);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_stays_within_bounds_and_loses_no_room(
            steps in proptest::collection::vec((0_u64..5000, 0_u64..5000, 0_u8..3), 1..200),
        ) {
            let limit = AdaptiveLimit::new(PLAN).unwrap();
            for (began, ended, load) in steps {
                let load = [Load::Fine, Load::TooMuch, Load::Unknown][load as usize];
                let room = limit.limit();
                prop_assert_eq!(round(&limit, began, ended, load), room as usize);
                prop_assert!((2..=100).contains(&limit.limit()));
                prop_assert_eq!(limit.in_flight(), 0);
            }
        }
    }
}
