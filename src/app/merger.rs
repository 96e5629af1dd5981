//! The one who merges what workers recorded, lets the breakers and the comparison judge it, and takes back a release whose
//! breakers open too often.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::time::MissedTickBehavior;

use super::judge::{Judge, Judgements};
use crate::decide::LaneId;
use crate::latch::{Cause, Evidence, Latches};
use crate::proxy::{Epoch, Moved, Snapshot, Succession, Watches};
use crate::resilience::{MERGE_EVERY, State};

/// The merger, as whoever changes the configuration knows it.
pub(super) struct Merger {
    epoch: Epoch,
    latches: Arc<Latches>,
    /// Taken for a tick, and for a change of the configuration.
    merging: Mutex<Merging>,
}

/// What the merger works on: the breakers of one snapshot and its releases.
struct Merging {
    watches: Watches,
    snapshot: Arc<Snapshot>,
    judge: Judge,
}

impl Merger {
    /// Begins with the breakers of the first configuration.
    pub(super) fn new(epoch: Epoch, latches: Arc<Latches>, snapshot: Arc<Snapshot>, succession: Succession) -> Self {
        let mut watches = Watches::default();
        watches.take_over(succession);
        let judge = Judge::of(&snapshot.settings);
        Self { epoch, latches, merging: Mutex::new(Merging { watches, snapshot, judge }) }
    }

    /// What the comparison finds.
    pub(super) fn judgements(&self) -> Arc<Judgements> {
        self.merging().judge.judgements()
    }

    /// Goes on with another snapshot, which is put in force between two ticks: no breaker is turned twice or by nobody.
    pub(super) fn take_over(&self, snapshot: Arc<Snapshot>, succession: Succession, publish: impl FnOnce()) {
        let mut merging = self.merging();
        let merging = &mut *merging;
        merging.watches.take_over(succession);
        merging.judge.take_over(&merging.snapshot, &snapshot);
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
    fn merging(&self) -> MutexGuard<'_, Merging> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Merging {
    fn turn(&mut self, now: Instant, epoch: Epoch, latches: &Latches) {
        for moved in self.watches.tick(epoch.tick(now), &self.snapshot) {
            tell(&moved, &self.snapshot);
            if moved.transition.to == State::Open {
                self.count(&moved, now, latches);
            }
        }
        self.judge.tick(now, &self.snapshot, latches);
    }

    /// An opening of a lane other than stable's counts against the release of its route.
    fn count(&self, moved: &Moved, now: Instant, latches: &Latches) {
        let snapshot = &self.snapshot;
        let (lane, _) = snapshot.routes[moved.route].plan.lanes[moved.lane];
        let program = &snapshot.settings.program;
        let Some(release) = program.routes()[moved.route].release.filter(|_| lane != LaneId::STABLE) else { return };
        latches.opening(&program.release(release).name, now, || Evidence {
            figures: self.watches.figures(snapshot, release),
            ..snapshot.evidence(release, Cause::Openings, "breaker", "")
        });
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
