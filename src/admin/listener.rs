//! Connections of the admin port: a bounded number, each with deadlines.
//!
//! The server behind this sets no time-outs of its own, so a client that sends half a head, or nothing, or never reads
//! its answer, would hold a connection for ever. The deadlines sit below HTTP instead, on the bytes:
//!
//! ```text
//!            first byte of a request
//!    idle ────────────────────────────▶ asking
//!     ▲                                   │ first byte of the answer
//!     └───────────────────────────────────┘
//! ```
//!
//! `idle` lasts [`IDLE`] at most, from the last byte written; `asking` lasts [`ASKING`] from its first byte, however
//! the bytes drip. At the deadline reading and writing fail, which ends the connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at a time; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 128;

/// How long a connection may wait for the next request, or for its client to read.
const IDLE: Duration = Duration::from_secs(30);

/// How long a request may take from its first byte to the first byte of its answer.
const ASKING: Duration = Duration::from_secs(15);

/// A listener that takes no more than [`CONNECTIONS`] connections at a time.
pub(super) struct BoundedListener {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

impl Listener for BoundedListener {
    type Io = TimedStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let permit = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (TimedStream::new(stream, Some(permit)), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Asking,
}

/// A stream with the deadlines of an HTTP/1 server.
pub(super) struct TimedStream<S> {
    stream: S,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    /// Given back when the connection goes.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> TimedStream<S> {
    fn new(stream: S, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, phase: Phase::Idle, deadline: Box::pin(sleep(IDLE)), _permit: permit }
    }

    fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.deadline.as_mut().reset(Instant::now() + limit);
    }

    /// Pending before the deadline, an error after it.
    fn expired<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
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
            self.enter(Phase::Asking, ASKING);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) else {
            return self.expired(cx);
        };
        self.enter(Phase::Idle, IDLE);
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
        self.enter(Phase::Idle, IDLE);
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
