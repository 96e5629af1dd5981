//! What a change does to users: for each release and each route, who moves into gray and who leaves it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::opening::{Moves, Opening};
use crate::config::{Endpoint, RoutePlan, Settings, Written};
use crate::decide::{LaneId, RouteSpec};

/// What is known of the running process besides its configuration.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Releases that were taken back: they admit nobody until their revision changes.
    pub latched: BTreeSet<String>,
    /// Routes that had requests of late.
    pub busy: BTreeSet<String>,
}

/// What an effect is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A release, wherever it is used.
    Release,
    /// A route, with whatever release it follows.
    Route,
}

impl Subject {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Release => "release",
            Subject::Route => "route",
        }
    }
}

/// Who changes sides on one release or route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// A release or a route.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// Users per thousand who move from stable to gray, at most.
    pub to_gray: f64,
    /// Users per thousand who move from gray to stable, at most.
    pub to_stable: f64,
    /// Whether that is how many, and not only how many at most.
    pub exact: bool,
    /// Whether it is per thousand of those who meet the release's conditions.
    pub of_eligible: bool,
}

impl std::fmt::Display for Effect {
    /// `release pricing-v2: 30 of 1000 users to gray, 0 to stable`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: f64| format!("{}", (value * 1000.0).round() / 1000.0);
        let up_to = if self.exact { "" } else { "up to " };
        let users = if self.of_eligible { "users who meet the conditions" } else { "users" };
        let (subject, name) = (self.subject.as_str(), &self.name);
        let (gray, stable) = (number(self.to_gray), number(self.to_stable));
        write!(f, "{subject} {name}: {up_to}{gray} of 1000 {users} to gray, {up_to}{stable} to stable")
    }
}

/// One of the two configurations.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tree: &'a Written,
}

/// Everything that moves somebody.
pub(super) fn effects(old: State<'_>, new: State<'_>, standing: &Standing) -> Vec<Effect> {
    let facts = Facts::between(old, new);
    let mut found = Vec::new();
    let names =
        |state: State<'_>| state.settings.program.releases().iter().map(|release| release.name.clone()).collect();
    let names: BTreeSet<String> = BTreeSet::union(&names(old), &names(new)).cloned().collect();
    let used: BTreeSet<&str> = used(old).chain(used(new)).collect();
    for name in names.iter().filter(|name| used.contains(name.as_str())) {
        let (before, after) = (opening(old, name, None, standing), opening(new, name, Some(old), standing));
        push(
            &mut found,
            Subject::Release,
            name,
            before.moves_to(&after, facts.same_for(&[(old, name.as_str()), (new, name.as_str())])),
        );
    }
    for (name, before, after) in routes(old, new) {
        let (first, second) = (release_of(old, before), release_of(new, after));
        let before_opening = first.map_or_else(Opening::closed, |name| opening(old, name, None, standing));
        let after_opening = second.map_or_else(Opening::closed, |name| opening(new, name, Some(old), standing));
        let used: Vec<(State<'_>, &str)> =
            [(old, first), (new, second)].into_iter().filter_map(|(state, name)| Some((state, name?))).collect();
        let same_requests = match (before, after) {
            (Some(before), Some(after)) => same_match(before, after),
            _ => false,
        };
        let same = same_requests && facts.same_for(&used);
        push(&mut found, Subject::Route, &name, before_opening.moves_to(&after_opening, same));
    }
    found
}

/// Every route of either, by name.
pub(super) fn routes<'a>(
    old: State<'a>,
    new: State<'a>,
) -> Vec<(String, Option<&'a RouteSpec>, Option<&'a RouteSpec>)> {
    let (before, after) = (old.settings.program.routes(), new.settings.program.routes());
    let named = |list: &'a [RouteSpec]| -> std::collections::BTreeMap<&'a str, &'a RouteSpec> {
        list.iter().map(|route| (route.name.as_str(), route)).collect()
    };
    let (before, after) = (named(before), named(after));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    names.iter().map(|name| ((*name).to_owned(), before.get(name).copied(), after.get(name).copied())).collect()
}

