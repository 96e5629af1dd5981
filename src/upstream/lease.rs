//! A connection on loan, for one exchange.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ::h2::SendStream;
use ::h2::client::ResponseFuture;
use bytes::Bytes;

use super::endpoint::Endpoint;
use super::h2_pool::H2Connection;
use super::{Address, ConnectError, Report};
use crate::telemetry::ConnectionState;
use crate::wire::h1;

/// Why no connection could be lent. Nothing of the request was sent.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The upstream has no endpoint with an address.
    #[error("no endpoint has an address")]
    NoEndpoint,
    /// Every endpoint tried could not be connected to.
    #[error("no endpoint could be connected to")]
    Connect(#[source] ConnectError),
}

/// A connection on loan.
pub enum Lease {
    /// A whole HTTP/1 connection.
    H1(H1Lease),
    /// One stream of an HTTP/2 connection.
    H2(H2Lease),
}

impl Lease {
    /// Follows the request that is now sent, where its outcome changes anything: what it returns is told how the
    /// exchange goes. `waited` is how long its client was waited for so far.
    pub fn report(&self, waited: Duration) -> Option<Report> {
        match self {
            Self::H1(lease) => lease.hold.endpoint.report(waited),
            Self::H2(lease) => lease.hold.endpoint.report(waited),
        }
    }

    /// Where the request is sent.
    pub fn address(&self) -> &Address {
        match self {
            Self::H1(lease) => &lease.hold.endpoint.standing.address,
            Self::H2(lease) => &lease.hold.endpoint.standing.address,
        }
    }
}

/// A whole HTTP/1 connection. Dropped, it is closed; [`H1Lease::finish`] keeps it.
pub struct H1Lease {
    /// The connection; on the heap, for it changes hands several times a request.
    pub connection: Box<h1::Connection>,
    hold: Hold,
    /// Whether it has carried an exchange before: then the peer may be closing it.
    pub reused: bool,
}

impl H1Lease {
    pub(super) fn new(connection: Box<h1::Connection>, endpoint: Rc<Endpoint>, reused: bool) -> Self {
        Self { connection, hold: Hold::of_connection(endpoint), reused }
    }

    /// Gives the connection back for another exchange; both messages of this one must be over.
    pub fn finish(self, now: Instant) {
        self.hold.endpoint.give_back(self.connection, now);
    }

    /// The endpoint's authority, for a request that came without one.
    pub fn authority(&self) -> String {
        match &self.hold.endpoint.standing.address {
            Address::Unix(_) => String::from("localhost"),
            address => address.to_string(),
        }
    }
}

/// One stream of an HTTP/2 connection.
pub struct H2Lease {
    pub(super) connection: Rc<H2Connection>,
    /// Whether the connection has carried an exchange before.
    pub reused: bool,
    pub(super) hold: Hold,
}

impl H2Lease {
    /// Sends the one request that it is for.
    ///
    /// # Errors
    /// Where the connection takes no more.
    pub fn send(
        &self,
        request: http::Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), ::h2::Error> {
        self.connection.send(request, ends)
    }

    /// How requests are to name the way to the endpoint.
    pub fn scheme(&self) -> &'static str {
        self.hold.endpoint.scheme()
    }

    /// Lets no further request onto the connection; those under way go on.
    pub fn retire(&self) {
        self.connection.retire();
    }
}

impl Drop for H2Lease {
    fn drop(&mut self) {
        self.connection.release();
    }
}

/// Counts a loan as under way at its endpoint.
pub(super) struct Hold {
    endpoint: Rc<Endpoint>,
    /// Whether the loan is a whole connection; one that is shared counts itself.
    is_whole: bool,
}

impl Hold {
    fn of_connection(endpoint: Rc<Endpoint>) -> Self {
        endpoint.teller.enter(ConnectionState::Active);
        let mut hold = Self::of_stream(endpoint);
        hold.is_whole = true;
        hold
    }

    pub(super) fn of_stream(endpoint: Rc<Endpoint>) -> Self {
        endpoint.in_flight.set(endpoint.in_flight.get() + 1);
        Self { endpoint, is_whole: false }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.endpoint.in_flight.set(self.endpoint.in_flight.get() - 1);
        if self.is_whole {
            self.endpoint.teller.leave(ConnectionState::Active);
        }
    }
}
