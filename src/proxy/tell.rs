//! What is told of a request when it is over, and what it told of itself.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use smallvec::SmallVec;

use super::failure::Failure;
use super::peek::speaker;
use super::record::Record;
use super::snapshot::Snapshot;
use super::trace_context::trace_context;
use super::worker::{View, Worker};
use super::{Request, Routed};
use crate::config::Redaction;
use crate::decide::{Decision, FactId, Facts, Found, NormalPath};
use crate::telemetry::access::{Asked, Decided, Entry, LoggedFacts, Outcome};
use crate::telemetry::{CodeClass, FailedRequest, Refusal, RouteSeries, SlowClient, TraceId};
use crate::trace;
use crate::wire::{Known, RequestHead};

/// A request under way on its route, for as long as this lives.
pub(super) struct Inflight<'s> {
    series: &'s Arc<RouteSeries>,
    worker: usize,
}

impl<'s> Inflight<'s> {
    pub(super) fn begin(series: &'s Arc<RouteSeries>, worker: usize) -> Self {
        series.begin(worker);
        Self { series, worker }
    }
}

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.series.end(self.worker);
    }
}

/// Counts a decision as it stands after the breakers had their say.
pub(super) fn decided(worker: &Worker, snapshot: &Snapshot, decision: &Decision) {
    let series = decision.release.map_or(&snapshot.no_release, |release| &snapshot.releases[release.index()]);
    series.decided(worker.id, decision.level, decision.reason);
    if let Some(bucket) = decision.bucket {
        series.visited(worker.id, bucket);
    }
}

/// Counts the request, and writes it to the access log where that wants it.
pub(super) fn told(
    worker: &Worker,
    view: &View,
    request: &Request<'_, '_>,
    routed: Option<&Routed<'_>>,
    record: &mut Record,
) {
    let ended = Instant::now();
    let took = ended.saturating_duration_since(request.started);
    record.ended_at = Some(ended);
    let totals = worker.telemetry.totals();
    if record.stripped > 0 {
        totals.stripped(worker.id, record.stripped);
    }
    if let Some(how) = record.failure.and_then(|failure| slowness(failure, record)) {
        totals.slow_client(worker.id, how);
    }
    match (routed, record.failure) {
        (Some(routed), failure) => {
            let series = &view.snapshot.routes[routed.route.index()].series;
            let left = failure == Some(Failure::ClientGone) || record.status == 0;
            let class = if left { CodeClass::None } else { CodeClass::of(record.status) };
            series.record(worker.id, routed.target.lane, routed.decision.level, class, took);
            if let Some(trace) = kept_trace(request.head, record) {
                series.traced(worker.id, routed.target.lane, trace, took);
            }
            if failure == Some(Failure::ClientGone) {
                series.client_disconnected(worker.id);
            }
            let is_over = matches!(failure, Some(Failure::RequestLate | Failure::ClientOverdue));
            if is_over && record.deadline_is_callers {
                series.deadline_expired(worker.id);
            }
            if record.replayed {
                series.replayed(worker.id);
            }
            if failure == Some(Failure::GrayDrained) {
                series.gray_drained(worker.id);
            }
            if record.shielded.is_some() {
                series.shielded(worker.id);
            }
        }
        (None, Some(failure)) => totals.refused(worker.id, refusal(failure)),
        (None, None) => {}
    }
    if !worker.log.is_off() {
        let has_failed = record.has_failed();
        if worker.log.wants(request_id(request.head, worker, record), has_failed) {
            log(worker, view, request, routed, record, took);
        }
    }
}

/// Remembers a request that its lane failed, for the evidence of a rollback; one that stable made good as well.
pub(super) fn failed(
    worker: &Worker,
    series: &RouteSeries,
    lane: usize,
    head: &RequestHead,
    failure: Option<Failure>,
    record: &mut Record,
) {
    let failure = failure.or(record.failure);
    let status = failure.map_or(record.status, Failure::status);
    let request_id = request_id(head, worker, record).into();
    let error = failure.map(Failure::word);
    series.failed(worker.id, lane, FailedRequest { at: SystemTime::now(), request_id, status, error });
}

