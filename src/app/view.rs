//! The sidecar as the admin port sees it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::judge::Judgements;
use super::ledger::Ledger;
use super::releases;
use super::supply::SupplyView;
use crate::admin::{
    AddressView, AdminView, AuditView, BreakerView, BucketsView, ChangeError, Changed, ConfigView, EndpointView,
    ExplainError, ExplainRequest, LaneView, NotReady, RefusedView, ReleaseChange, ReleaseView, RouteView, UpstreamView,
};
use crate::change::{AuditAction, AuditRecord};
use crate::config::{AdminChanges, Breaker, Endpoint, UpstreamIndex};
use crate::decide::{BreakerTrace, Reason, Reasoning, RouteSpec};
use crate::extract::{self, Surroundings};
use crate::latch::{Incident, Latches};
use crate::live::Live;
use crate::lookup::Answer;
use crate::proxy::{Route, Snapshot};
use crate::resilience::State;
use crate::source::SourceStatus;
use crate::telemetry::{BreakerState, ConnectionState, EndpointState, Telemetry};
use crate::upstream::{AddressState, Upstream};

/// Answers the admin port from what is in force.
pub(super) struct ControlView {
    live: Arc<Live<Snapshot>>,
    telemetry: Arc<Telemetry>,
    latches: Arc<Latches>,
    judgements: Arc<Judgements>,
    traffic: Arc<Live<Vec<SocketAddr>>>,
    ledger: Arc<Ledger>,
    sources: SupplyView,
    /// How many configurations were applied.
    applied: AtomicU64,
    refused: Mutex<Option<RefusedView>>,
    phase: AtomicU8,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

impl ControlView {
    pub(super) fn new(
        live: Arc<Live<Snapshot>>,
        telemetry: Arc<Telemetry>,
        latches: Arc<Latches>,
        judgements: Arc<Judgements>,
        traffic: Arc<Live<Vec<SocketAddr>>>,
        ledger: Arc<Ledger>,
        sources: SupplyView,
    ) -> Self {
        let (applied, refused, phase) = (AtomicU64::new(1), Mutex::default(), AtomicU8::new(STARTING));
        Self { live, telemetry, latches, judgements, traffic, ledger, sources, applied, refused, phase }
    }

    /// Another configuration is in force.
    pub(super) fn applied(&self, record: AuditRecord) {
        self.applied.fetch_add(1, Ordering::Relaxed);
        self.unrefused();
        self.ledger.push(record);
    }

    /// A configuration was refused; the same one again is no news.
    pub(super) fn refused(&self, record: AuditRecord) {
        let told = Timestamp::try_from(record.time).unwrap_or(Timestamp::UNIX_EPOCH);
        let (source, problems) = (record.source.clone(), record.problems.clone());
        let view = RefusedView { time: told.to_string(), source, problems };
        let before = self.refused_now().replace(view);
        if before.is_none_or(|before| before.problems != record.problems) {
            self.ledger.push(record);
        }
    }

    /// What was offered last is in force.
    pub(super) fn unrefused(&self) {
        *self.refused_now() = None;
    }

    /// A panic under this lock leaves nothing half done.
    fn refused_now(&self) -> MutexGuard<'_, Option<RefusedView>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody changed something that is neither a configuration nor a release.
    pub(super) fn changed(&self, action: AuditAction, names: Vec<String>, by: &str) {
        let by = Some(by.to_owned());
        self.ledger.push(AuditRecord { changed: names, by, ..AuditRecord::now(action, "the admin port") });
    }

    pub(super) fn ready(&self) {
        self.phase.store(READY, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::Acquire) == DRAINING
    }

    pub(super) fn draining(&self) {
        self.phase.store(DRAINING, Ordering::Release);
    }
}

impl AdminView for ControlView {
    fn readiness(&self) -> Result<(), NotReady> {
        match self.phase.load(Ordering::Acquire) {
            READY => Ok(()),
            STARTING => Err(NotReady("starting".to_owned())),
            _ => Err(NotReady("draining".to_owned())),
        }
    }

