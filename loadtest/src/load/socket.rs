//! A connection to a proxy: TCP, or TLS over it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stage::certificate::NAME;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects, with TLS where there are settings for it.
///
/// # Errors
/// Where the connection or the handshake fails.
pub async fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> std::io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(NAME).expect("the name of the certificate is a name");
    Ok(Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?))
}
