//! The decision for one request, in the order that `ARCHITECTURE.md` and the reference give.

use super::bucket::Bucket;
use super::composite::Qos;
use super::fact::{FactId, Facts};
use super::lane::LaneId;
use super::program::Program;
use super::release::{Release, ReleaseId};
use super::route::{RouteId, RouteSpec};
use super::token::OverrideError;
use super::word::{Level, Reason};

/// A decision made by a sidecar earlier in the call chain. Only a trusted peer's is ever handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneMark<'a> {
    /// The lane, `x-gray-lane`.
    pub lane: &'a str,
    /// The release it was decided for, `x-gray-release`.
    pub release: Option<&'a str>,
}

/// What a decision is made from, beside the configuration.
#[derive(Debug)]
pub struct Inputs<'a, F> {
    /// The facts of the request.
    pub facts: &'a F,
    /// The override's header or cookie, as sent.
    pub override_token: Option<&'a str>,
    /// The lane mark, of a trusted peer.
    pub mark: Option<LaneMark<'a>>,
    /// Whether the release was rolled back and nobody has opened it again.
    pub latched: bool,
    /// The time, in seconds since 1970.
    pub now_unix: u64,
}

impl<'a, F> Inputs<'a, F> {
    /// Facts alone: no override, no mark, not latched.
    pub fn of(facts: &'a F) -> Inputs<'a, F> {
        Inputs { facts, override_token: None, mark: None, latched: false, now_unix: 0 }
    }
}

/// Lane, level and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The lane.
    pub lane: LaneId,
    /// The level that admitted the request; `none` where none did.
    pub level: Level,
    /// Why.
    pub reason: Reason,
}

impl Verdict {
    pub(super) const fn stable(reason: Reason) -> Verdict {
        Verdict { lane: LaneId::STABLE, level: Level::None, reason }
    }

    const fn gray(level: Level, reason: Reason) -> Verdict {
        Verdict { lane: LaneId::GRAY, level, reason }
    }
}

/// The answer for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The lane to send it to.
    pub lane: LaneId,
    /// The level that admitted it there; `none` where none did.
    pub level: Level,
    /// Why.
    pub reason: Reason,
    /// The route's release.
    pub release: Option<ReleaseId>,
    /// The user's bucket under the release's salt, whatever decided.
    pub bucket: Option<Bucket>,
    /// Why an override was ignored, where one was.
    pub override_rejected: Option<OverrideError>,
    /// The class of service that the upstream is told; kept where the lane falls back.
    pub qos: Option<Qos>,
    /// What was decided before the strategies, the route or a breaker changed the lane.
    pub decided: Verdict,
}

impl Decision {
    /// The answer when the decided lane cannot take the request: stable, for `reason`. A decision for stable stays.
    pub fn fall_back(self, reason: Reason) -> Decision {
        if self.lane == LaneId::STABLE {
            return self;
        }
        Decision { lane: LaneId::STABLE, level: Level::None, reason, ..self }
    }

    fn of(verdict: Verdict, release: Option<ReleaseId>) -> Decision {
        let Verdict { lane, level, reason } = verdict;
        Decision { lane, level, reason, release, bucket: None, override_rejected: None, qos: None, decided: verdict }
    }
}

/// What became of a lane mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkOutcome {
    Absent,
    OtherRelease,
    UnknownLane,
    LaneNotOnRoute,
    Latched,
    Counts(LaneId),
}

impl Program {
    /// Decides the lane of a request on `route`.
    pub fn decide<F: Facts>(&self, route: RouteId, inputs: &Inputs<'_, F>) -> Decision {
        let route = self.route(route);
        let Some(id) = route.release else {
            return self.compose(route, inputs, Decision::of(Verdict::stable(Reason::NoRelease), None));
        };
        let release = self.release(id);
        let key = release.hash_key.of(inputs.facts);
        let key = key.as_ref().map(|(fact, key)| (*fact, &**key));
        let bucket = key.map(|(fact, key)| inputs.facts.bucket(&release.salt, fact, key));

        let mut override_rejected = None;
        let verdict = if let MarkOutcome::Counts(lane) = self.mark(route, release, inputs) {
            Verdict { lane, level: Level::None, reason: Reason::LaneMark }
        } else {
            match self.overridden(release, inputs) {
                Some(Ok(super::release::Accepted { lane: Some(lane), .. })) => {
                    Verdict { lane, level: Level::Developer, reason: Reason::Override }
                }
                rejected => {
                    override_rejected = rejected.and_then(Result::err);
                    release.verdict(inputs, key, bucket)
                }
            }
        };

        let decision = Decision { bucket, override_rejected, ..Decision::of(verdict, Some(id)) };
        let there = route.lanes.contains(&decision.lane);
        self.compose(route, inputs, if there { decision } else { decision.fall_back(Reason::NoLane) })
    }

