//! `BusinessRule` documents: each becomes a release of every route of its service that has a gray lane and no release
//! of its own, at level `permille`, salted with the rule's name.

use super::condition::{KnownFacts, conditions};
use super::rollback_on::figures;
use super::route::Compiled;
use crate::config::file::FileBusinessRule;
use crate::config::gather::Gathered;
use crate::config::problem::Findings;
use crate::config::rollback::RollbackPlan;
use crate::decide::{LaneId, Level, Permille, Release, ReleaseId};

/// Adds the releases of the rules for this service, and gives them to their routes.
pub(super) fn apply(
    gathered: &Gathered,
    facts: &mut KnownFacts<'_>,
    releases: &mut Vec<(Release, RollbackPlan)>,
    routes: &mut [Compiled<'_>],
    findings: &mut Findings,
) {
    for (place, rule) in gathered.rules.iter().enumerate() {
        check_unique(rule, &gathered.rules[..place], gathered, findings);
        let Some(release) = release(rule, facts, findings) else { continue };
        let named = rule.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let (Some(named), Some(at)) = (named, rule.metadata.as_ref().map(|metadata| metadata.at)) else { continue };
        let unused = format!("nothing uses the rule `{}`", release.0.name);
        match &gathered.config.service {
            _ if !gathered.native => {
                findings.warn(at, format!("{unused}: no routes are configured beside it"));
            }
            None => {
                findings
                    .warn(at, format!("{unused}: the configuration names no `service`"))
                    .help(format!("write `service: {}`", named.value.0));
            }
            Some(service) if service.value != named.value => {
                let finding =
                    findings.warn(named.at, format!("{unused}: this sidecar's service is `{}`", service.value.0));
                finding.suggest(&named.value.0, [service.value.0.as_str()]);
            }
            Some(_) => {
                if govern(releases.len(), routes) == 0 {
                    findings.warn(at, format!("{unused}: no route has a gray lane and no release of its own"));
                }
                releases.push(release);
            }
        }
    }
}

/// Gives the release at this place to every route that has a gray lane and no release of its own.
fn govern(place: usize, routes: &mut [Compiled<'_>]) -> usize {
    let mut governed = 0;
    for route in routes {
        if route.written.release.is_none() && route.spec.release.is_none() && route.spec.lanes.contains(&LaneId::GRAY) {
            route.spec.release = ReleaseId::from_index(place);
            governed += 1;
        }
    }
    governed
}

fn check_unique(rule: &FileBusinessRule, before: &[FileBusinessRule], gathered: &Gathered, findings: &mut Findings) {
    let name_of = |rule: &FileBusinessRule| rule.metadata.as_ref().and_then(|metadata| metadata.name.clone());
    let service_of = |rule: &FileBusinessRule| rule.spec.as_ref().and_then(|spec| spec.service.clone());
    if let Some(name) = name_of(rule) {
        if let Some(first) = before.iter().filter_map(name_of).find(|first| first.value == name.value) {
            findings.error(name.at, format!("rule `{}` is defined twice", name.value.0)).also(first.at, "first");
            return;
        }
        let releases = gathered.config.releases.iter().flat_map(|table| &table.entries);
        if let Some((first, _)) = releases.into_iter().find(|(release, _)| release.value == name.value.0) {
            findings
                .error(name.at, format!("rule `{}` has the name of a release", name.value.0))
                .also(first.at, "the release");
        }
    }
    if let Some(service) = service_of(rule)
        && let Some(first) = before.iter().filter_map(service_of).find(|first| first.value == service.value)
    {
        let message =
            format!("a second rule for service `{}`: which one governs its routes cannot be told", service.value.0);
        findings
            .error(service.at, message)
            .also(first.at, "the first")
            .help("give the routes a `release` each, or keep one rule");
    }
}

fn release(
    rule: &FileBusinessRule,
    facts: &mut KnownFacts<'_>,
    findings: &mut Findings,
) -> Option<(Release, RollbackPlan)> {
    let spec = rule.spec.as_ref()?;
    // Read before anything that is missing ends the reading, so that every problem is told.
    let conditions = conditions(spec.conditions.as_ref(), spec.expression.as_ref(), facts, findings);
    let figures = figures(spec.rollbackOn.as_ref(), findings);
    let name = rule.metadata.as_ref()?.name.as_ref()?;
    let share = spec.trafficWeight.as_ref()?;
    let release = Release {
        level: Level::Permille,
        permille: Permille::new(share.value.0)?,
        conditions,
        ..Release::closed(name.value.0.as_str())
    };
    Some((release, RollbackPlan { figures, ..RollbackPlan::default() }))
}
