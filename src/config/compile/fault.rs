//! Faults on purpose: which requests, what happens to them, until when.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::process::positive;
use crate::config::fault::FaultPlan;
use crate::config::file::{FileDelay, FileFault};
use crate::config::problem::Findings;
use crate::config::text::{At, Span};
use crate::decide::Permille;
use crate::resilience::{Delay, Injection};

/// The longest delay that makes sense of: who waits longer has long gone.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// A route's name with those of its lanes.
pub(in crate::config) type RouteLanes<'n> = (&'n str, Vec<&'n str>);

/// Every fault in the order written. One that has expired is left out, with a warning: it would do nothing.
pub(super) fn faults(
    written: Option<&[FileFault]>,
    known: &[RouteLanes<'_>],
    now: SystemTime,
    findings: &mut Findings,
) -> Vec<FaultPlan> {
    let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
    let mut plans: Vec<FaultPlan> = Vec::new();
    for fault in written.unwrap_or_default() {
        let Some(plan) = one(fault, known, now, findings) else { continue };
        let at = fault.name.as_ref().map_or(fault.at, |name| name.at);
        if let Some(first) = seen.insert(plan.name.clone(), at) {
            findings.error(at, format!("fault `{}` is defined twice", plan.name)).also(first, "first");
        }
        if plan.expires <= now {
            let at = fault.expires.as_ref().map_or(at, |expires| expires.at);
            findings.warn(at, format!("fault `{}` has expired and does nothing", plan.name));
            continue;
        }
        if let Err(crowded) = plan.fits_beside(plans.iter()) {
            findings.error(at, crowded.to_string());
        }
        plans.push(plan);
        if plans.len() == FaultPlan::MOST + 1 {
            findings.error(at, format!("more than {} faults", FaultPlan::MOST));
        }
    }
    plans
}

/// One fault; `None` after a problem.
pub(in crate::config) fn one(
    written: &FileFault,
    known: &[RouteLanes<'_>],
    now: SystemTime,
    findings: &mut Findings,
) -> Option<FaultPlan> {
    let before = findings.errors();
    let routes = routes(written, known, findings);
    let share = share(written, findings);
    let injection = injection(written, findings);
    let expires = written.expires.as_ref()?;
    if expires.value.0 > now + FaultPlan::LONGEST {
        findings.error(expires.at, "a fault ends within 24 hours of the time it is loaded").help("set it again later");
    }
    let plan = FaultPlan {
        name: written.name.as_ref()?.value.0.as_str().into(),
        routes,
        lane: written.lane.as_ref()?.value.as_str().into(),
        share: share?,
        injection: injection?,
        expires: expires.value.0,
        counts: written.count.as_ref().is_some_and(|flag| flag.value),
    };
    (!written.flawed && findings.errors() == before).then_some(plan)
}

/// The routes, each of which has the lane.
fn routes(written: &FileFault, known: &[RouteLanes<'_>], findings: &mut Findings) -> Vec<Arc<str>> {
    let named = || written.route.iter().chain(written.routes.iter().flatten());
    if named().next().is_none() && !written.flawed {
        findings.error(written.at, "a fault names its routes, by `route` or `routes`");
    }
    for route in named() {
        match (known.iter().find(|(name, _)| *name == route.value), &written.lane) {
            (None, _) => {
                let names = known.iter().map(|(name, _)| *name);
                findings
                    .error(route.at, format!("there is no route `{}`", route.value))
                    .suggest_or_list(&route.value, names);
            }
            (Some((_, lanes)), Some(lane)) if !lanes.contains(&lane.value.as_str()) => {
                findings
                    .error(lane.at, format!("route `{}` has no lane `{}`", route.value, lane.value))
                    .suggest_or_list(&lane.value, lanes.iter().copied());
            }
            _ => {}
        }
    }
    named().map(|route| route.value.as_str().into()).collect()
}

fn share(written: &FileFault, findings: &mut Findings) -> Option<Permille> {
    let (permille, at) = match (&written.permille, &written.share) {
        (Some(permille), None) => (permille.value.0, permille.at),
        (None, Some(share)) => (share.value.0, share.at),
        (None, None) if written.flawed => return None,
        _ => {
            findings.error(written.at, "a fault meets one share of the requests: `share` or `permille`");
            return None;
        }
    };
    if permille == 0 {
        findings.warn(at, "a share of nothing: no request meets this fault");
    }
    Permille::new(permille)
}

fn injection(written: &FileFault, findings: &mut Findings) -> Option<Injection> {
    match (&written.delay, &written.abort, &written.reset, &written.slow_body) {
        (Some(delay), None, None, None) => self::delay(delay, findings).map(Injection::Delay),
        (None, Some(status), None, None) => abort(status, findings).map(Injection::Abort),
        (None, None, Some(flag), None) => {
            if !flag.value {
                findings.error(flag.at, "only `reset: true` is a fault");
            }
            Some(Injection::Reset)
        }
        (None, None, None, Some(rate)) => {
            let bytes = NonZeroU64::new(rate.value.0);
            if bytes.is_none() {
                findings.error(rate.at, "`slow_body` cannot be 0").help("a body that never comes is a long `delay`");
            }
            bytes.map(Injection::SlowBody)
        }
        _ if written.flawed => None,
        _ => {
            findings.error(written.at, "a fault is one of `delay`, `abort`, `reset` and `slow_body`");
            None
        }
    }
}

fn abort(status: &At<u32>, findings: &mut Findings) -> Option<u16> {
    match u16::try_from(status.value) {
        Ok(status @ 400..=599) => Some(status),
        _ => {
            findings.error(status.at, format!("`abort` is a status from 400 to 599, not {}", status.value));
            None
        }
    }
}

fn delay(written: &FileDelay, findings: &mut Findings) -> Option<Delay> {
    let longest = match written {
        FileDelay::Fixed(time) => Some(time),
        FileDelay::Drawn(form) => form.p99.as_ref(),
    };
    let length = positive(longest, Duration::ZERO, "delay", findings);
    if let Some(written) = longest.filter(|time| time.value.0 > LONGEST_DELAY) {
        findings.error(written.at, "a delay of more than 10 minutes delays nobody: everybody has gone");
    }
    let FileDelay::Drawn(form) = written else { return Some(Delay::Fixed(length)) };
    let median = form.median.as_ref();
    match Delay::with_p99(length, median.map(|time| time.value.0)) {
        Ok(delay) => Some(delay),
        Err(error) => {
            if let Some(median) = median.filter(|_| !length.is_zero()) {
                findings.error(median.at, error.to_string());
            }
            None
        }
    }
}
