//! The request's body on its way up, and what is kept of it for a second attempt.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::attempt::Call;
use super::failure::Failure;
use super::fields::clean_trailers;
use super::pace::Pace;
use super::respond::Responder;
use super::timer::Waiting;
use crate::wire::{BodyError, BodyReader, BodyWriter, Fields, Moved, Part, PumpError, pump};

/// The body of one request.
pub(super) struct RequestBody<'c> {
    pub(super) reader: BodyReader<'c>,
    pub(super) replay: Replay,
    /// How it comes along.
    pub(super) pace: Pace,
    /// The client waited to be asked for it, and was: before an upstream could say so, or by an attempt that failed.
    pub(super) is_asked_for: bool,
}

/// What was taken off a body so far, kept while it may have to be sent again.
pub(super) struct Replay {
    taken: Vec<u8>,
    most: usize,
    /// The trailers, where the body was taken whole before it went anywhere.
    trailers: Option<Fields>,
    complete: bool,
    /// Bytes taken off the body, kept or not.
    pub(super) bytes: u64,
}

impl<'c> RequestBody<'c> {
    /// Keeps up to `most` bytes for a second attempt.
    pub(super) fn new(reader: BodyReader<'c>, most: usize, pace: Pace) -> Self {
        let replay = Replay { taken: Vec::new(), most, trailers: None, complete: true, bytes: 0 };
        Self { reader, replay, pace, is_asked_for: false }
    }
}

impl Replay {
    /// Keeps at least this much from now on; useless once something was let go.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = self.most.max(most);
    }

    /// Whether everything taken off the body so far is still at hand.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What is at hand.
    pub(super) fn taken(&self) -> &[u8] {
        &self.taken
    }

    /// Takes the next part of a body that has not gone anywhere yet, to be looked at. Everything taken so is kept and goes
    /// up before the rest, so nothing is lost when this is given up half-way.
    pub(super) async fn peek(&mut self, reader: &mut BodyReader<'_>, most: usize) -> Result<Peeked, BodyError> {
        self.keep(most);
        if reader.is_done() {
            return Ok(Peeked::Whole);
        }
        let owned = match reader.next().await? {
            None => return Ok(Peeked::Whole),
            Some(Part::Trailers(trailers)) => {
                self.trailers = Some(trailers);
                return Ok(Peeked::Whole);
            }
            Some(Part::Data(data)) => {
                self.take(data);
                0
            }
            Some(Part::Owned(data)) => {
                self.take(&data);
                data.len() as u64
            }
        };
        if let BodyReader::H2(body) = reader {
            body.release(owned);
        }
        Ok(if self.taken.len() > most { Peeked::TooLong } else { Peeked::More })
    }

    fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.taken.extend_from_slice(data);
    }

    fn note(&mut self, moved: Moved<'_>, call: &Call<'_>) {
        match moved {
            Moved::Data(data) => {
                self.bytes += data.len() as u64;
                if self.complete && self.taken.len() + data.len() <= self.most {
                    self.taken.extend_from_slice(data);
                } else {
                    self.complete = false;
                    self.taken = Vec::new();
                }
            }
            Moved::Trailers(trailers) => {
                self.complete = false;
                self.clean(trailers, call);
            }
            Moved::Dry | Moved::End => {}
        }
    }

    fn clean(&self, trailers: &mut Fields, call: &Call<'_>) {
        let untrusted = |name: &[u8]| !call.told.peer.trusted && (call.untrusted)(name);
        clean_trailers(trailers, &call.head.fields, untrusted);
    }
}

/// What a look at the next part of a body came to.
pub(super) enum Peeked {
    /// There may be more.
    More,
    /// All of it is at hand.
    Whole,
    /// It is longer than was wanted.
    TooLong,
}

/// How far an upload has come, for those who act on it while it goes on.
pub(super) struct Progress {
    /// The whole request is on its way.
    pub(super) sent: Cell<bool>,
    /// Everything taken off the body so far is still at hand.
    pub(super) at_hand: Cell<bool>,
    /// The client has been asked for its body already.
    pub(super) is_asked_for: Cell<bool>,
    /// Interim answers so far.
    pub(super) interim: Cell<u32>,
}

