//! HTTP/2 connections to one endpoint: many requests share one, and a second is opened when the first is full.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::h2::SendStream;
use ::h2::client::ResponseFuture;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::Dialect;
use super::connect::{ConnectError, connect};
use super::endpoint::Endpoint;
use super::lease::{H2Lease, Hold};
use super::pool::Teller;
use crate::telemetry::{ConnectResult, ConnectionState};
use crate::wire::h1::Connection;
use crate::wire::h2;

/// Streams put on one connection, whatever the peer allows: more would make one connection's window the bottleneck.
const MOST_STREAMS: usize = 200;
/// How long a connection without streams is kept. Its server says when it goes (GOAWAY), so there is no race to win.
const IDLE: Duration = Duration::from_secs(60);
/// What an upstream may send before it is read.
const LIMITS: h2::Limits =
    h2::Limits { streams: 256, stream_window: 256 * 1024, connection_window: 2 * 1024 * 1024, head_bytes: 64 * 1024 };

/// The connections to one endpoint.
pub(super) struct H2Pool {
    connections: RefCell<Vec<Rc<H2Connection>>>,
    /// One connects at a time; the others then find its connection.
    connecting: Semaphore,
}

impl Default for H2Pool {
    fn default() -> Self {
        Self { connections: RefCell::default(), connecting: Semaphore::new(1) }
    }
}

/// One connection.
pub(super) struct H2Connection {
    /// Asked whether the connection lives and what it takes; it never sends.
    client: RefCell<h2::Client>,
    streams: Cell<usize>,
    used: Cell<bool>,
    closed: Cell<bool>,
    idle_since: Cell<Instant>,
    teller: Teller,
}

impl H2Connection {
    fn new(client: h2::Client, teller: Teller) -> Self {
        teller.enter(ConnectionState::Idle);
        let (streams, used, closed) = (Cell::new(0), Cell::default(), Cell::default());
        Self { client: RefCell::new(client), streams, used, closed, idle_since: Cell::new(Instant::now()), teller }
    }

    /// One stream more. With the first of them the connection, not the stream, counts as active.
    fn occupy(&self) {
        if self.streams.replace(self.streams.get() + 1) == 0 {
            self.teller.leave(ConnectionState::Idle);
            self.teller.enter(ConnectionState::Active);
        }
    }

    pub(super) fn release(&self) {
        self.streams.set(self.streams.get() - 1);
        if self.streams.get() == 0 {
            self.idle_since.set(Instant::now());
            self.teller.leave(ConnectionState::Active);
            self.teller.enter(ConnectionState::Idle);
        }
    }

    pub(super) fn retire(&self) {
        self.closed.set(true);
    }

    fn has_room(&self) -> bool {
        let streams = self.streams.get();
        !self.closed.get() && streams < MOST_STREAMS && streams < self.client.borrow().current_max_send_streams()
    }

    /// Sends a request's head, by a sender of its own. One that has filled the connection holds on to its stream: it
    /// refuses what comes next, takes the wake-ups of whoever writes that stream, and keeps it from being reset when it is
    /// dropped (`poll_ready` and `send_request` of the `h2` crate).
    pub(super) fn send(
        &self,
        request: http::Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), ::h2::Error> {
        self.client.borrow().clone().send_request(request, ends)
    }
}

impl Drop for H2Connection {
    /// Leases hold it, so nothing is on it any more.
    fn drop(&mut self) {
        self.teller.leave(ConnectionState::Idle);
    }
}

impl H2Pool {
    /// A stream on a connection that takes one now, without waiting.
    pub(super) fn lease_waiting(&self, endpoint: &Rc<Endpoint>) -> Option<H2Lease> {
        let connection = self.connections.borrow().iter().find(|connection| connection.has_room()).cloned()?;
        // Whoever has to wait asks again, with a task that can be woken.
        let ready = connection.client.borrow_mut().poll_ready(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(())) = ready else { return None };
        connection.occupy();
        let reused = connection.used.replace(true);
        Some(H2Lease { reused, connection, hold: Hold::of_stream(endpoint.clone()) })
    }

    /// A stream on a connection with room, or on a fresh one.
    pub(super) async fn lease(endpoint: &Rc<Endpoint>, within: Duration) -> Result<H2Lease, ConnectError> {
        let pool = &endpoint.h2;
        if let Some(lease) = pool.take(endpoint).await {
            return Ok(lease);
        }
        let waiting = tokio::time::timeout(within, pool.connecting.acquire());
        let _turn = waiting.await.map_err(|_| ConnectError::TimedOut)?;
        if let Some(lease) = pool.take(endpoint).await {
            return Ok(lease);
        }
        let connection = pool.open(endpoint, within).await?;
        pool.claim(endpoint, connection).await.ok_or(ConnectError::TimedOut)
    }

    async fn take(&self, endpoint: &Rc<Endpoint>) -> Option<H2Lease> {
        loop {
            let found = self.connections.borrow().iter().find(|connection| connection.has_room()).cloned()?;
            if let Some(lease) = self.claim(endpoint, found).await {
                return Some(lease);
            }
        }
    }

    /// Takes one stream; `None` where the connection turns out to take no more.
    async fn claim(&self, endpoint: &Rc<Endpoint>, connection: Rc<H2Connection>) -> Option<H2Lease> {
        connection.occupy();
        let lease = H2Lease {
            reused: connection.used.replace(true),
            connection: connection.clone(),
            hold: Hold::of_stream(endpoint.clone()),
        };
        let ready = connection.client.borrow().clone().ready();
        match ready.await {
            Ok(_) => Some(lease),
            Err(_) => {
                connection.closed.set(true);
                self.forget(&connection);
                None
            }
        }
    }

    async fn open(&self, endpoint: &Rc<Endpoint>, within: Duration) -> Result<Rc<H2Connection>, ConnectError> {
        let Connection { input, output } = {
            let security = endpoint.security(Dialect::H2);
            Connection::new(connect(&endpoint.standing.address, security, within).await?)
        };
        let greeting = tokio::time::timeout(within, h2::connect(input, output, &LIMITS));
        let greeted = greeting.await.map_err(|_| ConnectError::TimedOut)?;
        let (client, driver) = greeted.map_err(|error| ConnectError::Refused(std::io::Error::other(error)))?;
        endpoint.teller.connect(ConnectResult::Connected);
        let connection = Rc::new(H2Connection::new(client, endpoint.teller.clone()));
        self.connections.borrow_mut().push(connection.clone());
        let (pooled, weak) = (Rc::downgrade(endpoint), Rc::downgrade(&connection));
        // Ends when the peer closes, or when the pool and all streams have let go of the connection.
        tokio::task::spawn_local(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "an upstream HTTP/2 connection ended");
            }
            if let (Some(endpoint), Some(connection)) = (pooled.upgrade(), weak.upgrade()) {
                connection.closed.set(true);
                endpoint.h2.forget(&connection);
            }
        });
        Ok(connection)
    }

    fn forget(&self, gone: &Rc<H2Connection>) {
        self.connections.borrow_mut().retain(|connection| !Rc::ptr_eq(connection, gone));
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.connections.borrow_mut().retain(|connection| {
            let waits = !connection.closed.get() && now.saturating_duration_since(connection.idle_since.get()) < IDLE;
            connection.streams.get() > 0 || waits
        });
    }
}
