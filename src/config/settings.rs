//! What the process runs by: everything parsed, every reference resolved, every default filled in.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::client_limits::Limits;
use super::endpoints::EndpointPolicy;
use super::fault::FaultPlan;
use super::file::{AmountUnit, EncodedWord, Environment, MarkCache, Normalize, Protocol, ShieldWord, StableOpen};
use super::geoip::GeoipPlan;
use super::guard::Guard;
use super::jwt::JwtPlan;
use super::kubernetes::KubernetesAccess;
use super::lane_limits::{LaneLimits, Overload};
use super::listener::{Listener, TrustName};
use super::logged::{LogFile, Redaction};
use super::lookup::LookupPlan;
use super::products::ProductsPlan;
use super::remote::SourcePlan;
use super::rollback::RollbackPlan;
use super::tls::ClientTls;
use super::tracing::TracingPlan;
use crate::decide::{FactId, LaneId, Permille, Program};
use crate::resilience::{Plan, PlanError, Thresholds, Timing};

/// One whole configuration, ready to run.
#[derive(Debug)]
pub struct Settings {
    /// Where the process runs.
    pub environment: Environment,
    /// The service beside this sidecar; empty where none was named.
    pub service: String,
    /// The lane of the pod beside this sidecar.
    pub lane: LaneId,
    /// The pod's own service; never `Endpoint::Local`.
    pub local: Option<Endpoint>,
    /// Addresses that take traffic: at least one, none twice (port 0 aside).
    pub listeners: Vec<Listener>,
    /// The admin address.
    pub admin: SocketAddr,
    /// Who may change things through the admin address.
    pub admin_changes: AdminChanges,
    /// The token files of those who may read through the admin address; `None` where everybody may.
    pub admin_readers: Option<Vec<PathBuf>>,
    /// Peers that may set identity, forwarding and lane-mark headers.
    pub trust: Vec<IpNet>,
    /// Names of verified certificates whose bearers may, too.
    pub trust_names: Vec<TrustName>,
    /// Worker threads; `None` means the cores the process may use.
    pub workers: Option<NonZeroUsize>,
    /// Where requests go, by index.
    pub upstreams: Vec<Upstream>,
    /// The routes; index `i` is the program's `RouteId` `i`.
    pub routes: Vec<Arc<RoutePlan>>,
    /// Who gets which lane.
    pub program: Arc<Program>,
    /// Where the facts come from.
    pub facts: FactSources,
    /// Breakers, by index.
    pub breakers: Vec<Breaker>,
    /// Releases' rollback rules, at the index of their `ReleaseId`; neighbours that have the same ones share them.
    pub rollbacks: Vec<Arc<RollbackPlan>>,
    /// Faults on purpose that have not expired.
    pub faults: Vec<FaultPlan>,
    /// Where more of the configuration comes from, in the order in which it is merged.
    pub sources: Vec<SourcePlan>,
    /// How the API server of Kubernetes is reached.
    pub kubernetes: KubernetesAccess,
    /// How long a start waits for the first answer of every source.
    pub sources_wait: Duration,
    /// The product data that this was made for, and who is told when a change concerns products.
    pub products: ProductsPlan,
    /// What is written to the access log.
    pub access_log: AccessLog,
    /// Facts that the access log holds beside its own.
    pub access_log_facts: Vec<FactId>,
    /// What is told to OpenTelemetry.
    pub tracing: Option<TracingPlan>,
    /// The file of the access log; `None` is standard output.
    pub access_log_file: Option<LogFile>,
    /// What the access log does not show.
    pub access_log_redact: Redaction,
    /// Whether the client sees the lane.
    pub response_mark: ResponseMark,
    /// Who sees the normalised path.
    pub normalize: Normalize,
    /// Encoded characters that a path may hold.
    pub allow_encoded: Vec<EncodedWord>,
    /// Bounds on what a client may send, and how slowly.
    pub limits: Limits,
    /// When the process refuses further requests.
    pub overload: Overload,
    /// How long requests in flight may take once the process was told to end.
    pub drain: Duration,
    /// How long it goes on as before, once it says that it is not ready; none: where it runs decides.
    pub drain_wait: Option<Duration>,
    /// The address that answers health and readiness alone.
    pub probes: Option<SocketAddr>,
    /// Which changes need a confirmation.
    pub guard: Guard,
    /// The confirmations that were written.
    pub confirmations: Vec<String>,
    /// The folder for what survives the process.
    pub state_dir: Option<PathBuf>,
    /// The GeoIP database.
    pub geoip: Option<GeoipPlan>,
    /// Which tokens are believed.
    pub jwt: Option<JwtPlan>,
    /// Stores of product facts, by index.
    pub lookups: Vec<LookupPlan>,
}

impl Settings {
    /// The name of the upstream that a route's lane goes to.
    pub fn upstream_of(&self, route: &str, lane: &str) -> Option<&str> {
        let route = self.routes.iter().find(|plan| *plan.name == *route)?;
        let (_, UpstreamIndex(at)) = route.lanes.iter().find(|(id, _)| self.program.lanes().name(*id) == lane)?;
        self.upstreams.get(*at).map(|upstream| upstream.name.as_str())
    }
}

/// Who may change things through the admin address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminChanges {
    /// Nobody: no token was given.
    Refused,
    /// Whoever shows the token of one of these files.
    Token(Vec<PathBuf>),
    /// Everybody on loopback, where the admin address is.
    Loopback,
}

/// A set of endpoints with their connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name in the configuration.
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// How long a connection is kept without a request. Default 4 s: shorter than common servers keep theirs (Node.js
    /// 5 s), so that we close it and no request meets a closing connection.
    pub idle: Duration,
    /// Most connections kept without a request, per worker and endpoint.
    pub max_idle: usize,
    /// How its endpoints are chosen among and watched.
    pub policy: EndpointPolicy,
    /// What connections begin with, where that is TLS.
    pub tls: Option<Arc<ClientTls>>,
}

