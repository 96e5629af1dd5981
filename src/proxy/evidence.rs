//! What is known of a release's lanes at the moment it is taken back.

use serde_json::{Map, Value, json};

use super::snapshot::{Route, Snapshot};
use crate::decide::{LaneId, ReleaseId};
use crate::latch::{Cause, Evidence, FailedCall, LaneFigures};

impl Snapshot {
    /// The evidence for taking `release` back now. Figures are those since the start of the process; who judges by a
    /// window puts the window's in their place.
    pub fn evidence(&self, release: ReleaseId, cause: Cause, by: &str, detail: &str) -> Evidence {
        let specs = self.settings.program.routes().iter();
        let routes = || specs.clone().zip(&self.routes).filter(|(spec, _)| spec.release == Some(release));
        let routes: Vec<&Route> = routes().map(|(_, route)| route).collect();
        Evidence {
            figures: routes.iter().flat_map(|route| self.figures(route)).collect(),
            thresholds: self.thresholds(release, &routes),
            failures: routes.iter().flat_map(|route| self.failures(route)).collect(),
            ..Evidence::of(cause, by, detail)
        }
    }

    fn figures(&self, route: &Route) -> Vec<LaneFigures> {
        let lanes = route.plan.lanes.iter().enumerate().map(|(at, (lane, _))| {
            let counts = route.series.counts(at);
            LaneFigures {
                route: route.plan.name.to_string(),
                lane: self.settings.program.lanes().name(*lane).to_owned(),
                over_seconds: None,
                calls: counts.requests,
                failures: counts.server_errors,
                mean_seconds: (counts.requests > 0).then(|| counts.duration_sum.as_secs_f64() / counts.requests as f64),
                p99_seconds: None,
                slow_calls: None,
            }
        });
        lanes.collect()
    }

    /// Stable's failures are none of the release's.
    fn failures(&self, route: &Route) -> Vec<FailedCall> {
        let lanes = route.plan.lanes.iter().enumerate().filter(|(_, (lane, _))| *lane != LaneId::STABLE);
        let failures = lanes.flat_map(|(at, (lane, _))| {
            let lane = self.settings.program.lanes().name(*lane);
            route.series.last_failures(at).into_iter().map(move |failed| FailedCall {
                time: failed.at.into(),
                request_id: failed.request_id.into(),
                route: route.plan.name.to_string(),
                lane: lane.to_owned(),
                status: failed.status,
                error: failed.error.map(str::to_owned),
            })
        });
        failures.collect()
    }

    fn thresholds(&self, release: ReleaseId, routes: &[&Route]) -> Value {
        let breakers = routes.iter().filter_map(|route| route.plan.breaker).map(|at| &self.settings.breakers[at]);
        let breakers: Map<String, Value> =
            breakers.map(|breaker| (breaker.name.clone(), breaker.thresholds())).collect();
        let rollback = self.settings.rollbacks[release.index()].thresholds();
        json!({ "rollback": rollback, "breakers": breakers })
    }
}
