//! The load: visitors in turn over kept connections, each answer checked for its status, its length and its lane.
//!
//! A closed loop sends the next request when the last one is answered: it finds out what a proxy can bear. An open loop
//! sends when the time has come, whether or not earlier ones are answered, and counts from then: a proxy that stands
//! still for a while is charged for everybody who came meanwhile (no coordinated omission).
//!
//! Everything runs in one thread, on the core of the load. [`http1`] and [`http2`] are the protocols, [`socket`] what is
//! below them, [`pace`] the times of an open loop, [`turn`] what the connections share.

pub mod http1;
pub mod http2;
pub mod pace;
pub mod socket;
pub mod turn;

use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

pub use turn::{Outcome, Turn};

use crate::scenario::Client;
use crate::stage::Target;
use crate::visitors::{Lane, Visitor};

/// A request did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The HTTP/2 connection or stream failed.
    #[error("HTTP/2 failed: {0}")]
    Http2(#[from] h2::Error),
    /// The answer is no HTTP.
    #[error("the answer makes no sense: {0}")]
    Form(&'static str),
    /// The answer is another one than was asked for.
    #[error("status {0}")]
    Status(u16),
    /// The body has another length than was asked for.
    #[error("a body of {got} bytes instead of {wanted}")]
    Length {
        /// What came.
        got: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// gRPC's own status is not 0.
    #[error("grpc-status {0}")]
    Grpc(String),
    /// The connection could not be made in time.
    #[error("nothing came within {0:?}")]
    Late(Duration),
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The lane that the origin says it is.
    pub lane: Option<Lane>,
    /// The length of its body.
    pub body: u64,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// One after the other on each connection.
    Closed,
    /// So many a second in all, evenly.
    Open {
        /// The rate.
        per_second: f64,
    },
}

/// Visitors ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    visitors: Vec<Visitor>,
    http1: Vec<Vec<u8>>,
    body: u64,
}

impl Prepared {
    /// Of visitors who expect bodies of so many bytes.
    pub fn new(visitors: Vec<Visitor>, body: usize) -> Rc<Self> {
        let http1 = visitors.iter().map(http1::request).collect();
        Rc::new(Self { visitors, http1, body: body as u64 })
    }

    /// How many visitors there are.
    pub fn len(&self) -> usize {
        self.visitors.len()
    }

    /// The lane that has to answer a visitor.
    pub fn lane(&self, at: usize) -> Lane {
        self.visitors[at].lane
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.visitors.is_empty()
    }
}

/// How long opening a connection and its first exchange may take.
pub const FIRST: Duration = Duration::from_secs(20);

/// Open connections, each of which had one good answer.
#[derive(Debug)]
pub struct Crowd {
    target: Target,
    prepared: Rc<Prepared>,
    http1: Vec<http1::Connection>,
    http2: Vec<http2::Connection>,
    streams: usize,
}

impl Crowd {
    /// Opens connections with one exchange on each.
    ///
    /// # Errors
    /// Where one fails.
    pub async fn open(
        target: &Target,
        prepared: &Rc<Prepared>,
        connections: usize,
        streams: usize,
    ) -> Result<Self, LoadError> {
        let mut crowd =
            Self { target: target.clone(), prepared: Rc::clone(prepared), http1: vec![], http2: vec![], streams };
        for number in 0..connections {
            let at = number % prepared.len();
            match target.client {
                Client::Http1 => {
                    let mut connection = http1::Connection::open(target).await?;
                    let first = connection.exchange(prepared, at);
                    tokio::time::timeout(FIRST, first).await.map_err(|_| LoadError::Late(FIRST))??;
                    crowd.http1.push(connection);
                }
                Client::Http2 | Client::Grpc => {
                    let mut connection = http2::Connection::open(target).await?;
                    let first = connection.exchange(prepared, at);
                    tokio::time::timeout(FIRST, first).await.map_err(|_| LoadError::Late(FIRST))??;
                    crowd.http2.push(connection);
                }
            }
        }
        Ok(crowd)
    }

    /// Makes load for a while; the connections are closed afterwards. Requests under way at the end are waited for.
    pub async fn run(self, mode: Mode, length: Duration) -> Outcome {
        let turn = Rc::new(Turn::start(mode, length, Rc::clone(&self.prepared)));
        let here = LocalSet::new();
        let (turn_here, target) = (Rc::clone(&turn), Rc::new(self.target));
        here.run_until(async move {
            let mut workers = JoinSet::new();
            for connection in self.http1 {
                workers.spawn_local(http1::work(connection, Rc::clone(&target), Rc::clone(&turn_here)));
            }
            for connection in self.http2 {
                for _ in 0..self.streams {
                    workers.spawn_local(http2::work(connection.clone(), Rc::clone(&turn_here)));
                }
            }
            if let Mode::Open { per_second } = mode {
                workers.spawn_local(pace::keep(Rc::clone(&turn_here), per_second));
            }
            while workers.join_next().await.is_some() {}
        })
        .await;
        turn.outcome()
    }
}

/// One exchange on a connection of its own: whether the target serves as it should.
///
/// # Errors
/// Where it does not.
pub async fn probe(target: &Target, prepared: &Rc<Prepared>, at: usize) -> Result<Answer, LoadError> {
    match target.client {
        Client::Http1 => http1::Connection::open(target).await?.exchange(prepared, at).await,
        Client::Http2 | Client::Grpc => http2::Connection::open(target).await?.exchange(prepared, at).await,
    }
}
