//! One check of one address, on a connection of its own: it shows that a fresh connection is taken and answered, and
//! needs none of the workers' pools.

mod grpc;
mod h2;
mod http;

use std::time::Duration;

use super::connect::{ConnectError, Security, connect};
use super::standing::Standing;
use super::{Dialect, EndpointName, UpstreamSpec};
use crate::config::{Health, Probe};
use crate::wire::Socket;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    /// There is no connection.
    #[error("no connection: {0}")]
    Connect(#[from] ConnectError),
    /// The connection failed before the answer was whole.
    #[error("no answer: {0}")]
    Io(#[from] std::io::Error),
    /// As above, in HTTP/2.
    #[error("no answer: {0}")]
    H2(#[from] ::h2::Error),
    /// The answer is none.
    #[error("the answer cannot be understood")]
    Malformed,
    /// The status of the answer.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The gRPC status of the answer.
    #[error("the answer has gRPC status {0}")]
    Grpc(String),
    /// The gRPC health status of the service: 0 unknown, 2 not serving, 3 service unknown.
    #[error("the service has health status {0}")]
    NotServing(u64),
}

/// What is asked of an address, the same for each of its checks.
pub(super) struct Question {
    authority: String,
    /// As HTTP/2 names it.
    scheme: &'static str,
    dialect: Dialect,
    timeout: Duration,
}

/// The name under which the sidecar asks.
const USER_AGENT: &str = concat!("graylane-health/", env!("CARGO_PKG_VERSION"));

impl Question {
    pub(super) fn new(spec: &UpstreamSpec, standing: &Standing, health: &Health) -> Self {
        let own = || match &spec.endpoints[standing.endpoint] {
            name @ EndpointName::Host(..) => name.to_string(),
            EndpointName::Service(service) => service.host(),
            // A path is no authority.
            EndpointName::Unix(_) => "localhost".to_owned(),
        };
        let authority = health.host.clone().unwrap_or_else(own);
        let scheme = if spec.tls.is_some() { "https" } else { "http" };
        Self { authority, scheme, dialect: spec.checked_in, timeout: health.timeout }
    }
}

/// Checks once.
pub(super) async fn probe(
    spec: &UpstreamSpec,
    standing: &Standing,
    question: &Question,
    health: &Health,
) -> Result<(), ProbeError> {
    let dialect = match health.probe {
        Probe::Grpc(_) => Dialect::H2,
        Probe::Tcp | Probe::Http(_) => question.dialect,
    };
    let security = Security::of(spec, standing.endpoint, dialect);
    let socket: Socket = connect(&standing.address, security, question.timeout).await?;
    match (&health.probe, question.dialect) {
        (Probe::Tcp, _) => Ok(()),
        (Probe::Http(path), Dialect::Http1) => http::check(socket, path, question).await,
        (Probe::Http(path), Dialect::H2) => h2::check(socket, path, question).await,
        (Probe::Grpc(service), _) => grpc::check(socket, service, question).await,
    }
}

/// Only a success passes: a redirect says nothing of the service it points away from.
fn passes(status: u16) -> Result<(), ProbeError> {
    if (200..300).contains(&status) { Ok(()) } else { Err(ProbeError::Status(status)) }
}
