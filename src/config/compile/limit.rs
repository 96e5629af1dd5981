//! What lanes may be sent, and when the whole process has too much.

use std::num::NonZeroU32;
use std::time::Duration;

use super::process::{count, positive};
use crate::config::file::{FileAdaptive, FileLaneLimits, FileOverload, FileRoute, OverLimit};
use crate::config::lane_limits::{AdaptiveBounds, LaneLimits, Overload, RateLimit};
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::settings::UpstreamIndex;
use crate::config::text::At;
use crate::decide::{LaneId, Lanes};

/// The most of anything here: requests at a time and a second, and burst.
const MOST: u32 = 1_000_000;
/// With less memory than this the process does not even start.
const LEAST_MEMORY: u64 = 1 << 20;
/// Timers are exact to a millisecond; a shorter delay would be noise.
const SHORTEST_DELAY: Duration = Duration::from_millis(5);

/// The limits of a route's lanes, at the lanes' places; nothing where none is written.
pub(super) fn lanes(
    written: &FileRoute,
    route: &str,
    to: &[(LaneId, UpstreamIndex)],
    known: &Lanes,
    findings: &mut Findings,
) -> Box<[Option<LaneLimits>]> {
    if written.limits.is_none() {
        return Box::default();
    }
    let mut found = vec![None; to.len()];
    let unread = written.lanes.as_ref().is_none_or(|lanes| lanes.unread);
    for (name, limits) in written.limits.iter().flat_map(Table::iter) {
        let place = to.iter().position(|(lane, _)| known.name(*lane) == name.value);
        if place.is_none() && !unread {
            let finding = findings.error(name.at, format!("route `{route}` has no lane `{}`", name.value));
            finding.suggest_or_list(name, to.iter().map(|(lane, _)| known.name(*lane)));
        }
        let limits = lane(name, limits, findings);
        if let Some(place) = place {
            found[place] = limits;
        }
    }
    found.into_boxed_slice()
}

fn lane(name: &At<String>, written: &FileLaneLimits, findings: &mut Findings) -> Option<LaneLimits> {
    let limits = LaneLimits {
        concurrency: written.concurrency.as_ref().and_then(|most| number(most, "concurrency", findings)),
        adaptive: written.adaptive.as_ref().and_then(|bounds| adaptive(bounds, findings)),
        rate: rate(written, findings),
        over: written.over.as_ref().map_or(OverLimit::Reject, |word| word.value),
    };
    if let Some(over) = written.over.as_ref().filter(|over| over.value == OverLimit::Stable && name.value == "stable") {
        findings
            .error(over.at, "`over: stable` is for other lanes: what stable has no room for goes nowhere else")
            .help("write `over: reject`, or leave it out");
    }
    let limits_nothing = limits.concurrency.is_none() && limits.adaptive.is_none() && limits.rate.is_none();
    if limits_nothing && !written.flawed && written.burst.is_none() {
        findings
            .warn(name.at, format!("lane `{}` is not limited by this", name.value))
            .help("write one of `concurrency`, `adaptive`, `rate`");
    }
    (!limits_nothing).then_some(limits)
}

fn adaptive(written: &FileAdaptive, findings: &mut Findings) -> Option<AdaptiveBounds> {
    let most = number(written.most.as_ref()?, "most", findings)?;
    let least = match &written.least {
        Some(least) => number(least, "least", findings)?,
        None => 1,
    };
    if let Some(at) = written.least.as_ref().filter(|_| least > most) {
        findings.error(at.at, format!("`least` of {least} is more than `most`, {most}"));
        return None;
    }
    Some(AdaptiveBounds { least, most })
}

fn rate(written: &FileLaneLimits, findings: &mut Findings) -> Option<RateLimit> {
    let burst = written.burst.as_ref().map(|burst| (burst, number(burst, "burst", findings)));
    let Some(rate) = &written.rate else {
        if let Some((burst, _)) = burst.filter(|_| !written.flawed) {
            findings.error(burst.at, "`burst` means nothing without `rate`");
        }
        return None;
    };
    let per_second = NonZeroU32::new(number(rate, "rate", findings)?)?;
    let burst = match burst {
        Some((_, burst)) => NonZeroU32::new(burst?)?,
        None => per_second,
    };
    Some(RateLimit { per_second, burst })
}

/// A number from 1 on: a limit of 0 would be a route that is switched off by accident.
fn number(written: &At<u32>, what: &str, findings: &mut Findings) -> Option<u32> {
    count(written, what, MOST, findings).map(|_| written.value)
}

/// When the whole process has too much.
pub(super) fn overload(written: Option<&FileOverload>, findings: &mut Findings) -> Overload {
    let Some(written) = written else { return Overload::default() };
    if let Some(size) = written.memory.as_ref().filter(|size| size.value.0 < LEAST_MEMORY) {
        findings.error(size.at, "`memory` is at least 1MiB");
    }
    let delay = written.delay.as_ref().map(|delay| positive(Some(delay), SHORTEST_DELAY, "delay", findings));
    if let Some(at) = written.delay.as_ref().filter(|time| !time.value.0.is_zero() && time.value.0 < SHORTEST_DELAY) {
        findings.error(at.at, "`delay` is at least 5ms: timers are not more exact");
    }
    Overload {
        inflight: written.inflight.as_ref().and_then(|most| number(most, "inflight", findings)),
        memory: written.memory.as_ref().map(|size| size.value.0),
        delay,
    }
}