    fn config(&self) -> ConfigView {
        let snapshot = self.live.get();
        let settings = &snapshot.settings;
        ConfigView {
            service: settings.service.clone(),
            environment: settings.environment.as_str().to_owned(),
            lane: settings.program.lanes().name(settings.lane).to_owned(),
            version: snapshot.version.clone(),
            applied: self.applied.load(Ordering::Relaxed),
            refused: self.refused_now().clone(),
            sources: snapshot.sources.clone(),
            stale: self.sources().into_iter().filter(|source| source.stale).map(|source| source.name).collect(),
            documents: self.ledger.documents(),
            pinned: self.ledger.pin(),
            listeners: self.traffic.get().iter().map(SocketAddr::to_string).collect(),
            settings: json!({
                "trust": trusted(settings),
                "local": settings.local.as_ref().map(endpoint),
                "limits": {
                    "header_bytes": settings.limits.header_bytes,
                    "header_count": settings.limits.header_count,
                    "uri_bytes": settings.limits.uri_bytes,
                    "connections": settings.limits.connections,
                    "connections_per_peer": settings.limits.connections_per_peer,
                },
                "drain_seconds": settings.drain.as_secs_f64(),
                "guard": {
                    "move_permille": settings.guard.most.get(),
                    "files": settings.guard.files,
                    "sources": settings.guard.sources,
                },
                "state": releases::state(&self.latches),
                "last_good": { "problem": self.sources.problem() },
                "history": { "problem": self.ledger.history().problem() },
            }),
        }
    }

    fn releases(&self) -> Vec<ReleaseView> {
        releases::views(&self.live.get(), &self.latches, &self.judgements.get())
    }

    fn buckets(&self, release: &str, key: Option<&str>) -> Option<BucketsView> {
        releases::buckets(&self.live.get(), release, key)
    }

    fn routes(&self) -> Vec<RouteView> {
        let snapshot = self.live.get();
        let specs = snapshot.settings.program.routes().iter();
        specs.zip(&snapshot.routes).map(|(spec, route)| route_view(&snapshot, spec, route)).collect()
    }

    fn upstreams(&self) -> Vec<UpstreamView> {
        let snapshot = self.live.get();
        let now = Instant::now();
        // The directory has them in the same order, and the pod's own service behind them.
        let views = snapshot.settings.upstreams.iter().zip(snapshot.directory.upstreams()).map(|(upstream, known)| {
            let series = self.telemetry.upstream(&upstream.name);
            let endpoints = upstream.endpoints.iter().enumerate();
            UpstreamView {
                name: upstream.name.clone(),
                protocol: upstream.protocol.as_str().to_owned(),
                balance: upstream.policy.balance.as_str().to_owned(),
                panic: known.in_panic(now),
                endpoints: endpoints.map(|(at, one)| endpoint_view(endpoint(one), known, at, now)).collect(),
                active: series.connections(ConnectionState::Active),
                idle: series.connections(ConnectionState::Idle),
            }
        });
        views.collect()
    }

    fn breakers(&self) -> Vec<BreakerView> {
        let snapshot = self.live.get();
        let lanes = snapshot.settings.program.lanes();
        let views = snapshot.routes.iter().flat_map(|route| {
            let breaker = route.plan.breaker.map(|at| &snapshot.settings.breakers[at]);
            route.plan.lanes.iter().enumerate().map(move |(at, (lane, _))| BreakerView {
                route: route.plan.name.to_string(),
                lane: lanes.name(*lane).to_owned(),
                breaker: breaker.map(|breaker| breaker.name.clone()),
                state: state(route.breaker_state(at)),
                thresholds: breaker.map_or(Value::Null, Breaker::thresholds),
            })
        });
        views.collect()
    }

    fn sources(&self) -> Vec<SourceStatus> {
        self.sources.statuses()
    }

    fn audit(&self) -> AuditView {
        let journal = self.ledger.journal();
        AuditView { audit: journal.entries(), trail: journal.state() }
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        self.latches.incidents()
    }

    fn changes(&self) -> AdminChanges {
        self.live.get().settings.admin_changes.clone()
    }

    fn readers(&self) -> Option<Vec<PathBuf>> {
        self.live.get().settings.admin_readers.clone()
    }

    fn change(&self, change: &ReleaseChange) -> Result<Changed, ChangeError> {
        releases::change(&self.live.get(), &self.latches, &self.judgements.get(), change)
    }

