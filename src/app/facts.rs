//! What facts come from outside of requests, kept fresh: files that changed are read again, and stores are spoken to.

use std::sync::Arc;
use std::time::Duration;

use crate::beat;
use crate::config::Looked;
use crate::live::Live;
use crate::proxy::Snapshot;

/// How often is looked whether something changed.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps the sources of the configuration in force; runs until dropped.
pub(super) async fn keep(live: Arc<Live<Snapshot>>) {
    let mut stores = tokio::task::JoinSet::new();
    loop {
        let snapshot = live.get();
        for desk in snapshot.extractor.lookups().iter().filter_map(|lookup| lookup.desk()) {
            stores.spawn(desk.run());
        }
        while stores.try_join_next().is_some() {}
        if snapshot.settings.geoip.is_some() || snapshot.settings.jwt.is_some() {
            // The disk may make us wait.
            let _ = tokio::task::spawn_blocking(move || look(&snapshot)).await;
        } else {
            drop(snapshot);
        }
        beat::next(PAUSE).await;
    }
}

fn look(snapshot: &Snapshot) {
    let settings = &snapshot.settings;
    let geoip = settings.geoip.as_ref().map(|geoip| ("the GeoIP database", geoip.data.look(), geoip.data.files()));
    let jwt = settings.jwt.as_ref().map(|jwt| ("the keys of tokens", jwt.keys.look(), jwt.keys.files()));
    for (what, looked, files) in geoip.into_iter().chain(jwt) {
        let file = files.first().map(|file| file.display().to_string()).unwrap_or_default();
        match looked {
            Looked::Same => {}
            Looked::Fresh => tracing::info!(%file, "{what} changed and counts now"),
            Looked::Broken(why) => {
                tracing::error!(%file, %why, "{what} cannot be used; what was read before stays");
            }
        }
    }
}
