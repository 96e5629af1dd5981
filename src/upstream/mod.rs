//! Where requests go: endpoints, their addresses, and the connections to them.
//!
//! An [`Upstream`] is shared by the whole process and outlives a configuration that does not change it; its addresses
//! are refreshed by a control task. A [`Pool`] belongs to one worker and is used by it alone, so that taking and
//! giving back a connection costs no lock. The room knows nothing of requests: it lends connections.

mod balance;
mod connect;
mod directory;
mod endpoint;
mod h2_pool;
mod lease;
mod pool;

pub use connect::ConnectError;
pub use directory::{Address, Directory, EndpointName, Upstream, UpstreamSpec};
pub use lease::{H1Lease, H2Lease, Lease, LeaseError};
pub use pool::Pool;

/// The protocol spoken to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 with prior knowledge
    H2,
}