    fn explain(&self, request: &ExplainRequest) -> Result<Value, ExplainError> {
        let snapshot = self.live.get();
        let asked = asked(request).map_err(|error| ExplainError::Refused(error.to_string()))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let surroundings = Surroundings {
            allow: snapshot.allow,
            latched: &|release| snapshot.is_latched(release),
            now_unix: now.map_or(0, |since| since.as_secs()),
        };
        // Rare, and by hand: a thread of the control runtime may wait for what is looked up.
        let look_up = |lookup: usize, key: &str| match snapshot.extractor.lookups().get(lookup) {
            Some(lookup) => tokio::task::block_in_place(|| Handle::current().block_on(lookup.get(key, usize::MAX))),
            None => Answer::Nothing("there is no such lookup"),
        };
        let program = &snapshot.settings.program;
        let mut reasoning = extract::explain_with(program, &snapshot.extractor, &asked, surroundings, &look_up)
            .map_err(|error| ExplainError::Refused(error.to_string()))?;
        breaker_and_upstream(&snapshot, &mut reasoning);
        Ok(serde_json::to_value(reasoning).expect("a reasoning has text for keys"))
    }
}

/// What the breaker of the decided lane says now, and the upstream that the request would go to. A half-open breaker lets
/// trials through, and whether this request would be one cannot be told without taking a trial away.
fn breaker_and_upstream(snapshot: &Snapshot, reasoning: &mut Reasoning) {
    let lanes = snapshot.settings.program.lanes();
    let Some(route) = snapshot.routes.iter().find(|route| *route.plan.name == *reasoning.route) else { return };
    let place = |name: &str| route.plan.lanes.iter().position(|(lane, _)| lanes.name(*lane) == name);
    if let Some(place) = place(&reasoning.lane).filter(|_| route.plan.breaker.is_some()) {
        let state = state(route.breaker_state(place));
        let word = match state {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half_open",
            BreakerState::Open => "open",
        };
        reasoning.breaker = Some(BreakerTrace { lane: reasoning.lane.clone(), state: word.to_owned() });
        if state == BreakerState::Open {
            reasoning.fall_back(Reason::BreakerOpen);
        }
    }
    reasoning.upstream = snapshot.settings.upstream_of(&reasoning.route, &reasoning.lane).map(str::to_owned);
}

/// The question of the admin port in the form that explanations take.
fn asked(request: &ExplainRequest) -> Result<extract::ExplainRequest, extract::ExplainRequestError> {
    let mut asked = extract::ExplainRequest::new(request.method.as_str(), &request.uri.to_string())?;
    for (name, value) in &request.headers {
        asked = asked.with_header(name.as_str(), value.as_bytes())?;
    }
    if let Some(body) = &request.body {
        asked = asked.with_body(body.as_str());
    }
    match request.client_ip {
        Some(address) => asked.with_client_ip(&address.to_string()),
        None => Ok(asked),
    }
}

fn route_view(snapshot: &Snapshot, spec: &RouteSpec, route: &Route) -> RouteView {
    let program = &snapshot.settings.program;
    let lane = |(at, (lane, UpstreamIndex(upstream))): (usize, &(crate::decide::LaneId, UpstreamIndex))| {
        let counts = route.series.counts(at);
        LaneView {
            lane: program.lanes().name(*lane).to_owned(),
            upstream: snapshot.settings.upstreams[*upstream].name.clone(),
            requests: counts.requests,
            server_errors: counts.server_errors,
            duration_seconds: counts.duration_sum.as_secs_f64(),
            durations: route.series.durations(at).to_vec(),
        }
    };
    RouteView {
        name: spec.name.clone(),
        hosts: spec.hosts.clone(),
        path: spec.path.clone(),
        methods: spec.methods.clone(),
        release: spec.release.map(|release| program.release(release).name.clone()),
        inflight: route.series.inflight(),
        lanes: route.plan.lanes.iter().enumerate().map(lane).collect(),
    }
}

fn endpoint_view(name: String, upstream: &Upstream, place: usize, now: Instant) -> EndpointView {
    let states = upstream.states(place, now);
    let any = |wanted: EndpointState| states.iter().any(|address| address.state == wanted);
    let healthy = match upstream.is_watched() && !states.is_empty() {
        true if any(EndpointState::Usable) => Some(true),
        true if any(EndpointState::Unchecked) => None,
        true => Some(false),
        false => None,
    };
    let view = |one: AddressState| AddressView { address: one.address.to_string(), state: one.state.as_str() };
    EndpointView { address: name, healthy, addresses: states.into_iter().map(view).collect() }
}

/// The networks and names of trusted peers.
fn trusted(settings: &crate::config::Settings) -> Vec<String> {
    let names = settings.trust_names.iter().map(ToString::to_string);
    settings.trust.iter().map(ToString::to_string).chain(names).collect()
}

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Endpoint::Host { host, port } => format!("{host}:{port}"),
        Endpoint::Service { service, namespace, port } => format!("k8s:{service}.{namespace}:{port}"),
        Endpoint::Unix(path) => format!("unix:{}", path.display()),
        Endpoint::Local => "local".to_owned(),
    }
}

fn state(state: Option<State>) -> BreakerState {
    match state {
        None | Some(State::Closed) => BreakerState::Closed,
        Some(State::HalfOpen) => BreakerState::HalfOpen,
        Some(State::Open) => BreakerState::Open,
    }
}
