//! The one who looks at the process's memory for those who refuse requests when it is full.

use std::sync::Arc;
use std::time::Duration;

use crate::beat;
use crate::live::Live;
use crate::proxy::Snapshot;
use crate::telemetry;

/// How often; a read of `/proc` takes some tens of microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether anybody wants it.
const WHETHER_WANTED: Duration = Duration::from_secs(1);

/// Runs on the control runtime until that ends.
pub(super) async fn watch(live: Arc<Live<Snapshot>>) {
    loop {
        let snapshot = live.get();
        let is_wanted = snapshot.wants_memory();
        // Where it cannot be known, nobody is refused for it; and what was known once counts for nobody later.
        snapshot.note_memory(is_wanted.then(telemetry::resident_memory).flatten().unwrap_or(0));
        drop(snapshot);
        beat::next(if is_wanted { LOOK_EVERY } else { WHETHER_WANTED }).await;
    }
}
