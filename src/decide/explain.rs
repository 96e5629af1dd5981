//! How a decision came about. The answer itself is [`Program::decide`]'s; every line of the reasoning asks the same
//! small functions that deciding asks, so the two cannot tell different stories.

use std::borrow::Cow;

use super::evaluate::{Decision, Inputs, MarkOutcome};
use super::fact::{FactId, FactKind, Facts};
use super::lane::LaneId;
use super::program::Program;
use super::region;
use super::release::{Accepted, Release};
use super::route::{RouteId, RouteSpec};
use super::token::OverrideError;
use super::trace::{
    CompositeTrace, DecidedTrace, FactTrace, KeyTrace, LevelTrace, MarkTrace, OverrideTrace, Reasoning, Tried,
};
use super::word::{Level, Reason};

impl Program {
    /// Decides like [`Program::decide`] and tells how.
    pub fn explain_decision<F: Facts>(&self, route_id: RouteId, inputs: &Inputs<'_, F>) -> Reasoning {
        let route = self.route(route_id);
        let decision = self.decide(route_id, inputs);
        let mut reasoning = self.outcome(route, &decision);
        reasoning.latched = inputs.latched;
        reasoning.facts = self.fact_traces(route_id, inputs.facts);
        if let Some(id) = route.release {
            self.explain_release(&mut reasoning, route, self.release(id), inputs);
        }
        let values = self.values().iter();
        reasoning.values = values.map(|(name, value)| value.trace(name, self.facts(), inputs.facts)).collect();
        reasoning.composite = self.composite_trace(route, &decision, inputs);
        reasoning
    }

    fn outcome(&self, route: &RouteSpec, decision: &Decision) -> Reasoning {
        let decided = (decision.decided.reason != decision.reason).then(|| DecidedTrace {
            lane: self.lanes().name(decision.decided.lane).to_owned(),
            level: decision.decided.level,
            reason: decision.decided.reason,
        });
        Reasoning {
            lane: self.lanes().name(decision.lane).to_owned(),
            level: decision.level,
            reason: decision.reason,
            release: decision.release.map(|id| self.release(id).name.clone()),
            route: route.name.clone(),
            qos: decision.qos,
            bucket: decision.bucket,
            decided,
            upstream: None,
            breaker: None,
            key: None,
            mark: None,
            overridden: None,
            latched: false,
            conditions_hold: true,
            conditions: Vec::new(),
            levels: Vec::new(),
            values: Vec::new(),
            composite: None,
            facts: Vec::new(),
        }
    }

    fn explain_release<F: Facts>(
        &self,
        reasoning: &mut Reasoning,
        route: &RouteSpec,
        release: &Release,
        inputs: &Inputs<'_, F>,
    ) {
        let key = release.hash_key.of(inputs.facts);
        reasoning.mark = self.mark_trace(route, release, inputs);
        let overridden = self.overridden(release, inputs);
        reasoning.overridden = overridden.as_ref().map(|outcome| self.override_trace(outcome));
        reasoning.conditions =
            release.conditions.iter().map(|condition| condition.trace(self.facts(), inputs.facts)).collect();
        reasoning.conditions_hold = release.conditions_hold(inputs.facts);

        let closed_by = if inputs.latched {
            Some("the release is latched")
        } else if !reasoning.conditions_hold {
            Some("the conditions do not hold")
        } else {
            None
        };
        let tried =
            Tries { release, key: key.as_ref().map(|(fact, key)| (*fact, &**key)), facts: inputs.facts, closed_by };
        reasoning.levels =
            vec![developer(release, overridden.as_ref()), tried.ab(), tried.region(), tried.permille(), tried.full()];
        reasoning.key = key.map(|(fact, value)| KeyTrace {
            fact: self.facts().name(fact).to_owned(),
            value: value.into_owned(),
            salt: release.salt.clone(),
        });
    }

    /// The facts that deciding may look at, and every other one that has a value.
    fn fact_traces<F: Facts>(&self, route: RouteId, facts: &F) -> Vec<(String, FactTrace)> {
        let looked_at = self.facts_of(route);
        let trace = |fact: FactId| {
            let trace = match self.facts().kind(fact) {
                FactKind::Region => region_trace(fact, facts),
                _ => facts.trace(fact),
            };
            (self.facts().name(fact).to_owned(), trace)
        };
        self.facts()
            .ids()
            .map(|fact| (fact, trace(fact)))
            .filter(|(fact, (_, trace))| trace.value.is_some() || looked_at.contains(fact) || trace.is_faulty())
            .map(|(_, trace)| trace)
            .collect()
    }

