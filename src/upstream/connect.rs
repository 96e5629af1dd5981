//! Opening one connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Address, Dialect, EndpointName, UpstreamSpec};
use crate::config::ClientTls;
use crate::telemetry::ConnectResult;
use crate::tls::H2;
use crate::wire::Socket;

/// Why a connection could not be opened. Nothing of any request was sent, so any request may go elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The system or the peer refused.
    #[error("cannot connect")]
    Refused(#[source] io::Error),
    /// There is a connection, and no TLS on it.
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    /// No answer in time.
    #[error("connecting took too long")]
    TimedOut,
}

impl ConnectError {
    /// As metrics name it.
    pub(super) fn result(&self) -> ConnectResult {
        match self {
            Self::Refused(error) if error.kind() == io::ErrorKind::ConnectionRefused => ConnectResult::Refused,
            Self::Refused(_) => ConnectResult::Failed,
            Self::Tls(_) => ConnectResult::Tls,
            Self::TimedOut => ConnectResult::TimedOut,
        }
    }
}

/// The TLS that a connection begins with.
pub(super) struct Security {
    config: Arc<ClientConfig>,
    dialect: Dialect,
    /// The name that is asked for and that the certificate has to be good for.
    name: Result<ServerName<'static>, io::Error>,
}

impl Security {
    /// Of an endpoint, as its upstream has it now; `None` where that is none.
    pub(super) fn of(spec: &UpstreamSpec, endpoint: usize, dialect: Dialect) -> Option<Self> {
        let tls: &ClientTls = spec.tls.as_deref()?;
        let name = match (&tls.server_name, &spec.endpoints[endpoint]) {
            (Some(name), _) => name.clone(),
            (None, EndpointName::Host(host, _)) => host.clone(),
            (None, EndpointName::Service(service)) => service.host(),
            // The configuration lets no such upstream have TLS.
            (None, EndpointName::Unix(_)) => "localhost".to_owned(),
        };
        let client = tls.client.get();
        let config = match dialect {
            Dialect::Http1 => client.http1.clone(),
            Dialect::H2 => client.h2.clone(),
        };
        Some(Self { config, dialect, name: ServerName::try_from(name).map_err(io::Error::other) })
    }

    async fn begin(self, stream: TcpStream) -> Result<Socket, ConnectError> {
        let name = self.name.map_err(ConnectError::Tls)?;
        let stream = TlsConnector::from(self.config).connect(name, stream).await.map_err(ConnectError::Tls)?;
        // Over TLS nobody speaks HTTP/2 who has not said so (RFC 9113 section 3.2). Who chose another protocol has failed already.
        if self.dialect == Dialect::H2 && stream.get_ref().1.alpn_protocol() != Some(H2) {
            return Err(ConnectError::Tls(io::Error::other("the endpoint does not offer HTTP/2 (ALPN `h2`)")));
        }
        Ok(Socket::Tls(Box::new(stream.into())))
    }
}

/// Connects within a deadline, TLS included.
pub(super) async fn connect(
    address: &Address,
    security: Option<Security>,
    within: Duration,
) -> Result<Socket, ConnectError> {
    let connecting = async {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(ConnectError::Refused)?;
                // A request is written whole; waiting to gather more would only delay it.
                stream.set_nodelay(true).map_err(ConnectError::Refused)?;
                match security {
                    None => Ok(Socket::Tcp(stream)),
                    // In a box of its own: whoever connects in plain does not carry it.
                    Some(security) => Box::pin(security.begin(stream)).await,
                }
            }
            Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix).map_err(ConnectError::Refused),
        }
    };
    match tokio::time::timeout(within, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::TimedOut),
    }
}
