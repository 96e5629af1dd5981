//! The one who looks at the process's memory for those who refuse requests when it is full.

use std::sync::Arc;
use std::time::Duration;

use crate::live::Live;
use crate::proxy::Snapshot;
use crate::telemetry;

/// How often; a read of `/proc` takes some tens of microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs on the control runtime until that ends.
pub(super) async fn watch(live: Arc<Live<Snapshot>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = live.get();
        if snapshot.wants_memory() {
            // Where it cannot be known, nobody is refused for it.
            snapshot.note_memory(telemetry::resident_memory().unwrap_or(0));
        }
    }
}
