//! One client connection in HTTP/2: every stream is a task of its own.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::body::RequestBody;
use super::drain::Guest;
use super::failure::Failure;
use super::pace::Pace;
use super::record::Record;
use super::respond::{Mark, Responder};
use super::runners::Job;
use super::standing::Standing;
use super::tell::refusal;
use super::timer::Timer;
use super::worker::Worker;
use super::{REPLAYED_BODY, Request, serve};
use crate::config::{H2Limits, Limits};
use crate::telemetry::{Closing, ConnectionState};
use crate::wire::h1::{self, Framing};
use crate::wire::{BodyReader, Flood, FrameLimits, FrameWatch, Input, Known, Outbox, Output, h2};

/// What a client may send before it is read: at most 1 MiB a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How long a client may take to close a connection that we are leaving.
const PARTING: Duration = Duration::from_secs(2);
/// How long the last GOAWAY may take to be written.
const LAST_WORD: Duration = Duration::from_millis(250);
/// How long a connection may take to begin.
const GREETING: Duration = Duration::from_secs(10);
/// How long a connection that is ended for a flood is written to: it is told why, if it listens.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one client for as long as it stays.
pub(super) async fn serve_client(worker: Rc<Worker>, guest: Guest, connection: h1::Connection, standing: Standing) {
    let h1::Connection { input, output } = connection;
    let (head_bytes, times) = {
        let view = worker.view();
        (view.snapshot.limits.head_bytes as u32, view.snapshot.settings.limits)
    };
    let greeting = greet(input, output, head_bytes, times.h2);
    let Ok(Ok((mut server, frames, outbox))) = tokio::time::timeout(GREETING, greeting).await else { return };
    let totals = worker.telemetry.totals();
    totals.client_enters(worker.id, ConnectionState::Active);
    let quiet_since = Cell::new(Instant::now());
    let client = Rc::new(Client { standing, frames: frames.clone(), streams: Cell::new(0), quiet_since });
    let mut timer = Timer::default();
    let mut watch = Watch { guest, frames, client: client.clone(), times, leaving: None };
    let why = loop {
        let next = poll_fn(|cx| {
            let next = watch.poll(cx, &mut server, &mut timer);
            // Of streams that come together none is answered yet; all that is ready goes out once.
            if !matches!(next, Poll::Ready(Event::Accepted(Some(Ok(_))))) && outbox.poll_send(cx).is_ready() {
                watch.rest(&outbox);
            }
            next
        });
        match next.await {
            // A GOAWAY that allows every stream, with a ping; once that is answered nothing is on its way any more, and
            // a second one names the last stream. Streams that are open go on to their end.
            Event::Leave => {
                if !watch.guest.is_draining() {
                    totals.closed(worker.id, Closing::Idle);
                }
                watch.leaving = Some(Instant::now());
                server.graceful_shutdown();
            }
            Event::Accepted(Some(Ok(accepted))) => {
                client.streams.set(client.streams.get() + 1);
                let stream = Stream { client: client.clone() };
                worker.runners.serve(Job { worker: worker.clone(), stream, accepted });
            }
            Event::Accepted(Some(Err(error))) => {
                tracing::debug!(%error, "a client's HTTP/2 connection ended");
                break of_error(&error);
            }
            Event::End(why) => {
                server.abrupt_shutdown(::h2::Reason::ENHANCE_YOUR_CALM);
                // Streams that are open fail by this, and with them what worked for them.
                let _ = tokio::time::timeout(FAREWELL, closed(&mut server, &outbox)).await;
                break Some(why);
            }
            Event::Accepted(None) => break None,
            // The last word: a second GOAWAY, now with the last stream that was served (RFC 9113 section 6.8). It went out
            // already if the client answered the ping behind the first.
            Event::Gone => {
                server.abrupt_shutdown(::h2::Reason::NO_ERROR);
                let _ = tokio::time::timeout(LAST_WORD, closed(&mut server, &outbox)).await;
                break None;
            }
        }
    };
    // Whoever takes what is his while the process ends goes on taking it from the system.
    if !watch.guest.is_draining() {
        outbox.reset_if_stuck();
    }
    why.into_iter().for_each(|why| totals.closed(worker.id, why));
    totals.client_leaves(worker.id, ConnectionState::Active);
}

/// Until everything is written and the connection is over.
async fn closed(server: &mut h2::Server, outbox: &Outbox) {
    poll_fn(|cx| {
        let closed = server.poll_closed(cx).map(|_| ());
        let _ = outbox.poll_send(cx);
        closed
    })
    .await;
}

/// What a connection waits for besides its codec.
struct Watch {
    guest: Guest,
    frames: Rc<FrameWatch>,
    client: Rc<Client>,
    times: Limits,
    leaving: Option<Instant>,
}

