//! What the admin port needs to know of the sidecar, and the JSON it makes of it.
//!
//! Whoever wires the sidecar implements [`AdminView`]; so this room knows neither the data path nor its locks. Field
//! names are part of the surface: add to them, change none.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::change::{ChangeError, Changed, ReleaseChange};
use super::config::{DocumentView, PinView};
use super::explain::{ExplainError, ExplainRequest};
use crate::change::{Entry, JournalState};
use crate::config::AdminChanges;
use crate::decide::Level;
use crate::latch::{Incident, Latched, Paused};
use crate::source::SourceStatus;
use crate::telemetry::BreakerState;

/// The sidecar as the admin port sees it. Every call but [`AdminView::change`] answers from memory, at once.
pub trait AdminView: Send + Sync + 'static {
    /// Configured, listening and not draining; else why not.
    fn readiness(&self) -> Result<(), NotReady>;

    /// The configuration in use, without secrets.
    fn config(&self) -> ConfigView;

    /// Every release, in the order of the configuration.
    fn releases(&self) -> Vec<ReleaseView>;

    /// The users of a release by bucket, and the bucket of `key`; `None` where there is no such release.
    fn buckets(&self, release: &str, key: Option<&str>) -> Option<BucketsView>;

    /// Every route with its lanes, in the order of the configuration.
    fn routes(&self) -> Vec<RouteView>;

    /// Every source of the configuration, in the order in which they are merged.
    fn sources(&self) -> Vec<SourceStatus>;

    /// Every upstream.
    fn upstreams(&self) -> Vec<UpstreamView>;

    /// Every breaker: one per route and lane.
    fn breakers(&self) -> Vec<BreakerView>;

    /// The last releases that were taken back, oldest first.
    fn incidents(&self) -> Vec<Arc<Incident>>;

    /// Who may change things.
    fn changes(&self) -> AdminChanges;

    /// The files of the tokens that may read; `None` where everybody may.
    fn readers(&self) -> Option<Vec<PathBuf>>;

    /// Changes a release, and keeps that where state is kept: waits for the disk.
    fn change(&self, change: &ReleaseChange) -> Result<Changed, ChangeError>;

    /// What happened to configurations and releases since the start, oldest first.
    fn audit(&self) -> AuditView;

    /// The decision for one request and its whole reasoning, in the form of `graylane explain --json`.
    fn explain(&self, request: &ExplainRequest) -> Result<Value, ExplainError>;
}

/// Why the sidecar takes no traffic now, in a few words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// The audit trail.
#[derive(Debug, Clone, Serialize)]
pub struct AuditView {
    /// The last records, oldest first; lists stand under their name.
    pub audit: Vec<Entry>,
    /// How the trail is kept, and where its chain ends.
    pub trail: JournalState,
}

/// The configuration in use.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigView {
    /// The service that this sidecar stands before.
    pub service: String,
    /// `prod`, `staging` or `dev`.
    pub environment: String,
    /// The lane of this pod.
    pub lane: String,
    /// The version of the configuration: a short hash of its sources.
    pub version: String,
    /// How many configurations were applied since the start.
    pub applied: u64,
    /// The last configuration that was offered, where it was refused; `null` where what was offered last is in use.
    pub refused: Option<RefusedView>,
    /// Files or addresses it was read from.
    pub sources: Vec<String>,
    /// The same one by one, with what each defines: a name stands in the one that won it.
    pub documents: Vec<DocumentView>,
    /// The sources whose documents are STALE: their servers have not answered for too long, or not since the start.
    pub stale: Vec<Arc<str>>,
    /// The version that was rolled back from, where an earlier one is held in force; `null` else.
    pub pinned: Option<PinView>,
    /// Addresses that take traffic.
    pub listeners: Vec<String>,
    /// Names of the settings with their values; keys, tokens and passwords left out.
    pub settings: Value,
}

/// A configuration that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedView {
    /// When, RFC 3339.
    pub time: String,
    /// Where it came from.
    pub source: String,
    /// Everything that is wrong with it.
    pub problems: Vec<String>,
}

