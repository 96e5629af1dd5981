//! The breaker beside a model of it: one that remembers every call, counts by hand, and knows no atomics, no slices' sums
//! and no slots.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{THRESHOLDS, at};
use crate::resilience::{
    Admission, Cause, Guard, Lease, MERGE_EVERY, Outcome, Plan, State, Thresholds, Tick, Timing, Watch, guarded,
};

/// Small enough that a few calls decide.
fn small() -> Plan {
    let thresholds = Thresholds { min_calls: 5, min_calls_p99: 12, error_rate: 250, slow_call_rate: 400, ..THRESHOLDS };
    let timing = Timing {
        window: Duration::from_secs(20),
        short_window: Duration::from_secs(10),
        open_for: Duration::from_secs(2),
        max_open: Duration::from_secs(30),
        trials: 4,
    };
    Plan::new(thresholds, timing).unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Action {
    /// A request that ends at once, if it may go.
    Call(Outcome, u64),
    /// A request that may go is left under way.
    Begin,
    /// The one that has been under way longest ends.
    End(Outcome),
    /// The one that has been under way longest is forgotten.
    Lose,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    outcome: Outcome,
    millis: u64,
    merged: Option<u64>,
}

/// A slot: when its lease ends, and how the trial ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    Free,
    Leased { id: usize, until: u64 },
    Done(Outcome, u64),
}

struct Model {
    plan: Plan,
    state: State,
    closed_since: u64,
    until: Tick,
    in_row: u32,
    /// When the windows were last emptied.
    since: u64,
    calls: Vec<Call>,
    slots: Vec<Slot>,
    ids: usize,
}

impl Model {
    fn new(plan: Plan) -> Self {
        let slots = vec![Slot::Free; plan.timing().trials as usize];
        Model {
            plan,
            state: State::Closed,
            closed_since: 0,
            until: at(0),
            in_row: 0,
            since: 0,
            calls: Vec::new(),
            slots,
            ids: 0,
        }
    }

    fn lease(&mut self, now: u64) -> Option<usize> {
        let free = self.slots.iter().position(|slot| *slot == Slot::Free)?;
        self.ids += 1;
        self.slots[free] = Slot::Leased { id: self.ids, until: now + 30_000 };
        Some(self.ids)
    }

    fn record(&mut self, trial: Option<usize>, outcome: Outcome, began: u64, millis: u64) {
        if began >= self.since && outcome != Outcome::NotCounted {
            self.calls.push(Call { outcome, millis, merged: None });
        }
        let own = |slot: &&mut Slot| matches!(slot, Slot::Leased { id, .. } if Some(*id) == trial);
        if let Some(slot) = self.slots.iter_mut().find(own) {
            let says_nothing = outcome == Outcome::NotCounted || (outcome == Outcome::Cancelled && millis <= 800);
            *slot = if says_nothing { Slot::Free } else { Slot::Done(outcome, millis) };
        }
    }

    /// What should happen at a tick.
    fn tick(&mut self, now: u64) -> Option<Cause> {
        self.calls.iter_mut().for_each(|call| call.merged = call.merged.or(Some(now)));
        match self.state {
            State::Closed => {
                if now - self.closed_since >= self.plan.timing().window.as_millis() as u64 {
                    self.in_row = 0;
                }
                let window = |span: Duration, slices: u64| {
                    let slice = span.as_millis() as u64 / slices;
                    let age = |merged: u64| (now - self.since) / slice - (merged - self.since) / slice;
                    let is_in = move |call: &&Call| call.merged.is_some_and(|merged| age(merged) < slices);
                    self.calls.iter().filter(is_in).map(|call| (call.outcome, call.millis)).collect::<Vec<_>>()
                };
                let least = self.plan.thresholds().min_calls as usize;
                let (short, long) = (self.plan.timing().short_window, self.plan.timing().window);
                bad(&self.plan, window(short, 10), least).or_else(|| bad(&self.plan, window(long, 20), least))
            }
            State::Open => (at(now) >= self.until).then_some(Cause::OpenTimeOver),
            State::HalfOpen => {
                for slot in &mut self.slots {
                    if matches!(slot, Slot::Leased { until, .. } if *until <= now) {
                        *slot = Slot::Done(Outcome::Cancelled, 30_000);
                    }
                }
                let done = self.slots.iter().filter_map(|slot| match slot {
                    Slot::Done(outcome, millis) => Some((*outcome, *millis)),
                    Slot::Free | Slot::Leased { .. } => None,
                });
                let done: Vec<_> = done.collect();
                let missing = self.slots.len() - done.len();
                let at_best = [done.clone(), vec![(Outcome::Success, 0); missing]].concat();
                match bad(&self.plan, at_best, 1) {
                    Some(_) if !done.is_empty() => Some(Cause::TrialsFailed),
                    _ => (missing == 0).then_some(Cause::TrialsPassed),
                }
            }
        }
    }

