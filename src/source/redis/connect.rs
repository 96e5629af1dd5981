//! A connection to a Redis server.

use std::future::Future;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::{ANSWER, failure};
use crate::config::{RedisAddress, RedisPlan};
use crate::outbound::client_tls;
use crate::source::{SourceError, credentials};

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<P: AsyncRead + AsyncWrite + Send + Unpin> Pipe for P {}

/// Who we are, and which database is meant.
pub(super) fn login(plan: &RedisPlan) -> Result<RedisConnectionInfo, SourceError> {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(plan.database.into());
    if let Some(user) = &plan.login.user {
        login = login.set_username(user);
    }
    if let Some(password) = credentials::password(&plan.login)? {
        login = login.set_password(password);
    }
    Ok(login)
}

/// Connects and logs in. The second part has to be polled for the connection to live; it ends with it. `changes` is
/// woken by every message that the server pushes: how many there were does not matter.
pub(super) async fn connect(
    plan: &RedisPlan,
    login: &RedisConnectionInfo,
    changes: Arc<Notify>,
) -> Result<(MultiplexedConnection, impl Future<Output = ()>), SourceError> {
    let pushed = move |info: PushInfo| {
        if matches!(info.kind, PushKind::Message | PushKind::PMessage) {
            changes.notify_one();
        }
        Ok::<(), ()>(())
    };
    let settings = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER)).set_push_sender(pushed);
    let pipe = pipe(plan).await?;
    MultiplexedConnection::new_with_config(login, pipe, settings).await.map_err(failure)
}

/// The bytes' way: our own TLS, so that there is one provider and one way to name authorities.
async fn pipe(plan: &RedisPlan) -> Result<Box<dyn Pipe>, SourceError> {
    let broken = |error: std::io::Error| SourceError::Unreachable(error.to_string());
    let (host, port) = match &plan.address {
        RedisAddress::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(broken)?)),
        RedisAddress::Host(host, port) => (host, *port),
    };
    let socket = TcpStream::connect((host.as_str(), port)).await.map_err(broken)?;
    socket.set_nodelay(true).map_err(broken)?;
    let Some(files) = &plan.tls else { return Ok(Box::new(socket)) };
    let settings = client_tls(&credentials::roots(files))?;
    let name = ServerName::try_from(host.clone()).map_err(|error| SourceError::Unreachable(error.to_string()))?;
    let secured = TlsConnector::from(Arc::new(settings)).connect(name, socket).await.map_err(broken)?;
    Ok(Box::new(secured))
}
