//! Opening one connection.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Address;
use crate::telemetry::ConnectResult;
use crate::wire::Socket;

/// Why a connection could not be opened. Nothing of any request was sent, so any request may go elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The system or the peer refused.
    #[error("cannot connect")]
    Refused(#[source] io::Error),
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
            Self::TimedOut => ConnectResult::TimedOut,
        }
    }
}

/// Connects within a deadline.
pub(super) async fn connect(address: &Address, within: Duration) -> Result<Socket, ConnectError> {
    let connecting = async {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // A request is written whole; waiting to gather more would only delay it.
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        }
    };
    match tokio::time::timeout(within, connecting).await {
        Ok(connected) => connected.map_err(ConnectError::Refused),
        Err(_) => Err(ConnectError::TimedOut),
    }
}
