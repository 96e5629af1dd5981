//! What happened lately, from counts since the start: the difference of two looks, as rates, shares and percentiles.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::view::{AdminView, BreakerView, LaneView, ReleaseView, RouteView};
use crate::decide::Level;
use crate::telemetry::DURATION_BOUNDS;

/// A difference over more than this tells of no second any more; the next look begins anew.
const OLDEST: Duration = Duration::from_secs(5);

/// One look: every figure of the last second or so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    /// The number of the look, from 1.
    pub(super) number: u64,
    /// How long before it the look before was, in seconds; 0 where there was none, and then nothing has happened yet.
    over_seconds: f64,
    /// `ready`, or why not.
    ready: String,
    /// The version of the configuration.
    version: String,
    releases: Vec<ReleaseFigures>,
    routes: Vec<RouteFigures>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ReleaseFigures {
    name: String,
    level: Level,
    permille: u16,
    latched: bool,
    paused: bool,
    /// The share of its requests that another lane than stable served; `null` where there were none.
    gray_share: Option<f64>,
    verdict: Option<&'static str>,
    reason: Option<String>,
    /// Over all its routes.
    lanes: Vec<LaneFigures>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RouteFigures {
    name: String,
    release: Option<String>,
    inflight: u64,
    lanes: Vec<LaneFigures>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LaneFigures {
    lane: String,
    /// Requests a second.
    rate: f64,
    /// The share answered with 500 to 599; `null` where nothing was answered.
    errors: Option<f64>,
    /// Percentiles of the duration in seconds, read off the histogram; `null` where nothing was answered.
    p50_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    /// `closed`, `half_open` or `open`; `null` where nothing watches the lane.
    breaker: Option<&'static str>,
    /// Its part of the route's requests; `null` where there were none.
    share: Option<f64>,
}

/// What a lane had served at the last look.
struct Before {
    requests: u64,
    server_errors: u64,
    durations: Vec<u64>,
}

impl Before {
    fn of(lane: &LaneView) -> Self {
        let LaneView { requests, server_errors, .. } = *lane;
        Self { requests, server_errors, durations: lane.durations.clone() }
    }
}

type Lanes = HashMap<(String, String), Before>;

/// A route with what each of its lanes did since the look before.
fn deltas(route: RouteView, known: Option<&Lanes>) -> (RouteView, Vec<Delta>) {
    let before = |lane: &LaneView| known?.get(&(route.name.clone(), lane.lane.clone()));
    let deltas = route.lanes.iter().map(|lane| Delta::since(before(lane), lane)).collect();
    (route, deltas)
}

/// The last look.
#[derive(Default)]
pub(super) struct Looker {
    at: Option<Instant>,
    number: u64,
    lanes: Lanes,
}

impl Looker {
    /// Looks at what there is at `now`.
    pub(super) fn look(&mut self, view: &dyn AdminView, now: Instant) -> Figures {
        let since = self.at.map(|at| now.saturating_duration_since(at)).filter(|since| *since <= OLDEST);
        let before = std::mem::take(&mut self.lanes);
        let known = since.map(|_| &before);
        (self.at, self.number) = (Some(now), self.number + 1);
        let seen: Vec<(RouteView, Vec<Delta>)> = view.routes().into_iter().map(|route| deltas(route, known)).collect();
        for (route, _) in &seen {
            for lane in &route.lanes {
                self.lanes.insert((route.name.clone(), lane.lane.clone()), Before::of(lane));
            }
        }
        let (breakers, seconds) = (view.breakers(), since.map_or(0.0, |since| since.as_secs_f64()));
        let releases = view.releases().into_iter().map(|release| release_figures(release, &seen, seconds));
        let routes = seen.iter().map(|(route, deltas)| route_figures(route, deltas, &breakers, seconds));
        Figures {
            number: self.number,
            over_seconds: seconds,
            ready: view.readiness().err().map_or_else(|| "ready".to_owned(), |why| why.to_string()),
            version: view.config().version,
            releases: releases.collect(),
            routes: routes.collect(),
        }
    }

    /// When the last look was.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }
}

/// What a lane did between two looks; all zero where there was no look before.
#[derive(Default, Clone)]
struct Delta {
    requests: u64,
    server_errors: u64,
    durations: Vec<u64>,
}

impl Delta {
    fn since(before: Option<&Before>, lane: &LaneView) -> Self {
        let Some(before) = before else { return Self::default() };
        let took = lane.durations.iter().zip(&before.durations);
        Self {
            requests: lane.requests.saturating_sub(before.requests),
            server_errors: lane.server_errors.saturating_sub(before.server_errors),
            durations: took.map(|(now, then)| now.saturating_sub(*then)).collect(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.server_errors += other.server_errors;
        self.durations.resize(self.durations.len().max(other.durations.len()), 0);
        self.durations.iter_mut().zip(&other.durations).for_each(|(sum, more)| *sum += more);
    }

    fn figures(&self, lane: &str, seconds: f64, all: u64, breaker: Option<&'static str>) -> LaneFigures {
        let answered = self.requests as f64;
        let some = self.requests > 0;
        LaneFigures {
            lane: lane.to_owned(),
            rate: if seconds > 0.0 { answered / seconds } else { 0.0 },
            errors: some.then(|| (self.server_errors as f64 / answered).min(1.0)),
            p50_seconds: percentile(&self.durations, 0.50),
            p99_seconds: percentile(&self.durations, 0.99),
            breaker,
            share: (all > 0).then(|| answered / all as f64),
        }
    }
}

/// The lanes of a release over all its routes, each with what it did.
fn lanes_of<'a>(release: &str, seen: &'a [(RouteView, Vec<Delta>)]) -> Vec<(&'a str, Delta)> {
    let mut lanes: Vec<(&str, Delta)> = Vec::new();
    for (route, deltas) in seen.iter().filter(|(route, _)| route.release.as_deref() == Some(release)) {
        for (lane, delta) in route.lanes.iter().zip(deltas) {
            match lanes.iter_mut().find(|(name, _)| *name == lane.lane) {
                Some((_, sum)) => sum.add(delta),
                None => lanes.push((&lane.lane, delta.clone())),
            }
        }
    }
    lanes
}

fn release_figures(release: ReleaseView, seen: &[(RouteView, Vec<Delta>)], seconds: f64) -> ReleaseFigures {
    let lanes = lanes_of(&release.name, seen);
    let all: u64 = lanes.iter().map(|(_, delta)| delta.requests).sum();
    let gray: u64 = lanes.iter().filter(|(lane, _)| *lane != "stable").map(|(_, delta)| delta.requests).sum();
    ReleaseFigures {
        level: release.level,
        permille: release.permille,
        latched: release.latched,
        paused: release.paused,
        gray_share: (all > 0).then(|| gray as f64 / all as f64),
        verdict: release.verdict.as_ref().map(|verdict| verdict.word),
        reason: release.verdict.map(|verdict| verdict.reason),
        lanes: lanes.iter().map(|(lane, delta)| delta.figures(lane, seconds, all, None)).collect(),
        name: release.name,
    }
}

fn route_figures(route: &RouteView, deltas: &[Delta], breakers: &[BreakerView], seconds: f64) -> RouteFigures {
    let all = deltas.iter().map(|delta| delta.requests).sum();
    let lanes = route.lanes.iter().zip(deltas).map(|(lane, delta)| {
        let breaker = breakers.iter().find(|one| one.route == route.name && one.lane == lane.lane);
        let watched = breaker.filter(|breaker| breaker.breaker.is_some());
        delta.figures(&lane.lane, seconds, all, watched.map(|breaker| breaker.state.as_str()))
    });
    let lanes = lanes.collect();
    RouteFigures { name: route.name.clone(), release: route.release.clone(), inflight: route.inflight, lanes }
}

/// The duration in seconds that `share` of these requests did not exceed. `counts` has one for each bound and one above the
/// last; between two bounds requests are taken to be spread evenly, as `histogram_quantile` of Prometheus does, and above the
/// last bound the answer is that bound.
fn percentile(counts: &[u64], share: f64) -> Option<f64> {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let wanted = share * all as f64;
    let mut below = 0.0;
    for (place, count) in counts.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let floor = place.checked_sub(1).map_or(0, |under| DURATION_BOUNDS[under.min(DURATION_BOUNDS.len() - 1)]);
            let ceiling = DURATION_BOUNDS.get(place).copied().unwrap_or(floor);
            let part = ((wanted - below) / count).clamp(0.0, 1.0);
            return Some((floor as f64 + (ceiling - floor) as f64 * part) / 1e9);
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(filled: &[(usize, u64)]) -> Vec<u64> {
        let mut counts = vec![0; DURATION_BOUNDS.len() + 1];
        filled.iter().for_each(|(place, count)| counts[*place] = *count);
        counts
    }

    #[test]
    fn percentiles_lie_between_the_bounds_that_hold_them() {
        let check = |filled: &[(usize, u64)], share: f64, expected: Option<f64>| {
            let found = percentile(&counts(filled), share);
            let same = found.zip(expected).map_or(found == expected, |(one, other)| (one - other).abs() < 1e-9);
            assert!(same, "{filled:?} at {share}: {found:?}, not {expected:?}");
        };
        check(&[], 0.5, None);
        check(&[(0, 10)], 0.5, Some(0.0005));
        check(&[(0, 10)], 1.0, Some(0.001));
        check(&[(0, 50), (3, 50)], 0.99, Some(0.0099));
        check(&[(15, 1)], 0.5, Some(10.0));
    }

    #[test]
    fn a_rate_is_the_difference_of_two_looks() {
        let lane = |requests, server_errors, durations: Vec<u64>| LaneView {
            lane: "gray".to_owned(),
            upstream: "goods-gray".to_owned(),
            requests,
            server_errors,
            duration_seconds: 0.0,
            durations,
        };
        let before = Before { requests: 10, server_errors: 1, durations: counts(&[(0, 10)]) };
        let seen = lane(30, 6, counts(&[(0, 30)]));
        let found = Delta::since(Some(&before), &seen).figures("gray", 2.0, 40, Some("closed"));
        assert_eq!((found.rate, found.errors, found.p50_seconds), (10.0, Some(0.25), Some(0.0005)));
        assert_eq!((found.share, found.breaker), (Some(0.5), Some("closed")));
        let first = Delta::since(None, &seen).figures("gray", 0.0, 0, None);
        assert_eq!((first.rate, first.errors, first.share), (0.0, None, None), "the first look knows no difference");
        let restarted = lane(3, 0, counts(&[(0, 3)]));
        assert_eq!(Delta::since(Some(&before), &restarted).requests, 0);
    }
}
