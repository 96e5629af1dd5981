//! Gate, window and machine of one route's lane, put together.

use std::sync::Arc;
use std::time::Duration;

use super::gate::{Admission, Gate, Lease};
use super::machine::{Breaker, State, Transition};
use super::plan::Plan;
use crate::resilience::bell::{Bell, BellMaker};
use crate::resilience::outcome::Outcome;
use crate::resilience::tick::Tick;
use crate::resilience::window::{Merged, Recorder, Rest, Window};

/// What workers hold of a route's lane: shared by all of them, and never a lock.
#[derive(Debug)]
pub struct Guard {
    gate: Gate,
    recorder: Recorder,
}

/// What the merger holds of a route's lane: it alone changes the verdict.
#[derive(Debug)]
pub struct Watch {
    guard: Arc<Guard>,
    window: Window,
    breaker: Breaker,
}

/// A closed breaker for so many workers, with a bell of its own. `seed` spreads its open times: take a different one for each
/// breaker and process.
pub fn guarded(plan: impl Into<Arc<Plan>>, workers: usize, seed: u64, now: Tick) -> (Arc<Guard>, Watch) {
    guarded_with(plan, workers, seed, now, BellMaker::default().bell())
}

/// The same with this bell, by which one merger of many breakers knows whom to look at; see [`Watch::rest`]. Breakers that are set
/// alike may share the plan.
pub fn guarded_with(
    plan: impl Into<Arc<Plan>>,
    workers: usize,
    seed: u64,
    now: Tick,
    bell: Bell,
) -> (Arc<Guard>, Watch) {
    let plan = plan.into();
    let guard = Arc::new(Guard { gate: Gate::new(&plan), recorder: Recorder::new(workers, plan.limits(), bell) });
    let watch = Watch {
        guard: guard.clone(),
        window: Window::new(workers, plan.timing().window, plan.timing().short_window, now),
        breaker: Breaker::new(plan, seed, now),
    };
    (guard, watch)
}

impl Guard {
    /// Whether a request may go to the lane now.
    #[inline]
    pub fn admit(&self, now: Tick) -> Admission {
        self.gate.admit(now)
    }

    /// A call that went to the lane has ended, with the lease if it was a trial. Whoever was admitted reports here, also
    /// where the client went away ([`Outcome::Cancelled`]) or nothing was sent ([`Outcome::NotCounted`]).
    ///
    /// `began` is when the lane was asked and `ended` when its latency is known; a clock that went backwards between
    /// them makes it a call of no time. A call that began before the breaker last closed is not counted.
    ///
    /// # Panics
    ///
    /// Where `worker` is not below the number that the guard was made for. Two threads that use one number lose counts.
    #[inline]
    pub fn record(&self, worker: usize, lease: Option<Lease>, outcome: Outcome, began: Tick, ended: Tick) {
        self.recorder.record(worker, outcome, began, ended);
        if let Some(lease) = lease {
            self.gate.report(lease, outcome, ended.since(began));
        }
    }

    /// The state as workers see it.
    pub fn state(&self) -> State {
        self.gate.state()
    }
}

impl Watch {
    /// Takes in what the workers recorded, judges, and moves at most one arrow of the diagram. To be called every
    /// [`MERGE_EVERY`](crate::resilience::MERGE_EVERY), also while nothing happens, unless it [rests](Watch::rest).
    pub fn tick(&mut self, now: Tick) -> Option<Transition> {
        let merged = self.window.merge(&self.guard.recorder, now);
        let transition = self.breaker.tick(now, &merged, &self.guard.gate)?;
        if transition.to == State::Closed {
            self.window.start_over(&self.guard.recorder, now);
        }
        Some(transition)
    }

    /// How long no tick would change anything: while closed, with no openings that count, until a call comes or one leaves
    /// the windows. Whoever leaves out those ticks has the same windows and verdicts as with them.
    pub fn rest(&self) -> Rest {
        if self.breaker.is_at_rest() { self.window.rest(&self.guard.recorder) } else { Rest::None }
    }

    /// What rings when a sleep ends.
    pub fn bell(&self) -> &Bell {
        self.guard.recorder.bell()
    }

    /// What the workers hold.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// What it is set to.
    pub fn plan(&self) -> &Plan {
        self.breaker.plan()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.guard.state()
    }

    /// The figures of both windows at the last tick.
    pub fn merged(&self) -> Merged {
        self.window.merged()
    }

    /// Empties the windows; calls that began before `now` do not count any more. The state stays.
    pub fn start_over(&mut self, now: Tick) {
        self.window.start_over(&self.guard.recorder, now);
    }

    /// Another plan for the same lane, after a reload: windows start empty, but a breaker that was open stays open and its
    /// back-off is remembered, so that no edit sends users to a lane that was just taken out.
    pub fn renewed(&self, plan: impl Into<Arc<Plan>>, workers: usize, now: Tick) -> (Arc<Guard>, Watch) {
        let (guard, mut watch) = guarded(plan, workers, 0, now);
        watch.inherit(self);
        (guard, watch)
    }

    /// Takes over the state of the breaker that this one follows; see [`Watch::renewed`].
    pub fn inherit(&mut self, before: &Watch) {
        self.breaker = before.breaker.renewed(self.breaker.shared_plan(), &self.guard.gate);
    }

    /// Bytes that a breaker holds for so many workers at most. Its windows and what workers write come with the calls, so
    /// one without any holds some hundred bytes.
    pub fn memory(plan: &Plan, workers: usize) -> usize {
        Window::memory(workers) + plan.timing().trials as usize * size_of::<u64>() + size_of::<Watch>()
    }

    /// How long an open breaker stays open from `now`; none where it is not open.
    pub fn open_left(&self, now: Tick) -> Option<Duration> {
        self.breaker.open_left(now)
    }
}
