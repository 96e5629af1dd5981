//! The one who merges what workers recorded and lets the breakers judge it.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::MissedTickBehavior;

use crate::proxy::{Epoch, Moved, Snapshot, Watches};
use crate::resilience::{MERGE_EVERY, State};

/// Turns the breakers; runs on the control runtime until that ends.
pub(super) async fn run(mut watches: Watches, epoch: Epoch, snapshot: Arc<Snapshot>) {
    let mut ticks = tokio::time::interval(MERGE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for moved in watches.tick(epoch.tick(Instant::now()), &snapshot) {
            tell(&moved, &snapshot);
        }
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
