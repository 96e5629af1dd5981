//! The data path: a request from its head to its last byte, and everything that must hold on the way.
//!
//! [`serve`] is the whole way, top to bottom: extract, decide, choose the upstream, attempt, answer, record. Branches
//! are there; leaves are in the files below. One task does all of it for a connection (HTTP/1) or a stream (HTTP/2),
//! and drives the upstream connection itself, so nothing is handed between tasks and dropping the task frees all that
//! worked for the client.

mod accept;
mod connection;
mod crowd;
mod entrance;
mod fault;
mod fault_table;
mod fields;
mod h2_connection;
mod lane;
mod respond;
mod routed;
mod runners;
mod servant;
mod standing;

mod answer_head;
mod attempt;
mod body;
mod breaker;
mod compare;
mod limit;
mod outgoing;
mod pace;
mod peek;
mod share;
mod shield;
mod upgrade;

mod failure;
mod outcome;
mod record;
mod refuse;
mod rota;
mod tell;
mod trace_context;
mod traced;
mod verdict;

mod evidence;
mod explain;

mod deadline;
mod drain;
mod gray_drain;
mod timer;

mod snapshot;
mod succeed;
mod worker;

use std::time::Instant;

pub use accept::{Door, Stop, Turn, run};
pub use breaker::{Epoch, Lately, Making, Moved, Succession, Watches};
pub use crowd::Crowd;
pub use entrance::Threshold;
pub use fault_table::{AddFaultError, Fault, FaultOrigin, Faults};
pub use snapshot::{Route, Snapshot};
pub use worker::{Parts, Worker};

use attempt::{Call, Exchange, Failed, over_h1, over_h2};
use body::{Progress, RequestBody};
use deadline::CallerDeadline;
use failure::Failure;
use fields::{Peer, Told, max_forwards, wanted_upgrade};
use gray_drain::GrayDrain;
use outgoing::{dialect, leased, target_for};
use record::Record;
use refuse::refuse;
use respond::Responder;
use routed::{Routed, route, route_at_once};
use shield::Guard;
use timer::{Clock, Timer, Waiting};
use traced::Trace;
use worker::View;

use crate::decide::{LaneId, Qos};
use crate::resilience::load;
use crate::upstream;
use crate::wire::RequestHead;
use crate::wire::h1::Framing;

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

/// The whole way of one request, under the configuration of `view`. When it is over the answer has been given, and the record
/// says how it went.
async fn serve<'c>(
    worker: &Worker,
    view: &View,
    request: &mut Request<'_, 'c>,
    responder: Responder<'c>,
    timer: &mut Timer,
    record: &mut Record,
) {
    record.trace = Trace::begin(worker, view, request);
    let mut responder = Some(responder);
    let place = view.snapshot.gauge.enter(worker.delay.lasting());
    let mut routed = match &place {
        Ok(_) => match route_at_once(worker, view, request) {
            Ok(Some(routed)) => Ok(routed),
            Ok(None) => Box::pin(route(worker, view, request, &mut responder, timer)).await,
            Err(failure) => Err(failure),
        },
        Err(full) => Err(*full),
    };
    let outcome = match &mut routed {
        Ok(routed) => {
            let series = &view.snapshot.routes[routed.route.index()].series;
            let _inflight = tell::Inflight::begin(series, worker.id);
            let admitted = routed.enter(worker, &view.snapshot, request.started);
            tell::decided(worker, &view.snapshot, &routed.decision);
            routed.compare_split(worker, &view.snapshot, admitted.is_err());
            routed.explain(&view.snapshot, request);
            let mut way = Way { responder: &mut responder, timer, record };
            match admitted {
                Ok(()) => send(worker, view, routed, request, &mut way).await,
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(*failure),
    };
    if let Err(failure) = outcome {
        record.failure = Some(failure);
        if let Some(responder) = responder.take() {
            let explain = routed.as_ref().ok().and_then(|routed| routed.explain.as_deref());
            Box::pin(refuse(responder, failure, request, worker, record, explain)).await;
        }
    }
    tell::told(worker, view, request, routed.as_ref().ok(), record);
    traced::told(worker, view, request, routed.as_ref().ok(), record);
}

/// Choose and attempt. Where a shielded gray attempt fails, stable makes it good.
async fn send<'c>(
    worker: &Worker,
    view: &View,
    routed: &mut Routed<'_>,
    request: &mut Request<'_, 'c>,
    way: &mut Way<'_, 'c>,
) -> Result<(), Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    if max_forwards(head) == Some(0) {
        return Err(Failure::NoForwards);
    }
    let route = &snapshot.routes[routed.route.index()];
    let limits = &route.plan.timeouts;
    let ignored = |field| worker.telemetry.totals().deadline_ignored(worker.id, field);
    let caller = CallerDeadline::of(head, request.peer, ignored);
    way.record.deadline_is_callers = caller.holds_before(limits.request);
    let whole = caller.within.into_iter().chain(limits.request).min();
    let mut clock = Clock::new(request.started, whole, limits, snapshot.settings.limits.body_idle);
    clock.passed = caller.pass_on(head, limits);
    clock.drain = GrayDrain::of(snapshot, routed, request.started);
    if route.plan.shield.is_some() {
        view.deposit(routed.route, worker.tick(request.started));
    }
    let id = routed.route;
    let budget = || view.withdraw(id, worker.tick(Instant::now()));
    let shield = route.plan.shield.as_ref().filter(|_| routed.lane != LaneId::STABLE);
    let guard = shield.map(|shield| Guard { shield, verb: head.verb, withdraw: &budget });
    if let Some(guard) = guard {
        request.body.replay.keep(guard.kept_body());
    }
    let first = judged(worker, view, routed, request, way, &clock, guard).await;
    let Err(failure) = first else { return Ok(()) };
    let caught = guard.is_some_and(|guard| guard.catches(failure, request.body.replay.is_complete()));
    if !caught || clock.is_over() {
        return Err(failure);
    }
    routed.turn_to_stable(snapshot);
    routed.began = Instant::now();
    if routed.enter(worker, snapshot, routed.began).is_err() {
        return Err(failure);
    }
    routed.explain_shielded();
    way.record.shielded = Some(failure);
    clock.drain = None;
    judged(worker, view, routed, request, way, &clock, None).await
}

