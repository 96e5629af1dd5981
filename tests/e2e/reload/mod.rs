//! Another configuration for a sidecar that runs: what is seen of it, and what must not be.

#[allow(dead_code, reason = "the crowd is shared with the long tests, which use all of it")]
mod crowd;
mod files;
mod leaks;
mod listeners;
mod load;
mod refused;
mod state;
mod swap;
mod trust;

use std::fs;

use crate::harness::{Origin, Plan, Response, Sidecar};

/// Everything to one upstream, with changes allowed; `more` is top-level text.
fn plan_to(origin: &Origin, more: &str) -> Plan {
    Plan::to(origin.address()).admin("insecure_changes: true").more(more)
}

/// Puts this text in the place of the configuration, whole, and has it read.
fn put(sidecar: &Sidecar, text: impl AsRef<[u8]>) -> Response {
    let next = sidecar.directory().join("next");
    fs::write(&next, text).expect("a writable directory");
    fs::rename(next, sidecar.config()).expect("a writable directory");
    sidecar.sync()
}
