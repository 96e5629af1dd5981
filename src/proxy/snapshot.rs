//! One immutable compiled configuration: everything a request needs, found by index.

use std::sync::Arc;

use smallvec::SmallVec;

use super::breaker::{Guards, Making, Meters, Succession};
use super::compare::{Compared, by_release};
use super::limit::{Gauge, Limits};
use super::succeed::Predecessor;
use crate::config::{Endpoint, Loaded, MarkCache, Protocol, ResponseMark, RoutePlan, Settings, StableOpen};
use crate::decide::{AllowEncoded, LaneId, ReleaseId};
use crate::extract::{Extractor, allow_encoded};
use crate::latch::{Flag, Latches};
use crate::resilience::State;
use crate::telemetry::{FactSeries, ReleaseSeries, RouteSeries, Telemetry, UpstreamSeries};
use crate::trace::Tracer;
use crate::upstream::{Dialect, Directory, EndpointName, ServiceName, UpstreamSpec};
use crate::wire::h1;

/// The configuration in force, compiled.
pub struct Snapshot {
    /// As loaded.
    pub settings: Settings,
    /// Its version: a short hash of its sources.
    pub version: String,
    /// Files it was read from.
    pub sources: Vec<String>,
    /// How facts are read.
    pub extractor: Extractor,
    /// Which encoded characters a path may hold.
    pub allow: AllowEncoded,
    /// Where requests go; the pod's own service, where there is one, stands behind the configured upstreams.
    pub directory: Arc<Directory>,
    pub(super) upstreams: Vec<Arc<UpstreamSeries>>,
    /// What of its requests is told to OpenTelemetry, if anything is.
    pub tracer: Option<Arc<Tracer>>,
    /// At the index of their `RouteId`.
    pub routes: Vec<Route>,
    /// At the index of a `ReleaseId`: the places of its routes that have both lanes.
    pub(super) compared: Vec<SmallVec<[u32; 4]>>,
    pub(super) releases: Vec<Arc<ReleaseSeries>>,
    pub(super) latches: Vec<Flag>,
    pub(super) no_release: Arc<ReleaseSeries>,
    pub(super) facts: Arc<FactSeries>,
    pub(super) pseudonym: String,
    pub(super) limits: h1::Limits,
    pub(super) workers: usize,
    pub(super) gauge: Gauge,
    local: Option<usize>,
    vary: String,
}

/// A route, ready to be taken.
pub struct Route {
    /// As configured.
    pub plan: Arc<RoutePlan>,
    /// Its counters; a lane's place is that in `plan.lanes`.
    pub series: Arc<RouteSeries>,
    /// Its breakers, at the same places.
    pub(super) guards: Guards,
    /// What its lanes are metered by, at the same places, where it has no breakers.
    pub(super) meters: Meters,
    /// Where its gray is compared with its stable.
    pub(super) compared: Option<Compared>,
    /// What its lanes may be sent, at the same places; empty where no lane is limited.
    pub(super) limits: Box<[Option<Limits>]>,
    /// Tells retry budgets apart over changes of configuration.
    pub(super) budget: u64,
}

impl Route {
    /// The state of a lane's breaker.
    pub fn breaker_state(&self, lane: usize) -> Option<State> {
        self.guards.get(lane)?.as_ref().map(|guard| guard.state())
    }
}

/// Where a lane's requests go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// The place of the lane among the route's.
    pub(super) lane: usize,
    /// The place of the upstream in the directory.
    pub(super) upstream: usize,
    pub(super) protocol: Protocol,
}

/// The name under which the pod's own service is counted.
const LOCAL: &str = "local";

impl Snapshot {
    /// Whether peers that are not trusted may not set this field; names come in any case.
    pub(super) fn is_untrusted(&self, name: &[u8]) -> bool {
        if !self.extractor.may_be_untrusted_header(name) {
            return false;
        }
        let lower: SmallVec<[u8; 64]> = name.iter().map(u8::to_ascii_lowercase).collect();
        std::str::from_utf8(&lower).is_ok_and(|name| self.extractor.is_untrusted_header(name))
    }

