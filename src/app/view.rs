//! The sidecar as the admin port sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::admin::{
    AdminView, AuditAction, AuditRecord, AuditTrail, BreakerView, ConfigView, EndpointView, ExplainError,
    ExplainRequest, LaneView, NotReady, ReleaseView, RouteView, UpstreamView,
};
use crate::config::{Breaker, Endpoint, UpstreamIndex};
use crate::decide::RouteSpec;
use crate::extract::{self, Surroundings};
use crate::live::Live;
use crate::proxy::{Route, Snapshot};
use crate::resilience::State;
use crate::telemetry::{BreakerState, ConnectionState, Telemetry};

/// Answers the admin port from what is in force.
pub(super) struct ControlView {
    live: Arc<Live<Snapshot>>,
    telemetry: Arc<Telemetry>,
    traffic: Vec<SocketAddr>,
    audit: AuditTrail,
    phase: AtomicU8,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

impl ControlView {
    pub(super) fn new(live: Arc<Live<Snapshot>>, telemetry: Arc<Telemetry>, traffic: Vec<SocketAddr>) -> Self {
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
        });
        Self { live, telemetry, traffic, audit, phase: AtomicU8::new(STARTING) }
    }

    /// Somebody changed something by hand.
    pub(super) fn changed(&self, action: AuditAction, names: Vec<String>) {
        let version = Some(self.live.get().version.clone());
        self.audit.push(AuditRecord {
            time: SystemTime::now(),
            action,
            from: version.clone(),
            version,
            source: "the admin port".to_owned(),
            changed: names,
            problems: Vec::new(),
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
            }),
        }
    }

    fn releases(&self) -> Vec<ReleaseView> {
        let snapshot = self.live.get();
        let program = &snapshot.settings.program;
        let governed = |at: usize| {
            let routes =
                program.routes().iter().filter(|route| route.release.is_some_and(|release| release.index() == at));
            routes.map(|route| route.name.clone()).collect()
        };
        let views = program.releases().iter().enumerate().map(|(at, release)| ReleaseView {
            name: release.name.clone(),
            level: release.level,
            permille: release.permille.get(),
            salt: release.salt.clone(),
            latched: false,
            routes: governed(at),
            conditions: release.conditions.len(),
        });
        views.collect()
    }

    fn routes(&self) -> Vec<RouteView> {
        let snapshot = self.live.get();
        let specs = snapshot.settings.program.routes().iter();
        specs.zip(&snapshot.routes).map(|(spec, route)| route_view(&snapshot, spec, route)).collect()
    }

    fn upstreams(&self) -> Vec<UpstreamView> {
        let snapshot = self.live.get();
        let views = snapshot.settings.upstreams.iter().map(|upstream| {
            let series = self.telemetry.upstream(&upstream.name);
            UpstreamView {
                name: upstream.name.clone(),
                protocol: upstream.protocol.as_str().to_owned(),
                endpoints: upstream
                    .endpoints
                    .iter()
                    .map(|one| EndpointView { address: endpoint(one), healthy: None })
                    .collect(),
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
                thresholds: breaker.map_or(Value::Null, thresholds),
            })
        });
        views.collect()
    }

    fn audit(&self) -> Vec<AuditRecord> {
        self.audit.records()
    }

    fn explain(&self, request: &ExplainRequest) -> Result<Value, ExplainError> {
        let snapshot = self.live.get();
        let asked = asked(request).map_err(|error| ExplainError::Refused(error.to_string()))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let surroundings = Surroundings {
            allow: snapshot.allow,
            latched: &|_| false,
            now_unix: now.map_or(0, |since| since.as_secs()),
        };
        let reasoning = extract::explain(&snapshot.settings.program, &snapshot.extractor, &asked, surroundings)
            .map_err(|error| ExplainError::Refused(error.to_string()))?;
        Ok(serde_json::to_value(reasoning).expect("a reasoning has text for keys"))
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

fn thresholds(breaker: &Breaker) -> Value {
    json!({
        "window_seconds": breaker.window.as_secs_f64(),
        "min_calls": breaker.min_calls,
        "error_rate_permille": breaker.error_rate.get(),
        "p99_seconds": breaker.p99.as_secs_f64(),
        "mean_seconds": breaker.mean.as_secs_f64(),
        "slow_call_seconds": breaker.slow_call.as_secs_f64(),
        "slow_call_rate_permille": breaker.slow_call_rate.get(),
    })
}
