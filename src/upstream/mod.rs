//! Where requests go: endpoints, their addresses, and the connections to them.
//!
//! An [`Upstream`] is shared by the whole process and outlives a configuration that does not change it; its addresses
//! are refreshed by a control task. A [`Pool`] belongs to one worker and is used by it alone, so that taking and
//! giving back a connection costs no lock. The room knows nothing of requests: it lends connections, and is told how an
//! exchange went ([`Report`]).
//!
//! How endpoints stand is known process-wide. What judges them is pure and takes the time and its draws as arguments
//! (`balance`, `ewma`, `slow_start`, `ejection`, `health`, and `roster` over all of an upstream's addresses); workers read
//! the verdicts from the atomics of a [`Standing`]. Health checks run on the control runtime alone.

mod address;
mod directory;
mod discovery;
mod names;
mod shared;

mod balance;
mod ejection;
mod ewma;
mod health;
mod moment;
mod roster;
mod slow_start;

mod connect;
mod endpoint;
mod h2_pool;
mod lease;
mod pool;
mod report;
mod standing;

#[cfg(test)]
mod simulation;

mod care;
mod check;
mod probe;

pub use address::{Address, EndpointName};
pub use care::Care;
pub use connect::ConnectError;
pub use directory::Directory;
pub use discovery::ServiceName;
pub use lease::{H1Lease, H2Lease, Lease, LeaseError};
pub use pool::Pool;
pub use report::{Outcome, Report};
pub use shared::{AddressState, Upstream, UpstreamSpec};
pub use standing::Standing;

/// The protocol spoken to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 with prior knowledge
    H2,
}
