//! Connections of the admin port: a bounded number, each with deadlines.
//!
//! The server behind this sets no time-outs of its own, so a client that sends half a head, or nothing, or never reads
//! its answer, would hold a connection for ever. The deadlines sit below HTTP instead, on the bytes:
//!
//! ```text
//!         first byte                   first byte of the answer
//!    new ───────────▶ asking ─────────────────────────────────▶ idle
//!                        ▲       first byte of the next request  │
//!                        └───────────────────────────────────────┘
//! ```
//!
//! `new` is counted from the connection's beginning, `idle` from the last byte written, `asking` from its first byte, however the
//! bytes drip ([`LIMITS`]). At the deadline reading and writing fail, which ends the connection. So they do where every place is
//! taken and this one is needed for somebody who comes ([`Seats`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

use super::seats::{Phase, Seat, Seats};

/// Connections at a time. One more takes the place of another one.
const CONNECTIONS: usize = 128;

/// How long each phase of a connection may last.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Until the first byte of the first request.
    new: Duration,
    /// Waiting for the next request, or for the client to read its answer.
    idle: Duration,
    /// From the first byte of a request to the first byte of its answer.
    asking: Duration,
}

const LIMITS: Limits =
    Limits { new: Duration::from_secs(5), idle: Duration::from_secs(30), asking: Duration::from_secs(15) };

/// A listener that has no more than [`CONNECTIONS`] connections at a time.
pub(super) struct BoundedListener {
    listener: TcpListener,
    seats: Arc<Seats>,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, seats: Seats::new(CONNECTIONS) }
    }
}

impl Listener for BoundedListener {
    type Io = TimedStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let seat = self.seats.take(peer.ip()).await;
        (TimedStream::new(stream, LIMITS, Some(seat)), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A stream with the deadlines of an HTTP/1 server.
pub(super) struct TimedStream<S> {
    stream: S,
    phase: Phase,
    limits: Limits,
    deadline: Pin<Box<Sleep>>,
    /// Its place, where places are counted.
    seat: Option<Seat>,
}

impl<S> TimedStream<S> {
    fn new(stream: S, limits: Limits, seat: Option<Seat>) -> Self {
        Self { stream, phase: Phase::Idle, limits, deadline: Box::pin(sleep(limits.new)), seat }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.seat.iter().for_each(|seat| seat.enter(phase));
        let limit = match phase {
            Phase::Idle => self.limits.idle,
            Phase::Asking => self.limits.asking,
        };
        self.deadline.as_mut().reset(Instant::now() + limit);
    }

    /// Pending before the deadline, an error after it, or once the place is needed.
    fn expired<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.seat.as_mut().is_some_and(|seat| seat.is_needed(cx)) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            return self.expired(cx);
        };
        if self.phase == Phase::Idle && buf.filled().len() > before {
            self.enter(Phase::Asking);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) else {
            return self.expired(cx);
        };
        self.enter(Phase::Idle);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write_vectored(cx, parts) else {
            return self.expired(cx);
        };
        self.enter(Phase::Idle);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SHORT: Duration = Duration::from_millis(40);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_client_that_says_nothing_is_let_go() {
        let (_client, server) = duplex(64);
        let mut server = TimedStream::new(server, Limits { new: SHORT, idle: SHORT, asking: LONG }, None);
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn bytes_that_drip_do_not_put_the_deadline_off() {
        let (mut client, server) = duplex(64);
        let mut server = TimedStream::new(server, Limits { new: LONG, idle: LONG, asking: SHORT }, None);
        let drip = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                // The client's pace.
                sleep(SHORT / 10).await;
            }
        });
        let begun = Instant::now();
        let mut rest = Vec::new();
        let error = server.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!rest.is_empty() && begun.elapsed() >= SHORT);
        drop(server);
        drip.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go() {
        let (_client, server) = duplex(8);
        let mut server = TimedStream::new(server, Limits { new: SHORT, idle: SHORT, asking: LONG }, None);
        let error = server.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_makes_room_for_the_next_request() {
        let (mut client, server) = duplex(64);
        let mut server = TimedStream::new(server, Limits { new: LONG, idle: LONG, asking: SHORT }, None);
        client.write_all(b"a").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'a');
        server.write_all(b"b").await.unwrap();
        // A span in which nothing may happen.
        sleep(2 * SHORT).await;
        client.write_all(b"c").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'c');
    }

    #[tokio::test]
    async fn a_client_that_begins_with_nothing_is_let_go_sooner() {
        let (_client, server) = duplex(64);
        let mut server = TimedStream::new(server, Limits { new: SHORT, idle: LONG, asking: LONG }, None);
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_too_many_takes_the_place_of_one_that_says_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = BoundedListener { listener, seats: Seats::new(1) };
        let _clients = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let (mut first, _) = bounded.accept().await;
        let silent = tokio::spawn(async move { first.read_u8().await.map_err(|error| error.kind()) });
        assert!(tokio::time::timeout(LONG, bounded.accept()).await.is_ok());
        assert_eq!(silent.await.unwrap(), Err(io::ErrorKind::ConnectionAborted));
    }
}
