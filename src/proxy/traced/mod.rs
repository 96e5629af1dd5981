//! What is traced of a request: a server span for it, a client span for each attempt, and the event of its decision.
//!
//! Names follow OpenTelemetry's stable conventions for HTTP
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>). The query is left out: it often holds secrets.

mod attributes;

use std::time::{Duration, Instant, SystemTime};

use smallvec::SmallVec;

use super::failure::Failure;
use super::peek::speaker;
use super::record::Record;
use super::snapshot::Target;
use super::worker::{View, Worker};
use super::{Request, Routed, tell};
use crate::decide::Facts;
use crate::trace::{
    Beginning, Context, Evaluation, Kind, Origin, Parent, Passing, Span, Spans, Status, TraceId, Tracer,
};
use crate::upstream::{Address, Lease};
use crate::wire::{FieldSink, Known, Version};

use attributes::{Over, method, trace_state};

/// Attempts of one request that are told: two lanes, each with a kept connection and a fresh one.
const MOST_ATTEMPTS: usize = 4;

/// What is traced of one request; nothing, for most.
#[derive(Default)]
pub(super) struct Trace {
    context: Option<Context>,
    passing: Passing,
    recording: Option<Box<Recording>>,
}

/// A request that is recorded.
struct Recording {
    origin: Origin,
    attempts: SmallVec<[Attempt; 2]>,
}

/// An attempt as it went.
struct Attempt {
    span: [u8; 8],
    upstream: usize,
    began: Instant,
    ended: Option<Instant>,
    /// Where it was sent, once there was a connection.
    reached: Option<(Address, Version)>,
    /// The status of the answer; 0 where none came.
    status: u16,
    grpc_status: Option<u16>,
    failure: Option<Failure>,
}

impl Trace {
    /// Decides whether a request is recorded. Without a tracer that is one look at the snapshot; with one, a look-up of
    /// `traceparent`.
    pub(super) fn begin(worker: &Worker, view: &View, request: &Request<'_, '_>) -> Self {
        let Some(tracer) = &view.snapshot.tracer else { return Self::default() };
        let mut all = request.head.fields.all(Known::Traceparent);
        let first = all.next();
        // Two of them are none (section 3.2.1 of the recommendation).
        let sent = first.filter(|_| all.next().is_none()).and_then(Context::parse);
        let Beginning { context, passing, recorded } = tracer.begin(sent, request.peer.trusted, || worker.draw());
        let recording = recorded.map(|origin| Box::new(Recording { origin, attempts: SmallVec::new() }));
        Self { context, passing, recording }
    }

    /// What becomes of the request's own trace fields.
    pub(super) fn passing(&self) -> Passing {
        self.passing
    }

    /// The trace that the request belongs to from here on; nothing where no tracer looked at it.
    pub(super) fn trace_id(&self) -> Option<TraceId> {
        self.context.map(|context| context.trace_id())
    }

    /// The same, where we record it.
    pub(super) fn kept_id(&self) -> Option<TraceId> {
        self.recording.as_ref().and_then(|_| self.trace_id())
    }

    /// Writes the context that goes up with an attempt.
    pub(super) fn write(&self, sink: &mut impl FieldSink) {
        let Some(context) = self.context.filter(|_| self.passing != Passing::AsIs) else { return };
        let attempt = self.recording.as_ref().and_then(|recording| recording.attempts.last());
        let context = attempt.map_or(context, |attempt| context.at(attempt.span));
        sink.own_field(b"traceparent", &context.text());
    }

    /// Another attempt begins. One that is not over was untouched by its upstream: its kept connection had closed.
    pub(super) fn attempt(&mut self, worker: &Worker, target: Target) {
        let Some(recording) = &mut self.recording else { return };
        let began = Instant::now();
        recording.end(began, |attempt| attempt.failure = Some(Failure::Reset));
        if recording.attempts.len() < MOST_ATTEMPTS {
            recording.attempts.push(Attempt {
                span: worker.draw().max(1).to_be_bytes(),
                upstream: target.upstream,
                began,
                ended: None,
                reached: None,
                status: 0,
                grpc_status: None,
                failure: None,
            });
        }
    }
}

impl Recording {
    /// Ends the attempt under way, if one is.
    fn end(&mut self, now: Instant, tell: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.ended.is_none()) {
            attempt.ended = Some(now);
            tell(attempt);
        }
    }
}

impl Record {
    /// The attempt under way has a connection; `waited` is how long the client was waited for before.
    pub(super) fn reached(&mut self, lease: &Lease, waited: Duration) {
        self.report = lease.report(waited);
        let attempt = self.trace.recording.as_mut().and_then(|recording| recording.attempts.last_mut());
        if let Some(attempt) = attempt {
            let version = if matches!(lease, Lease::H2(_)) { Version::H2 } else { Version::Http11 };
            attempt.reached = Some((lease.address().clone(), version));
        }
    }