    /// Compiles a configuration whose releases `latches` has adopted. What did not change since `old` keeps its state:
    /// connections and health of upstreams, breakers, limits and budgets of routes. The second part is for the one who
    /// merges what workers record.
    pub fn build(
        loaded: Loaded,
        old: Option<&Snapshot>,
        telemetry: &Telemetry,
        latches: &Latches,
        making: &Making,
    ) -> (Self, Succession) {
        let Loaded { settings, version, sources, .. } = loaded;
        let local = settings.local.as_ref().map(|_| settings.upstreams.len());
        let none = Directory::default();
        let directory = Directory::build(upstream_specs(&settings), old.map_or(&none, |old| &old.directory), telemetry);
        let old = Predecessor::of(old, &settings, &directory);
        let upstreams = directory.upstreams().iter().map(|upstream| telemetry.upstream(&upstream.spec.name)).collect();
        let lanes = settings.program.lanes();
        let with_breaker = settings.routes.iter().filter(|plan| plan.breaker.is_some());
        let mut succession = Succession::of(with_breaker.map(|plan| plan.lanes.len()).sum(), making);
        let releases = settings.program.releases().iter().map(|release| {
            let series = telemetry.release(&release.name);
            series.set_permille(release.open_permille());
            series
        });
        let releases: Vec<Arc<ReleaseSeries>> = releases.collect();
        let plans: Vec<_> = settings.breakers.iter().map(|breaker| breaker.plan().ok().map(Arc::new)).collect();
        let route = |(at, plan): (usize, &Arc<RoutePlan>)| {
            let names: Vec<&str> = plan.lanes.iter().map(|(lane, _)| lanes.name(*lane)).collect();
            let breaker = plan.breaker.and_then(|breaker| plans[breaker].as_ref());
            let series = telemetry.route(&plan.name, &names);
            let guards = match breaker {
                Some(breaker) => succession.add(at, old.breakers(plan, **breaker), breaker, making),
                None => {
                    series.without_breakers();
                    names.iter().map(|_| None).collect()
                }
            };
            let release = settings.program.routes()[at].release;
            let wants_figures = release.is_some_and(|release| settings.rollbacks[release.index()].wants_figures());
            let meters = match breaker.is_none() && wants_figures {
                true => succession.meter(at, old.meters(plan), making),
                false => Meters::default(),
            };
            let compared = Compared::of(plan, &settings.program.routes()[at], &settings, &releases);
            let (limits, budget) = (old.limits(plan), old.budget(plan));
            Route { series, plan: plan.clone(), guards, meters, limits, compared, budget }
        };
        let routes: Vec<Route> = settings.routes.iter().enumerate().map(route).collect();
        let compared = by_release(&settings, &routes);
        let gauge = old.gauge(settings.overload);
        let latches = settings.program.releases().iter().map(|release| latches.flag(&release.name)).collect();
        let facts: Vec<&str> = settings.program.facts().names().collect();
        let extractor = Extractor::of(&settings);
        extractor.lookups().iter().for_each(|lookup| lookup.count_in(telemetry.lookup(&lookup.plan().name)));
        let limits = &settings.limits;
        let snapshot = Self {
            extractor,
            allow: allow_encoded(&settings),
            directory: Arc::new(directory),
            upstreams,
            tracer: making.tracer.clone(),
            routes,
            compared,
            releases,
            latches,
            no_release: telemetry.release(""),
            facts: telemetry.facts(&facts),
            pseudonym: pseudonym(&settings.service),
            limits: h1::Limits {
                head_bytes: limits.header_bytes,
                fields: limits.header_count,
                uri_bytes: limits.uri_bytes,
            },
            workers: making.workers,
            gauge,
            local,
            vary: vary(&settings),
            sources: sources.into_iter().map(|source| source.path.display().to_string()).collect(),
            settings,
            version,
        };
        (snapshot, succession)
    }

    /// Where this lane's requests go on this route; the sidecar's own lane ends at the pod's own service.
    pub(super) fn target(&self, route: &Route, lane: LaneId) -> Target {
        let place = route.plan.lanes.iter().position(|(known, _)| *known == lane);
        // Deciding answers with lanes of the route only; stable stands first.
        let lane_place = place.unwrap_or(0);
        let upstream = route.plan.lanes[lane_place].1.0;
        let protocol = self.settings.upstreams[upstream].protocol;
        match self.local {
            Some(local) if lane == self.settings.lane => Target { lane: lane_place, upstream: local, protocol },
            _ => Target { lane: lane_place, upstream, protocol },
        }
    }