impl Progress {
    pub(super) fn of(body: &RequestBody<'_>) -> Self {
        let (at_hand, is_asked_for) = (Cell::new(body.replay.is_complete()), Cell::new(body.is_asked_for));
        Self { sent: Cell::new(false), at_hand, is_asked_for, interim: Cell::new(0) }
    }
}

/// How the client's side of an exchange ended before the answer did.
#[derive(Debug)]
pub(super) enum ClientEnd {
    /// It went away, or its connection failed.
    Gone,
    /// Its body is not what its framing says.
    BadBody,
}

/// Sends the body up and then watches whether the client stays. Never ends while all is well; an upstream that takes
/// no more is found out where its answer is read.
pub(super) async fn upload(
    body: &mut RequestBody<'_>,
    mut upstream: BodyWriter<'_>,
    call: &Call<'_>,
    progress: &Progress,
) -> ClientEnd {
    match send(body, &mut upstream, call, progress).await {
        Ok(()) => {
            progress.sent.set(true);
            poll_fn(|cx| body.reader.poll_gone(cx)).await;
            ClientEnd::Gone
        }
        Err(PumpError::Sink(error)) => {
            tracing::debug!(%error, "the upstream takes no more of a request");
            std::future::pending().await
        }
        Err(PumpError::Source(BodyError::Framing(_))) => ClientEnd::BadBody,
        Err(PumpError::Source(_)) => ClientEnd::Gone,
    }
}

async fn send(
    body: &mut RequestBody<'_>,
    upstream: &mut BodyWriter<'_>,
    call: &Call<'_>,
    progress: &Progress,
) -> Result<(), PumpError> {
    if body.reader.is_done() && body.replay.taken.is_empty() && body.replay.trailers.is_none() {
        return upstream.end().await.map_err(PumpError::Sink);
    }
    // On the heap: most requests have no body, and each would drag the room for one along.
    Box::pin(send_body(body, upstream, call, progress)).await
}

async fn send_body(
    body: &mut RequestBody<'_>,
    upstream: &mut BodyWriter<'_>,
    call: &Call<'_>,
    progress: &Progress,
) -> Result<(), PumpError> {
    let RequestBody { reader, replay, pace, .. } = body;
    if !replay.taken.is_empty() {
        upstream.data(&replay.taken).await.map_err(PumpError::Sink)?;
    }
    if let Some(mut trailers) = replay.trailers.clone() {
        replay.clean(&mut trailers, call);
        return upstream.part(Part::Trailers(trailers)).await.map(|_| ()).map_err(PumpError::Sink);
    }
    if reader.is_done() {
        return upstream.end().await.map_err(PumpError::Sink);
    }
    let noted = |moved: Moved<'_>| {
        match &moved {
            // A client that asked whether to send its body waits for the upstream's word.
            Moved::Dry if replay.bytes == 0 && call.head.expects_continue() && !progress.is_asked_for.get() => {
                call.clock.wait_for_word(Instant::now());
            }
            Moved::Dry => {
                let now = Instant::now();
                if replay.bytes > 0 && call.head.is_grpc() {
                    call.clock.client.asks();
                }
                call.clock.wait_for_body(pace.wait(now, replay.bytes), now);
            }
            // What is at hand waits for the upstream to take it.
            _ if !call.clock.client.is_waiting() => call.clock.wait_for(Waiting::FirstByte),
            _ => {
                let now = Instant::now();
                pace.came(now);
                call.clock.client_came(now);
            }
        }
        replay.note(moved, call);
        progress.at_hand.set(replay.is_complete());
    };
    pump(reader, upstream, noted).await?;
    call.clock.wait_for(Waiting::FirstByte);
    Ok(())
}

/// Does some work unless the client leaves first; dropping the work is what ends it. The client is looked at only when
/// there is something to wait for.
pub(super) async fn unless_gone<T>(
    body: &mut RequestBody<'_>,
    responder: &mut Option<Responder<'_>>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        let reset = responder.as_mut().is_some_and(|responder| responder.poll_reset(cx).is_ready());
        if reset || body.reader.poll_gone(cx).is_ready() {
            Poll::Ready(Err(Failure::ClientGone))
        } else {
            Poll::Pending
        }
    })
    .await
}
