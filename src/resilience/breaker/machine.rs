//! The state machine of one route's lane.
//!
//! ```text
//!                  trip (a figure of either window is bad)
//!      Closed ------------------------------------------------> Open <--.
//!        ^                                                       |      |
//!        |                                            try_again  |      |  fail_trials (a figure of the
//!        |                                  (open time is over)  |      |   trials is, or is sure to be, bad)
//!        |      pass_trials                                      v      |
//!        '---- (all trials are done, ------------------------ HalfOpen -'
//!               no figure is bad)
//! ```
//!
//! Held: (1) only [`Breaker::tick`] moves it, and the gate shows what it decided; (2) each opening in a row doubles the open
//! time up to `max_open`, and only a full window closed forgets them; (3) the window is emptied whenever it closes, so it
//! is never judged by what came before; (4) half-open ends after `trials` trials that count, and a lost one counts.

use std::sync::Arc;
use std::time::Duration;

use super::gate::{Gate, Trial};
use super::judge::{Scope, windows, worst};
use super::plan::Plan;
use crate::resilience::tick::{Tick, nanos_of};
use crate::resilience::window::{Figures, Merged, rank_of_p99};

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Requests pass.
    Closed,
    /// A few trials pass.
    HalfOpen,
    /// No request passes.
    Open,
}

/// What moves a breaker. The cause implies the new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many failures: open.
    ErrorRate,
    /// The 99th percentile is too high: open.
    P99,
    /// The mean is too high: open.
    Mean,
    /// Too many slow calls: open.
    SlowCalls,
    /// The trials went badly: open again.
    TrialsFailed,
    /// The open time is over: half-open.
    OpenTimeOver,
    /// The trials went well: closed.
    TrialsPassed,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub to: State,
    /// What moved it.
    pub cause: Cause,
    /// What was judged; none where only time passed.
    pub evidence: Option<Evidence>,
    /// How long it will stay open; none where it does not open.
    pub open_for: Option<Duration>,
}

/// The figures that a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What they are of.
    pub scope: Scope,
    /// The figure that was bad; none where none was.
    pub bad: Option<Cause>,
    /// All figures.
    pub figures: Figures,
}

/// Turned by the merger.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    /// Shared by all that are set alike: of many routes it would be most of what each one has.
    plan: Arc<Plan>,
    phase: Phase,
    /// Openings since the last full window closed.
    in_row: u32,
    draws: Draws,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { since: Tick },
    Open { until: Tick, length: Duration },
    HalfOpen,
}

impl Breaker {
    /// Closed. `seed` spreads the open times, so that many processes do not try again at once.
    pub(super) fn new(plan: impl Into<Arc<Plan>>, seed: u64, now: Tick) -> Self {
        Breaker { plan: plan.into(), phase: Phase::Closed { since: now }, in_row: 0, draws: Draws(seed) }
    }

    /// Judges, and moves at most one arrow.
    pub(super) fn tick(&mut self, now: Tick, merged: &Merged, gate: &Gate) -> Option<Transition> {
        match self.phase {
            Phase::Closed { since } => self.closed(now, since, merged, gate),
            Phase::Open { until, length } => self.open(now, until, length, gate),
            Phase::HalfOpen => self.half_open(now, gate),
        }
    }

    /// How long it stays open from `now`; none where it is not open.
    pub(super) fn open_left(&self, now: Tick) -> Option<Duration> {
        match self.phase {
            Phase::Open { until, .. } => Some(until.since(now)),
            Phase::Closed { .. } | Phase::HalfOpen => None,
        }
    }

    /// Whether time alone changes nothing: closed for so long that no opening counts any more.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. }) && self.in_row == 0
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn shared_plan(&self) -> Arc<Plan> {
        self.plan.clone()
    }

    /// The same state under another plan; half-open starts its trials anew.
    pub(super) fn renewed(&self, plan: Arc<Plan>, gate: &Gate) -> Self {
        match self.phase {
            Phase::Closed { .. } => gate.close(),
            Phase::Open { until, .. } => gate.open(until),
            Phase::HalfOpen => gate.half_open(),
        }
        Breaker { plan, ..self.clone() }
    }