/// Where a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name or an IP address (an IPv6 address without brackets) and a port.
    Host {
        /// Name or address.
        host: String,
        /// Port, never 0.
        port: u16,
    },
    /// The endpoints of a service of Kubernetes, as its API server tells them.
    Service {
        /// The service.
        service: String,
        /// Its namespace.
        namespace: String,
        /// The name of the service's port, or the number that its pods listen on.
        port: String,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// The pod's own service (`Settings::local`).
    Local,
}

/// The place of an upstream in `Settings::upstreams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamIndex(pub usize);

/// What a route does besides deciding.
#[derive(Debug, Clone)]
pub struct RoutePlan {
    /// The route's name.
    pub name: Arc<str>,
    /// The upstream of each lane; `LaneId::STABLE` is always one of them and stands first.
    pub lanes: Box<[(LaneId, UpstreamIndex)]>,
    /// How long each part of a request may take.
    pub timeouts: Timeouts,
    /// Whether and how failed gray attempts are tried again on stable.
    pub shield: Option<Shield>,
    /// Index of the breaker in `Settings::breakers`.
    pub breaker: Option<usize>,
    /// What each lane may be sent, at the lanes' places; empty where no lane is limited.
    pub limits: Box<[Option<LaneLimits>]>,
}

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect to an endpoint.
    pub connect: Duration,
    /// From the end of the request to the head of the response.
    pub first_byte: Duration,
    /// The whole request, if bounded.
    pub request: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// Whether the upstream is told what is left of `request` although the caller set no deadline.
    pub pass_on: bool,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(15),
            request: None,
            idle: Duration::from_secs(60),
            pass_on: false,
        }
    }
}

/// How failed gray attempts are tried again on stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shield {
    /// What counts as failed.
    pub on: Vec<ShieldWord>,
    /// The largest body that is kept for a second attempt, in bytes.
    pub max_body: u64,
    /// Second attempts, as a share of the requests.
    pub budget: Permille,
    /// Both lanes share one idempotency store.
    pub shared_idempotency: bool,
}

/// When a lane is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// The name in the configuration.
    pub name: String,
    /// The sliding window.
    pub window: Duration,
    /// The short window, that also trips.
    pub short_window: Duration,
    /// Fewest calls before the window is judged.
    pub min_calls: u32,
    /// Fewest calls before the P99 is judged.
    pub min_calls_p99: u32,
    /// Opens at this share of failures.
    pub error_rate: Permille,
    /// Opens above this P99.
    pub p99: Duration,
    /// Opens above this mean.
    pub mean: Duration,
    /// A call longer than this is slow.
    pub slow_call: Duration,
    /// Opens at this share of slow calls.
    pub slow_call_rate: Permille,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// The longest it stays open.
    pub max_open: Duration,
    /// Calls that are let through half-open.
    pub trials: u32,
    /// What happens where stable's breaker is open.
    pub when_stable_opens: StableOpen,
}

impl Breaker {
    /// The same as the state machine takes it; the error names the setting that makes no breaker.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        let thresholds = Thresholds {
            error_rate: self.error_rate.get(),
            p99: self.p99,
            mean: self.mean,
            slow_call: self.slow_call,
            slow_call_rate: self.slow_call_rate.get(),
            min_calls: self.min_calls,
            min_calls_p99: self.min_calls_p99,
        };
        let timing = Timing {
            window: self.window,
            short_window: self.short_window,
            open_for: self.open_for,
            max_open: self.max_open,
            trials: self.trials,
        };
        Plan::new(thresholds, timing)
    }

    /// Its limits, for people and logs.
    pub fn thresholds(&self) -> serde_json::Value {
        serde_json::json!({
            "window_seconds": self.window.as_secs_f64(),
            "min_calls": self.min_calls,
            "error_rate_permille": self.error_rate.get(),
            "p99_seconds": self.p99.as_secs_f64(),
            "mean_seconds": self.mean.as_secs_f64(),
            "slow_call_seconds": self.slow_call.as_secs_f64(),
            "slow_call_rate_permille": self.slow_call_rate.get(),
        })
    }
}

/// What is written to the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// Nothing.
    Off,
    /// Every request.
    All,
    /// This share of the requests.
    Share(Permille),
}

/// Whether the client sees the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMark {
    /// No.
    Off,
    /// In the response header `x-gray-lane`, with what keeps shared caches apart.
    Header(MarkCache),
}

/// Where the facts come from, and which of their values are valid.
#[derive(Debug, Clone, Default)]
pub struct FactSources {
    /// The sources of each fact that has some, in order: the first that yields a valid value wins.
    pub lists: Vec<(FactId, Vec<FactSource>)>,
    /// The form of a SKU code, anchored at both ends.
    pub sku_format: Option<regex::Regex>,
    /// The known categories; empty where all are.
    pub categories: Vec<String>,
    /// What a number of `order_amount` counts.
    pub amount_unit: Option<AmountUnit>,
    /// The longest JSON body that is read, in bytes.
    pub json_body_max: usize,
}

/// One source of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactSource {
    /// A request header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
    /// A parameter of the route's path.
    Path(String),
    /// A JSON pointer into the body.
    Json(String),
    /// `province` or `city` of the client address.
    Geoip(String),
    /// A claim of a verified JWT.
    Jwt(String),
    /// A member of the `baggage` header.
    Baggage(String),
    /// A field of a record that is looked up.
    Lookup {
        /// The place of the store in `Settings::lookups`.
        lookup: usize,
        /// Its name.
        name: String,
        /// The field.
        field: String,
    },
}