/// An attempt whose outcome is recorded with the breaker and the limits of its lane.
async fn judged<'c>(
    worker: &Worker,
    view: &View,
    routed: &mut Routed<'_>,
    request: &mut Request<'_, 'c>,
    way: &mut Way<'_, 'c>,
    clock: &Clock,
    guard: Option<Guard<'_>>,
) -> Result<(), Failure> {
    let route = &view.snapshot.routes[routed.route.index()];
    let (began, lease) = (routed.began, routed.lease.take());
    clock.client.begin();
    let attempted = attempt(worker, view, routed, request, way, clock, guard).await;
    if request.head.is_grpc() {
        way.record.ended_grpc();
    }
    way.record.attempt_over(attempted.err());
    let ended = way.record.answered_at.filter(|at| *at >= began).unwrap_or_else(Instant::now);
    let answer = verdict::answer(attempted, way.record, request.head.method(), clock.client.kept_waiting(ended));
    let took = clock.client.upstreams(began, ended);
    if let Some(room) = routed.room.take() {
        room.leave(load(answer), took, worker.tick(Instant::now()));
    }
    let outcome = verdict::outcome(answer, way.record);
    routed.compare(worker, route, outcome, took);
    route.record(worker, routed.target.lane, lease, outcome, (began, began + took));
    if outcome.is_failure() {
        tell::failed(worker, &route.series, routed.target.lane, request.head, attempted.err(), way.record);
    }
    attempted
}

/// The client's end of the way: where the answer goes, and what is remembered.
struct Way<'w, 'c> {
    responder: &'w mut Option<Responder<'c>>,
    timer: &'w mut Timer,
    record: &'w mut Record,
}

/// Sends over a connection to the lane's upstream; once more over a fresh one where a kept one closed under the request
/// and sending it twice is as good as once.
async fn attempt<'c>(
    worker: &Worker,
    view: &View,
    routed: &Routed<'_>,
    request: &mut Request<'_, 'c>,
    way: &mut Way<'_, 'c>,
    clock: &Clock,
    guard: Option<Guard<'_>>,
) -> Result<(), Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    let untrusted = |name: &[u8]| snapshot.is_untrusted(name);
    let program = &snapshot.settings.program;
    let lane = program.lanes().name(routed.lane);
    let plan = &snapshot.routes[routed.route.index()].plan;
    let slow = fault::meet(worker, &plan.name, lane, clock, &mut request.body, way).await?;
    let call = Call {
        worker,
        head,
        target: &target_for(snapshot, head, &routed.path),
        framing: request.framing,
        told: Told {
            lane,
            release: routed.decision.release.map(|release| program.release(release).name.as_str()),
            qos: routed.decision.qos.map(Qos::as_str),
            pseudonym: &snapshot.pseudonym,
            peer: request.peer,
            upgrade: wanted_upgrade(head, request.framing),
            deadline: clock.passed.any().then_some(clock),
        },
        untrusted: &untrusted,
        clock,
        limits: snapshot.limits,
        mark: routed.mark(snapshot, lane),
        guard,
        slow,
    };
    let dialect = dialect(routed.target, &call);
    let pool = &view.pools[routed.target.upstream];
    let mut now = if way.record.may_be_late() { Instant::now() } else { routed.began };
    // Deciding may have waited, for a body or for gray.
    clock.note_now(now);
    for fresh in [false, true] {
        let Way { responder, timer, record } = way;
        record.trace.attempt(worker, routed.target);
        if clock.is_over_at(now) {
            return Err(Failure::RequestLate);
        }
        let waiting = if fresh { None } else { pool.lease_waiting(dialect, now) };
        let lease = match waiting {
            Some(lease) => lease,
            None => {
                let opening = pool.lease(dialect, fresh, plan.timeouts.connect);
                let opened = leased(opening, &mut request.body, responder, timer, clock).await;
                clock.forget_now();
                opened?
            }
        };
        clock.wait_for(Waiting::FirstByte);
        record.reached(&lease, clock.client.until(now));
        let progress = Progress::of(&request.body);
        let exchange = Exchange { body: &mut request.body, progress: &progress, responder, timer, record };
        let attempted = match lease {
            upstream::Lease::H1(lease) => over_h1(&call, lease, exchange).await,
            upstream::Lease::H2(lease) => over_h2(&call, lease, exchange).await,
        };
        if let Some(report) = way.record.report.take() {
            let now = Instant::now();
            let outcome =
                outcome::of_end(&attempted, way.record.failure, head.method(), clock.client.kept_waiting(now));
            report.ended(outcome, clock.client.until(now), now);
        }
        match attempted {
            Ok(()) => return Ok(()),
            Err(Failed { failure, untouched }) => {
                // Until another attempt takes what has come, the client is not waited for.
                now = Instant::now();
                request.body.pace.came(now);
                // The client waits to be asked once, whoever asks.
                request.body.is_asked_for = progress.is_asked_for.get();
                let again = untouched && head.verb.is_idempotent() && request.body.replay.is_complete();
                if fresh || !again {
                    return Err(failure);
                }
                way.record.replayed = true;
                clock.note_now(now);
                clock.client.came(now);
            }
        }
    }
    Err(Failure::Reset)
}
