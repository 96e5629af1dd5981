//! What the comparison of gray with stable is fed with: only what the bucket decided, and only where both lanes are there,
//! because nothing else makes the lanes alike.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::Routed;
use super::snapshot::{Route, Snapshot};
use super::worker::Worker;
use crate::config::{RoutePlan, Settings};
use crate::decide::{Decision, LaneId, Reason, ReleaseId, RouteSpec};
use crate::resilience::Outcome;
use crate::telemetry::ReleaseSeries;

/// A call that took longer is slow, where the route has no breaker that says otherwise.
const SLOW_CALL: Duration = Duration::from_millis(1200);

/// A route whose lanes are compared.
pub(super) struct Compared {
    /// Where its release counts decisions.
    series: Arc<ReleaseSeries>,
    slow_call: Duration,
}

impl Compared {
    /// Nothing for a route without a release or without a gray lane: there is only one lane to be on.
    pub(super) fn of(
        plan: &RoutePlan,
        spec: &RouteSpec,
        settings: &Settings,
        releases: &[Arc<ReleaseSeries>],
    ) -> Option<Self> {
        let release = spec.release?;
        plan.lanes.iter().find(|(lane, _)| *lane == LaneId::GRAY)?;
        let slow_call = plan.breaker.map_or(SLOW_CALL, |breaker| settings.breakers[breaker].slow_call);
        Some(Self { series: releases[release.index()].clone(), slow_call })
    }

    /// What is to be counted of a call that took so long: whether it failed and whether it was slow; `None` where its end
    /// is not known. A client that left after the limit has seen a slow call.
    fn judge(&self, outcome: Outcome, took: Duration) -> Option<(bool, bool)> {
        let slow = took > self.slow_call;
        match outcome {
            Outcome::Success => Some((false, slow)),
            Outcome::Failure | Outcome::CallerDeadline => Some((true, slow)),
            Outcome::Cancelled => slow.then_some((false, true)),
            Outcome::NotCounted => None,
        }
    }
}

/// The places of the routes that are compared, release by release.
pub(super) fn by_release(settings: &Settings, routes: &[Route]) -> Vec<SmallVec<[u32; 4]>> {
    let mut places = vec![SmallVec::new(); settings.program.releases().len()];
    for (place, (spec, route)) in settings.program.routes().iter().zip(routes).enumerate() {
        if let Some(release) = spec.release.filter(|_| route.compared.is_some()) {
            places[release.index()].push(u32::try_from(place).expect("there are no more routes than ids"));
        }
    }
    places
}

impl Snapshot {
    /// What is counted for each route of a release that has both lanes; each route for itself, because they fail at rates of
    /// their own.
    pub fn compared_routes(&self, release: ReleaseId) -> impl Iterator<Item = &Route> {
        self.compared.get(release.index()).into_iter().flatten().map(|place| &self.routes[*place as usize])
    }
}

impl Routed<'_> {
    /// Counts what the bucket decided, whatever breakers made of it. A request that stable's own breaker refused is a
    /// failed call of stable: else an outage of both would show on gray alone as soon as stable's breaker opens.
    pub(super) fn compare_split(&self, worker: &Worker, snapshot: &Snapshot, refused: bool) {
        let compared = &snapshot.routes[self.route.index()].compared;
        let (Some(compared), Some(lane)) = (compared, bucketed(&self.decision)) else { return };
        compared.series.bucketed(worker.id, lane == LaneId::GRAY);
        if refused && lane == LaneId::STABLE {
            snapshot.routes[self.route.index()].series.compared(worker.id, false, true, false);
        }
    }

    /// Counts a call of the lane that the bucket decided for. What stable does in gray's place counts for neither.
    pub(super) fn compare(&self, worker: &Worker, route: &Route, outcome: Outcome, took: Duration) {
        let (Some(compared), Some(lane)) = (&route.compared, bucketed(&self.decision)) else { return };
        if lane != self.lane {
            return;
        }
        if let Some((failed, slow)) = compared.judge(outcome, took) {
            route.series.compared(worker.id, lane == LaneId::GRAY, failed, slow);
        }
    }
}

/// The lane that the bucket decided for, if it was the bucket.
fn bucketed(decision: &Decision) -> Option<LaneId> {
    matches!(decision.decided.reason, Reason::Bucket | Reason::BucketOut).then_some(decision.decided.lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn judge(outcome: Outcome, millis: u64) -> Option<(bool, bool)> {
        let compared = Compared { series: Telemetry::new(1).release("r"), slow_call: Duration::from_millis(100) };
        compared.judge(outcome, Duration::from_millis(millis))
    }

    #[test]
    fn a_call_is_slow_over_the_limit_and_not_at_it() {
        assert_eq!(judge(Outcome::Success, 100), Some((false, false)));
        assert_eq!(judge(Outcome::Success, 101), Some((false, true)));
        assert_eq!(judge(Outcome::Failure, 5), Some((true, false)));
        assert_eq!(judge(Outcome::CallerDeadline, 500), Some((true, true)));
    }

    #[test]
    fn a_client_that_leaves_tells_only_of_a_call_that_was_slow_already() {
        assert_eq!(judge(Outcome::Cancelled, 50), None);
        assert_eq!(judge(Outcome::Cancelled, 150), Some((false, true)));
        assert_eq!(judge(Outcome::NotCounted, 150), None);
    }
}