    /// Follows what happened, and checks the open time.
    fn follow(&mut self, now: u64, cause: Cause, open_for: Option<Duration>) {
        match cause {
            Cause::OpenTimeOver => {
                self.state = State::HalfOpen;
                self.slots.fill(Slot::Free);
            }
            Cause::TrialsPassed => {
                (self.state, self.closed_since, self.since) = (State::Closed, now, now);
                self.calls.clear();
            }
            _ => {
                let length = open_for.expect("it opens");
                let doubled = 2.0 * 2_f64.powi(self.in_row.min(10) as i32);
                let (least, most) = (doubled.min(25.0), (doubled * 1.2).min(30.0));
                assert!((least..=most).contains(&length.as_secs_f64()), "{length:?} for {least} to {most}");
                self.in_row += 1;
                self.until = at(now).plus(length);
                self.state = State::Open;
            }
        }
    }
}

/// The first bad figure of a list of calls, counted by hand.
fn bad(plan: &Plan, calls: Vec<(Outcome, u64)>, least: usize) -> Option<Cause> {
    let thresholds = plan.thresholds();
    let finished = calls.iter().filter(|(outcome, _)| *outcome != Outcome::Cancelled).count();
    let failures = calls.iter().filter(|(outcome, _)| outcome.is_failure()).count();
    if finished >= least && failures as f64 / finished as f64 >= f64::from(thresholds.error_rate) / 1000.0 {
        return Some(Cause::ErrorRate);
    }
    let timed = calls.iter().filter(|(outcome, millis)| *outcome != Outcome::Cancelled || *millis > 800);
    let mut timed: Vec<u64> = timed.map(|(_, millis)| *millis).collect();
    timed.sort_unstable();
    if timed.len() < least {
        return None;
    }
    let p99 = timed[(timed.len() * 99).div_ceil(100) - 1];
    if timed.len() >= thresholds.min_calls_p99 as usize && p99 > 1200 {
        return Some(Cause::P99);
    }
    if timed.iter().sum::<u64>() as f64 / timed.len() as f64 > 800.0 {
        return Some(Cause::Mean);
    }
    let slow = timed.iter().filter(|millis| **millis > 1200).count();
    (slow as f64 / timed.len() as f64 >= f64::from(thresholds.slow_call_rate) / 1000.0).then_some(Cause::SlowCalls)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Success),
        2 => Just(Outcome::Failure),
        1 => Just(Outcome::CallerDeadline),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::NotCounted),
    ]
}

/// None near a limit, since the windows' quantile is within 1 %.
fn latencies() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(5_u64), 2 => Just(300), 1 => Just(900), 1 => Just(1300), 1 => Just(5000)]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (outcomes(), latencies()).prop_map(|(outcome, millis)| Action::Call(outcome, millis)),
        2 => Just(Action::Begin),
        2 => outcomes().prop_map(Action::End),
        1 => Just(Action::Lose),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u64, Vec<Action>)>> {
    let pauses = prop_oneof![4 => 0_u64..300, 2 => 300_u64..4000, 1 => 4000_u64..40_000];
    proptest::collection::vec((pauses, proptest::collection::vec(actions(), 0..12)), 1..80)
}

/// The breaker and its model, side by side.
struct Pair {
    guard: Arc<Guard>,
    watch: Watch,
    model: Model,
    under_way: VecDeque<(u64, Option<Lease>, Option<usize>)>,
    now: u64,
}

