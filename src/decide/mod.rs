//! Who gets which lane. Pure: no clock, no chance, no environment, no file, no network; `now` is an argument.
//!
//! A [`Program`] is compiled once from a configuration: it finds the route of a request and decides its lane. The
//! facts of the request come through the door [`Facts`], which whoever reads requests implements, so that this room
//! knows no HTTP library. [`Program::decide`] answers with a small [`Decision`]; [`Program::explain_decision`] gives the same
//! answer with everything that led to it.
//!
//! A later kind of rule is one more file beside `condition` and one more variant in it.

mod bucket;
mod lane;
mod word;

mod fact;
mod fact_table;
mod gbt2260;
mod number;
mod operator;
mod predicate;
mod region;

mod expression;

mod condition;
mod contradiction;
mod experiment;
mod release;
mod token;

mod composite;

mod path;
mod request;
mod route;

mod index;
mod pattern;

mod evaluate;
mod explain;
mod one_line;
mod program;
mod render;
mod trace;

#[cfg(test)]
mod tests;

pub use bucket::{Bucket, Permille, bucket};
pub use composite::{Composite, Dedicated, Qos, SkuWeight, StrategySpec, Weights};
pub use condition::{Condition, ConditionError, Test};
pub use contradiction::{Contradiction, Opponent};
pub use evaluate::{Decision, Inputs, LaneMark, Verdict};
pub use experiment::{Ab, Experiment, ExperimentError};
pub use expression::{Expression, ExpressionError, Fenced, Functions, NumberExpression, Parsed, Promotion, Vocabulary};
pub use fact::{FactId, FactKind, FactOrigin, Facts, is_sku_code};
pub use fact_table::{FactError, FactTable};
pub use gbt2260::{is_no_city, odd_city};
pub use index::Found;
pub use lane::{LaneId, Lanes};
pub use number::{Scalar, is_too_long, number};
pub use operator::Operator;
pub use path::{AllowEncoded, NormalPath, PathError};
pub use program::Program;
pub use region::{RegionCodes, RegionError, Regions, region};
pub use release::{Developer, HashKey, LoggedKey, Release, ReleaseId};
pub use request::RequestParts;
pub use route::{HeaderMatch, HeaderPattern, RouteError, RouteId, RouteSpec};
pub use token::{Claims, MintError, OverrideError, TokenKey, TokenKeyError, check_token};
pub use trace::{
    BreakerTrace, CompositeTrace, ConditionTrace, DecidedTrace, DedicatedTrace, ExpressionTrace, FactTrace, KeyTrace,
    LevelTrace, MarkTrace, OverrideTrace, Reasoning, StrategyTrace, TestTrace, Tried, ValueTrace,
};
pub use word::{Level, Reason, UnknownWord, nearest};

/// A map whose hash is fixed: its keys come from the configuration, so nobody can make them collide, and a decision
/// must not depend on chance.
type FixedMap<K, V> =
    std::collections::HashMap<K, V, std::hash::BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>>;
/// A set like [`FixedMap`].
type FixedSet<K> = std::collections::HashSet<K, std::hash::BuildHasherDefault<rapidhash::fast::RapidHasher<'static>>>;
