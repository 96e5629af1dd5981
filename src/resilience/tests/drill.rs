//! The incident, replayed: a lane turns bad in several ways, and heals.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use super::{THRESHOLDS, TIMING, at, plan};
use crate::resilience::{
    Admission, Cause, Guard, Lease, MERGE_EVERY, Outcome, Plan, Scope, State, Thresholds, Timing, Transition, Watch,
    guarded,
};

/// A lane with fifty requests a second.
struct Lane {
    guard: Arc<Guard>,
    watch: Watch,
    now: u64,
    calls: u64,
    under_way: BinaryHeap<UnderWay>,
    lost: bool,
}

struct UnderWay {
    ended: u64,
    began: u64,
    outcome: Outcome,
    lease: Option<Lease>,
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.ended == other.ended
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.ended.cmp(&self.ended)
    }
}

/// How the `n`th call goes: what comes out, and after how many milliseconds.
type Behaviour = fn(u64) -> (Outcome, u64);

fn good(_: u64) -> (Outcome, u64) {
    (Outcome::Success, 5)
}

/// 92 % of 500s.
fn failing(n: u64) -> (Outcome, u64) {
    (if n * 37 % 100 < 92 { Outcome::Failure } else { Outcome::Success }, 5)
}

/// A P99 of 2.8 s; the mean is 61 ms.
fn slow_tail(n: u64) -> (Outcome, u64) {
    (Outcome::Success, if n % 50 == 49 { 2800 } else { 5 })
}

/// Everything at 900 ms.
fn slow_mean(_: u64) -> (Outcome, u64) {
    (Outcome::Success, 900)
}

/// No answer until the first-byte time-out.
fn hanging(_: u64) -> (Outcome, u64) {
    (Outcome::Failure, 3000)
}

/// No answer, and clients that do not wait for the slow limit.
fn hanging_for_the_impatient(_: u64) -> (Outcome, u64) {
    (Outcome::Cancelled, 1000)
}

/// Clients that type on: they cancel nearly everything at once.
fn typed_ahead(n: u64) -> (Outcome, u64) {
    if n.is_multiple_of(5) { (Outcome::Success, 5) } else { (Outcome::Cancelled, 20) }
}

impl Lane {
    fn new(plan: Plan) -> Self {
        let (guard, watch) = guarded(plan, 2, 7, at(0));
        Lane { guard, watch, now: 0, calls: 0, under_way: BinaryHeap::new(), lost: false }
    }

    /// Runs until the first change of state, which must come within `limit` milliseconds; `None` where it does not.
    fn until_change(&mut self, behaviour: Behaviour, limit: u64) -> Option<Transition> {
        let end = self.now + limit;
        while self.now < end {
            self.now += 5;
            if self.now.is_multiple_of(20) {
                self.call(behaviour);
            }
            while self.under_way.peek().is_some_and(|call| call.ended <= self.now) {
                let call = self.under_way.pop().expect("it was there");
                self.guard.record(call.ended as usize % 2, call.lease, call.outcome, at(call.began), at(call.ended));
            }
            if self.now.is_multiple_of(MERGE_EVERY.as_millis() as u64) {
                let transition = self.watch.tick(at(self.now));
                if transition.is_some() {
                    return transition;
                }
            }
        }
        None
    }

    fn call(&mut self, behaviour: Behaviour) {
        let lease = match self.guard.admit(at(self.now)) {
            Admission::Pass => None,
            Admission::Trial(_) if self.lost => return,
            Admission::Trial(lease) => Some(lease),
            Admission::Refuse { .. } => return,
        };
        self.calls += 1;
        let (outcome, millis) = behaviour(self.calls);
        self.under_way.push(UnderWay { ended: self.now + millis, began: self.now, outcome, lease });
    }

    fn heals(&mut self) {
        let transition = self.until_change(good, 400_000).expect("the open time ends");
        assert_eq!((transition.to, transition.cause), (State::HalfOpen, Cause::OpenTimeOver));
        let transition = self.until_change(good, 1000).expect("ten trials take 200 ms");
        assert_eq!((transition.to, transition.cause), (State::Closed, Cause::TrialsPassed));
        assert_eq!(self.until_change(good, 70_000), None, "what came before is forgotten");
    }
}

