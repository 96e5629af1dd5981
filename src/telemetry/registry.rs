//! Which series exist, by name.
//!
//! The lock is taken when a configuration is compiled and when somebody reads, never by a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::certificate::CertificateSeries;
use super::endpoint::EndpointSeries;
use super::fault::FaultSeries;
use super::lookup::LookupSeries;
use super::release::ReleaseSeries;
use super::route::{LaneSeries, RouteSeries, RouteTotals};
use super::source::SourceSeries;
use super::totals::{FactRejections, FactSeries};
use super::upstream::UpstreamSeries;

/// How many series of faults there may be before those of faults that have gone are dropped.
const FAULTS_KEPT: usize = 256;

/// A route's own counters and those of its lanes.
#[derive(Clone)]
pub(super) struct RouteEntry {
    pub(super) totals: Arc<RouteTotals>,
    /// In the order of their names.
    pub(super) lanes: Vec<(Arc<str>, Arc<LaneSeries>)>,
}

impl RouteEntry {
    fn lane(&mut self, name: &str, workers: usize, names: &mut BTreeSet<Arc<str>>) -> Arc<LaneSeries> {
        match self.lanes.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) => self.lanes[at].1.clone(),
            Err(at) => {
                let series = Arc::new(LaneSeries::new(workers));
                self.lanes.insert(at, (interned(names, name), series.clone()));
                series
            }
        }
    }
}

/// One copy of a name that many have.
fn interned(names: &mut BTreeSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let fresh: Arc<str> = name.into();
    names.insert(fresh.clone());
    fresh
}

/// Every series by name. Cloning it copies pointers, so a reader holds the lock no longer than that.
#[derive(Clone)]
pub(super) struct Registry {
    workers: usize,
    pub(super) routes: BTreeMap<Arc<str>, RouteEntry>,
    /// Of all routes.
    lane_names: BTreeSet<Arc<str>>,
    pub(super) releases: BTreeMap<Arc<str>, Arc<ReleaseSeries>>,
    pub(super) upstreams: BTreeMap<Arc<str>, Arc<UpstreamSeries>>,
    /// By upstream and endpoint.
    pub(super) endpoints: BTreeMap<(Arc<str>, Arc<str>), Arc<EndpointSeries>>,
    pub(super) facts: BTreeMap<Arc<str>, Arc<FactRejections>>,
    pub(super) lookups: BTreeMap<Arc<str>, Arc<LookupSeries>>,
    /// By name and kind.
    pub(super) faults: BTreeMap<(Arc<str>, &'static str), Arc<FaultSeries>>,
    pub(super) sources: BTreeMap<Arc<str>, Arc<SourceSeries>>,
    /// By owner and file.
    pub(super) certificates: BTreeMap<(Arc<str>, Arc<str>), Arc<CertificateSeries>>,
    /// The text version of the configuration in use.
    pub(super) version: Option<Arc<str>>,
    /// Events about products, by target and what became of them.
    pub(super) invalidations: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) applied: u64,
    pub(super) refused: u64,
    /// Whether the state directory holds what it should.
    pub(super) state_kept: bool,
    /// Whether the state directory holds what the sources held last.
    pub(super) last_good_kept: bool,
    pub(super) wrong_admin_tokens: u64,
}

impl Registry {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            routes: BTreeMap::new(),
            lane_names: BTreeSet::new(),
            releases: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            facts: BTreeMap::new(),
            lookups: BTreeMap::new(),
            faults: BTreeMap::new(),
            sources: BTreeMap::new(),
            invalidations: BTreeMap::new(),
            certificates: BTreeMap::new(),
            version: None,
            applied: 0,
            refused: 0,
            state_kept: false,
            last_good_kept: false,
            wrong_admin_tokens: 0,
        }
    }

    pub(super) fn route(&mut self, name: &str, lanes: &[&str]) -> RouteSeries {
        let workers = self.workers;
        let fresh =
            || RouteEntry { totals: Arc::new(RouteTotals::new(workers)), lanes: Vec::with_capacity(lanes.len()) };
        let entry = self.routes.entry(name.into()).or_insert_with(fresh);
        let lanes = lanes.iter().map(|lane| entry.lane(lane, workers, &mut self.lane_names)).collect();
        RouteSeries { totals: entry.totals.clone(), lanes }
    }

    pub(super) fn release(&mut self, name: &str) -> Arc<ReleaseSeries> {
        let entry = self.releases.entry(name.into());
        entry.or_insert_with(|| Arc::new(ReleaseSeries::new(self.workers))).clone()
    }

    pub(super) fn upstream(&mut self, name: &str) -> Arc<UpstreamSeries> {
        let entry = self.upstreams.entry(name.into());
        entry.or_insert_with(|| Arc::new(UpstreamSeries::new(self.workers))).clone()
    }

    pub(super) fn endpoint(&mut self, upstream: &str, endpoint: &str) -> Arc<EndpointSeries> {
        self.endpoints.entry((upstream.into(), endpoint.into())).or_default().clone()
    }

    pub(super) fn facts(&mut self, names: &[&str]) -> FactSeries {
        let workers = self.workers;
        let series = names.iter().map(|name| {
            let entry = self.facts.entry((*name).into());
            entry.or_insert_with(|| Arc::new(FactRejections::new(workers))).clone()
        });
        FactSeries(series.collect())
    }

    pub(super) fn lookup(&mut self, name: &str) -> Arc<LookupSeries> {
        let entry = self.lookups.entry(name.into());
        entry.or_insert_with(|| Arc::new(LookupSeries::new(self.workers))).clone()
    }

    /// Faults come and go by hand: those that have gone make room for new ones.
    pub(super) fn fault(&mut self, name: &str, kind: &'static str) -> Arc<FaultSeries> {
        let key = (Arc::from(name), kind);
        if self.faults.len() >= FAULTS_KEPT && !self.faults.contains_key(&key) {
            self.faults.retain(|_, series| Arc::strong_count(series) > 1);
        }
        self.faults.entry(key).or_insert_with(|| Arc::new(FaultSeries::new(self.workers))).clone()
    }

    pub(super) fn certificate(&mut self, owner: &str, file: &str) -> Arc<CertificateSeries> {
        self.certificates.entry((owner.into(), file.into())).or_default().clone()
    }

    pub(super) fn source(&mut self, name: &str) -> Arc<SourceSeries> {
        self.sources.entry(name.into()).or_default().clone()
    }

    /// Drops what nobody outside holds any more.
    pub(super) fn retain_held(&mut self) {
        for route in self.routes.values_mut() {
            route.lanes.retain(|(_, series)| Arc::strong_count(series) > 1);
        }
        self.routes.retain(|_, route| Arc::strong_count(&route.totals) > 1);
        self.lane_names.retain(|name| Arc::strong_count(name) > 1);
        self.releases.retain(|_, series| Arc::strong_count(series) > 1);
        self.upstreams.retain(|_, series| Arc::strong_count(series) > 1);
        self.endpoints.retain(|_, series| Arc::strong_count(series) > 1);
        self.facts.retain(|_, series| Arc::strong_count(series) > 1);
        self.lookups.retain(|_, series| Arc::strong_count(series) > 1);
        self.faults.retain(|_, series| Arc::strong_count(series) > 1);
        self.certificates.retain(|_, series| Arc::strong_count(series) > 1);
        self.sources.retain(|_, series| Arc::strong_count(series) > 1);
    }
}
