//! One attempt: a request sent over one connection, and its answer passed on.
//!
//! Three things go on at once in one task: the body goes up, the answer comes down, and the client is watched. Any of
//! them may end first; what each end means is decided here.

use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use ::h2::Reason;

use super::answer_head::{may_persist, read_head};
use super::body::{ClientEnd, Progress, RequestBody, upload};
use super::failure::Failure;
use super::fault::trickle;
use super::fields::{Told, clean_trailers};
use super::gray_drain::{self, Ended};
use super::outcome;
use super::outgoing::{h2_request, upstream_framing, write_head};
use super::record::Record;
use super::respond::{Mark, Responder};
use super::shield::Guard;
use super::timer::{Clock, Timer, Waiting};
use super::worker::Worker;
use crate::upstream::{H1Lease, H2Lease};
use crate::wire::h1::{self, Framing, Limits, Persistence, response_framing};
use crate::wire::{BodyReader, BodyWriter, Known, Moved, PumpError, RequestHead, ResponseHead, h2};
use crate::wire::{gather_whole, pump};

/// What an attempt needs to know; the same for a second one.
pub(super) struct Call<'r> {
    pub(super) worker: &'r Worker,
    pub(super) head: &'r RequestHead,
    /// The target the upstream gets.
    pub(super) target: &'r str,
    pub(super) framing: Framing,
    pub(super) told: Told<'r>,
    /// Whether the peer may not set a field.
    pub(super) untrusted: &'r dyn Fn(&[u8]) -> bool,
    pub(super) clock: &'r Clock,
    pub(super) limits: Limits,
    pub(super) mark: Mark<'r>,
    /// The bytes a second that the answer's body may have, where a fault makes it slow.
    pub(super) slow: Option<NonZeroU64>,
    /// The shield over this attempt, where there is one.
    pub(super) guard: Option<Guard<'r>>,
}

impl Call<'_> {
    /// A final head has come, or a change of protocol: whatever becomes of it, it is the upstream's word.
    fn answered(&self, head: &ResponseHead) {
        self.clock.answered(self.clock.now(), || outcome::of_head(head).is_failure());
    }

    /// Whether this answer is to be held back for stable's.
    fn holds_back(&self, head: &ResponseHead, progress: &Progress) -> Result<(), Failed> {
        match self.guard.and_then(|guard| guard.holds_back(head, progress.at_hand.get())) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}

/// An attempt that failed before anything was answered.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// The upstream cannot have begun to work on the request, so that far as it is concerned it may be sent again:
    /// a kept connection that closed without a byte, an interim answer neither, or a stream refused.
    pub(super) untouched: bool,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, untouched: false }
    }
}

/// What an exchange has of the client: its answer's way, and what was done so far.
pub(super) struct Exchange<'x, 'c> {
    pub(super) body: &'x mut RequestBody<'c>,
    pub(super) progress: &'x Progress,
    pub(super) responder: &'x mut Option<Responder<'c>>,
    pub(super) timer: &'x mut Timer,
    pub(super) record: &'x mut Record,
}

/// Over an HTTP/1 connection.
pub(super) async fn over_h1(call: &Call<'_>, mut lease: H1Lease, exchange: Exchange<'_, '_>) -> Result<(), Failed> {
    let Exchange { body, progress, responder, timer, record } = exchange;
    let framing = upstream_framing(call);
    write_head(call, &mut lease, framing, record);
    let reused = lease.reused;
    let h1::Connection { input, output } = &mut *lease.connection;
    let answered = {
        let writer = BodyWriter::H1(h1::BodyWriter::new(output, framing));
        let mut side = pin!(upload(body, writer, call, progress));
        loop {
            let read = {
                let reading = pin!(read_head(input, &call.limits, call.worker));
                beside(call, timer, side.as_mut(), progress, |cx| reset(responder, cx), reading).await?
            };
            let head = read.map_err(|error| error.into_failed(reused && progress.interim.get() == 0))?;
            match head.status {
                101 => {
                    call.answered(&head);
                    break (head, None);
                }
                100..=199 => pass_interim(call, timer, side.as_mut(), progress, responder, &head).await?,
                _ => {
                    call.answered(&head);
                    call.holds_back(&head, progress)?;
                    let down = response_framing(&head, call.head.verb).map_err(|_| Failure::BadAnswer)?;
                    let mut reader =
                        BodyReader::H1(h1::BodyReader::new(input, down, &call.limits).map_err(|_| Failure::BadAnswer)?);
                    let answer = Answer { head: &head, framing: down, reader: &mut reader };
                    let whole = answer.pass(call, side.as_mut(), progress, responder, timer, record).await?;
                    drop(reader);
                    let may_persist = whole && may_persist(&head, down);
                    break (head, Some(may_persist));
                }
            }
        }
    };
    let (head, may_persist) = answered;
    match may_persist {
        Some(true) if progress.sent.get() => lease.finish(call.clock.now()),
        Some(_) => {}
        None => switch(call, lease, &head, Exchange { body, progress, responder, timer, record }).await?,
    }
    call.worker.keep_response_head(head);
    Ok(())
}

