//! What a configuration takes over from the one before it, route by route.
//!
//! Routes, lanes and upstreams are known by their names: a place in a list says nothing over a change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::breaker::{Before, Place};
use super::limit::{Gauge, Limits};
use super::snapshot::{Route, Snapshot};
use crate::config::{Overload, RoutePlan, Settings, UpstreamIndex};
use crate::decide::LaneId;
use crate::resilience::{Meter, Plan};
use crate::upstream::Directory;

/// The configuration before, seen from the next one.
pub(super) struct Predecessor<'p> {
    old: Option<&'p Snapshot>,
    routes: HashMap<&'p str, usize>,
    settings: &'p Settings,
    directory: &'p Directory,
}

static NEXT_BUDGET: AtomicU64 = AtomicU64::new(1);

impl<'p> Predecessor<'p> {
    /// `settings` and `directory` are those of the next one.
    pub(super) fn of(old: Option<&'p Snapshot>, settings: &'p Settings, directory: &'p Directory) -> Self {
        let routes = old.iter().flat_map(|old| old.routes.iter().enumerate());
        let routes = routes.map(|(at, route)| (&*route.plan.name, at)).collect();
        Self { old, routes, settings, directory }
    }

    /// What stood before at the places of a route's lanes. Breakers of the same settings before the same upstream are the
    /// same ones; any other edit leaves their state and lets go of what they have seen.
    pub(super) fn breakers(&self, plan: &RoutePlan, breaker: Plan) -> Vec<Option<Before<'p>>> {
        let before = |(lane, upstream): &(LaneId, UpstreamIndex)| {
            let (old, at, place) = self.lane(plan, *lane)?;
            let route = &old.routes[at];
            let guard = route.guards[place].as_ref()?;
            let known = old.settings.breakers.get(route.plan.breaker?)?.plan().ok();
            let is_same = known == Some(breaker) && self.is_same_upstream(old, route.plan.lanes[place].1, *upstream);
            Some(Before { place: (at, place), guard, is_same })
        };
        plan.lanes.iter().map(before).collect()
    }

    /// What metered the places of a route's lanes before, where the upstream is the same.
    pub(super) fn meters(&self, plan: &RoutePlan) -> Vec<Option<(Place, Arc<Meter>)>> {
        let before = |(lane, upstream): &(LaneId, UpstreamIndex)| {
            let (old, at, place) = self.lane(plan, *lane)?;
            let route = &old.routes[at];
            let meter = route.meters.get(place)?;
            let is_same = self.is_same_upstream(old, route.plan.lanes[place].1, *upstream);
            is_same.then(|| ((at, place), meter.clone()))
        };
        plan.lanes.iter().map(before).collect()
    }

    /// The limits of a route's lanes, none where no lane has any; whoever is under way counts on.
    pub(super) fn limits(&self, plan: &RoutePlan) -> Box<[Option<Limits>]> {
        let limits = plan.lanes.iter().zip(&plan.limits).map(|((lane, _), settings)| {
            let settings = settings.as_ref()?;
            let before = self.lane(plan, *lane).and_then(|(old, at, place)| old.routes[at].limits.get(place)?.as_ref());
            Some(before.map_or_else(|| Limits::new(settings), |before| before.renewed(settings)))
        });
        limits.collect()
    }

    /// The number of a route's retry budget: the one it had, unless it is another share.
    pub(super) fn budget(&self, plan: &RoutePlan) -> u64 {
        let share = |plan: &RoutePlan| plan.shield.as_ref().map(|shield| shield.budget);
        let before = self.route(plan).map(|(_, _, route)| route).filter(|route| share(&route.plan) == share(plan));
        before.map_or_else(|| NEXT_BUDGET.fetch_add(1, Relaxed), |route| route.budget)
    }

    /// How much the process has to do now counts on.
    pub(super) fn gauge(&self, most: Overload) -> Gauge {
        self.old.map_or_else(|| Gauge::new(most), |old| old.gauge.renewed(most))
    }

    fn route(&self, plan: &RoutePlan) -> Option<(&'p Snapshot, usize, &'p Route)> {
        let (old, at) = (self.old?, *self.routes.get(&*plan.name)?);
        Some((old, at, &old.routes[at]))
    }

    fn lane(&self, plan: &RoutePlan, lane: LaneId) -> Option<(&'p Snapshot, usize, usize)> {
        let (old, at, route) = self.route(plan)?;
        let (known, name) = (old.settings.program.lanes(), self.settings.program.lanes().name(lane));
        let place = route.plan.lanes.iter().position(|(lane, _)| known.name(*lane) == name)?;
        Some((old, at, place))
    }

    fn is_same_upstream(&self, old: &Snapshot, before: UpstreamIndex, now: UpstreamIndex) -> bool {
        old.directory.upstreams()[before.0].id == self.directory.upstreams()[now.0].id
    }
}