    fn closed(&mut self, now: Tick, since: Tick, merged: &Merged, gate: &Gate) -> Option<Transition> {
        // A clock that went backwards makes the full window begin anew.
        let since = since.min(now);
        self.phase = Phase::Closed { since };
        if now.since(since) >= self.plan.timing().window {
            self.in_row = 0;
        }
        let (cause, scope, figures) = windows(&self.plan, merged)?;
        Some(self.trip(now, gate, cause, Evidence { scope, bad: Some(cause), figures }))
    }

    fn open(&mut self, now: Tick, until: Tick, length: Duration, gate: &Gate) -> Option<Transition> {
        if now >= until {
            return Some(self.try_again(gate));
        }
        if until.since(now) > length {
            // The clock went backwards.
            self.stay_open(now, length, gate);
        }
        None
    }

    fn half_open(&mut self, now: Tick, gate: &Gate) -> Option<Transition> {
        gate.give_up(now);
        let slow = self.plan.thresholds().slow_call;
        let mut trials: Vec<Trial> = gate.trials().collect();
        if trials.is_empty() {
            return None;
        }
        let wanted = self.plan.timing().trials as usize;
        let figures = figures_of(&mut trials, slow);
        // What is still out may turn out perfect; if the figures are bad even then, waiting only hurts.
        let missing = wanted.saturating_sub(trials.len());
        trials.extend(std::iter::repeat_n(PERFECT, missing));
        let at_best = figures_of(&mut trials, slow);
        let evidence = |bad| Evidence { scope: Scope::Trials, bad, figures };
        match worst(self.plan.thresholds(), &at_best, 1) {
            Some(bad) => Some(self.fail_trials(now, gate, evidence(Some(bad)))),
            None if missing == 0 => Some(self.pass_trials(now, gate, evidence(None))),
            None => None,
        }
    }

    fn trip(&mut self, now: Tick, gate: &Gate, cause: Cause, evidence: Evidence) -> Transition {
        self.open_again(now, gate, cause, evidence)
    }

    fn fail_trials(&mut self, now: Tick, gate: &Gate, evidence: Evidence) -> Transition {
        self.open_again(now, gate, Cause::TrialsFailed, evidence)
    }

    fn pass_trials(&mut self, now: Tick, gate: &Gate, evidence: Evidence) -> Transition {
        self.phase = Phase::Closed { since: now };
        gate.close();
        Transition { to: State::Closed, cause: Cause::TrialsPassed, evidence: Some(evidence), open_for: None }
    }

    fn try_again(&mut self, gate: &Gate) -> Transition {
        self.phase = Phase::HalfOpen;
        gate.half_open();
        Transition { to: State::HalfOpen, cause: Cause::OpenTimeOver, evidence: None, open_for: None }
    }

    fn open_again(&mut self, now: Tick, gate: &Gate, cause: Cause, evidence: Evidence) -> Transition {
        let length = self.next_length();
        self.in_row = self.in_row.saturating_add(1);
        self.stay_open(now, length, gate);
        Transition { to: State::Open, cause, evidence: Some(evidence), open_for: Some(length) }
    }

    fn stay_open(&mut self, now: Tick, length: Duration, gate: &Gate) {
        let until = now.plus(length);
        self.phase = Phase::Open { until, length };
        gate.open(until);
    }

    /// `open_for` doubled for each opening in a row, and up to a fifth more by chance; never over `max_open`, where
    /// chance takes up to a sixth away instead, or all processes would meet there.
    fn next_length(&mut self) -> Duration {
        let timing = self.plan.timing();
        let doubled = timing.open_for.saturating_mul(2_u32.saturating_pow(self.in_row)).min(timing.max_open);
        let most = (doubled * 6 / 5).min(timing.max_open);
        let least = doubled.min(timing.max_open * 5 / 6).max(timing.open_for);
        least + Duration::from_nanos(self.draws.below(nanos_of(most.saturating_sub(least))))
    }
}

const PERFECT: Trial = Trial { is_failure: false, is_cut: false, latency: Duration::ZERO };

/// The figures of trials, which are sorted by latency on the way; their percentile is exact.
fn figures_of(trials: &mut [Trial], slow: Duration) -> Figures {
    trials.sort_unstable_by_key(|trial| trial.latency);
    let count = |which: fn(&Trial) -> bool| trials.iter().filter(|trial| which(trial)).count() as u64;
    let timed = trials.len() as u64;
    let rank = rank_of_p99(timed) as usize;
    Figures {
        finished: count(|trial| !trial.is_cut),
        failures: count(|trial| trial.is_failure),
        cancelled: count(|trial| trial.is_cut),
        timed,
        slow: trials.iter().filter(|trial| trial.latency > slow).count() as u64,
        sum_nanos: trials.iter().map(|trial| nanos_of(trial.latency)).fold(0, u64::saturating_add),
        p99: rank.checked_sub(1).map(|at| trials[at].latency),
    }
}