    fn composite_trace<F: Facts>(
        &self,
        route: &RouteSpec,
        decision: &Decision,
        inputs: &Inputs<'_, F>,
    ) -> Option<CompositeTrace> {
        let composite = route.composite.as_ref()?;
        let reason = decision.reason;
        let asked = matches!(reason, Reason::Whitelist | Reason::Score)
            || decision.lane == LaneId::STABLE && reason != Reason::Override;
        let skipped = (!asked).then(|| format!("{} decided before them", reason.as_str()));
        Some(composite.trace(self.lanes(), inputs.facts, skipped))
    }

    fn mark_trace<F>(&self, route: &RouteSpec, release: &Release, inputs: &Inputs<'_, F>) -> Option<MarkTrace> {
        let mark = inputs.mark?;
        let outcome = self.mark(route, release, inputs);
        let why = match outcome {
            MarkOutcome::Absent => return None,
            MarkOutcome::OtherRelease => "it was decided for another release",
            MarkOutcome::UnknownLane => "there is no such lane",
            MarkOutcome::LaneNotOnRoute => "the route does not have the lane",
            MarkOutcome::Latched => "the release is latched",
            MarkOutcome::Counts(_) => "a sidecar earlier in the call chain decided",
        };
        Some(MarkTrace {
            lane: mark.lane.to_owned(),
            release: mark.release.map(str::to_owned),
            counts: matches!(outcome, MarkOutcome::Counts(_)),
            why: why.to_owned(),
        })
    }

    fn override_trace(&self, outcome: &Result<Accepted, OverrideError>) -> OverrideTrace {
        match outcome {
            Ok(accepted) => OverrideTrace {
                lane: accepted.lane.map(|lane| self.lanes().name(lane).to_owned()),
                subject: accepted.subject.clone(),
                expires_unix: accepted.expires_unix,
                rejected: None,
            },
            Err(error) => OverrideTrace { lane: None, subject: None, expires_unix: None, rejected: Some(*error) },
        }
    }
}

/// A region as it is compared: in six digits, and the province of the city where one is known. What a source said of the
/// province then stands among those that were tried.
fn region_trace<F: Facts>(fact: FactId, facts: &F) -> FactTrace {
    let mut trace = facts.trace(fact);
    let value = region::read(facts, fact).map(Cow::into_owned);
    let follows = fact == FactId::PROVINCE_CODE && region::read(facts, FactId::CITY_ID).is_some();
    if let (true, Some(province)) = (follows, value.as_deref()) {
        if let (Some(source), Some(said)) = (trace.source.take(), trace.value.take()) {
            let same = region::province_of(said.trim()) == Some(province);
            let why = if same { String::from("the same") } else { format!("`{said}` is not the province of the city") };
            trace.tried.push(Tried { source, why });
        }
        trace.source = Some(String::from("city_id"));
    }
    if fact == FactId::PROVINCE_CODE && value.is_none() {
        trace.tried.push(Tried { source: String::from("city_id"), why: String::from("absent") });
    }
    trace.value = value;
    trace
}

fn developer(release: &Release, outcome: Option<&Result<Accepted, OverrideError>>) -> LevelTrace {
    let (hit, why) = match outcome {
        _ if release.developer.is_none() => (false, "the release takes no overrides"),
        None => (false, "the request carries no override"),
        Some(Ok(Accepted { lane: None, .. })) => (false, "the override only asks for an explanation"),
        Some(Ok(_)) => (true, "the override is valid"),
        Some(Err(OverrideError::Malformed)) => (false, "the override is no token"),
        Some(Err(OverrideError::Signature)) => (false, "the override is signed by none of the keys"),
        Some(Err(OverrideError::Expired)) => (false, "the override is over"),
        Some(Err(OverrideError::OtherService)) => (false, "the override is for another service"),
        Some(Err(OverrideError::OtherRelease)) => (false, "the override is for another release"),
        Some(Err(OverrideError::UnknownLane)) => (false, "the override is for a lane that does not exist"),
        Some(Err(OverrideError::Unsigned)) => (false, "the override is not signed"),
    };
    LevelTrace::new(Level::Developer, release.developer.is_some(), hit, why)
}

/// The levels that a latch or the conditions can close.
struct Tries<'a, F> {
    release: &'a Release,
    key: Option<(FactId, &'a str)>,
    facts: &'a F,
    closed_by: Option<&'static str>,
}

