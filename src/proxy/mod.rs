//! The data path: a request from its head to its last byte, and everything that must hold on the way.
//!
//! [`serve`] is the whole way, top to bottom: extract, decide, choose the upstream, attempt, answer, record. Branches
//! are there; leaves are in the files below. One task does all of it for a connection (HTTP/1) or a stream (HTTP/2),
//! and drives the upstream connection itself, so nothing is handed between tasks and dropping the task frees all that
//! worked for the client.

mod accept;
mod connection;
mod h2_connection;

mod fields;
mod lane;
mod respond;

mod fault;
mod fault_table;

mod attempt;
mod body;
mod upgrade;

mod failure;
mod record;
mod tell;

mod deadline;
mod drain;
mod timer;

mod snapshot;
mod worker;

use std::borrow::Cow;
use std::time::Instant;

pub use accept::{Stop, run};
pub use fault_table::{AddFaultError, Fault, FaultOrigin, Faults};
pub use snapshot::{Route, Snapshot};
pub use worker::Worker;

use attempt::{Call, Exchange, Failed, over_h1, over_h2};
use body::RequestBody;
use deadline::CallerDeadline;
use failure::Failure;
use fields::{Peer, Told, max_forwards, times_passed, wanted_upgrade};
use record::Record;
use respond::{Mark, Responder};
use snapshot::Target;
use timer::{Clock, Timer};
use worker::View;

use crate::config::{Normalize, Protocol, ResponseMark};
use crate::decide::{Decision, NormalPath, RouteId};
use crate::upstream::{ConnectError, Dialect, Lease, LeaseError};
use crate::wire::h1::Framing;
use crate::wire::{RequestHead, Verb, Version};

/// Sidecars of one service that a request may pass; two are needed where stable's sends it on to gray's.
const MOST_PASSES: usize = 2;
/// Bytes of a body that are kept for sending it once more on a fresh connection.
const REPLAYED_BODY: usize = 64 * 1024;

/// A request as it came.
struct Request<'r, 'c> {
    head: &'r RequestHead,
    framing: Framing,
    body: RequestBody<'c>,
    peer: &'r Peer,
    started: Instant,
}

/// The whole way of one request. Returns what was recorded; the answer has been given.
async fn serve<'c>(worker: &Worker, request: Request<'_, 'c>, responder: Responder<'c>, timer: &mut Timer) -> Record {
    let view = worker.view();
    let mut record = Record::default();
    let mut responder = Some(responder);
    let mut request = request;
    let routed = route(worker, &view, &request);
    let outcome = match &routed {
        Ok(routed) => {
            let series = &view.snapshot.routes[routed.route.index()].series;
            let _inflight = tell::Inflight::begin(series, worker.id);
            send(worker, &view, routed, &mut request, &mut responder, timer, &mut record).await
        }
        Err(failure) => Err(*failure),
    };
    if let Err(failure) = outcome {
        record.failure = Some(failure);
        if let Some(responder) = responder.take() {
            refuse(responder, failure, &request, worker, &mut record).await;
        }
    }
    tell::told(worker, &view, &request, routed.as_ref().ok(), &mut record);
    record
}

/// A request with its route and lane.
struct Routed<'r> {
    route: RouteId,
    path: NormalPath<'r>,
    decision: Decision,
    target: Target,
}

/// Extract and decide.
fn route<'r>(worker: &Worker, view: &View, request: &Request<'r, '_>) -> Result<Routed<'r>, Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    if times_passed(&head.fields, &snapshot.pseudonym) >= MOST_PASSES {
        return Err(Failure::Loop);
    }
    let path = lane::normal_path(snapshot, head)?;
    let found = lane::find(snapshot, head, path.as_str())?;
    let decision = lane::decide(worker, snapshot, head, &found, request.peer);
    let route = found.route;
    let target = snapshot.target(&snapshot.routes[route.index()], decision.lane);
    drop(found);
    Ok(Routed { route, path, decision, target })
}