impl Pair {
    fn new(plan: Plan) -> Self {
        let (guard, watch) = guarded(plan, 2, 7, at(0));
        Pair { guard, watch, model: Model::new(plan), under_way: VecDeque::new(), now: 0 }
    }

    fn tick(&mut self, pause: u64) {
        self.now += pause;
        let expected = self.model.tick(self.now);
        let transition = self.watch.tick(at(self.now));
        assert_eq!(transition.map(|transition| transition.cause), expected);
        if let Some(transition) = transition {
            self.model.follow(self.now, transition.cause, transition.open_for);
            assert_eq!(transition.to, self.model.state);
        }
        assert_eq!(self.guard.state(), self.model.state);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Call(outcome, millis) => {
                if let Some((began, lease, trial)) = self.admit() {
                    self.end(began, lease, trial, outcome, millis);
                }
            }
            Action::Begin => {
                let begun = self.admit();
                self.under_way.extend(begun);
            }
            Action::End(outcome) => {
                if let Some((began, lease, trial)) = self.under_way.pop_front() {
                    // Not where the windows' quantile cannot tell it from the limit.
                    let millis = self.now - began;
                    let millis = if (1185..=1215).contains(&millis) { 1185 } else { millis };
                    self.end(began, lease, trial, outcome, millis);
                }
            }
            Action::Lose => drop(self.under_way.pop_front()),
        }
    }

    /// When the call began, with the lease and the model's name for it.
    fn admit(&mut self) -> Option<(u64, Option<Lease>, Option<usize>)> {
        match (self.guard.admit(at(self.now)), self.model.state) {
            (Admission::Pass, State::Closed) => Some((self.now, None, None)),
            (Admission::Trial(lease), State::HalfOpen) => {
                let trial = self.model.lease(self.now);
                assert!(trial.is_some(), "more trials than there may be");
                Some((self.now, Some(lease), trial))
            }
            (Admission::Refuse { .. }, State::HalfOpen) => {
                assert_eq!(self.model.lease(self.now), None);
                None
            }
            (Admission::Refuse { retry_after }, State::Open) => {
                assert_eq!(retry_after, self.model.until.since(at(self.now)).max(MERGE_EVERY));
                None
            }
            (admission, state) => panic!("{admission:?} while {state:?}"),
        }
    }

    fn end(&mut self, began: u64, lease: Option<Lease>, trial: Option<usize>, outcome: Outcome, millis: u64) {
        let worker = (began + millis) as usize % 2;
        self.guard.record(worker, lease, outcome, at(began), at(began + millis));
        self.model.record(trial, outcome, began, millis);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_breaker_does_what_the_model_does(steps in steps()) {
        let mut pair = Pair::new(small());
        for (pause, actions) in steps {
            pair.tick(pause);
            actions.into_iter().for_each(|action| pair.act(action));
        }
    }
}

/// One request, and its end at once.
fn call(guard: &Guard, now: Tick, outcome: Outcome) {
    match guard.admit(now) {
        Admission::Pass => guard.record(0, None, outcome, now, now.plus(Duration::from_millis(5))),
        Admission::Trial(lease) => guard.record(0, Some(lease), outcome, now, now),
        Admission::Refuse { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// Moments in no order at all: nothing panics, and once the clock is steady and the lane good, it closes.
    #[test]
    fn whatever_the_clock_did_a_good_lane_closes(
        moments in proptest::collection::vec((prop_oneof![0_u64..1_000_000_000_000, any::<u64>()], outcomes()), 0..100),
        steady in prop_oneof![Just(0_u64), 0_u64..1_000_000_000_000_000],
    ) {
        let (guard, mut watch) = guarded(small(), 1, 7, at(0));
        for (nanos, outcome) in moments {
            (0..6).for_each(|_| call(&guard, Tick::from_nanos(nanos), outcome));
            watch.tick(Tick::from_nanos(nanos));
        }
        // The longest open time, twice the longest lease and a window later.
        for second in 0..30 + 60 + 20 {
            let now = Tick::from_nanos(steady).plus(Duration::from_secs(second));
            (0..10).for_each(|_| call(&guard, now, Outcome::Success));
            watch.tick(now);
        }
        prop_assert_eq!(guard.state(), State::Closed);
        prop_assert_eq!(watch.merged().short.failures, 0);
    }
}
