//! A check by HTTP/2 with prior knowledge, and what a check by gRPC has in common with it.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};

use super::{ProbeError, Question, USER_AGENT, passes};
use crate::wire::{Socket, h2};

/// What a checked server may send before it is read.
const LIMITS: h2::Limits =
    h2::Limits { streams: 1, stream_window: 64 * 1024, connection_window: 64 * 1024, head_bytes: 16 * 1024 };
/// Most of an answer's body that is kept; a health message has two bytes.
const MOST_BODY: usize = 4 * 1024;

/// What is asked for.
pub(super) enum Ask {
    /// The head of the answer: its body is left where it is.
    Head,
    /// The whole answer to this message.
    Call(Bytes),
}

/// An answer.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    /// The first bytes of the body, where it was asked for.
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

pub(super) async fn check(socket: Socket, path: &str, question: &Question) -> Result<(), ProbeError> {
    let request = Request::get(uri(question, path)?).header("user-agent", USER_AGENT);
    let request = request.body(()).map_err(|_| ProbeError::Malformed)?;
    passes(ask(socket, request, Ask::Head).await?.status)
}

/// The target of a request.
pub(super) fn uri(question: &Question, path: &str) -> Result<http::Uri, ProbeError> {
    let uri = http::Uri::builder().scheme(question.scheme).authority(question.authority.as_str()).path_and_query(path);
    uri.build().map_err(|_| ProbeError::Malformed)
}

/// One request and its answer on a connection of its own.
pub(super) async fn ask(socket: Socket, request: Request<()>, what: Ask) -> Result<Answer, ProbeError> {
    let (client, driver) = h2::connect_once(socket, &LIMITS).await?;
    let exchange = exchange(client, request, what);
    tokio::pin!(driver, exchange);
    let mut driven = false;
    poll_fn(|cx| {
        // The connection works only while it is polled; what it ended with, the exchange will say.
        driven = driven || driver.as_mut().poll(cx).is_ready();
        exchange.as_mut().poll(cx)
    })
    .await
}

async fn exchange(client: h2::Client, request: Request<()>, what: Ask) -> Result<Answer, ProbeError> {
    let mut client = client.ready().await?;
    let (answer, mut stream) = client.send_request(request, matches!(what, Ask::Head))?;
    if let Ask::Call(message) = &what {
        stream.send_data(message.clone(), true)?;
    }
    let (parts, mut incoming) = answer.await?.into_parts();
    let head = Answer { status: parts.status.as_u16(), fields: parts.headers, ..Answer::default() };
    if let Ask::Head = what {
        return Ok(head);
    }
    let mut kept = BytesMut::new();
    while let Some(data) = incoming.data().await {
        let data = data?;
        kept.extend_from_slice(&data[..data.len().min(MOST_BODY - kept.len())]);
        // Fails only where the stream is closed: then nothing more is to come.
        let _ = incoming.flow_control().release_capacity(data.len());
    }
    let trailers = incoming.trailers().await?;
    Ok(Answer { body: kept.freeze(), trailers, ..head })
}