fn check(behaviour: Behaviour, cause: Cause, within: u64, most_calls: u64) {
    let mut lane = Lane::new(plan());
    assert_eq!(lane.until_change(good, 700), None);
    let (began, before) = (lane.now, lane.calls);
    let transition = lane.until_change(behaviour, 30_000).expect("it opens");
    assert_eq!((transition.to, transition.cause), (State::Open, cause));
    assert!(lane.now - began <= within, "opened after {} ms", lane.now - began);
    assert!(lane.calls - before <= most_calls, "opened after {} calls", lane.calls - before);
    assert_eq!(transition.evidence.expect("figures").bad, Some(cause));
    lane.heals();
}

#[test]
fn ninety_two_percent_of_errors_open_with_the_fiftieth_call() {
    check(failing, Cause::ErrorRate, 400, 20);
}

#[test]
fn a_bad_p99_opens_once_two_hundred_calls_tell() {
    check(slow_tail, Cause::P99, 6200, 310);
}

#[test]
fn a_bad_mean_opens_before_any_other_figure() {
    check(slow_mean, Cause::Mean, 15_000, 750);
}

#[test]
fn a_hang_opens_with_the_first_time_outs() {
    check(hanging, Cause::ErrorRate, 3500, 180);
}

#[test]
fn impatient_callers_do_not_blind_the_breaker() {
    check(hanging_for_the_impatient, Cause::Mean, 6_000, 300);
}

#[test]
fn callers_that_cancel_at_once_do_not_open_it() {
    assert_eq!(Lane::new(plan()).until_change(typed_ahead, 120_000), None);
}

#[test]
fn the_figures_of_the_incident_are_told() {
    let mut lane = Lane::new(plan());
    let evidence = lane.until_change(failing, 30_000).and_then(|transition| transition.evidence).expect("figures");
    assert_eq!(evidence.scope, Scope::Short);
    // A tick takes in one call or two.
    assert!((50..=51).contains(&evidence.figures.finished), "{evidence:?}");
    assert!(evidence.figures.error_rate().is_some_and(|rate| rate > 0.9), "{evidence:?}");
    assert_eq!(lane.watch.merged().long, evidence.figures);
    assert!(lane.watch.open_left(at(lane.now)).is_some_and(|left| left >= TIMING.open_for));
}

#[test]
fn calls_that_hung_since_before_the_opening_do_not_open_it_again() {
    let mut lane = Lane::new(Plan::new(THRESHOLDS, TIMING).unwrap());
    // Hung calls whose time-out strikes only after the lane has healed, beside failures that open it.
    let transition = lane.until_change(|n| (Outcome::Failure, if n % 2 == 0 { 5 } else { 15_000 }), 30_000);
    assert_eq!(transition.expect("it opens").to, State::Open);
    lane.heals();
}

#[test]
fn half_open_failure_reopens_at_once_and_for_longer() {
    let mut lane = Lane::new(plan());
    let mut last = Duration::ZERO;
    for opening in 0..9 {
        let cause = if opening == 0 { Cause::ErrorRate } else { Cause::TrialsFailed };
        let transition = lane.until_change(|_| (Outcome::Failure, 5), 400_000).expect("it opens");
        assert_eq!((transition.to, transition.cause), (State::Open, cause));
        if opening > 0 {
            assert_eq!(transition.evidence.expect("figures").figures.failures, 1, "one of ten is 10 % already");
        }
        let length = transition.open_for.expect("it opens");
        assert!(length > last || length > TIMING.max_open * 5 / 6, "{length:?} after {last:?}");
        assert!(length >= TIMING.open_for && length <= TIMING.max_open);
        last = length;
        assert_eq!(lane.until_change(good, 400_000).expect("its time ends").to, State::HalfOpen);
    }
}

#[test]
fn trials_that_are_all_lost_count_as_slow() {
    let mut lane = Lane::new(plan());
    lane.until_change(failing, 30_000).expect("it opens");
    lane.lost = true;
    lane.until_change(good, 10_000).expect("half-open");
    let begun = lane.now;
    let transition = lane.until_change(good, 100_000).expect("lost trials do not block");
    assert_eq!((transition.to, transition.cause), (State::Open, Cause::TrialsFailed));
    assert_eq!(transition.evidence.and_then(|evidence| evidence.bad), Some(Cause::Mean));
    assert!(lane.now - begun <= 31_000);
    lane.lost = false;
    lane.heals();
}

