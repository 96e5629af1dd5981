//! HTTP calls of the control runtime to other servers: configuration centres, look-ups, webhooks. Never used on the data
//! path, which has connections of its own.
//!
//! Every call has a deadline and a bound on the bytes it takes; a server that says more, or later, is an error and nothing
//! else.

mod tls;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

pub use tls::{Roots, TlsError, client_tls};

/// How long a connection may take to be there, within the deadline of its call.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Makes calls; connections are kept for the next one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The time until the whole answer is there.
    pub within: Duration,
    /// The most bytes of the answer's body.
    pub bytes: usize,
}

/// An answer that is there as a whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// What came behind it.
    pub trailers: HeaderMap,
}

/// An answer whose body comes bit by bit, such as that of a watch.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: HeaderMap,
    body: Incoming,
    trailers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server could not be reached, or broke off.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The answer's body is larger than the call allows.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Caller {
    /// With the server certificates that `roots` vouches for; plain `http://` needs none.
    pub fn new(roots: &Roots) -> Result<Self, TlsError> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain());
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// The same in HTTP/2, for gRPC; `http://` is taken to mean that the server knows it without asking.
    pub fn over_h2(roots: &Roots) -> Result<Self, TlsError> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(roots)?)
            .https_or_http()
            .enable_http2()
            .wrap_connector(plain());
        Ok(Self { client: Client::builder(TokioExecutor::new()).http2_only(true).build(connector) })
    }

    /// Sends a request and waits for the whole answer.
    pub async fn call(&self, request: Request<Bytes>, bounds: Bounds) -> Result<Answer, CallError> {
        let deadline = Instant::now() + bounds.within;
        let mut stream = self.open_until(request, deadline, bounds.within).await?;
        let mut body = BytesMut::new();
        let whole = async {
            while let Some(chunk) = stream.next().await? {
                if body.len() + chunk.len() > bounds.bytes {
                    return Err(CallError::TooLarge(bounds.bytes));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline, whole).await.map_err(|_| CallError::Late(bounds.within))??;
        let Stream { status, fields, trailers, .. } = stream;
        Ok(Answer { status, fields, body: body.freeze(), trailers })
    }

    /// Sends a request and waits for the head of its answer only. How long to wait for what follows is the caller's
    /// business.
    pub async fn open(&self, request: Request<Bytes>, within: Duration) -> Result<Stream, CallError> {
        self.open_until(request, Instant::now() + within, within).await
    }

    async fn open_until(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
        within: Duration,
    ) -> Result<Stream, CallError> {
        let sent = self.client.request(request.map(Full::new));
        let answered = tokio::time::timeout_at(deadline, sent).await.map_err(|_| CallError::Late(within))?;
        let (head, body) = answered.map_err(|error| unreachable(&error))?.into_parts();
        Ok(Stream { status: head.status.as_u16(), fields: head.headers, body, trailers: HeaderMap::new() })
    }
}

impl Stream {
    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(unreachable(&error)),
                Some(Ok(frame)) => match frame.into_data().map_err(Frame::into_trailers) {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(Ok(trailers)) => self.trailers = trailers,
                    Err(Err(_)) => {}
                },
            }
        }
    }
}

/// Connections as they are before TLS.
fn plain() -> HttpConnector {
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(CONNECT_WITHIN));
    plain
}

/// The whole chain of causes: the outermost alone says "client error".
fn unreachable(error: &dyn std::error::Error) -> CallError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    CallError::Unreachable(text)
}

#[cfg(test)]
mod tests;
