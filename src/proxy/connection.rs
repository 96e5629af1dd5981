//! One client connection in HTTP/1: wait for a head, serve it, go on or close.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::body::RequestBody;
use super::drain::Guest;
use super::failure::Failure;
use super::fields::connection_has;
use super::pace::Pace;
use super::record::Record;
use super::respond::{H1Responder, Mark, Responder};
use super::servant::Servants;
use super::standing::Standing;
use super::tell::refusal;
use super::timer::{Late, Timer};
use super::worker::Worker;
use super::{REPLAYED_BODY, Request, h2_connection, serve};
use crate::telemetry::{Closing, ConnectionState};
use crate::wire::h1::{self, HeadError, HeadScan, Limits, Persistence, request_framing};
use crate::wire::{BodyReader, RequestHead, Socket, Version};

/// Serves one client for as long as it stays. This is small, and all that a connection holds while it waits.
pub(super) async fn serve_client(mut client: Box<Client>) {
    let (worker, idle) = (client.worker.clone(), ConnectionState::Idle);
    worker.telemetry.totals().client_enters(worker.id, idle);
    let mut left = Left::Waiting;
    while left == Left::Waiting && client.has_more().await {
        (client, left) = Servants::attend(client).await;
    }
    worker.telemetry.totals().client_leaves(worker.id, idle);
    match left {
        Left::Waiting | Left::Over => {}
        Left::Lingering => Box::pin(client.linger()).await,
        Left::Reset => client.connection.reset(),
        Left::H2 => {
            let Client { guest, connection, standing, .. } = *client;
            Box::pin(h2_connection::serve_client(worker, guest, connection, standing)).await;
        }
    }
}

/// One client connection.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    guest: Guest,
    connection: h1::Connection,
    timer: Timer,
    standing: Standing,
    /// Whether nothing has come from it yet.
    is_new: bool,
    /// When its last request was over, until it was waited for another.
    served_at: Option<Instant>,
}

/// What becomes of a connection that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It may send another request.
    Waiting,
    /// There is nothing more to say.
    Over,
    /// The last answer must arrive although the client may still be sending.
    Lingering,
    /// The client is to see it reset.
    Reset,
    /// The client speaks HTTP/2.
    H2,
}

/// What came next on a connection.
enum Next {
    Head,
    Left(Left),
    Refused(HeadError),
    Slow,
}

impl Client {
    /// Of a connection from which nothing was read.
    pub(super) fn new(worker: Rc<Worker>, socket: Socket, standing: Standing, guest: Guest) -> Box<Self> {
        let connection = h1::Connection::new(socket);
        let timer = Timer::default();
        Box::new(Self { worker, guest, connection, timer, standing, is_new: true, served_at: None })
    }

    /// Waits for the first bytes of a request, without holding a buffer; whether there are any.
    async fn has_more(&mut self) -> bool {
        let Self { worker, guest, connection, timer, is_new, served_at, .. } = self;
        let mut idle = None;
        poll_fn(|cx| {
            if let Poll::Ready(read) = connection.input.poll_ahead(cx) {
                return Poll::Ready(read.is_ok_and(|n| n > 0));
            }
            // Draining wakes us, so that the time that is left is looked at again.
            let _ = guest.poll_drain(cx);
            let leaves_by = guest.leaves_by();
            let idle = *idle.get_or_insert_with(|| {
                let times = worker.view().snapshot.settings.limits;
                let since = served_at.take().unwrap_or_else(Instant::now);
                since + if *is_new { times.header_time } else { times.idle }
            });
            let due = leaves_by.map_or(idle, |by| idle.min(by));
            timer.poll_due(cx, due).map(|()| {
                if leaves_by.is_none() {
                    worker.telemetry.totals().closed(worker.id, Closing::Idle);
                }
                false
            })
        })
        .await
    }