#[test]
fn slow_trials_reopen() {
    let mut lane = Lane::new(plan());
    lane.until_change(failing, 30_000).expect("it opens");
    lane.until_change(good, 10_000).expect("half-open");
    let transition =
        lane.until_change(|n| (Outcome::Success, if n % 3 == 0 { 1500 } else { 5 }), 10_000).expect("three of ten");
    assert_eq!(transition.cause, Cause::TrialsFailed);
    assert_eq!(transition.evidence.and_then(|evidence| evidence.bad), Some(Cause::SlowCalls));
}

#[test]
fn the_back_off_is_forgotten_after_a_full_window_closed() {
    let open_for = |lane: &mut Lane| lane.until_change(failing, 30_000).and_then(|transition| transition.open_for);
    let is_first = |length: Option<Duration>| length.is_some_and(|length| length <= TIMING.open_for * 6 / 5);
    let mut lane = Lane::new(plan());
    assert!(is_first(open_for(&mut lane)));
    lane.heals();
    assert!(is_first(open_for(&mut lane)), "70 s were good");
    lane.until_change(good, 400_000);
    lane.until_change(good, 1000);
    assert_eq!(lane.until_change(good, 50_000), None);
    assert!(!is_first(open_for(&mut lane)), "50 s were not enough");
}

#[test]
fn a_lane_that_nobody_calls_is_small() {
    let (guard, watch) = (size_of::<Guard>(), size_of::<Watch>());
    assert!(guard <= 136 && watch <= 144, "{guard} and {watch} bytes");
}

#[test]
fn the_verdict_follows_within_fifty_milliseconds() {
    let (guard, mut watch) = guarded(plan(), 1, 7, at(0));
    for tick in 1..50 {
        assert_eq!(watch.tick(at(tick * 25)), None);
    }
    (0..50).for_each(|_| guard.record(0, None, Outcome::Failure, at(1250), at(1251)));
    assert_eq!(watch.tick(at(1275)).map(|transition| transition.to), Some(State::Open));
    assert!(MERGE_EVERY <= Duration::from_millis(50));
    assert!(matches!(guard.admit(at(1276)), Admission::Refuse { .. }));
}

#[test]
fn a_share_of_all_opens_only_where_all_fail() {
    let thresholds = Thresholds { error_rate: 1000, slow_call_rate: 1000, ..THRESHOLDS };
    let plan = Plan::new(thresholds, TIMING).unwrap();
    assert_eq!(Lane::new(plan).until_change(failing, 120_000), None);
    let transition = Lane::new(plan).until_change(|_| (Outcome::CallerDeadline, 5), 30_000).expect("all fail");
    assert_eq!(transition.cause, Cause::ErrorRate);
}

#[test]
fn a_window_as_short_as_a_tick_still_judges() {
    let short = Duration::from_millis(50);
    let timing = Timing { window: short, short_window: short, ..TIMING };
    let plan = Plan::new(Thresholds { min_calls: 1, ..THRESHOLDS }, timing).unwrap();
    assert_eq!(Lane::new(plan).until_change(failing, 1000).expect("it opens").cause, Cause::ErrorRate);
}

#[test]
fn another_plan_leaves_an_open_breaker_open() {
    let mut lane = Lane::new(plan());
    lane.until_change(failing, 30_000).expect("it opens");
    let left = lane.watch.open_left(at(lane.now));
    let thresholds = Thresholds { error_rate: 100, ..THRESHOLDS };
    let (guard, watch) = lane.watch.renewed(Plan::new(thresholds, TIMING).unwrap(), 2, at(lane.now));
    assert_eq!((guard.state(), watch.open_left(at(lane.now))), (State::Open, left));
    assert_eq!(watch.plan().thresholds().error_rate, 100);
    lane = Lane { guard, watch, ..lane };
    lane.heals();
}

#[test]
fn open_times_of_different_seeds_differ() {
    let open_for = |seed| {
        let (guard, mut watch) = guarded(plan(), 1, seed, at(0));
        (0..50).for_each(|_| guard.record(0, None, Outcome::Failure, at(0), at(1)));
        watch.tick(at(2)).and_then(|transition| transition.open_for).expect("it opens")
    };
    let lengths: std::collections::BTreeSet<Duration> = (0..100).map(open_for).collect();
    assert!(lengths.len() > 90);
    assert!(lengths.iter().all(|length| (5.0..=6.0).contains(&length.as_secs_f64())), "{lengths:?}");
    assert_eq!(open_for(3), open_for(3));
}