    /// The attempt under way is over; `failure` is why there is no answer.
    pub(super) fn attempt_over(&mut self, failure: Option<Failure>) {
        let Some(recording) = &mut self.trace.recording else { return };
        recording.end(Instant::now(), |attempt| {
            let is_answered = self.answered_at.is_some_and(|at| at >= attempt.began);
            attempt.failure = failure.or(self.failure);
            attempt.status = match failure {
                Some(Failure::HeldBack(status)) => status,
                _ if is_answered => self.status,
                _ => 0,
            };
            attempt.grpc_status = self.grpc_status.filter(|_| is_answered);
        });
    }
}

/// Hands over what is to be told of a request that is over.
pub(super) fn told(
    worker: &Worker,
    view: &View,
    request: &Request<'_, '_>,
    routed: Option<&Routed<'_>>,
    record: &mut Record,
) {
    let Some(tracer) = &view.snapshot.tracer else { return };
    if let Some(routed) = routed {
        evaluated(worker, tracer, view, request, routed, record);
    }
    let Some(recording) = record.trace.recording.take() else { return };
    let Some(context) = record.trace.context else { return };
    tell::request_id(request.head, worker, record);
    let clock = WallClock::now();
    let over = Over { snapshot: &view.snapshot, request, routed, record };
    let mut spans = Spans::with_room_for(1 + recording.attempts.len());
    let state = trace_state(request.head, record.trace.passing);
    let method = method(request.head);
    let (is_error, error) = over.error();
    let span = Span {
        context,
        parent: recording.origin.parent,
        state,
        name: (method.unwrap_or("HTTP"), over.route_path()),
        kind: Kind::Server,
        times: (clock.at(request.started), clock.at(clock.instant)),
        status: if is_error { Status::Error } else { Status::Unset },
        link: recording.origin.link,
    };
    spans.add(&span, |attributes| over.server(attributes, error.as_deref()));
    for (at, attempt) in recording.attempts.iter().enumerate() {
        let error = attempt.error();
        let span = Span {
            context: context.at(attempt.span),
            parent: Parent::Local(context.span),
            name: (method.unwrap_or("HTTP"), None),
            kind: Kind::Client,
            times: (clock.at(attempt.began), clock.at(attempt.ended.unwrap_or(clock.instant))),
            status: if error.is_some() { Status::Error } else { Status::Unset },
            link: None,
            ..span
        };
        spans.add(&span, |attributes| over.client(attributes, attempt, at, error.as_deref()));
    }
    tracer.record(worker.id, spans);
}

/// Tells the decision of a release, where it is wanted.
fn evaluated(
    worker: &Worker,
    tracer: &Tracer,
    view: &View,
    request: &Request<'_, '_>,
    routed: &Routed<'_>,
    record: &Record,
) {
    let (snapshot, decision) = (&*view.snapshot, &routed.decision);
    let Some(release) = decision.release else { return };
    if !tracer.wants_event(record.trace.context, || worker.draw()) {
        return;
    }
    let program = &snapshot.settings.program;
    let (release, head) = (program.release(release), request.head);
    // Facts are read once more, as for the access log.
    let found = program.find(head, routed.path.as_str()).filter(|_| tracer.names_users());
    let facts = found.as_ref();
    let facts = facts.map(|found| snapshot.extractor.facts_with(head, found, speaker(request.peer), &routed.ahead));
    let key = facts.as_ref().and_then(|facts| facts.get(release.logged_key(facts)?.fact));
    let name = key.as_deref().and_then(|key| tracer.name(key));
    let clock = WallClock::now();
    tracer.tell(
        worker.id,
        &Evaluation {
            time: clock.at(request.started),
            context: record.trace.context,
            release: &release.name,
            lane: program.lanes().name(decision.lane),
            reason: decision.reason,
            context_id: name.as_deref(),
            service: tracer.service(),
            version: &snapshot.version,
            route: &program.route(routed.route).name,
        },
    );
}

impl Attempt {
    /// The word for what went wrong. What a client of a server sees as an error begins at 400.
    fn error(&self) -> Option<String> {
        match (self.failure, self.grpc_status) {
            (Some(Failure::HeldBack(status)), _) => Some(status.to_string()),
            (Some(failure), _) => Some(failure.word().to_owned()),
            (None, Some(grpc)) if grpc > 0 => Some(grpc.to_string()),
            _ => (self.status >= 400).then(|| self.status.to_string()),
        }
    }
}

/// Puts moments of the monotonic clock at the time of day.
struct WallClock {
    instant: Instant,
    nanos: u64,
}

impl WallClock {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), nanos: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) }
    }

    fn at(&self, moment: Instant) -> u64 {
        let ago = self.instant.saturating_duration_since(moment).as_nanos();
        self.nanos.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_put_at_the_time_of_day() {
        let clock = WallClock { instant: Instant::now(), nanos: 5_000 };
        let earlier = clock.instant.checked_sub(std::time::Duration::from_nanos(3_000)).unwrap();
        assert_eq!((clock.at(clock.instant), clock.at(earlier)), (5_000, 2_000));
        let later = clock.instant + std::time::Duration::from_secs(1);
        assert_eq!(clock.at(later), 5_000, "nothing of a request is later than its end");
    }
}