/// Over an HTTP/2 connection.
pub(super) async fn over_h2(call: &Call<'_>, lease: H2Lease, exchange: Exchange<'_, '_>) -> Result<(), Failed> {
    let Exchange { body, progress, responder, timer, record } = exchange;
    let has_body = call.framing != Framing::Empty;
    let request = h2_request(call, lease.scheme(), record)?;
    let reused = lease.reused;
    // What the codec does not take was not sent, not a byte of it.
    let sent = lease.send(request, !has_body).map_err(|_| Failed { failure: Failure::Reset, untouched: true });
    let (mut response, stream) = sent?;
    let mut head = call.worker.response_head();
    let failed = |error| stream_failed(error, reused && progress.interim.get() == 0);
    let writer = BodyWriter::H2(h2::BodyWriter::new(stream, !has_body).to_upstream());
    let mut side = pin!(upload(body, writer, call, progress));
    let response = loop {
        let next = pin!(poll_fn(|cx| {
            // Interim answers first: asked for the final one, h2 passes over those that stand before it.
            match response.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => Poll::Ready(Err(interim)),
                // Nothing has come, and the task is woken when it does.
                Poll::Pending => Poll::Pending,
                _ => Pin::new(&mut response).poll(cx).map(Ok),
            }
        }));
        let waited = beside(call, timer, side.as_mut(), progress, |cx| reset(responder, cx), next).await;
        if let Err(Failed { failure: Failure::FirstByteLate | Failure::WordLate, .. }) = waited {
            // The connection itself may be dead, and would then swallow all requests until the system gives it up.
            lease.retire();
        }
        match waited? {
            Ok(done) => break done.map_err(failed)?,
            Err(interim) => {
                h2::flatten_response(interim.into_parts().0, &mut head);
                // RFC 9113 section 8.6: HTTP/2 has no change of protocol.
                if head.status == 101 {
                    call.answered(&head);
                    return Err(Failure::BadAnswer.into());
                }
                pass_interim(call, timer, side.as_mut(), progress, responder, &head).await?;
            }
        }
    };
    let (parts, stream) = response.into_parts();
    h2::flatten_response(parts, &mut head);
    call.answered(&head);
    call.holds_back(&head, progress)?;
    let length = head.fields.first(Known::ContentLength).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
    let reader = h2::BodyReader::new(stream, length);
    let down = match length {
        _ if reader.is_done() || head.is_bodiless(call.head.verb) => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let mut reader = BodyReader::H2(reader);
    let answer = Answer { head: &head, framing: down, reader: &mut reader };
    answer.pass(call, side, progress, responder, timer, record).await?;
    call.worker.keep_response_head(head);
    Ok(())
}

/// The final answer of an upstream.
struct Answer<'a, 'c> {
    head: &'a ResponseHead,
    framing: Framing,
    reader: &'a mut BodyReader<'c>,
}