/// One release.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseView {
    /// Its name.
    pub name: String,
    /// How far it is open.
    pub level: Level,
    /// The share of users that level `permille` admits.
    pub permille: u16,
    /// The salt of its buckets.
    pub salt: String,
    /// Rolled back, and closed until somebody opens it.
    pub latched: bool,
    /// Since when and why; `null` while it is not.
    pub latch: Option<Latched>,
    /// Nothing may open it.
    pub paused: bool,
    /// Since when and by whom; `null` while it is not.
    pub pause: Option<Paused>,
    /// The revision in use: another one lifts a latch.
    pub revision: u32,
    /// How long what runs on gray may go on once the release is latched.
    pub gray_drain_seconds: f64,
    /// What latches it by itself; `null` where nothing does.
    pub rollback: Option<RollbackView>,
    /// Whether gray is worse than stable; `null` where nobody compares them.
    pub verdict: Option<VerdictView>,
    /// The routes it governs.
    pub routes: Vec<String>,
    /// How many conditions it has.
    pub conditions: usize,
}

/// What takes a release back by itself.
#[derive(Debug, Clone, Serialize)]
pub struct RollbackView {
    /// So many openings of breakers; `null` where they do not.
    pub openings: Option<u32>,
    /// Within how long.
    pub within_seconds: Option<f64>,
    /// How many count now.
    pub counted: usize,
    /// Whether gray being worse than stable does.
    pub worse: bool,
    /// Whether one of both is enough (`any`) or not (`all`).
    pub require: &'static str,
    /// The figures of `rollback_on`: each with its threshold, for how long, and whether this sidecar has it at all
    /// (`enforced`).
    pub figures: Vec<Value>,
}

/// What the comparison of gray with stable says.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictView {
    /// `worse`, `not worse so far` or `no data`.
    pub word: &'static str,
    /// The same in a line with its figures.
    pub reason: String,
    /// All figures.
    pub figures: Value,
}

/// One route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// Hosts it matches; none for all.
    pub hosts: Vec<String>,
    /// The pattern of its path.
    pub path: String,
    /// Methods it matches; none for all.
    pub methods: Vec<String>,
    /// Its release, if it has one.
    pub release: Option<String>,
    /// Requests that are being served now.
    pub inflight: u64,
    /// Its lanes.
    pub lanes: Vec<LaneView>,
}

/// One lane of a route, with what it has served since the start.
#[derive(Debug, Clone, Serialize)]
pub struct LaneView {
    /// The lane.
    pub lane: String,
    /// Where its requests go.
    pub upstream: String,
    /// Requests answered.
    pub requests: u64,
    /// Those answered with 500 to 599.
    pub server_errors: u64,
    /// The sum of their durations, in seconds.
    pub duration_seconds: f64,
    /// How many took how long: one count for each bound of the histogram `graylane_request_duration_seconds`, not added
    /// up, and one for what took longer than the last.
    pub durations: Vec<u64>,
}

/// The users of one release, by bucket.
#[derive(Debug, Clone, Serialize)]
pub struct BucketsView {
    /// The release.
    pub release: String,
    /// The salt of its buckets.
    pub salt: String,
    /// Buckets below this one are admitted by the bucket alone, as things are now: 0 to 1000.
    pub admitted: u16,
    /// Requests since the start of the process, one number for each of the 1000 buckets.
    pub requests: Vec<u64>,
    /// The bucket of the key that was asked for; `null` where none was.
    pub asked: Option<u16>,
}

/// One upstream.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamView {
    /// Its name.
    pub name: String,
    /// What is spoken to it: `http1`, `h2`, `same`.
    pub protocol: String,
    /// Which endpoint takes a request: `p2c`, `least_latency`.
    pub balance: String,
    /// Whether all endpoints are used because too few are fit.
    pub panic: bool,
    /// Its endpoints.
    pub endpoints: Vec<EndpointView>,
    /// Connections that carry a request.
    pub active: u64,
    /// Connections that wait for one.
    pub idle: u64,
}

/// One endpoint of an upstream.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointView {
    /// As written in the configuration.
    pub address: String,
    /// Whether requests are sent to it, panic aside; `null` where nobody knows yet, or nothing is watched.
    pub healthy: Option<bool>,
    /// What it stands for now.
    pub addresses: Vec<AddressView>,
}

/// One address of an endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct AddressView {
    /// The address.
    pub address: String,
    /// `usable`, `unchecked`, `unhealthy`, `ejected`.
    pub state: &'static str,
}

/// The breaker of one lane of a route.
#[derive(Debug, Clone, Serialize)]
pub struct BreakerView {
    /// The route.
    pub route: String,
    /// The lane.
    pub lane: String,
    /// Its name in the configuration; `null` where the route has none.
    pub breaker: Option<String>,
    /// Its state.
    #[serde(serialize_with = "breaker_state")]
    pub state: BreakerState,
    /// Its limits as configured.
    pub thresholds: Value,
}

fn breaker_state<S: serde::Serializer>(state: &BreakerState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
