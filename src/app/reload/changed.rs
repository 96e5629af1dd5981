//! What differs between two configurations, by name.

use std::collections::BTreeMap;

use crate::config::{Settings, UpstreamIndex};

/// Names of what the new configuration adds, changes or takes away, each with its kind: `release pricing-v2`. A change of
/// what has no name of its own is `settings`.
pub(in crate::app) fn changed(old: &Settings, new: &Settings) -> Vec<String> {
    let (before, after) = (described(old), described(new));
    let mut names: Vec<String> = Vec::new();
    for (name, text) in &after {
        if before.get(name) != Some(text) {
            names.push(name.clone());
        }
    }
    names.extend(before.into_keys().filter(|name| !after.contains_key(name)));
    names.sort();
    if names.is_empty() {
        names.push("settings".to_owned());
    }
    names
}

/// Everything that has a name, with a text that differs where it does.
fn described(settings: &Settings) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let program = &settings.program;
    let lane = |lane| program.lanes().name(lane);
    let release = |at| &program.release(at).name;
    for upstream in &settings.upstreams {
        all.insert(format!("upstream {}", upstream.name), format!("{upstream:?}"));
    }
    for breaker in &settings.breakers {
        all.insert(format!("breaker {}", breaker.name), format!("{breaker:?}"));
    }
    for (spec, rollback) in program.releases().iter().zip(&settings.rollbacks) {
        all.insert(format!("release {}", spec.name), format!("{spec:?} {rollback:?}"));
    }
    for fault in &settings.faults {
        all.insert(format!("fault {}", fault.name), format!("{fault:?}"));
    }
    for (spec, plan) in program.routes().iter().zip(&settings.routes) {
        let upstream = |UpstreamIndex(at): UpstreamIndex| &settings.upstreams[at].name;
        let lanes: Vec<_> = plan.lanes.iter().map(|(at, to)| (lane(*at), upstream(*to))).collect();
        let breaker = plan.breaker.map(|at| &settings.breakers[at].name);
        let matched = (&spec.hosts, &spec.path, &spec.methods, spec.release.map(release));
        let text = format!("{matched:?} {lanes:?} {breaker:?} {:?} {:?} {:?}", plan.timeouts, plan.shield, plan.limits);
        all.insert(format!("route {}", spec.name), text);
    }
    all
}
