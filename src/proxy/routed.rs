//! From a request to its route and lane: extract and decide, and ask the breakers.

use std::time::{Duration, Instant};

use super::breaker::whole_seconds;
use super::failure::Failure;
use super::fields::times_passed;
use super::respond::Responder;
use super::snapshot::{Route, Snapshot, Target};
use super::timer::Timer;
use super::worker::{View, Worker};
use super::{Request, lane, limit, peek};
use crate::config::StableOpen;
use crate::decide::{Decision, LaneId, NormalPath, Reason, RouteId};
use crate::extract::Ahead;
use crate::resilience::{Admission, Lease, Tick};

/// Sidecars of one service that a request may pass; two are needed where stable's sends it on to gray's.
const MOST_PASSES: usize = 2;

/// A request with its route and lane.
pub(super) struct Routed<'r> {
    pub(super) route: RouteId,
    pub(super) path: NormalPath<'r>,
    /// When the attempt under way began.
    pub(super) began: Instant,
    pub(super) decision: Decision,
    /// What deciding had to wait for.
    pub(super) ahead: Ahead,
    /// The lane that is to answer: the one decided, or stable where a gray attempt failed under the shield.
    pub(super) lane: LaneId,
    pub(super) target: Target,
    /// The right to a trial where the lane's breaker is half-open; its outcome must be reported.
    pub(super) lease: Option<Lease>,
    /// Its room on the lane, where the lane has limits; held until the attempt is over.
    pub(super) room: Option<limit::Room>,
    /// The lane that had no room for it.
    pub(super) limited: Option<LaneId>,
    /// How the lane was decided, where a signed debugger asks.
    pub(super) explain: Option<Box<str>>,
}

/// Extract and decide; `None` where a rule of the route wants to see the body, or a record, which has to be waited for.
pub(super) fn route_at_once<'r>(
    worker: &Worker,
    view: &View,
    request: &Request<'r, '_>,
) -> Result<Option<Routed<'r>>, Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    if times_passed(&head.fields, &snapshot.pseudonym) >= MOST_PASSES {
        return Err(Failure::Loop);
    }
    let path = lane::normal_path(snapshot, head)?;
    let found = lane::find(snapshot, head, path.as_str())?;
    if !snapshot.extractor.needs(found.route).is_empty() {
        return Ok(None);
    }
    let ahead = Ahead::default();
    let decision = lane::decide(worker, snapshot, head, &found, request.peer, &ahead);
    let route = found.route;
    drop(found);
    // Nothing was waited for, so the clock need not be asked again.
    Ok(Some(Routed::new(snapshot, (route, path), decision, ahead, request.started)))
}

/// As [`route_at_once`], with what has to be waited for. Few routes have such rules, so this stands on the heap.
pub(super) async fn route<'r, 'c>(
    worker: &Worker,
    view: &View,
    request: &mut Request<'r, 'c>,
    responder: &mut Option<Responder<'c>>,
    timer: &mut Timer,
) -> Result<Routed<'r>, Failure> {
    let (snapshot, head) = (&*view.snapshot, request.head);
    let path = lane::normal_path(snapshot, head)?;
    let found = lane::find(snapshot, head, path.as_str())?;
    let ahead = peek::ahead(worker, view, &found, request, responder, timer).await?;
    let decision = lane::decide(worker, snapshot, head, &found, request.peer, &ahead);
    let route = found.route;
    drop(found);
    Ok(Routed::new(snapshot, (route, path), decision, ahead, Instant::now()))
}

impl<'r> Routed<'r> {
    fn new(
        snapshot: &Snapshot,
        (route, path): (RouteId, NormalPath<'r>),
        decision: Decision,
        ahead: Ahead,
        began: Instant,
    ) -> Self {
        let target = snapshot.target(&snapshot.routes[route.index()], decision.lane);
        let lane = decision.lane;
        Self {
            route,
            path,
            began,
            decision,
            ahead,
            lane,
            target,
            lease: None,
            room: None,
            limited: None,
            explain: None,
        }
    }
}

impl Routed<'_> {
    /// Asks the breakers: gray's requests go to stable while gray's is open; stable's fail fast or pass, as set.
    pub(super) fn admit(&mut self, worker: &Worker, snapshot: &Snapshot, now: Instant) -> Result<(), Failure> {
        let route = &snapshot.routes[self.route.index()];
        let now = worker.tick(now);
        if self.lane != LaneId::STABLE && self.ask(route, now).is_err() {
            self.decision = self.decision.fall_back(Reason::BreakerOpen);
            self.turn_to_stable(snapshot);
        }
        if self.lane != LaneId::STABLE {
            return Ok(());
        }
        self.ask(route, now).or_else(|retry_after| match snapshot.when_stable_opens(route) {
            StableOpen::Pass => Ok(()),
            StableOpen::FailFast => Err(Failure::BreakerOpen { retry_after: whole_seconds(retry_after) }),
        })
    }

    /// Asks the breaker of the lane that is to answer; refused, says when to ask again.
    fn ask(&mut self, route: &Route, now: Tick) -> Result<(), Duration> {
        let Some(guard) = &route.guards[self.target.lane] else { return Ok(()) };
        match guard.admit(now) {
            Admission::Pass => {}
            Admission::Trial(lease) => self.lease = Some(lease),
            Admission::Refuse { retry_after } => return Err(retry_after),
        }
        Ok(())
    }

    pub(super) fn turn_to_stable(&mut self, snapshot: &Snapshot) {
        self.lane = LaneId::STABLE;
        self.target = snapshot.target(&snapshot.routes[self.route.index()], LaneId::STABLE);
    }
}
