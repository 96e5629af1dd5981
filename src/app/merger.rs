//! The one who merges what workers recorded, lets the breakers, the comparison and the figures of `rollback_on` judge it, and
//! takes back a release whose breakers open too often. While nobody calls, and no time changes a verdict, he sleeps: a sidecar
//! without requests is to cost nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::figures::FigureWatch;
use super::judge::{Judge, Judgements};
use crate::decide::LaneId;
use crate::latch::{Cause, Latches};
use crate::proxy::{Epoch, Moved, Snapshot, Succession, Watches};
use crate::resilience::{Knock, MERGE_EVERY, Rest, State};

/// The merger, as whoever changes the configuration knows it.
pub(super) struct Merger {
    epoch: Epoch,
    latches: Arc<Latches>,
    /// Taken for a tick, and for a change of the configuration.
    merging: Mutex<Turning>,
    door: Arc<Notify>,
}

/// Where calls wake the merger, before there is one.
#[derive(Default)]
pub(super) struct MergerDoor(Arc<Notify>);

impl MergerDoor {
    /// What bells wake it by.
    pub(super) fn knock(&self) -> Knock {
        let door = self.0.clone();
        Knock::by(move || door.notify_one())
    }
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
    /// Begins with the breakers of the first configuration, whose bells knock at this door.
    pub(super) fn new(
        epoch: Epoch,
        latches: Arc<Latches>,
        snapshot: Arc<Snapshot>,
        succession: Succession,
        door: MergerDoor,
    ) -> Self {
        let mut watches = Watches::default();
        watches.take_over(succession, &snapshot);
        let (judge, figures) = (Judge::of(&snapshot), FigureWatch::of(&snapshot.settings));
        Self { epoch, latches, merging: Mutex::new(Turning { watches, snapshot, judge, figures }), door: door.0 }
    }

    /// What the bells of another configuration wake it by.
    pub(super) fn knock(&self) -> Knock {
        MergerDoor(self.door.clone()).knock()
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
        self.door.notify_one();
    }

    /// Turns the breakers and compares; runs on the control runtime until that ends.
    pub(super) async fn run(self: Arc<Self>) {
        let mut changes = self.latches.follow();
        loop {
            let now = Instant::now();
            let rests_until = self.merging().turn(now, self.epoch, &self.latches);
            if let Some(until) = rests_until {
                tokio::select! {
                    () = self.door.notified() => {}
                    _ = changes.changed() => {}
                    () = sleep_until(until.into()) => {}
                }
            }
            sleep_until((now + MERGE_EVERY).into()).await;
        }
    }

    /// A panic under this lock leaves nothing that the next tick would not mend.
    fn merging(&self) -> MutexGuard<'_, Turning> {
        self.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turning {
    /// One turn. Returns until when there need not be another one if nobody calls and no latch changes, where there is such a
    /// time.
    fn turn(&mut self, now: Instant, epoch: Epoch, latches: &Latches) -> Option<Instant> {
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
        let next_look = judge.tick(now, &merging);
        figures.tick(&mut merging, tick);
        match merging.watches.rest() {
            Rest::None => None,
            _ if figures.go_by_time() => None,
            Rest::UntilCalled => Some(next_look),
            Rest::Until(alarm) => Some(next_look.min(epoch.instant(alarm))),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::{BellMaker, Outcome, Plan, Tick, guarded_with};

    #[test]
    fn a_bell_that_rings_opens_the_door() {
        let door = MergerDoor::default();
        let bell = BellMaker::new(door.knock()).bell();
        let (guard, _watch) = guarded_with(Plan::DEFAULT, 1, 7, Tick::START, bell);
        let is_open = || is_ready(door.0.notified());
        assert!(!is_open());
        guard.record(0, None, Outcome::Success, Tick::START, Tick::START);
        assert!(is_open());
    }

    /// Whether it is ready at once.
    fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(future).poll(&mut context).is_ready()
    }
}