impl Watch {
    fn poll(&mut self, cx: &mut Context<'_>, server: &mut h2::Server, timer: &mut Timer) -> Poll<Event> {
        if let Poll::Ready(accepted) = server.poll_accept(cx) {
            return Poll::Ready(Event::Accepted(accepted.map(|one| one.map(Box::new))));
        }
        // It was read by what has just been polled.
        if let Some(flood) = self.frames.flood() {
            return Poll::Ready(Event::End(closing(flood)));
        }
        if let Some(since) = self.frames.head_since()
            && timer.poll_due(cx, since + self.times.header_time).is_ready()
        {
            return Poll::Ready(Event::End(Closing::SlowHead));
        }
        let (quiet, quiet_since) = (self.client.streams.get() == 0, self.client.quiet_since.get());
        if let Some(left) = self.leaving {
            // A client that does not even answer our GOAWAY is not waited for once nothing is under way.
            let since = quiet_since.max(left);
            return if quiet { timer.poll_due(cx, since + PARTING).map(|()| Event::Gone) } else { Poll::Pending };
        }
        if self.guest.poll_drain(cx).is_ready() {
            return Poll::Ready(Event::Leave);
        }
        let mut late = timer.poll_due(cx, quiet_since + self.times.idle);
        if late.is_ready() && !quiet {
            // Streams are under way that are older than that. The clock is asked only here, not whenever frames come.
            let now = Instant::now();
            self.client.quiet_since.set(now);
            late = timer.poll_due(cx, now + self.times.idle);
        }
        late.map(|()| Event::Leave)
    }

    /// A connection without streams costs no buffer.
    fn rest(&self, outbox: &Outbox) {
        if self.client.streams.get() == 0 {
            outbox.shed();
        }
    }
}

async fn greet(
    input: Input,
    output: Output,
    head_bytes: u32,
    limits: H2Limits,
) -> Result<(h2::Server, Rc<FrameWatch>, Outbox), ::h2::Error> {
    let H2Limits { streams, resets, resets_per_second, control_frames_per_second } = limits;
    let frames = FrameLimits { resets, resets_per_second, control_frames_per_second };
    let limits = h2::Limits { streams, stream_window: STREAM_WINDOW, connection_window: CONNECTION_WINDOW, head_bytes };
    h2::serve(input, output, &limits, frames).await
}

fn closing(flood: Flood) -> Closing {
    match flood {
        Flood::ResetRate => Closing::ResetRate,
        Flood::Resets => Closing::Resets,
        Flood::ControlFrames => Closing::ControlFrames,
    }
}

/// Whether it was the codec that ended the connection, and over what.
fn of_error(error: &::h2::Error) -> Option<Closing> {
    match error.reason().filter(|_| error.is_library())? {
        ::h2::Reason::NO_ERROR => None,
        ::h2::Reason::ENHANCE_YOUR_CALM => Some(Closing::Calm),
        _ => Some(Closing::Protocol),
    }
}

pub(super) type Accepted = (http::Request<::h2::RecvStream>, ::h2::server::SendResponse<bytes::Bytes>);

enum Event {
    Accepted(Option<Result<Box<Accepted>, ::h2::Error>>),
    End(Closing),
    Leave,
    Gone,
}

struct Client {
    standing: Standing,
    frames: Rc<FrameWatch>,
    streams: Cell<usize>,
    /// Until when there was a stream, as far as was looked.
    quiet_since: Cell<Instant>,
}

/// One stream; counted for as long as it lives.
pub(super) struct Stream {
    client: Rc<Client>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.client.streams.set(self.client.streams.get() - 1);
        // While there are others the clock need not be asked.
        if self.client.streams.get() == 0 {
            self.client.quiet_since.set(Instant::now());
        }
    }
}

impl Stream {
    /// Ends with the stream: a reset or a closed connection fails whatever it waits for.
    pub(super) async fn serve(&self, worker: &Worker, accepted: Box<Accepted>, timer: &mut Timer) {
        let started = Instant::now();
        self.client.quiet_since.set(started);
        let (request, mut answer) = *accepted;
        // Nobody waits for a stream that was reset before it is served, so no upstream hears of it (CVE-2023-44487). Only
        // connections on which streams are reset are asked.
        if self.client.frames.has_resets() && poll_fn(|cx| Poll::Ready(answer.poll_reset(cx).is_ready())).await {
            return;
        }
        let (mut parts, stream) = request.into_parts();
        let mut head = worker.request_head();
        let view = worker.view();
        let limits = view.snapshot.limits;
        let responder = Responder::H2(answer);
        if let Err(error) = h2::flatten_request(&mut parts, &limits, &mut head) {
            let failure = Failure::Refused(error);
            worker.telemetry.totals().refused(worker.id, refusal(failure));
            let mut record = Record::default();
            let id = super::tell::request_id(&head, worker, &mut record);
            let _ = responder.fail(failure, &head, id, Mark::default()).await;
            return;
        }
        let length = head.fields.first(Known::ContentLength).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        let reader = h2::BodyReader::new(stream, length);
        let framing = match length {
            _ if reader.is_done() => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let kept = if head.verb.is_idempotent() { REPLAYED_BODY } else { 0 };
        let pace = Pace::of(&view.snapshot.settings.limits, head.is_grpc());
        let body = RequestBody::new(BodyReader::H2(reader), kept, pace);
        let peer = self.client.standing.peer(&view.snapshot);
        let mut request = Request { head: &head, framing, body, peer: &peer, started };
        let mut record = Record::default();
        serve(worker, &view, &mut request, responder, timer, &mut record).await;
        drop(request);
        worker.keep_request_head(head);
    }
}