impl<F: Facts> Tries<'_, F> {
    fn ab(&self) -> LevelTrace {
        let bare = self.level(Level::Ab, || match (&self.release.ab, self.key) {
            (None, _) => (false, String::from("the release names no experiment")),
            (_, None) => (false, String::from("no user and no device")),
            (Some(ab), Some((_, key))) => {
                let name = ab.experiment().name();
                let hit = self.release.admits_group(self.facts, self.key);
                let bucket = ab.experiment().bucket(key);
                let lane = if hit { "gray" } else { "stable" };
                let why = match ab.experiment().group_with_range(bucket) {
                    Some((group, [first, last])) => {
                        format!("group `{group}` of `{name}` sees {lane}: bucket {bucket} of {first} to {last}")
                    }
                    None => format!("in no group of `{name}`: bucket {bucket}"),
                };
                (hit, why)
            }
        });
        let experiment = self.release.ab.as_ref().map(|ab| ab.experiment());
        let bucket = experiment.zip(self.key).map(|(experiment, (_, key))| experiment.bucket(key));
        let group = experiment.zip(bucket).and_then(|(experiment, bucket)| experiment.group_with_range(bucket));
        LevelTrace {
            bucket,
            group: group.map(|(name, _)| name.to_owned()),
            range: group.map(|(_, range)| range),
            ..bare
        }
    }

    fn region(&self) -> LevelTrace {
        self.level(Level::Region, || {
            let regions = &self.release.regions;
            let value = |fact| regions.value(self.facts, fact).map_or("unknown".into(), Cow::into_owned);
            let hit = regions.admit(self.facts);
            let (city, province) = (value(FactId::CITY_ID), value(FactId::PROVINCE_CODE));
            let listed = match (regions.is_empty(), hit) {
                (true, _) => return (false, String::from("the release lists no regions")),
                (_, true) => "on the list",
                (_, false) => "not on the list",
            };
            (hit, format!("city {city}, province {province}: {listed}"))
        })
    }

    fn permille(&self) -> LevelTrace {
        let bucket = self.key.map(|(_, key)| self.release.bucket(key));
        let permille = self.release.permille;
        let bare = self.level(Level::Permille, || match bucket {
            _ if !self.release.permille_is_open() => (false, String::from("1000 permille is level full")),
            None => (false, String::from("no user and no device")),
            Some(bucket) if self.release.admits_bucket(Some(bucket)) => {
                (true, format!("bucket {bucket} is below {permille}"))
            }
            Some(bucket) => (false, format!("bucket {bucket} is not below {permille}")),
        });
        LevelTrace { bucket, permille: Some(permille), ..bare }
    }

    fn full(&self) -> LevelTrace {
        self.level(Level::Full, || (true, String::from("everyone whom the conditions admit")))
    }

    fn level(&self, level: Level, judge: impl FnOnce() -> (bool, String)) -> LevelTrace {
        if self.release.open_level() < level {
            let why = format!("the release is open up to level {}", self.release.open_level());
            return LevelTrace::new(level, false, false, why);
        }
        let (hit, why) = judge();
        match self.closed_by {
            Some(cause) => LevelTrace::new(level, true, false, format!("{cause} ({why})")),
            None => LevelTrace::new(level, true, hit, why),
        }
    }
}

impl LevelTrace {
    fn new(level: Level, open: bool, hit: bool, why: impl Into<String>) -> LevelTrace {
        LevelTrace { level, open, hit, bucket: None, permille: None, group: None, range: None, why: why.into() }
    }
}

impl FactTrace {
    /// Whether a source gave a value that was refused.
    pub fn is_faulty(&self) -> bool {
        self.tried.iter().any(|tried| tried.why != "absent")
    }
}

impl Reason {
    /// The reason in a sentence's words.
    pub fn in_words(self) -> &'static str {
        match self {
            Reason::Override => "a valid override says so",
            Reason::AbGroup => "the user's group of the experiment sees gray",
            Reason::Region => "the province or city is on the list",
            Reason::Bucket => "the bucket is below the permille",
            Reason::Full => "the release is open to everyone whom the conditions admit",
            Reason::BucketOut => "the bucket is not below the permille",
            Reason::NoKey => "the request names no user and no device",
            Reason::Conditions => "the conditions do not hold",
            Reason::LevelClosed => "nothing that is open admits the request",
            Reason::NoRelease => "the route has no release",
            Reason::LaneMark => "a sidecar earlier in the call chain decided",
            Reason::BreakerOpen => "the lane's breaker is open",
            Reason::Latched => "the release was rolled back and is latched",
            Reason::NoLane => "the route does not have the lane that was decided",
            Reason::Whitelist => "the SKU is on the whitelist of the lane",
            Reason::Score => "a strategy of the route has the best score over its threshold",
        }
    }
}