    /// Asks the strategies of the route where the release's answer leaves the request to them.
    fn compose<F: Facts>(&self, route: &RouteSpec, inputs: &Inputs<'_, F>, decision: Decision) -> Decision {
        let Some(composite) = &route.composite else { return decision };
        if decision.lane != LaneId::STABLE || decision.decided.reason == Reason::Override {
            return Decision { qos: composite.qos_of(decision.lane), ..decision };
        }
        let marked = self.composite_mark(route, inputs);
        let (verdict, qos) = match (marked, composite.choose(inputs.facts)) {
            (Some(lane), _) => (Verdict { lane, level: Level::None, reason: Reason::LaneMark }, composite.qos_of(lane)),
            (None, Some(choice)) => {
                (Verdict { lane: choice.lane, level: Level::None, reason: choice.reason }, choice.qos)
            }
            (None, None) => return decision,
        };
        Decision { lane: verdict.lane, level: verdict.level, reason: verdict.reason, qos, ..decision }
    }

    /// The mark of a route without a release: one for a lane of the strategies counts, so that a choice is made once
    /// per call chain; one for stable or gray says nothing of them.
    pub(super) fn composite_mark<F>(&self, route: &RouteSpec, inputs: &Inputs<'_, F>) -> Option<LaneId> {
        let mark = inputs.mark.filter(|mark| route.release.is_none() && mark.release.is_none())?;
        let lane = self.lanes().id(mark.lane).filter(|lane| *lane != LaneId::STABLE)?;
        route.composite.as_ref().filter(|composite| composite.sends_to(lane)).map(|_| lane)
    }

    /// Whether a mark decides. One for a lane that does not exist, or that this route does not have, is as if absent:
    /// the service behind is another one, and its own release speaks.
    pub(super) fn mark<F>(&self, route: &RouteSpec, release: &Release, inputs: &Inputs<'_, F>) -> MarkOutcome {
        let Some(mark) = inputs.mark else {
            return MarkOutcome::Absent;
        };
        if mark.release.is_some_and(|name| name != release.name) {
            return MarkOutcome::OtherRelease;
        }
        match self.lanes().id(mark.lane) {
            None => MarkOutcome::UnknownLane,
            Some(lane) if !route.lanes.contains(&lane) => MarkOutcome::LaneNotOnRoute,
            Some(lane) if inputs.latched && lane != LaneId::STABLE => MarkOutcome::Latched,
            Some(lane) => MarkOutcome::Counts(lane),
        }
    }

    /// The override, where the release allows one and the request carries one. It counts at every level of the
    /// release, latched ones too: it is how a developer looks at a version that nobody else sees.
    pub(super) fn overridden<F>(
        &self,
        release: &Release,
        inputs: &Inputs<'_, F>,
    ) -> Option<Result<super::release::Accepted, OverrideError>> {
        let token = inputs.override_token.filter(|token| !token.trim().is_empty())?;
        let developer = release.developer.as_ref()?;
        Some(developer.judge(token, &release.name, self.lanes(), inputs.now_unix))
    }
}

impl Release {
    /// What the release says, marks and overrides aside.
    fn verdict<F: Facts>(
        &self,
        inputs: &Inputs<'_, F>,
        key: Option<(FactId, &str)>,
        bucket: Option<Bucket>,
    ) -> Verdict {
        if inputs.latched {
            return Verdict::stable(Reason::Latched);
        }
        if !self.conditions_hold(inputs.facts) {
            return Verdict::stable(Reason::Conditions);
        }
        if self.ab_is_open() && self.admits_group(inputs.facts, key) {
            return Verdict::gray(Level::Ab, Reason::AbGroup);
        }
        if self.region_is_open() && self.regions.admit(inputs.facts) {
            return Verdict::gray(Level::Region, Reason::Region);
        }
        if self.permille_is_open() && self.admits_bucket(bucket) {
            return Verdict::gray(Level::Permille, Reason::Bucket);
        }
        if self.open_level() == Level::Full {
            return Verdict::gray(Level::Full, Reason::Full);
        }
        Verdict::stable(match (self.ab_is_open(), self.permille_is_open(), key) {
            (_, true, Some(_)) => Reason::BucketOut,
            (true, _, None) | (_, true, None) => Reason::NoKey,
            _ => Reason::LevelClosed,
        })
    }

    pub(super) fn conditions_hold<F: Facts>(&self, facts: &F) -> bool {
        self.conditions.iter().all(|condition| condition.holds(facts))
    }

    /// Level `ab` is open, and there is an experiment that a key could be in.
    pub(super) fn ab_is_open(&self) -> bool {
        self.open_level() >= Level::Ab && self.ab.is_some()
    }

    pub(super) fn admits_group<F: Facts>(&self, facts: &F, key: Option<(FactId, &str)>) -> bool {
        let pair = self.ab.as_ref().zip(key);
        pair.is_some_and(|(ab, (fact, key))| ab.admits(facts.bucket(ab.experiment().salt(), fact, key)))
    }

    pub(super) fn region_is_open(&self) -> bool {
        self.open_level() >= Level::Region
    }

    /// Level `permille` is open with a share of its own; at 1000 it is `full` and not asked.
    pub(super) fn permille_is_open(&self) -> bool {
        self.open_level() >= Level::Permille && self.permille != super::bucket::Permille::ALL
    }

    pub(super) fn admits_bucket(&self, bucket: Option<Bucket>) -> bool {
        bucket.is_some_and(|bucket| bucket.is_within(self.permille))
    }
}
