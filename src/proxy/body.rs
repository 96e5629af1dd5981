//! The request's body on its way up, and what is kept of it for a second attempt.

use std::cell::Cell;
use std::future::poll_fn;
use std::time::Instant;

use super::attempt::Call;
use super::fields::clean_trailers;
use super::timer::Waiting;
use crate::wire::{BodyError, BodyReader, BodyWriter, Known, Moved, PumpError, pump};

/// The body of one request.
pub(super) struct RequestBody<'c> {
    pub(super) reader: BodyReader<'c>,
    pub(super) replay: Replay,
}

/// What was taken off a body so far, kept while it may have to be sent again.
pub(super) struct Replay {
    taken: Vec<u8>,
    most: usize,
    complete: bool,
    /// Bytes taken off the body, kept or not.
    pub(super) bytes: u64,
}

impl<'c> RequestBody<'c> {
    /// Keeps up to `most` bytes for a second attempt.
    pub(super) fn new(reader: BodyReader<'c>, most: usize) -> Self {
        Self { reader, replay: Replay { taken: Vec::new(), most, complete: true, bytes: 0 } }
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
                let untrusted = |name: &[u8]| !call.told.peer.trusted && (call.untrusted)(name);
                clean_trailers(trailers, &call.head.fields, untrusted);
            }
            Moved::Dry => {}
        }
    }
}

/// How far an upload has come, for those who act on it while it goes on.
pub(super) struct Progress {
    /// The whole request is on its way.
    pub(super) sent: Cell<bool>,
    /// Everything taken off the body so far is still at hand.
    pub(super) at_hand: Cell<bool>,
    /// Interim answers so far.
    pub(super) interim: Cell<u32>,
}

impl Progress {
    pub(super) fn of(body: &RequestBody<'_>) -> Self {
        Self { sent: Cell::new(false), at_hand: Cell::new(body.replay.is_complete()), interim: Cell::new(0) }
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
    let RequestBody { reader, replay } = body;
    if !replay.taken.is_empty() {
        upstream.data(&replay.taken).await.map_err(PumpError::Sink)?;
    }
    if reader.is_done() {
        return upstream.end().await.map_err(PumpError::Sink);
    }
    // A client that asked whether to send its body waits for the upstream, not the other way round.
    let asks = call.head.fields.has(Known::Expect);
    let noted = |moved: Moved<'_>| {
        // What is at hand waits for the upstream to take it.
        let waiting = match &moved {
            Moved::Dry if !asks || replay.bytes > 0 => Waiting::Upload,
            _ => Waiting::FirstByte,
        };
        call.clock.wait_for(waiting, Instant::now());
        replay.note(moved, call);
        progress.at_hand.set(replay.is_complete());
    };
    pump(reader, upstream, noted).await?;
    call.clock.wait_for(Waiting::FirstByte, Instant::now());
    Ok(())
}
