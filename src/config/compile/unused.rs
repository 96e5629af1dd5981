//! What is valid and still probably not what was meant: each gives a warning.

use std::collections::HashSet;

use super::condition::KnownFacts;
use super::route::Compiled;
use crate::config::file::{FileConfig, HashKeyWord};
use crate::config::nearest::nearest;
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::settings::FactSources;
use crate::config::text::Span;
use crate::decide::{FactId, FactOrigin, LaneId, Lanes};

/// Warns of names that nothing uses, lanes that nothing reaches, and facts that nothing gives.
pub(super) fn warn(
    config: &FileConfig,
    routes: &[Compiled<'_>],
    facts: &KnownFacts<'_>,
    sources: &FactSources,
    findings: &mut Findings,
) {
    if config.service.is_none() {
        findings.warn(Span::default(), "no `service` is named: the loop guard and BusinessRules go by it");
    }
    if routes.is_empty() {
        findings.warn(Span::default(), "no routes: every request is answered with 404");
    }
    names(config, findings);
    lanes(config, routes, findings);
    conditions(facts, sources, findings);
    keys(config, sources, findings);
    regions(config, sources, findings);
    trust(config, findings);
    parameters(config, findings);
}

fn names(config: &FileConfig, findings: &mut Findings) {
    let routes = || config.routes.iter().flatten();
    let lanes = routes().flat_map(|route| route.lanes.iter()).flat_map(|lanes| lanes.iter());
    let upstreams = lanes.map(|(_, upstream)| upstream.value.as_str()).collect::<HashSet<_>>();
    told(config.upstreams.as_ref(), &upstreams, "upstream", findings);
    let releases =
        routes().filter_map(|route| route.release.as_ref()).map(|name| name.value.as_str()).collect::<HashSet<_>>();
    told(config.releases.as_ref(), &releases, "release", findings);
    let breakers =
        routes().filter_map(|route| route.breaker.as_ref()).map(|name| name.value.as_str()).collect::<HashSet<_>>();
    told(config.breakers.as_ref(), &breakers, "breaker", findings);
    let abs = config.releases.iter().flat_map(|table| table.iter()).filter_map(|(_, release)| release.ab.as_ref());
    let experiments =
        abs.filter_map(|ab| ab.experiment.as_ref()).map(|name| name.value.as_str()).collect::<HashSet<_>>();
    told(config.experiments.as_ref(), &experiments, "experiment", findings);
}

fn told<T>(table: Option<&Table<T>>, used: &HashSet<&str>, what: &str, findings: &mut Findings) {
    for (name, _) in table.iter().flat_map(|table| &table.entries) {
        if !used.contains(name.value.as_str()) {
            findings.warn(name.at, format!("nothing uses the {what} `{}`", name.value));
        }
    }
}

fn lanes(config: &FileConfig, routes: &[Compiled<'_>], findings: &mut Findings) {
    for route in routes {
        let gray = route.spec.lanes.contains(&LaneId::GRAY);
        let name = &route.spec.name;
        if let (Some(release), false) = (&route.written.release, gray) {
            let message =
                format!("route `{name}` has a release but no lane `gray`: who is admitted goes to stable (`no_lane`)");
            findings.warn(release.at, message);
        }
        if gray && route.spec.release.is_none() && route.written.release.is_none() {
            findings.warn(
                route.written.at,
                format!("route `{name}` has a gray lane but no release: every request goes to stable"),
            );
        }
    }
    let mut known: Vec<&str> = vec!["stable", "gray"];
    known.extend(routes.iter().flat_map(|route| route.written.lanes.iter()).flat_map(Table::names));
    if let Some(lane) = config.lane.as_ref().filter(|lane| !known.contains(&lane.value.0.as_str())) {
        findings.warn(lane.at, format!("no route has the lane `{}`", lane.value.0)).suggest(&lane.value.0, known);
    }
}

/// A condition on a fact without a source never holds.
fn conditions(facts: &KnownFacts<'_>, sources: &FactSources, findings: &mut Findings) {
    let has_source = |fact: FactId| {
        let given = |wanted: FactId| sources.lists.iter().any(|(there, _)| *there == wanted);
        let implied = fact == FactId::CLIENT_IP || fact == FactId::PROVINCE_CODE && given(FactId::CITY_ID);
        implied || given(fact) || matches!(facts.table.origin(fact), FactOrigin::Header(_) | FactOrigin::Query(_))
    };
    for (fact, at) in facts.used.iter().filter(|(fact, _)| !has_source(*fact)) {
        let name = facts.table.name(*fact);
        findings
            .warn(*at, format!("fact `{name}` has no source, so this condition never holds"))
            .help(format!("write `facts: {{ {name}: [{{ header: x-{} }}] }}`", name.replace('_', "-")));
    }
}

/// A release that only admits by bucket, where no request has a key to hash.
fn keys(config: &FileConfig, sources: &FactSources, findings: &mut Findings) {
    let given = |wanted: FactId| sources.lists.iter().any(|(there, _)| *there == wanted);
    for (name, release) in config.releases.iter().flat_map(|table| table.iter()) {
        let device = release.hash_key.as_ref().is_some_and(|key| key.value == HashKeyWord::DeviceId);
        let keyed = given(FactId::DEVICE_ID) || !device && given(FactId::USER_ID);
        if !keyed && (release.ab.is_some() || release.permille.is_some()) {
            let facts =
                if device { "`device_id` has no source" } else { "neither `user_id` nor `device_id` has a source" };
            findings.warn(name.at, format!("{facts}, so `ab` and `permille` of release `{}` admit nobody", name.value));
        }
    }
}

/// Regions that are listed where no request has one.
fn regions(config: &FileConfig, sources: &FactSources, findings: &mut Findings) {
    let given = |wanted: FactId| sources.lists.iter().any(|(there, _)| *there == wanted);
    let (city, province) = (given(FactId::CITY_ID), given(FactId::PROVINCE_CODE));
    let releases = config.releases.iter().flat_map(|table| table.iter());
    for regions in releases.filter_map(|(_, release)| release.regions.as_ref()) {
        for (list, name, header, given) in [
            (&regions.province_code, "province_code", "x-province-code", province || city),
            (&regions.city_id, "city_id", "x-city-id", city),
        ] {
            let first = list.iter().flat_map(|list| &list.0).next();
            if let (Some(first), false) = (first, given) {
                findings
                    .warn(first.at, format!("fact `{name}` has no source, so nobody is admitted by this list"))
                    .help(format!("write `facts: {{ {name}: [{{ header: {header} }}] }}`"));
            }
        }
    }
}

/// Header sources where no peer is believed.
fn trust(config: &FileConfig, findings: &mut Findings) {
    let sources = config.facts.iter().flat_map(|table| table.iter()).flat_map(|(_, sources)| &sources.0);
    let first = sources.filter_map(|source| source.header.as_ref()).next();
    if let (Some(header), true) = (first, config.trust.as_ref().is_none_or(Vec::is_empty)) {
        findings
            .warn(header.at, "no peer is trusted, so a fact from a header is never believed")
            .help("write `trust: [10.0.0.0/8]`, the networks your gateway and services call from");
    }
}

/// A `path` source whose parameter no route has.
fn parameters(config: &FileConfig, findings: &mut Findings) {
    let paths = config.routes.iter().flatten().filter_map(|route| route.r#match.as_ref()?.path.as_ref());
    let parameters: HashSet<&str> = paths.flat_map(|path| path.value.split('/')).filter_map(parameter).collect();
    let sources = config.facts.iter().flat_map(|table| table.iter()).flat_map(|(_, sources)| &sources.0);
    for path in sources.filter_map(|source| source.path.as_ref()) {
        if !parameters.contains(path.value.as_str()) {
            let finding = findings.warn(path.at, format!("no route has the path parameter `{{{}}}`", path.value));
            if let Some(near) = nearest(path, parameters.iter().copied()) {
                finding.suggest(path, [near.as_str()]);
            }
        }
    }
}

fn parameter(segment: &str) -> Option<&str> {
    let inside = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(inside.strip_prefix('*').unwrap_or(inside))
}

/// The lane of this sidecar's own pod, added where no route names it.
pub(super) fn own_lane(config: &FileConfig, lanes: &mut Lanes, findings: &mut Findings) -> LaneId {
    let Some(lane) = &config.lane else { return LaneId::STABLE };
    match lanes.intern(&lane.value.0) {
        Some(id) => id,
        None => {
            findings.error(lane.at, format!("more than {} lanes", Lanes::MAX));
            LaneId::STABLE
        }
    }
}