/// Numbers that spread, from a seed (SplitMix64: Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
struct Draws(u64);

impl Draws {
    /// From 0 to `most`, both included.
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * (u128::from(most) + 1)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::breaker::gate::Admission;
    use crate::resilience::outcome::Outcome;
    use crate::resilience::tests::{TIMING, at, plan};

    const BAD: Figures =
        Figures { finished: 50, failures: 50, cancelled: 0, timed: 50, slow: 0, sum_nanos: 0, p99: None };

    fn tick(breaker: &mut Breaker, gate: &Gate, now: u64, figures: Figures) -> Option<Transition> {
        breaker.tick(at(now), &Merged { long: figures, short: figures }, gate)
    }

    fn opened(gate: &Gate) -> Breaker {
        let mut breaker = Breaker::new(plan(), 7, at(0));
        tick(&mut breaker, gate, 1, BAD).expect("it opens");
        breaker
    }

    #[test]
    fn a_hundred_thousand_openings_change_nothing_but_the_back_off() {
        let gate = Gate::new(&plan());
        let mut breaker = opened(&gate);
        let mut now = 1;
        for opening in 1..100_000_u64 {
            now += 400_000;
            assert_eq!(tick(&mut breaker, &gate, now, BAD).map(|it| it.to), Some(State::HalfOpen));
            let Admission::Trial(lease) = gate.admit(at(now)) else { panic!("half-open has a trial") };
            gate.report(lease, Outcome::Failure, Duration::ZERO);
            let transition = tick(&mut breaker, &gate, now, BAD).expect("one failure of ten is too much");
            let length = transition.open_for.expect("it opens");
            assert!(length <= TIMING.max_open && (opening < 6 || length >= TIMING.max_open * 5 / 6), "{length:?}");
        }
        assert_eq!(breaker.in_row, 100_000);
    }

    #[test]
    fn an_open_breaker_is_not_judged_and_half_open_only_by_its_trials() {
        let gate = Gate::new(&plan());
        let mut breaker = opened(&gate);
        assert_eq!(tick(&mut breaker, &gate, 100, BAD), None);
        tick(&mut breaker, &gate, 10_000, BAD).expect("the time is over");
        assert_eq!(tick(&mut breaker, &gate, 10_025, BAD), None);
    }

    #[test]
    fn a_clock_that_goes_backwards_keeps_it_open_no_longer_than_it_was_to_be() {
        let gate = Gate::new(&plan());
        let mut breaker = Breaker::new(plan(), 7, at(5_000_000));
        let length = tick(&mut breaker, &gate, 5_000_000, BAD).and_then(|it| it.open_for).expect("it opens");
        assert_eq!(tick(&mut breaker, &gate, 10, BAD), None);
        assert_eq!(gate.admit(at(10)), Admission::Refuse { retry_after: length });
        assert_eq!(tick(&mut breaker, &gate, 10 + 6000, BAD).map(|it| it.to), Some(State::HalfOpen));
    }

    #[test]
    fn the_percentile_of_many_trials_is_exact() {
        let trial = |millis| Trial { latency: Duration::from_millis(millis), ..PERFECT };
        let mut trials: Vec<Trial> = (1..=200).rev().map(trial).collect();
        let figures = figures_of(&mut trials, Duration::from_millis(190));
        assert_eq!((figures.p99, figures.slow), (Some(Duration::from_millis(198)), 10));
        assert_eq!(figures_of(&mut [], Duration::ZERO).p99, None);
    }

    #[test]
    fn open_times_double_and_stay_within_their_bounds() {
        let mut breaker = Breaker::new(plan(), 7, at(0));
        for (in_row, least, most) in [(0, 5, 6), (1, 10, 12), (5, 160, 192), (6, 250, 300), (u32::MAX, 250, 300)] {
            breaker.in_row = in_row;
            for _ in 0..1000 {
                let length = breaker.next_length();
                assert!(Duration::from_secs(least) <= length && length <= Duration::from_secs(most), "{length:?}");
            }
        }
    }
}
