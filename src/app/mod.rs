//! The only wiring place: what starts in which order, and what ends in which.
//!
//! Start: addresses are bound before anything is promised, names are looked up before traffic is accepted, workers
//! run before readiness is told. End: readiness first, then the listeners, then the requests under way, then the
//! admin port, then the log.

mod admin_door;
mod bind;
mod certificates;
mod configs;
mod doors;
mod facts;
mod faults;
mod figures;
mod judge;
mod ledger;
mod memory;
mod merger;
mod releases;
mod reload;
mod sidecar;
mod signal;
mod view;
mod worker;

pub use crate::telemetry::log;
pub use bind::BindError;
pub use reload::{Feed, Origin};
pub use sidecar::{Sidecar, StartError};
pub use signal::wait_for_stop;