/// How the client was too slow, if that is what went wrong.
fn slowness(failure: Failure, record: &Record) -> Option<SlowClient> {
    match failure {
        Failure::ClientDrips => Some(SlowClient::BodyDripped),
        Failure::ClientLate if record.answered_at.is_some() => Some(SlowClient::AnswerNotTaken),
        Failure::ClientLate => Some(SlowClient::BodyPaused),
        _ => None,
    }
}

/// The counter of requests that were answered before a route was found.
pub(super) fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Path => Refusal::Path,
        Failure::NoRoute => Refusal::NoRoute,
        Failure::Loop => Refusal::Loop,
        Failure::Overloaded { .. } => Refusal::Overloaded,
        Failure::ClientLate | Failure::ClientDrips => Refusal::SlowClient,
        Failure::Refused(error) => match (error.status, error.word) {
            (414, _) => Refusal::UriTooLong,
            (431, _) => Refusal::HeadersTooLarge,
            (405, _) => Refusal::Method,
            (505, _) => Refusal::Version,
            (_, "bad_host") => Refusal::Host,
            (_, "bad_content_length" | "bad_transfer_encoding" | "two_framings" | "bad_chunk") => Refusal::Framing,
            _ => Refusal::Malformed,
        },
        _ => Refusal::Malformed,
    }
}

fn log(
    worker: &Worker,
    view: &View,
    request: &Request<'_, '_>,
    routed: Option<&Routed<'_>>,
    record: &Record,
    took: Duration,
) {
    let (head, snapshot) = (request.head, &view.snapshot);
    let program = &snapshot.settings.program;
    // Facts are read once more: the log is off the common path, and keeping them would cost every request.
    let found = routed.and_then(|routed| program.find(head, routed.path.as_str()));
    let speaker = speaker(request.peer);
    let facts = found.as_ref().zip(routed);
    let facts = facts.map(|(found, routed)| snapshot.extractor.facts_with(head, found, speaker, &routed.ahead));
    let fact = |id: FactId| facts.as_ref().and_then(|facts| facts.get(id));
    let (user, sku) = (fact(FactId::USER_ID), fact(FactId::SKU_ID));
    let (category, amount) = (fact(FactId::CATEGORY_ID), fact(FactId::ORDER_AMOUNT));
    let device = fact(FactId::DEVICE_ID);
    let wanted = &snapshot.settings.access_log_facts;
    let wanted: SmallVec<[_; 8]> = wanted.iter().map(|id| (*id, fact(*id))).collect();
    let name = |id: FactId| program.facts().name(id);
    let named: SmallVec<[_; 8]> =
        wanted.iter().filter_map(|(id, value)| Some((name(*id), value.as_deref()?))).collect();
    let own = [
        (FactId::USER_ID, &user),
        (FactId::DEVICE_ID, &device),
        (FactId::SKU_ID, &sku),
        (FactId::CATEGORY_ID, &category),
        (FactId::ORDER_AMOUNT, &amount),
    ];
    let all = own.into_iter().chain(wanted.iter().map(|(id, value)| (*id, value)));
    let is_absent = |id| facts.as_ref().is_some_and(|facts| facts.was_looked_for(id));
    let absent: SmallVec<[_; 8]> =
        all.filter(|(id, value)| value.is_none() && is_absent(*id)).map(|(id, _)| name(id)).collect();
    let client = facts.as_ref().and_then(|facts| facts.client_ip()).unwrap_or(request.peer.ip);
    let own_trace = record.trace.trace_id();
    let redact = &snapshot.settings.access_log_redact;
    let hidden = found.as_ref().zip(routed).and_then(|(found, routed)| redacted_path(redact, found, &routed.path));
    worker.log.write(&Entry {
        time: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
        asked: Asked {
            request_id: record.id.as_deref().unwrap_or_default(),
            trace_id: own_trace
                .as_ref()
                .map(trace::TraceId::as_str)
                .or_else(|| trace_context(head).map(|context| context.trace_id)),
            client,
            protocol: head.version.as_str(),
            method: head.method(),
            host: head.authority().and_then(|host| std::str::from_utf8(host).ok()),
            path: hidden.as_deref().unwrap_or(head.path()),
            facts: LoggedFacts {
                user_id: user.as_deref(),
                device_id: device.as_deref(),
                sku_id: sku.as_deref(),
                category_id: category.as_deref(),
                order_amount: amount.as_deref(),
                named: &named,
                absent: &absent,
            },
        },
        decided: routed.map(|routed| {
            let release = routed.decision.release.map(|release| program.release(release));
            let keyed = release.zip(facts.as_ref()).and_then(|(release, facts)| release.logged_key(facts));
            Decided {
                route: &program.route(routed.route).name,
                lane: program.lanes().name(routed.lane),
                level: routed.decision.level,
                reason: routed.decision.reason,
                decided_reason: Some(routed.decision.decided.reason).filter(|first| *first != routed.decision.reason),
                release: release.map(|release| release.name.as_str()),
                bucket: routed.decision.bucket,
                salt: release.map(|release| release.salt.as_str()),
                key: keyed.as_ref().map(|keyed| program.facts().name(keyed.fact)),
                experiment: keyed.as_ref().and_then(|keyed| keyed.experiment),
            }
        }),
        outcome: outcome(snapshot, request, routed, record, took),
        redact,
    });
}

