//! What a decision has to wait for: a JSON body that a rule wants to see, and records of product facts.
//!
//! This is the one place before the decision that waits, and only on routes whose rules want it. What is taken off the body
//! stays at hand and goes up first, trailers too, so the upstream gets every byte however the look ends.

use std::time::Instant;

use super::body::{Peeked, RequestBody, unless_gone};
use super::deadline::CallerDeadline;
use super::failure::Failure;
use super::fields::Peer;
use super::respond::Responder;
use super::timer::{Late, NEVER, Timer};
use super::worker::{View, Worker};
use super::{Request, Snapshot};
use crate::decide::Found;
use crate::extract::{self, Ahead, Body, TOO_LONG, unread};
use crate::wire::{BodyError, ResponseHead};

/// Brings what deciding on the route of `request` has to wait for; on most routes nothing, at once.
pub(super) async fn ahead<'c>(
    worker: &Worker,
    view: &View,
    found: &Found<'_>,
    request: &mut Request<'_, 'c>,
    responder: &mut Option<Responder<'c>>,
    timer: &mut Timer,
) -> Result<Ahead, Failure> {
    let mut ahead = Ahead::default();
    let (extractor, head) = (&view.snapshot.extractor, request.head);
    let needs = extractor.needs(found.route);
    if needs.is_empty() {
        return Ok(ahead);
    }
    let peer = speaker(request.peer);
    if extractor.wants_body(head, found, peer, &ahead) {
        let most = extractor.json_body_max();
        let due = Deadlines::of(&view.snapshot, found, request);
        let why = match unread(head, request.body.reader.known_length(), most) {
            Some(why) => Some(why),
            None => look(request, responder, timer, &due, most).await?,
        };
        let body = why.map_or_else(|| Body::Whole(request.body.replay.taken()), Body::Unread);
        ahead.take_body(extractor, body);
    }
    if needs.has_records() {
        for wanted in extractor.wanted_records(head, found, peer, &ahead) {
            if let Some(lookup) = extractor.lookups().get(wanted.lookup) {
                let looking = lookup.get(&wanted.key, worker.id);
                let record = unless_gone(&mut request.body, responder, looking).await?;
                ahead.take_record(wanted.lookup, record);
            }
        }
    }
    Ok(ahead)
}

/// The peer as facts know it.
pub(super) fn speaker(peer: &Peer) -> extract::Peer {
    extract::Peer { address: Some(peer.ip), trusted: peer.trusted }
}

/// Takes the body off its connection as far as it may be read. Says why it cannot be used, where it cannot.
async fn look(
    request: &mut Request<'_, '_>,
    responder: &mut Option<Responder<'_>>,
    timer: &mut Timer,
    due: &Deadlines,
    most: usize,
) -> Result<Option<&'static str>, Failure> {
    if request.head.expects_continue() && !request.body.reader.is_done() {
        // The client waits to be asked, and the upstream cannot be asked before it is chosen.
        if let Some(responder) = responder {
            let go_on = ResponseHead::own(100);
            let asking = responder.interim(&go_on);
            let next = due.next(due.last);
            timer
                .race(|| next, asking)
                .await
                .map_err(|Late| due.failure(due.last))?
                .map_err(|_| Failure::ClientGone)?;
        }
        request.body.is_asked_for = true;
    }
    loop {
        let RequestBody { reader, replay, pace, .. } = &mut request.body;
        let by = pace.wait(Instant::now(), replay.bytes);
        let next = due.next(by);
        let peeked = timer.race(|| next, replay.peek(reader, most)).await.map_err(|Late| due.failure(by))?;
        pace.came(Instant::now());
        match peeked.map_err(failure)? {
            Peeked::More => {}
            Peeked::Whole => return Ok(None),
            Peeked::TooLong => return Ok(Some(TOO_LONG)),
        }
    }
}

fn failure(error: BodyError) -> Failure {
    match error {
        BodyError::Framing(_) => Failure::ClientBody,
        _ => Failure::ClientGone,
    }
}

/// How long the client may take over its body, before the exchange with an upstream has a clock of its own.
struct Deadlines {
    last: Instant,
    pause: std::time::Duration,
}

impl Deadlines {
    fn of(snapshot: &Snapshot, found: &Found<'_>, request: &Request<'_, '_>) -> Deadlines {
        let limits = &snapshot.routes[found.route.index()].plan.timeouts;
        // What is no deadline is counted where the exchange begins.
        let caller = CallerDeadline::of(request.head, request.peer, |_| {});
        let whole = caller.within.into_iter().chain(limits.request).min().unwrap_or(NEVER).min(NEVER);
        Deadlines { last: request.started + whole, pause: snapshot.settings.limits.body_idle.min(limits.idle) }
    }

    /// `by` is when the body has to come on, by its pace.
    fn next(&self, by: Instant) -> Instant {
        self.last.min(by).min(Instant::now() + self.pause)
    }

    fn failure(&self, by: Instant) -> Failure {
        match Instant::now() {
            now if now >= self.last => Failure::RequestLate,
            now if now >= by => Failure::ClientDrips,
            _ => Failure::ClientLate,
        }
    }
}
