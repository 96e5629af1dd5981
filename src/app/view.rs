//! The sidecar as the admin port sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::judge::Judgements;
use super::releases;
use crate::admin::{
    AddressView, AdminView, AuditAction, AuditRecord, AuditTrail, BreakerView, ChangeError, Changed, ConfigView,
    EndpointView, ExplainError, ExplainRequest, LaneView, NotReady, ReleaseChange, ReleaseView, RouteView,
    UpstreamView,
};
use crate::config::{AdminChanges, Breaker, Endpoint, UpstreamIndex};
use crate::decide::{BreakerTrace, Reason, Reasoning, RouteSpec};
use crate::extract::{self, Surroundings};
use crate::latch::{Incident, Latches};
use crate::live::Live;
use crate::proxy::{Route, Snapshot};
use crate::resilience::State;
use crate::telemetry::{BreakerState, ConnectionState, EndpointState, Telemetry};
use crate::upstream::{AddressState, Upstream};

/// Answers the admin port from what is in force.
pub(super) struct ControlView {
    live: Arc<Live<Snapshot>>,
    telemetry: Arc<Telemetry>,
    latches: Arc<Latches>,
    judgements: Arc<Judgements>,
    traffic: Vec<SocketAddr>,
    audit: AuditTrail,
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
        traffic: Vec<SocketAddr>,
    ) -> Self {
        let audit = AuditTrail::default();
        let first = live.get();
        audit.push(AuditRecord {
            time: SystemTime::now(),
            action: AuditAction::Applied,
            from: None,
            version: Some(first.version.clone()),
            source: first.sources.join(", "),
            changed: Vec::new(),
            problems: Vec::new(),
            by: None,
            detail: None,
        });
        Self { live, telemetry, latches, judgements, traffic, audit, phase: AtomicU8::new(STARTING) }
    }

    /// Somebody changed something that is neither a configuration nor a release.
    pub(super) fn changed(&self, action: AuditAction, names: Vec<String>, by: &str) {
        self.audit.push(AuditRecord {
            time: SystemTime::now(),
            action,
            from: None,
            version: None,
            source: "the admin port".to_owned(),
            changed: names,
            problems: Vec::new(),
            by: Some(by.to_owned()),
            detail: None,
        });
    }

    pub(super) fn ready(&self) {
        self.phase.store(READY, Ordering::Release);
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
            applied: 1,
            sources: snapshot.sources.clone(),
            listeners: self.traffic.iter().map(SocketAddr::to_string).collect(),
            settings: json!({
                "trust": settings.trust.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "local": settings.local.as_ref().map(endpoint),
                "limits": {
                    "header_bytes": settings.limits.header_bytes,
                    "header_count": settings.limits.header_count,
                    "uri_bytes": settings.limits.uri_bytes,
                },
                "drain_seconds": settings.drain.as_secs_f64(),
                "state": releases::state(&self.latches),
            }),
        }
    }

    fn releases(&self) -> Vec<ReleaseView> {
        releases::views(&self.live.get(), &self.latches, &self.judgements.get())
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

    fn audit(&self) -> Vec<AuditRecord> {
        releases::audit(self.audit.records(), &self.latches)
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        self.latches.incidents()
    }

    fn changes(&self) -> AdminChanges {
        self.live.get().settings.admin_changes.clone()
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
        let mut reasoning = extract::explain(&snapshot.settings.program, &snapshot.extractor, &asked, surroundings)
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
    if let Some((_, UpstreamIndex(upstream))) = place(&reasoning.lane).map(|place| route.plan.lanes[place]) {
        reasoning.upstream = Some(snapshot.settings.upstreams[upstream].name.clone());
    }
}

/// The question of the admin port in the form that explanations take.
fn asked(request: &ExplainRequest) -> Result<extract::ExplainRequest, extract::ExplainRequestError> {
    let mut asked = extract::ExplainRequest::new(request.method.as_str(), &request.uri.to_string())?;
    for (name, value) in &request.headers {
        asked = asked.with_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))?;
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

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Endpoint::Host { host, port } => format!("{host}:{port}"),
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
