//! Everything that deciding needs, compiled once from a configuration and never changed.

use super::expression::NumberExpression;
use super::fact::FactId;
use super::fact_table::FactTable;
use super::index::{Found, RouteIndex};
use super::lane::{LaneId, Lanes};
use super::release::{HashKey, Release, ReleaseId};
use super::request::RequestParts;
use super::route::{RouteError, RouteId, RouteSpec};

/// A compiled configuration, as far as deciding is concerned.
#[derive(Debug)]
pub struct Program {
    lanes: Lanes,
    facts: FactTable,
    releases: Vec<Release>,
    /// In the order of their names; of two of one name, the first counts.
    named: Box<[ReleaseId]>,
    routes: Vec<RouteSpec>,
    index: RouteIndex,
    values: Vec<(String, NumberExpression)>,
}

impl Program {
    /// Builds the index over the routes, or says everything that is wrong with them.
    pub fn new(
        lanes: Lanes,
        facts: FactTable,
        mut releases: Vec<Release>,
        mut routes: Vec<RouteSpec>,
    ) -> Result<Program, Vec<RouteError>> {
        let overrides = releases.iter_mut().filter_map(|release| release.developer.as_mut()?.header.as_mut());
        overrides.for_each(|header| header.make_ascii_lowercase());
        let mut errors = Vec::new();
        for (place, route) in routes.iter_mut().enumerate() {
            route.headers.iter_mut().for_each(|header| header.name.make_ascii_lowercase());
            let name = || route.name.clone();
            if !route.lanes.contains(&LaneId::STABLE) {
                errors.push(RouteError::NoStable { route: place, name: name() });
            }
            if route.release.is_some_and(|release| release.index() >= releases.len()) {
                errors.push(RouteError::NoRelease { route: place, name: name() });
            }
        }
        match RouteIndex::new(&routes) {
            Ok(index) if errors.is_empty() => {
                let named = named(&releases);
                Ok(Program { lanes, facts, releases, named, routes, index, values: Vec::new() })
            }
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }

    /// With the named numbers of the configuration, for explanations.
    pub fn with_values(self, values: Vec<(String, NumberExpression)>) -> Program {
        Program { values, ..self }
    }

    /// The named numbers, in the order written.
    pub fn values(&self) -> &[(String, NumberExpression)] {
        &self.values
    }

    /// The route of a request, `path` being its [`NormalPath`](super::NormalPath).
    pub fn find<'p>(&'p self, request: &impl RequestParts, path: &'p str) -> Option<Found<'p>> {
        self.index.find(&self.routes, request, path)
    }

    /// The lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The facts.
    pub fn facts(&self) -> &FactTable {
        &self.facts
    }

    /// The releases, in the order given.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The routes, in the order given.
    pub fn routes(&self) -> &[RouteSpec] {
        &self.routes
    }

    /// A release of this program.
    pub fn release(&self, release: ReleaseId) -> &Release {
        &self.releases[release.index()]
    }

    /// A route of this program.
    pub fn route(&self, route: RouteId) -> &RouteSpec {
        &self.routes[route.index()]
    }

    /// The release of this name.
    pub fn release_named(&self, name: &str) -> Option<ReleaseId> {
        let name_of = |id: &ReleaseId| &*self.releases[id.index()].name;
        let at = self.named.binary_search_by(|id| name_of(id).cmp(name)).ok()?;
        Some(self.named[at])
    }

    /// The facts that deciding on this route may look at, and those that an explanation always shows.
    pub fn facts_of(&self, route: RouteId) -> Vec<FactId> {
        let mut facts = self.needed_facts(route);
        if self.route(route).release.is_some() {
            facts.extend([FactId::USER_ID, FactId::DEVICE_ID, FactId::PROVINCE_CODE, FactId::CITY_ID]);
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    /// The facts that can change a decision on this route: those of conditions, of the hash key, of strategies, and
    /// regions where some are listed. For others nobody has to wait.
    pub fn needed_facts(&self, route: RouteId) -> Vec<FactId> {
        let mut facts = Vec::new();
        if let Some(release) = self.route(route).release {
            let release = self.release(release);
            release.conditions.iter().for_each(|condition| condition.for_each_fact(&mut |fact| facts.push(fact)));
            match release.hash_key {
                HashKey::UserThenDevice => facts.extend([FactId::USER_ID, FactId::DEVICE_ID]),
                HashKey::Device => facts.push(FactId::DEVICE_ID),
            }
            if !release.regions.is_empty() {
                facts.extend([FactId::PROVINCE_CODE, FactId::CITY_ID]);
            }
        }
        if let Some(composite) = &self.route(route).composite {
            composite.for_each_fact(&mut |fact| facts.push(fact));
        }
        // The province follows from the city.
        if facts.contains(&FactId::PROVINCE_CODE) {
            facts.push(FactId::CITY_ID);
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }
}

fn named(releases: &[Release]) -> Box<[ReleaseId]> {
    let mut named: Vec<ReleaseId> = (0..releases.len()).filter_map(ReleaseId::from_index).collect();
    let name_of = |id: &ReleaseId| &*releases[id.index()].name;
    // Stable: the first of one name stays first.
    named.sort_by(|one, other| name_of(one).cmp(name_of(other)));
    named.dedup_by(|later, first| name_of(later) == name_of(first));
    named.into_boxed_slice()
}
