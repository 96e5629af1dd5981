//! Where an endpoint is: as configured, and as it is connected to.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An endpoint as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointName {
    /// A host name or address literal and a port; a name may have several addresses.
    Host(String, u16),
    /// A Unix socket.
    Unix(Arc<Path>),
}

/// An endpoint that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP
    Tcp(SocketAddr),
    /// Unix domain
    Unix(Arc<Path>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') && !host.starts_with('[') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl EndpointName {
    /// The address, where no look-up is needed.
    pub(super) fn literal(&self) -> Option<Address> {
        match self {
            Self::Unix(path) => Some(Address::Unix(path.clone())),
            Self::Host(host, port) => {
                let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                bare.parse().ok().map(|ip| Address::Tcp(SocketAddr::new(ip, *port)))
            }
        }
    }

    /// All addresses.
    pub(super) async fn resolve(&self) -> std::io::Result<Vec<Address>> {
        match (self.literal(), self) {
            (Some(address), _) => Ok(vec![address]),
            (None, Self::Host(host, port)) => {
                let looked_up = tokio::time::timeout(RESOLVE_DEADLINE, tokio::net::lookup_host((host.as_str(), *port)));
                Ok(looked_up.await.map_err(std::io::Error::from)??.map(Address::Tcp).collect())
            }
            (None, Self::Unix(_)) => Ok(Vec::new()),
        }
    }
}

/// The longest a look-up may take before the next one is due.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);
