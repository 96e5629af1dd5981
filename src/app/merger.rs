//! The one who merges what workers recorded, lets the breakers, the comparison and the figures of `rollback_on` judge it, and
//! takes back a release whose breakers open too often.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::time::MissedTickBehavior;

use super::figures::FigureWatch;
use super::judge::{Judge, Judgements};
use crate::decide::LaneId;
use crate::latch::{Cause, Latches};
use crate::proxy::{Epoch, Moved, Snapshot, Succession, Watches};
use crate::resilience::{MERGE_EVERY, State};

/// The merger, as whoever changes the configuration knows it.
pub(super) struct Merger {
    epoch: Epoch,
    latches: Arc<Latches>,
    /// Taken for a tick, and for a change of the configuration.
    merging: Mutex<Turning>,
}

/// What the merger works on: the breakers of one snapshot and its releases.
struct Turning {
    watches: Watches,
    snapshot: Arc<Snapshot>,
    judge: Judge,
    figures: FigureWatch,
}

/// What those who judge see of it.
pub(super) struct Merging<'m> {
    pub(super) watches: &'m mut Watches,
    pub(super) snapshot: &'m Snapshot,
    pub(super) latches: &'m Latches,
}

impl Merger {
    /// Begins with the breakers of the first configuration.
    pub(super) fn new(epoch: Epoch, latches: Arc<Latches>, snapshot: Arc<Snapshot>, succession: Succession) -> Self {
        let mut watches = Watches::default();
        watches.take_over(succession, &snapshot);
        let (judge, figures) = (Judge::of(&snapshot), FigureWatch::of(&snapshot.settings));
        Self { epoch, latches, merging: Mutex::new(Turning { watches, snapshot, judge, figures }) }
    }

    /// What the comparison finds.
    pub(super) fn judgements(&self) -> Arc<Judgements> {
        self.merging().judge.judgements()
    }

    /// Goes on with another snapshot, which is put in force between two ticks: no breaker is turned twice or by nobody.
    pub(super) fn take_over(&self, snapshot: Arc<Snapshot>, succession: Succession, publish: impl FnOnce()) {
        let mut merging = self.merging();
        let merging = &mut *merging;
        merging.watches.take_over(succession, &snapshot);
        merging.judge.take_over(&merging.snapshot, &snapshot);
        merging.figures.take_over(&merging.snapshot, &snapshot);
        merging.snapshot = snapshot;
        publish();
    }

    /// Turns the breakers and compares; runs on the control runtime until that ends.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(MERGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            self.merging().turn(now, self.epoch, &self.latches);
        }
    }

    /// A panic under this lock leaves nothing that the next tick would not mend.
    fn merging(&self) -> MutexGuard<'_, Turning> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turning {
    fn turn(&mut self, now: Instant, epoch: Epoch, latches: &Latches) {
        let tick = epoch.tick(now);
        let moved = self.watches.tick(tick, &self.snapshot);
        let Self { watches, snapshot, judge, figures } = self;
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