impl Answer<'_, '_> {
    /// Passes it on. Failures from here on can no longer be answered: the client's connection or stream is broken
    /// off, and the record says so. Returns whether the upstream's message is over.
    async fn pass(
        self,
        call: &Call<'_>,
        side: Pin<&mut impl Future<Output = ClientEnd>>,
        progress: &Progress,
        responder: &mut Option<Responder<'_>>,
        timer: &mut Timer,
        record: &mut Record,
    ) -> Result<bool, Failed> {
        let responder = responder.take().expect("an exchange is answered once");
        let now = call.clock.now();
        // The head goes first, and the client is to take it; behind that it is the rest of the answer that may be waited for.
        call.clock.wait_for(Waiting::Delivery);
        record.answered(self.head, call.head.method(), &call.clock.client, now);
        if let (Responder::H1(h1), false) = (&responder, progress.sent.get()) {
            // The rest of the body will not be read, so no further request can be found behind it.
            h1.persistence.set(Persistence::Close);
        }
        let begun = responder.begin(self.head, call.head.verb, self.framing, call.mark);
        let Ok(mut writer) = begun else {
            record.broken(Failure::ClientGone);
            return Ok(false);
        };
        let noted = |moved: Moved<'_>| match moved {
            Moved::Data(data) => {
                call.clock.wait_for(Waiting::Delivery);
                record.bytes_out += data.len() as u64;
            }
            Moved::Trailers(trailers) => {
                call.clock.wait_for(Waiting::Delivery);
                record.note_grpc(trailers);
                clean_trailers(trailers, &self.head.fields, |_| false);
            }
            Moved::End => call.clock.wait_for(Waiting::Delivery),
            Moved::Dry => call.clock.wait_for(Waiting::Download),
        };
        let at_hand = if call.slow.is_none() { gather_whole(self.reader, &mut writer) } else { None };
        let moved = match (at_hand, call.slow) {
            (Some(bytes), _) => {
                record.bytes_out += bytes;
                let ending = pin!(async { writer.end().await.map_err(PumpError::Sink) });
                beside(call, timer, side, progress, |_| Poll::Pending, ending).await
            }
            (None, None) => {
                let moving = pin!(pump(self.reader, &mut writer, noted));
                beside(call, timer, side, progress, |_| Poll::Pending, moving).await
            }
            (None, Some(rate)) => {
                let moving = Box::pin(trickle(self.reader, &mut writer, rate, noted));
                beside(call, timer, side, progress, |_| Poll::Pending, pin!(moving)).await
            }
        };
        let failure = match moved {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(PumpError::Sink(_))) => Failure::ClientGone,
            // The upstream gave up a client that does not take its answer.
            Ok(Err(PumpError::Source(_))) if call.clock.was_untaken() => Failure::ClientLate,
            Ok(Err(PumpError::Source(_))) => Failure::Aborted,
            Err(failed) => failed.failure,
        };
        let is_whole = failure == Failure::GrayDrained && call.clock.is_between_parts();
        if is_whole && gray_drain::end(self.head, &mut writer).await {
            tracing::debug!("a stream on gray was ended");
        } else if failure != Failure::ClientGone {
            // Bounded like every write: a client that takes nothing is not waited for.
            let _ = tokio::time::timeout(ABORT, writer.abort()).await;
        }
        record.broken(failure);
        Ok(false)
    }
}

/// How long the rest of a broken answer may take to be written.
const ABORT: std::time::Duration = std::time::Duration::from_secs(1);

/// Does some work on the upstream's side while the client's side goes on, within the deadline.
async fn beside<T>(
    call: &Call<'_>,
    timer: &mut Timer,
    mut side: Pin<&mut impl Future<Output = ClientEnd>>,
    progress: &Progress,
    mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Failed> {
    let both = poll_fn(|cx| {
        // The client's side first while it writes the request. Behind that it only watches, and work that is done does not
        // ask who watched.
        let was_sent = progress.sent.get();
        if was_sent && let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if let Poll::Ready(end) = side.as_mut().poll(cx) {
            return Poll::Ready(Err(end));
        }
        let polled = if was_sent { Poll::Pending } else { work.as_mut().poll(cx) };
        // Whether the client is gone is asked only while there is something to wait for.
        match polled {
            Poll::Pending if gone(cx).is_ready() => Poll::Ready(Err(ClientEnd::Gone)),
            polled => polled.map(Ok),
        }
    });
    match gray_drain::race(timer, || call.clock.due(), call.clock.drain.as_ref(), both).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ClientEnd::Gone)) => Err(Failure::ClientGone.into()),
        Ok(Err(ClientEnd::BadBody)) => Err(Failure::ClientBody.into()),
        Err(Ended::Late) => Err(call.clock.lateness().into()),
        Err(Ended::Drained) => Err(Failure::GrayDrained.into()),
    }
}

