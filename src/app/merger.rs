//! The one who merges what workers recorded, lets the breakers, the comparison and the figures of `rollback_on` judge it, and
//! takes back a release whose breakers open too often.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::MissedTickBehavior;

use super::figures::FigureWatch;
use super::judge::Judge;
use crate::decide::LaneId;
use crate::latch::{Cause, Latches};
use crate::proxy::{Epoch, Moved, Snapshot, Watches};
use crate::resilience::{MERGE_EVERY, State};

/// What the merger works on.
pub(super) struct Merger {
    pub(super) watches: Watches,
    pub(super) epoch: Epoch,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) latches: Arc<Latches>,
    pub(super) judge: Judge,
    pub(super) figures: FigureWatch,
}

/// What those who judge see of it.
pub(super) struct Merging<'m> {
    pub(super) watches: &'m mut Watches,
    pub(super) snapshot: &'m Snapshot,
    pub(super) latches: &'m Latches,
}

impl Merger {
    /// Turns the breakers and compares; runs on the control runtime until that ends.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(MERGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.merge(Instant::now());
        }
    }

    fn merge(&mut self, now: Instant) {
        let tick = self.epoch.tick(now);
        let moved = self.watches.tick(tick, &self.snapshot);
        let Self { watches, snapshot, latches, judge, figures, .. } = self;
        let mut merging = Merging { watches, snapshot, latches };
        for moved in &moved {
            tell(moved, merging.snapshot);
            if moved.transition.to == State::Open {
                merging.count(moved, now);
            }
        }
        judge.tick(now, &merging);
        figures.tick(&mut merging, tick);
    }
}

impl Merging<'_> {
    /// An opening of a lane other than stable's counts against the release of its route.
    fn count(&self, moved: &Moved, now: Instant) {
        let (lane, _) = self.snapshot.routes[moved.route].plan.lanes[moved.lane];
        let program = &self.snapshot.settings.program;
        let Some(release) = program.routes()[moved.route].release.filter(|_| lane != LaneId::STABLE) else { return };
        let evidence = || self.evidence(release, Cause::Openings, "breaker", "");
        self.latches.opening(&program.release(release).name, now, evidence);
    }
}

/// One line for each change, with the figures that it rests on.
fn tell(moved: &Moved, snapshot: &Snapshot) {
    let route = &snapshot.routes[moved.route];
    let lane = snapshot.settings.program.lanes().name(route.plan.lanes[moved.lane].0);
    let (route, cause, figures) = (&*route.plan.name, moved.transition.cause, moved.transition.evidence);
    match moved.transition.to {
        State::Open => {
            let open_for = moved.transition.open_for;
            tracing::warn!(route, lane, ?cause, ?open_for, ?figures, "a breaker opened");
        }
        State::HalfOpen => tracing::info!(route, lane, "a breaker lets trials through"),
        State::Closed => tracing::info!(route, lane, ?figures, "a breaker closed"),
    }
}