/// What came of the request, for the log.
fn outcome<'s>(
    snapshot: &'s Snapshot,
    request: &Request<'_, '_>,
    routed: Option<&Routed<'_>>,
    record: &'s Record,
    took: Duration,
) -> Outcome<'s> {
    let lanes = snapshot.settings.program.lanes();
    Outcome {
        status: record.status,
        upstream: routed.map(|routed| &*snapshot.directory.upstreams()[routed.target.upstream].spec.name),
        duration: took,
        upstream_duration: record.answered_at.map(|at: Instant| at.saturating_duration_since(request.started)),
        bytes_in: request.body.replay.bytes,
        bytes_out: record.bytes_out,
        replayed: record.replayed,
        shielded: record.shielded.map(Failure::word),
        fault: record.fault.as_ref().map(|fault| &*fault.plan.name),
        fault_counts: record.fault.as_ref().is_some_and(|fault| fault.plan.counts),
        limited: routed.and_then(|routed| routed.limited).map(|lane| lanes.name(lane)),
        error: record.failure.map(Failure::word),
    }
}

/// The trace of the request, where we or its caller keep it: one that nobody kept leads nowhere.
fn kept_trace(head: &RequestHead, record: &Record) -> Option<TraceId> {
    if let Some(own) = record.trace.kept_id() {
        return TraceId::parse(own.as_str());
    }
    trace_context(head).filter(|context| context.is_sampled).and_then(|context| TraceId::parse(context.trace_id))
}

/// The path with names in place of the parameters that are not shown; nothing where all of it is.
fn redacted_path(redact: &Redaction, found: &Found<'_>, path: &NormalPath<'_>) -> Option<String> {
    if redact.parameters.is_empty() {
        return None;
    }
    let whole = path.as_str();
    let mut shown = String::new();
    let mut from = 0;
    for (name, place) in found.places().filter(|(name, _)| redact.hides_parameter(name)) {
        shown.push_str(whole.get(from..place.start).unwrap_or_default());
        shown.extend(["{", name, "}"]);
        from = place.end;
    }
    if from == 0 {
        return None;
    }
    shown.push_str(whole.get(from..).unwrap_or_default());
    Some(shown)
}

/// The request's own id where it has a usable one, else a fresh one; the same whoever asks.
pub(super) fn request_id<'r>(head: &RequestHead, worker: &Worker, record: &'r mut Record) -> &'r str {
    record.id.get_or_insert_with(|| {
        let given = head.fields.first(Known::RequestId).filter(|id| (1..=128).contains(&id.len()));
        let usable = |id: &&[u8]| id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b));
        match given.filter(usable).and_then(|id| std::str::from_utf8(id).ok()) {
            Some(id) => id.into(),
            None => format!("{:016x}{:016x}", worker.draw(), worker.draw()).into(),
        }
    })
}
