//! The whole reasoning behind a decision, as a tree that JSON and people can read.

use serde::{Serialize, Serializer};

use super::bucket::{Bucket, Permille};
use super::composite::Qos;
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
    /// The class of service that the upstream is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// The bucket under the release's salt.
    pub bucket: Option<Bucket>,
    /// What was decided before the strategies, the route or a breaker changed the lane.
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
    /// The named numbers of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueTrace>,
    /// How the strategies of the route were weighed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composite: Option<CompositeTrace>,
    /// The facts of the request, and those that were looked for.
    #[serde(serialize_with = "as_map")]
    pub facts: Vec<(String, FactTrace)>,
}

impl Reasoning {
    /// What [`Decision::fall_back`](super::Decision::fall_back) does, for the reasoning: stable, for `reason`, and the answer
    /// that this replaces is kept as what was decided. A decision for stable stays.
    pub fn fall_back(&mut self, reason: Reason) {
        if self.lane == "stable" {
            return;
        }
        let lane = std::mem::replace(&mut self.lane, String::from("stable"));
        self.decided = Some(DecidedTrace { lane, level: self.level, reason: self.reason });
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
    /// An expression.
    Expression(ExpressionTrace),
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

/// An expression with what it was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpressionTrace {
    /// The expression, as written.
    pub expression: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why it could not be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The facts that it names, with the values that were computed with.
    #[serde(serialize_with = "as_plain_map")]
    pub actual: Vec<(String, Option<String>)>,
}

/// A named number with its expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueTrace {
    /// Its name.
    pub name: String,
    /// The expression, as written.
    pub expression: String,
    /// The number for this request.
    pub value: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How the strategies of a route were weighed. Numbers are decimal, rounded to six places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompositeTrace {
    /// Why they had no say, where they had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// The whitelist that decided.
    pub whitelist: Option<DedicatedTrace>,
    /// The weight of the SKU, 0 to 1.
    pub sku_weight: String,
    /// The bonus of the amount: 1, 1.3 or 1.8; 0 below an amount of 0.
    pub amount_bonus: String,
    /// The greatest score that these weights can give.
    pub greatest: String,
    /// Every strategy, in the order written.
    pub strategies: Vec<StrategyTrace>,
}

/// A SKU with a lane of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DedicatedTrace {
    /// The SKU.
    pub sku: String,
    /// The lane.
    pub lane: String,
    /// The class of service.
    pub qos: Option<Qos>,
}

/// The score of one strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrategyTrace {
    /// Its name.
    pub name: String,
    /// Its lane.
    pub lane: String,
    /// Its class of service.
    pub qos: Option<Qos>,
    /// The weight of the SKU times what it counts for.
    pub sku_term: String,
    /// The Jaccard similarity of the tags.
    pub tag_match: String,
    /// The similarity times what it counts for.
    pub tag_term: String,
    /// The bonus of the amount times what it counts for.
    pub amount_term: String,
    /// The sum of the three terms.
    pub score: String,
    /// The score as a share of the greatest.
    pub share: String,
    /// What the score has to be over.
    pub threshold: String,
    /// Whether it is.
    pub over: bool,
    /// Whether this strategy decided.
    pub chosen: bool,
}

fn as_plain_map<S: Serializer>(pairs: &[(String, Option<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
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
    /// The first and the last bucket of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[u16; 2]>,
    /// Why.
    pub why: String,
}
