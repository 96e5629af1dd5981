//! What is told: metrics, the access log, the process's own log.
//!
//! Metrics are counted per worker in cells that nobody else writes and summed when somebody reads, so the
//! hot path shares nothing. A series belongs to its name: asking again for the same name gives the same counters, so
//! they outlive the configuration that asked first. Label values come from the configuration or from the program,
//! never from a request.
//!
//! This room decides nothing and never makes a request wait: what cannot be told in time is dropped, and that is told.

mod cells;
mod label;
mod metrics;

mod certificate;
mod endpoint;
mod exemplar;
mod fault;
mod lookup;
mod otlp;
mod recent;
mod registry;
mod release;
mod route;
mod source;
mod totals;
mod upstream;

mod collect;
mod exposition;
mod openmetrics;
mod process;
#[cfg(test)]
mod strict_parser;

pub mod access;
pub mod log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use collect::collect;
use process::ProcessFigures;
use registry::Registry;

pub use certificate::CertificateSeries;
pub use endpoint::EndpointSeries;
pub use exemplar::TraceId;
pub use exposition::CONTENT_TYPE;
pub use fault::FaultSeries;
pub use label::{
    BreakerCause, BreakerState, Closing, CodeClass, DeadlineField, Limit, LineFate, Refusal, Reload, SourceFault,
};
pub use label::{CheckResult, ConnectResult, ConnectionState, EjectionResult, EndpointState};
pub use label::{Handshake, InvalidationResult, LookupResult, ProxyHeader, SlowClient, TokenFate};
pub use lookup::LookupSeries;
pub use metrics::{ALL as METRICS, Kind, Metric};
pub use openmetrics::OPEN_METRICS_TYPE;
pub use otlp::{OtlpFate, OtlpSeries, OtlpSignal};
pub use process::resident_memory;
pub use recent::FailedRequest;
pub use release::ReleaseSeries;
pub use route::{BOUNDS as DURATION_BOUNDS, LaneCounts, RouteSeries};
pub use source::SourceSeries;
pub use totals::{FactSeries, Totals};
pub use upstream::UpstreamSeries;

/// All metrics of the process.
///
/// `worker` in every counting method is the worker's number; each number belongs to one thread. A number beyond the
/// workers (`usize::MAX`, say) is for everybody else: slower, and right from any thread.
pub struct Telemetry {
    registry: Mutex<Registry>,
    totals: Totals,
    otlp: OtlpSeries,
}

impl Telemetry {
    /// No series yet, for this many workers.
    pub fn new(workers: usize) -> Self {
        let registry = Mutex::new(Registry::new(workers));
        Self { registry, totals: Totals::new(workers), otlp: OtlpSeries::new(workers) }
    }

    /// The series of a route with its lanes; positions in `lanes` are the lane indices of [`RouteSeries::record`].
    pub fn route(&self, name: &str, lanes: &[&str]) -> Arc<RouteSeries> {
        Arc::new(self.registry().route(name, lanes))
    }

    /// The series of a release. The empty name is for decisions on routes without one.
    pub fn release(&self, name: &str) -> Arc<ReleaseSeries> {
        self.registry().release(name)
    }

    /// The series of an upstream.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamSeries> {
        self.registry().upstream(name)
    }

    /// The series of an endpoint of an upstream, as configured.
    pub fn endpoint(&self, upstream: &str, endpoint: &str) -> Arc<EndpointSeries> {
        self.registry().endpoint(upstream, endpoint)
    }

    /// The series of the facts of one configuration, by their position.
    pub fn facts(&self, names: &[&str]) -> Arc<FactSeries> {
        Arc::new(self.registry().facts(names))
    }

    /// The series of a fault on purpose; `kind` is the word for what it does.
    pub fn fault(&self, name: &str, kind: &'static str) -> Arc<FaultSeries> {
        self.registry().fault(name, kind)
    }

    /// The series of a certificate, by the listener or upstream that uses it and by its file. It is told for as long as
    /// somebody holds it.
    pub fn certificate(&self, owner: &str, file: &str) -> Arc<CertificateSeries> {
        self.registry().certificate(owner, file)
    }

    /// The series of a source of configuration.
    pub fn source(&self, name: &str) -> Arc<SourceSeries> {
        self.registry().source(name)
    }

    /// The series of a store of product facts.
    pub fn lookup(&self, name: &str) -> Arc<LookupSeries> {
        self.registry().lookup(name)
    }

    /// What is counted for the sidecar as a whole.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What is counted of what is told to OpenTelemetry.
    pub fn otlp(&self) -> &OtlpSeries {
        &self.otlp
    }

    /// A configuration came into use. Series that only earlier ones used stay until [`Telemetry::retain_held`].
    pub fn config_applied(&self, version: &str) {
        let mut registry = self.registry();
        registry.applied += 1;
        registry.version = Some(version.into());
    }

    /// Something became of an event about products for this target.
    pub fn invalidation(&self, target: &'static str, result: InvalidationResult) {
        *self.registry().invalidations.entry((target, result.as_str())).or_default() += 1;
    }

    /// A configuration was refused.
    pub fn config_refused(&self) {
        self.registry().refused += 1;
    }

    /// Whether the state directory holds what it should; never called without one.
    pub fn state_kept(&self, is_kept: bool) {
        self.registry().state_kept = is_kept;
    }

    /// Whether the state directory holds what the sources held last.
    pub fn last_good_kept(&self, is_kept: bool) {
        self.registry().last_good_kept = is_kept;
    }

    /// Somebody showed the admin port a token that is none, or may not do what was asked.
    pub fn wrong_admin_token(&self) {
        self.registry().wrong_admin_tokens += 1;
    }

    /// Drops the series that no configuration holds any more: those whose `Arc`s have all gone. A request that still
    /// runs on the old configuration keeps its series; call again later.
    pub fn retain_held(&self) {
        self.registry().retain_held();
    }

    /// Everything in the Prometheus text format, [`CONTENT_TYPE`].
    pub fn render(&self) -> Result<String, RenderError> {
        let registry = self.registry().clone();
        let families = collect(&registry, &self.totals, &self.otlp, &ProcessFigures::read());
        exposition::text(families).map_err(|source| RenderError { source })
    }

    /// The same as OpenMetrics, [`OPEN_METRICS_TYPE`], with exemplars.
    pub fn render_open_metrics(&self) -> String {
        let registry = self.registry().clone();
        openmetrics::text(&collect(&registry, &self.totals, &self.otlp, &ProcessFigures::read()))
    }

    /// Nothing that happens under this lock can leave it half done, so a poisoned one is as good.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics could not be written as text.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be written as text")]
pub struct RenderError {
    source: prometheus::Error,
}

#[cfg(test)]
mod tests;
