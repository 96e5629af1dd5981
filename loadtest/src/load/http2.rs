//! HTTP/2 and gRPC by the `h2` crate: many streams at a time on each connection.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Request, Version};

use super::socket::connect;
use super::{Answer, LoadError, Prepared, Turn, http1};
use crate::scenario::Client;
use crate::stage::Target;

/// Flow-control windows are no part of what is measured, so they are large.
const WINDOW: u32 = 16 << 20;
/// A gRPC message of 64 bytes with its prefix: not compressed, its length in four bytes.
const MESSAGE: [u8; 69] = {
    let mut message = [7; 69];
    (message[0], message[1], message[2], message[3], message[4]) = (0, 0, 0, 0, 64);
    message
};

/// A kept connection; its clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    send: SendRequest<Bytes>,
    grpc: bool,
    https: bool,
}

impl Connection {
    /// Opens one. What drives it is a task that ends with it.
    ///
    /// # Errors
    /// Where the target does not take it.
    pub async fn open(target: &Target) -> Result<Self, LoadError> {
        let stream = connect(target.address, target.tls.as_ref()).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (send, driver) = builder.handshake(stream).await?;
        // What it fails with, its streams say too.
        tokio::spawn(async move { driver.await.ok() });
        Ok(Self { send, grpc: target.client == Client::Grpc, https: target.tls.is_some() })
    }

    /// Sends one visitor and reads the answer.
    ///
    /// # Errors
    /// Where the answer is not what was asked for.
    pub async fn exchange(&mut self, prepared: &Prepared, at: usize) -> Result<Answer, LoadError> {
        let request = self.request(prepared, at);
        poll_fn(|context| self.send.poll_ready(context)).await?;
        let (answer, mut up) = self.send.send_request(request, !self.grpc)?;
        if self.grpc {
            up.send_data(Bytes::from_static(&MESSAGE), true)?;
        }
        let answer = answer.await?;
        if answer.status() != 200 {
            return Err(LoadError::Status(answer.status().as_u16()));
        }
        let lane = answer.headers().get("x-lane").and_then(|value| http1::lane(value.as_bytes()));
        let mut body = answer.into_body();
        let mut length = 0;
        while let Some(piece) = body.data().await {
            let piece = piece?.len();
            length += piece as u64;
            body.flow_control().release_capacity(piece)?;
        }
        if self.grpc {
            let trailers = body.trailers().await?.unwrap_or_default();
            let status = trailers.get("grpc-status").map_or("none", |value| value.to_str().unwrap_or("unreadable"));
            if status != "0" {
                return Err(LoadError::Grpc(status.to_owned()));
            }
        }
        match length == prepared.body {
            true => Ok(Answer { lane, body: length }),
            false => Err(LoadError::Length { got: length, wanted: prepared.body }),
        }
    }

    fn request(&self, prepared: &Prepared, at: usize) -> Request<()> {
        let visitor = &prepared.visitors[at];
        let scheme = if self.https { "https" } else { "http" };
        let mut request = Request::builder()
            .method(if self.grpc { "POST" } else { "GET" })
            .uri(format!("{scheme}://goods.shop{}", visitor.path))
            .version(Version::HTTP_2);
        if self.grpc {
            request = request.header("content-type", "application/grpc").header("te", "trailers");
        }
        for (name, value) in &visitor.headers {
            let value = HeaderValue::from_str(value).expect("visitors bring good values");
            request = request.header(name, value);
        }
        request.body(()).expect("visitors bring good requests")
    }
}

/// How many failures a stream takes before it gives up; a connection that is gone fails at once, for ever.
const FAILURES: usize = 100;

/// Works off requests of a turn until it ends.
pub async fn work(mut connection: Connection, turn: Rc<Turn>) {
    let mut failures = 0;
    while let Some(due) = turn.next().await {
        let at = turn.visitor();
        let answer = connection.exchange(turn.prepared(), at).await;
        failures += usize::from(answer.is_err());
        turn.count(due, at, answer);
        if failures > FAILURES {
            turn.give_up(LoadError::Form("too many streams failed"));
            return;
        }
    }
}
