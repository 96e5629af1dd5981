//! Where an endpoint is: as configured, and as it is connected to.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::ServiceName;

/// An endpoint as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointName {
    /// A host name or address literal and a port; a name may have several addresses.
    Host(String, u16),
    /// The endpoints of a service of Kubernetes.
    Service(Arc<ServiceName>),
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
            Self::Service(name) => write!(f, "k8s:{}.{}:{}", name.service, name.namespace, name.port),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl EndpointName {
    /// The address, where no look-up is needed.
    pub(super) fn literal(&self) -> Option<Address> {
        match self {
            Self::Unix(path) => Some(Address::Unix(path.clone())),
            Self::Service(_) => None,
            Self::Host(host, port) => {
                let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                bare.parse().ok().map(|ip| Address::Tcp(SocketAddr::new(ip, *port)))
            }
        }
    }
}