fn reset(responder: &mut Option<Responder<'_>>, cx: &mut Context<'_>) -> Poll<()> {
    responder.as_mut().map_or(Poll::Pending, |responder| responder.poll_reset(cx))
}

/// Interim answers that one exchange may have. They are answered by nobody, so an upstream could send them for ever.
const MOST_INTERIM: u32 = 100;

async fn pass_interim(
    call: &Call<'_>,
    timer: &mut Timer,
    side: Pin<&mut impl Future<Output = ClientEnd>>,
    progress: &Progress,
    responder: &mut Option<Responder<'_>>,
    head: &ResponseHead,
) -> Result<(), Failed> {
    let count = progress.interim.get() + 1;
    progress.interim.set(count);
    if count > MOST_INTERIM {
        return Err(Failure::BadAnswer.into());
    }
    if head.status == 100 && progress.is_asked_for.get() {
        return Ok(());
    }
    let Some(responder) = responder else { return Ok(()) };
    let began = call.clock.now();
    let passing = pin!(responder.interim(head));
    let passed = beside(call, timer, side, progress, |_| Poll::Pending, passing).await;
    // Whoever does not take it is the client.
    call.clock.client.excuse(began, call.clock.now());
    passed.map_err(|failed| failed.failure.of_client())?.map_err(|_| Failure::ClientGone)?;
    if head.status == 100 {
        progress.is_asked_for.set(true);
        call.clock.asked(call.clock.now());
    }
    Ok(())
}

fn stream_failed(error: ::h2::Error, reused: bool) -> Failed {
    // RFC 9113 section 8.7: a refused stream, and one beyond the last of a GOAWAY, was not processed. A kept connection
    // that closes without either is the same as in HTTP/1.
    let refused = error.reason() == Some(Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote());
    Failed { failure: Failure::Reset, untouched: refused || (reused && error.is_io()) }
}

/// The upstream changes the protocol: if it was asked to, both connections become a tunnel.
async fn switch(
    call: &Call<'_>,
    mut lease: H1Lease,
    head: &ResponseHead,
    exchange: Exchange<'_, '_>,
) -> Result<(), Failed> {
    let Exchange { body, responder, timer, record, .. } = exchange;
    let (Some(protocol), BodyReader::H1(client)) = (call.told.upgrade, &mut body.reader) else {
        return Err(Failure::BadAnswer.into());
    };
    // RFC 9110 section 7.8: a server changes to nothing that it was not asked for.
    if head.fields.all(Known::Upgrade).any(|changed| !changed.eq_ignore_ascii_case(protocol)) {
        return Err(Failure::BadAnswer.into());
    }
    let Some(Responder::H1(h1)) = responder.take() else { return Err(Failure::BadAnswer.into()) };
    let now = call.clock.now();
    call.clock.wait_for(Waiting::Download);
    record.answered(head, call.head.method(), &call.clock.client, now);
    let tunnel = super::upgrade::Tunnel {
        client_in: client.input(),
        client_out: h1.switch(head, protocol),
        upstream_in: &mut lease.connection.input,
        upstream_out: &mut lease.connection.output,
    };
    // On the heap, like all that few requests need: each would make the task of every connection larger.
    let tunnelled = Box::pin(tunnel.run(call.clock.idle(), timer, call.clock.drain.as_ref())).await;
    if tunnelled.drained {
        record.broken(Failure::GrayDrained);
    }
    body.replay.bytes += tunnelled.up;
    record.bytes_out += tunnelled.down;
    Ok(())
}