/// Whether a route's stable lane keeps none of the endpoints it had.
pub(super) fn loses_stable((old, before): (State<'_>, &RoutePlan), (new, after): (State<'_>, &RoutePlan)) -> bool {
    let endpoints = |state: State<'_>, plan: &RoutePlan| -> Option<Vec<Endpoint>> {
        let (_, upstream) = plan.lanes.iter().find(|(lane, _)| *lane == LaneId::STABLE)?;
        let own = |endpoint: &Endpoint| match (endpoint, &state.settings.local) {
            (Endpoint::Local, Some(local)) => local.clone(),
            (endpoint, _) => endpoint.clone(),
        };
        Some(state.settings.upstreams[upstream.0].endpoints.iter().map(own).collect())
    };
    let (before, after) = (endpoints(old, before), endpoints(new, after));
    before.is_some_and(|before| !after.unwrap_or_default().iter().any(|endpoint| before.contains(endpoint)))
}

fn push(found: &mut Vec<Effect>, subject: Subject, name: &str, moves: Moves) {
    let Moves { to_gray, to_stable, exact, of_eligible } = moves;
    if to_gray > 0.0 || to_stable > 0.0 {
        found.push(Effect { subject, name: name.to_owned(), to_gray, to_stable, exact, of_eligible });
    }
}

/// The release that sends requests of a route to gray.
fn release_of<'a>(state: State<'a>, route: Option<&RouteSpec>) -> Option<&'a str> {
    let release = route.filter(|route| route.lanes.contains(&LaneId::GRAY))?.release?;
    Some(&state.settings.program.release(release).name)
}

/// The releases that routes follow.
fn used(state: State<'_>) -> impl Iterator<Item = &str> {
    let program = &state.settings.program;
    program.routes().iter().filter_map(|route| Some(program.release(route.release?).name.as_str()))
}

/// How far a release is open; `earlier` is the configuration before, where this is the one after. A release that was
/// taken back is closed, until a revision opens it.
fn opening<'a>(state: State<'a>, name: &str, earlier: Option<State<'_>>, standing: &Standing) -> Opening<'a> {
    let revision = |state: State<'_>| {
        let id = state.settings.program.release_named(name)?;
        Some(state.settings.rollbacks[id.index()].revision)
    };
    let reopened = earlier.is_some_and(|earlier| revision(earlier) != revision(state));
    match state.settings.program.release_named(name) {
        Some(id) if !standing.latched.contains(name) || reopened => Opening::of(state.settings.program.release(id)),
        _ => Opening::closed(),
    }
}

fn same_match(one: &RouteSpec, two: &RouteSpec) -> bool {
    let headers = |route: &RouteSpec| format!("{:?}", route.headers);
    one.path == two.path && one.hosts == two.hosts && one.methods == two.methods && headers(one) == headers(two)
}

/// Whether facts are read as before.
struct Facts {
    /// The facts that are hashed, and who may set facts at all.
    keys: bool,
    /// The facts that conditions and regions read.
    rest: bool,
}

impl Facts {
    fn between(old: State<'_>, new: State<'_>) -> Self {
        let same = |field: &str| old.tree.get(field) == new.tree.get(field);
        let fact = |state: State<'_>, name: &str| state.tree.get("facts").and_then(|facts| facts.get(name)).cloned();
        let keys = ["user_id", "device_id"].iter().all(|name| fact(old, name) == fact(new, name)) && same("trust");
        let rest = ["facts", "sku_format", "categories", "region_codes", "geoip"].iter().all(|field| same(field));
        Self { keys, rest }
    }

    fn same_for(&self, releases: &[(State<'_>, &str)]) -> bool {
        let reads_more = |(state, name): &(State<'_>, &str)| {
            let program = &state.settings.program;
            program.release_named(name).is_some_and(|id| {
                let release = program.release(id);
                !release.conditions.is_empty() || !release.regions.is_empty()
            })
        };
        self.keys && (self.rest || !releases.iter().any(reads_more))
    }
}