    /// Serves what is there to be read, until there is nothing left or nothing more to say.
    pub(super) async fn serve(&mut self) -> Left {
        let mut is_behind = false;
        loop {
            let mut head = self.worker.request_head();
            let next = self.next_head(&mut head).await;
            self.is_new = false;
            let goes_on = match next {
                Next::Head => self.exchange(&head).await,
                Next::Left(left) => return left,
                Next::Refused(error) => self.refuse(Failure::Refused(error), &head).await,
                Next::Slow => {
                    self.worker.telemetry.totals().closed(self.worker.id, Closing::SlowHead);
                    self.refuse(Failure::ClientLate, &head).await
                }
            };
            self.worker.keep_request_head(head);
            match goes_on {
                Ok(Persistence::KeepAlive) if self.connection.input.buf.is_empty() => return Left::Waiting,
                // Sent ahead of the answer before, which the client may still be taking from the system.
                Ok(Persistence::KeepAlive) => is_behind = true,
                Ok(Persistence::Close) => return Left::Lingering,
                // Late with an answer of our own, or with one that was broken off.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut) => {
                    return if is_behind { Left::Over } else { Left::Reset };
                }
                Err(_) => return Left::Over,
            }
        }
    }

    /// Reads the head of a request whose first bytes have come.
    async fn next_head(&mut self, head: &mut RequestHead) -> Next {
        let view = self.worker.view();
        let (limits, within) = (view.snapshot.limits, view.snapshot.settings.limits.header_time);
        drop(view);
        let mut due = None;
        let due = || *due.get_or_insert_with(|| Instant::now() + within);
        let reading = read_head(&mut self.connection.input, &limits, head, self.is_new);
        match self.timer.race(due, reading).await {
            Ok(next) => next,
            Err(Late) => Next::Slow,
        }
    }

    /// One request and its answer.
    async fn exchange(&mut self, head: &RequestHead) -> io::Result<Persistence> {
        let started = Instant::now();
        let framing = match request_framing(head) {
            Ok(framing) => framing,
            Err(error) => return self.refuse(Failure::Refused(error), head).await,
        };
        let view = self.worker.view();
        let (limits, pace) = (view.snapshot.limits, Pace::of(&view.snapshot.settings.limits, head.is_grpc()));
        let peer = self.standing.peer(&view.snapshot);
        let totals = self.worker.telemetry.totals();
        totals.client_leaves(self.worker.id, ConnectionState::Idle);
        totals.client_enters(self.worker.id, ConnectionState::Active);
        let persistence = Cell::new(self.persistence(head));
        let h1::Connection { input, output } = &mut self.connection;
        let served = match h1::BodyReader::new(input, framing, &limits) {
            Err(error) => Err(error),
            Ok(reader) => {
                let kept = if head.verb.is_idempotent() { REPLAYED_BODY } else { 0 };
                let body = RequestBody::new(BodyReader::H1(reader), kept, pace);
                let mut request = Request { head, framing, body, peer: &peer, started };
                let (guest, version) = (&self.guest, head.version);
                let responder = Responder::H1(H1Responder { output, version, guest, persistence: &persistence });
                let mut record = Record::default();
                serve(&self.worker, &view, &mut request, responder, &mut self.timer, &mut record).await;
                self.served_at = record.ended_at;
                let is_reset = record.failure == Some(Failure::InjectedReset) || record.is_untaken();
                Ok((is_reset, record.is_broken))
            }
        };
        totals.client_leaves(self.worker.id, ConnectionState::Active);
        totals.client_enters(self.worker.id, ConnectionState::Idle);
        match served {
            Err(error) => self.refuse(Failure::Refused(error), head).await,
            Ok((true, _)) => Err(io::ErrorKind::ConnectionReset.into()),
            Ok((_, true)) => Err(io::ErrorKind::ConnectionAborted.into()),
            Ok(_) => Ok(persistence.get()),
        }
    }

    /// Whether the client and we both want to go on behind this request.
    fn persistence(&self, head: &RequestHead) -> Persistence {
        let wanted = match head.version {
            Version::Http10 => connection_has(&head.fields, b"keep-alive"),
            _ => !connection_has(&head.fields, b"close"),
        };
        // Bytes behind an upgrade may be of the other protocol: if it is refused they must not be read as requests.
        let early = head.fields.has(crate::wire::Known::Upgrade) && !self.connection.input.buf.is_empty();
        if wanted && !early && !self.guest.is_draining() { Persistence::KeepAlive } else { Persistence::Close }
    }

    /// Answers what cannot be served; where one message ends and the next begins is then not known, so it closes.
    async fn refuse(&mut self, failure: Failure, head: &RequestHead) -> io::Result<Persistence> {
        let worker = &self.worker;
        worker.telemetry.totals().refused(worker.id, refusal(failure));
        let persistence = Cell::new(Persistence::Close);
        let output = &mut self.connection.output;
        let responder = Responder::H1(H1Responder {
            output,
            version: Version::Http11,
            guest: &self.guest,
            persistence: &persistence,
        });
        let mut record = Record::default();
        let id = super::tell::request_id(head, worker, &mut record);
        responder.fail(failure, head, id, Mark::default()).await?;
        Ok(Persistence::Close)
    }

    /// Ends our direction and reads what still comes for a moment, so that the client's system does not throw our last
    /// answer away over bytes that nobody took (RFC 9112 section 9.6).
    async fn linger(&mut self) {
        let h1::Connection { input, output } = &mut self.connection;
        let due = Instant::now() + LINGER;
        let closing = async {
            if output.shutdown().await.is_err() {
                return;
            }
            let mut left = LINGER_BYTES;
            while let Ok(n @ 1..) = input.fill().await {
                input.consume(input.buf.len());
                left = left.saturating_sub(n);
                if left == 0 {
                    return;
                }
            }
        };
        let _ = self.timer.race(|| due, closing).await;
    }
}

/// How long a closing connection is read.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of a closing connection are read.
const LINGER_BYTES: usize = 1024 * 1024;
/// Empty lines that may stand before a request line (RFC 9112 section 2.2).
const MOST_EMPTY_LINES: usize = 4;

async fn read_head(input: &mut crate::wire::Input, limits: &Limits, head: &mut RequestHead, is_new: bool) -> Next {
    let mut scan = HeadScan::default();
    let mut empty_lines = 0;
    loop {
        while scan.is_fresh() && empty_lines < MOST_EMPTY_LINES && input.buf.starts_with(b"\r\n") {
            input.consume(2);
            empty_lines += 1;
        }
        let preface = h1::H2_PREFACE;
        let may_be_h2 = is_new
            && empty_lines == 0
            && !input.buf.is_empty()
            && preface.starts_with(&input.buf[..input.buf.len().min(preface.len())]);
        if may_be_h2 && input.buf.len() >= preface.len() {
            return Next::Left(Left::H2);
        }
        if !may_be_h2 && *input.buf != *b"\r" {
            match scan.request(&input.buf, limits, head) {
                Err(error) => return Next::Refused(error),
                Ok(None) => {}
                Ok(Some(end)) => {
                    input.consume(end);
                    return Next::Head;
                }
            }
        }
        match input.fill().await {
            Ok(n) if n > 0 => {}
            _ => return Next::Left(Left::Over),
        }
    }
}
