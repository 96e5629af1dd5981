//! The only wiring place: what starts in which order, and what ends in which.
//!
//! Start: addresses are bound before anything is promised, names are looked up before traffic is accepted, workers
//! run before readiness is told. End: readiness first, then the listeners, then the requests under way, then the
//! admin port, then the log. Where another process takes over, it has the listeners before this one lets go of them.

mod access_log;
mod admin_door;
mod bind;
mod certificates;
mod configs;
mod doors;
mod facts;
mod faults;
mod figures;
mod first;
mod hand_over;
mod inherit;
mod judge;
mod ledger;
mod memory;
mod merger;
mod probes;
mod releases;
mod reload;
mod sidecar;
mod signal;
mod supervisor;
mod supply;
mod view;
mod worker;

pub use crate::telemetry::log;
pub use bind::BindError;
pub use hand_over::{HandOverError, Handing, tell_predecessor};
pub use inherit::{InheritError, Inherited};
pub use sidecar::{Cutter, Leave, Sidecar, StartError};
pub use signal::{Asked, Signals};
pub use supervisor::{Standing, tell_supervisor};
