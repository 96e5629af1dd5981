//! The whole reasoning behind a decision, as a tree that JSON and people can read.

use serde::{Serialize, Serializer};

use super::bucket::{Bucket, Permille};
use super::number::Scalar;
use super::operator::Operator;
use super::token::OverrideError;
use super::word::{Level, Reason};

/// The decision for one request and everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reasoning {
    /// The lane.
    pub lane: String,
    /// The level that admitted the request; `none` where none did.
    pub level: Level,
    /// Why.
    pub reason: Reason,
    /// The route's release.
    pub release: Option<String>,
    /// The route.
    pub route: String,
    /// The bucket under the release's salt.
    pub bucket: Option<Bucket>,
    /// What was decided before the route or a breaker changed the lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<DecidedTrace>,
    /// The upstream of the lane, where whoever asked knows upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What the breaker of the decided lane says, where there is one and the sidecar runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerTrace>,
    /// What was hashed.
    pub key: Option<KeyTrace>,
    /// The lane mark, of a request that carries one from a trusted peer.
    pub mark: Option<MarkTrace>,
    /// The override, of a request that carries one.
    #[serde(rename = "override")]
    pub overridden: Option<OverrideTrace>,
    /// Whether the release was rolled back and nobody has opened it again.
    pub latched: bool,
    /// Whether all conditions hold.
    pub conditions_hold: bool,
    /// The conditions of the release.
    pub conditions: Vec<ConditionTrace>,
    /// The levels, in the order they are tried.
    pub levels: Vec<LevelTrace>,
    /// The facts of the request, and those that were looked for.
    #[serde(serialize_with = "as_map")]
    pub facts: Vec<(String, FactTrace)>,
}

impl Reasoning {
    /// What [`Decision::fall_back`](super::Decision::fall_back) does, for the reasoning: stable, for `reason`, and what
    /// was decided is kept. A decision for stable stays.
    pub fn fall_back(&mut self, reason: Reason) {
        if self.lane == "stable" {
            return;
        }
        let lane = std::mem::replace(&mut self.lane, String::from("stable"));
        let decided = DecidedTrace { lane, level: self.level, reason: self.reason };
        self.decided.get_or_insert(decided);
        self.level = Level::None;
        self.reason = reason;
    }
}

fn as_map<S: Serializer>(facts: &[(String, FactTrace)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(name, fact)| (name, fact)))
}

/// A breaker and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerTrace {
    /// The lane that it guards.
    pub lane: String,
    /// `closed`, `half_open` or `open`.
    pub state: String,
}

/// A decision that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedTrace {
    /// The lane.
    pub lane: String,
    /// The level that admitted the request there.
    pub level: Level,
    /// Why.
    pub reason: Reason,
}

/// A fact's value, where it came from, and what was tried before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FactTrace {
    /// The value.
    pub value: Option<String>,
    /// The source that gave it, as the configuration writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The sources before it that gave nothing, or nothing valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

/// A source that gave no valid value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The source, as the configuration writes it.
    pub source: String,
    /// Why it gave nothing: `absent`, or what is wrong with the value.
    pub why: String,
}

/// A condition with what was wanted and what there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ConditionTrace {
    /// One test.
    Test(TestTrace),
    /// All of these.
    All {
        /// Whether all hold.
        holds: bool,
        /// The parts.
        all: Vec<ConditionTrace>,
    },
    /// One of these.
    Any {
        /// Whether one holds.
        holds: bool,
        /// The parts.
        any: Vec<ConditionTrace>,
    },
    /// Not this.
    Not {
        /// Whether it does not hold.
        holds: bool,
        /// The part.
        not: Box<ConditionTrace>,
    },
}

/// One test on one fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestTrace {
    /// The fact.
    pub key: String,
    /// The operator.
    pub operator: Operator,
    /// The values, as written.
    pub wanted: Vec<Scalar>,
    /// The value of the request as it was compared.
    pub actual: Option<String>,
    /// Whether the test holds.
    pub holds: bool,
}

/// What was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyTrace {
    /// The fact.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// The salt.
    pub salt: String,
}

/// A lane mark and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkTrace {
    /// The lane it names.
    pub lane: String,
    /// The release it was decided for.
    pub release: Option<String>,
    /// Whether it decided.
    pub counts: bool,
    /// Why.
    pub why: String,
}

/// An override and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverrideTrace {
    /// The lane it sends to, where it counts.
    pub lane: Option<String>,
    /// To whom it was given.
    pub subject: Option<String>,
    /// The second since 1970 at which it ends.
    pub expires_unix: Option<u64>,
    /// Why it was ignored.
    pub rejected: Option<OverrideError>,
}

/// One level and whether it admits the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelTrace {
    /// The level.
    pub level: Level,
    /// Whether the release is open so far.
    pub open: bool,
    /// Whether it admits the request.
    pub hit: bool,
    /// The bucket that was compared: the experiment's at `ab`, the release's at `permille`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// The share that the bucket has to be below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permille: Option<Permille>,
    /// The group of the experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why.
    pub why: String,
}