    /// What happens to a route's requests while stable's breaker is open.
    pub(super) fn when_stable_opens(&self, route: &Route) -> StableOpen {
        route.plan.breaker.map_or(StableOpen::Pass, |breaker| self.settings.breakers[breaker].when_stable_opens)
    }

    /// The counters of a release.
    pub fn release_series(&self, release: ReleaseId) -> &ReleaseSeries {
        &self.releases[release.index()]
    }

    /// Whether a release was taken back and nobody has opened it again.
    #[inline]
    pub fn is_latched(&self, release: ReleaseId) -> bool {
        self.latches[release.index()].is_set()
    }

    /// Whether anybody has to look at the process's memory, and tell with [`Snapshot::note_memory`].
    pub fn wants_memory(&self) -> bool {
        self.gauge.wants_memory()
    }

    /// The process has taken so many bytes of memory.
    pub fn note_memory(&self, bytes: u64) {
        self.gauge.note_memory(bytes);
    }

    /// The name and value that keep shared caches from mixing lanes, where answers show theirs.
    pub(super) fn cache_field(&self) -> Option<(&'static str, &str)> {
        match self.settings.response_mark {
            ResponseMark::Off => None,
            ResponseMark::Header(MarkCache::Private) => Some(("cache-control", "private")),
            ResponseMark::Header(MarkCache::Vary) => Some(("vary", &self.vary)),
        }
    }
}

fn upstream_specs(settings: &Settings) -> Vec<UpstreamSpec> {
    let name = |endpoint: &Endpoint| match endpoint {
        Endpoint::Host { host, port } => Some(EndpointName::Host(host.clone(), *port)),
        Endpoint::Unix(path) => Some(EndpointName::Unix(path.as_path().into())),
        Endpoint::Service { service, namespace, port } => Some(EndpointName::Service(Arc::new(ServiceName {
            service: service.clone(),
            namespace: namespace.clone(),
            port: port.clone(),
            access: settings.kubernetes.clone(),
        }))),
        Endpoint::Local => None,
    };
    let own = settings.local.as_ref().and_then(name);
    let configured = settings.upstreams.iter().map(|upstream| UpstreamSpec {
        name: upstream.name.as_str().into(),
        endpoints: upstream.endpoints.iter().filter_map(|endpoint| name(endpoint).or(own.clone())).collect(),
        idle: upstream.idle,
        max_idle: upstream.max_idle,
        policy: upstream.policy.clone(),
        tls: upstream.tls.clone(),
        checked_in: if upstream.protocol == Protocol::H2 { Dialect::H2 } else { Dialect::Http1 },
    });
    let mut specs: Vec<UpstreamSpec> = configured.collect();
    if let Some(own) = own {
        let (idle, max_idle) =
            settings.upstreams.first().map_or((DEFAULT_IDLE, 128), |known| (known.idle, known.max_idle));
        specs.push(UpstreamSpec { idle, max_idle, ..UpstreamSpec::new(LOCAL, vec![own]) });
    }
    specs
}

const DEFAULT_IDLE: std::time::Duration = std::time::Duration::from_secs(4);

/// Our name in `Via`: one a service, so that its sidecars know each other. RFC 9110 section 7.6.3 allows a pseudonym
/// in place of a host; characters that no token has become `-`.
fn pseudonym(service: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let token: String = service.chars().map(|c| if is_token(c) { c } else { '-' }).collect();
    if token.is_empty() { "graylane".to_owned() } else { format!("{token}.graylane") }
}

/// The header names that can change the lane, for `Vary`.
fn vary(settings: &Settings) -> String {
    use crate::config::FactSource;
    let mut names: Vec<&str> = Vec::new();
    for source in settings.facts.lists.iter().flat_map(|(_, list)| list) {
        match source {
            FactSource::Header(name) => names.push(name),
            FactSource::Cookie(_) => names.push("cookie"),
            _ => {}
        }
    }
    names.extend(["x-gray-lane", "x-gray-release"]);
    let developers = settings.program.releases().iter().filter_map(|release| release.developer.as_ref());
    names.extend(developers.filter_map(|developer| developer.header.as_deref()));
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