/// Choose an upstream connection and attempt; once more on a fresh connection where a kept one closed under the
/// request and sending it twice is as good as once.
async fn send<'c>(
    worker: &Worker,
    view: &View,
    routed: &Routed<'_>,
    request: &mut Request<'_, 'c>,
    responder: &mut Option<Responder<'c>>,
    timer: &mut Timer,
    record: &mut Record,
) -> Result<(), Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    if max_forwards(head) == Some(0) {
        return Err(Failure::NoForwards);
    }
    let plan = &snapshot.routes[routed.route.index()].plan;
    let limits = &plan.timeouts;
    let ignored = |field| worker.telemetry.totals().deadline_ignored(worker.id, field);
    let caller = CallerDeadline::of(head, request.peer, ignored);
    record.deadline_is_callers = caller.holds_before(limits.request);
    let whole = caller.within.into_iter().chain(limits.request).min();
    let clock = Clock::new(request.started, whole, limits, snapshot.settings.limits.body_idle);
    let untrusted = |name: &[u8]| is_untrusted(snapshot, name);
    let program = &snapshot.settings.program;
    let lane = program.lanes().name(routed.decision.lane);
    let upgrade = wanted_upgrade(head, request.framing);
    let slow = match fault::met(worker, &plan.name, lane) {
        None => None,
        Some(fault) => {
            let exchange = Exchange { body: &mut request.body, responder, timer, record };
            Box::pin(fault::inject(fault, worker, &clock, exchange)).await?
        }
    };
    let call = Call {
        worker,
        head,
        target: &target_for(snapshot, head, &routed.path),
        framing: request.framing,
        told: Told {
            lane,
            release: routed.decision.release.map(|release| program.release(release).name.as_str()),
            pseudonym: &snapshot.pseudonym,
            peer: request.peer,
            upgrade,
            deadline: caller.pass_on(head, &clock, limits.pass_on),
        },
        untrusted: &untrusted,
        clock: &clock,
        limits: snapshot.limits,
        mark: (snapshot.settings.response_mark != ResponseMark::Off)
            .then(|| Mark { lane, cache: snapshot.cache_field() }),
        slow,
    };
    let dialect = dialect(routed.target, &call);
    let pool = &view.pools[routed.target.upstream];
    for fresh in [false, true] {
        let left = clock.left(limits.connect);
        if left.is_zero() {
            return Err(Failure::RequestLate);
        }
        let lease = pool.lease(dialect, fresh, left).await.map_err(|error| lease_failure(error, &clock))?;
        let exchange = Exchange { body: &mut request.body, responder, timer, record };
        let attempted = match lease {
            Lease::H1(lease) => over_h1(&call, lease, exchange).await,
            Lease::H2(lease) => over_h2(&call, lease, exchange).await,
        };
        match attempted {
            Ok(()) => return Ok(()),
            Err(Failed { failure, untouched }) => {
                let again = untouched && head.verb.is_idempotent() && request.body.replay.is_complete();
                if fresh || !again {
                    return Err(failure);
                }
                record.replayed = true;
            }
        }
    }
    Err(Failure::Reset)
}

/// What is spoken to the upstream.
fn dialect(target: Target, call: &Call<'_>) -> Dialect {
    match target.protocol {
        Protocol::H2 if call.told.upgrade.is_none() => Dialect::H2,
        Protocol::Same if call.head.version == Version::H2 => Dialect::H2,
        _ => Dialect::Http1,
    }
}

fn lease_failure(error: LeaseError, clock: &Clock) -> Failure {
    match error {
        LeaseError::Connect(ConnectError::TimedOut) if clock.is_over() => Failure::RequestLate,
        LeaseError::NoEndpoint => Failure::NoEndpoint,
        LeaseError::Connect(ConnectError::Refused(_)) => Failure::Connect,
        LeaseError::Connect(ConnectError::TimedOut) => Failure::ConnectLate,
    }
}

/// The target as the upstream gets it: as sent, unless the normal form is to be forwarded.
fn target_for<'t>(snapshot: &Snapshot, head: &'t RequestHead, path: &NormalPath<'_>) -> Cow<'t, str> {
    if snapshot.settings.normalize == Normalize::Match || path.is_unchanged() {
        return Cow::Borrowed(head.target());
    }
    Cow::Owned(match head.query() {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    })
}

/// Whether peers that are not trusted may not set this field; names come in any case.
fn is_untrusted(snapshot: &Snapshot, name: &[u8]) -> bool {
    let mut lower = [0; 64];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).is_ok_and(|name| snapshot.extractor.is_untrusted_header(name))
}

/// Answers that no upstream answered.
async fn refuse(
    responder: Responder<'_>,
    failure: Failure,
    request: &Request<'_, '_>,
    worker: &Worker,
    record: &mut Record,
) {
    if failure == Failure::ClientGone {
        record.is_broken = true;
        return;
    }
    if failure == Failure::InjectedReset {
        record.is_broken = true;
        responder.reset();
        return;
    }
    if let (Responder::H1(h1), false) = (&responder, request.body.reader.is_done()) {
        h1.persistence.set(crate::wire::h1::Persistence::Close);
    }
    record.status = failure.status();
    let answered = if failure == Failure::NoForwards && request.head.verb == Verb::Options {
        record.status = 204;
        responder.options().await
    } else {
        let id = tell::request_id(request.head, worker, record);
        responder.fail(failure, request.head, id).await
    };
    match answered {
        Ok(bytes) => record.bytes_out = bytes,
        Err(_) => record.is_broken = true,
    }
}
