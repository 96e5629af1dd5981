//! Certificates, kept fresh: their files are read again when they change, and it is told when they end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::beat;
use crate::config::Looked;
use crate::live::Live;
use crate::proxy::Snapshot;
use crate::telemetry::{CertificateSeries, Telemetry};
use crate::tls::Expiry;

/// How often is looked whether files changed: a certificate counts so soon after it was put there. A file that a link leads
/// to by another way now, as in a mounted secret, has changed too.
const PAUSE: Duration = Duration::from_millis(500);

/// The series that are told, by owner and file.
type Told = BTreeMap<(String, PathBuf), Arc<CertificateSeries>>;

/// Keeps the certificates of the configuration in force; runs until dropped.
pub(super) async fn keep(live: Arc<Live<Snapshot>>, telemetry: Arc<Telemetry>) {
    let mut told = Told::new();
    loop {
        let snapshot = live.get();
        let uses_tls = snapshot.settings.listeners.iter().any(|listener| listener.tls.is_some())
            || snapshot.settings.upstreams.iter().any(|upstream| upstream.tls.is_some());
        if uses_tls {
            let telemetry = telemetry.clone();
            // The disk may make us wait.
            let looking = tokio::task::spawn_blocking(move || look(&snapshot, &telemetry));
            told = looking.await.unwrap_or(told);
        } else {
            drop(snapshot);
            told.clear();
        }
        beat::next(PAUSE).await;
    }
}

fn look(snapshot: &Snapshot, telemetry: &Telemetry) -> Told {
    let mut told = Told::new();
    let mut tell = |owner: String, expiries: &[Expiry]| {
        for expiry in expiries {
            let series = telemetry.certificate(&owner, &expiry.file.display().to_string());
            series.set_not_after(expiry.not_after);
            told.insert((owner.clone(), expiry.file.clone()), series);
        }
    };
    for listener in &snapshot.settings.listeners {
        if let Some(tls) = &listener.tls {
            let owner = listener.bind.to_string();
            again(tls.look(), &owner);
            tell(owner, &tls.server.get().expiries);
        }
    }
    // Upstreams that a change did not touch are those of an earlier configuration, and their files with them.
    for upstream in snapshot.directory.upstreams() {
        if let Some(tls) = &upstream.spec.tls {
            again(tls.client.look(), &upstream.spec.name);
            tell(upstream.spec.name.to_string(), &tls.client.get().expiries);
        }
    }
    told
}

fn again(looked: Looked, owner: &str) {
    match looked {
        Looked::Same => {}
        Looked::Fresh => tracing::info!(%owner, "certificates changed and count from the next connection on"),
        Looked::Broken(why) => {
            tracing::error!(%owner, %why, "certificates cannot be used; what was read before stays");
        }
    }
}
