//! The typed tree that is evaluated, with its depth and its greatest number of steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use rust_decimal::Decimal;

use super::super::fact::{FactId, FactKind};
use super::functions::Promotion;

/// The longest text that is matched against a pattern, in bytes.
pub(super) const LONGEST_MATCHED: usize = 512;
/// What matching may cost: the text's bytes times the states of the largest pattern, in steps of 64.
const MATCH_STEPS: u64 = 5_000;
/// What running once through a text of the greatest length costs.
const TEXT_STEPS: u64 = 64;

/// Something that is true or false.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Literal(bool),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    If(Box<[Test; 3]>),
    Same(Box<[Test; 2]>),
    Has(FactId, FactKind),
    Equal(Text, Text),
    Compare(Value, Comparison, Value),
    TextIn(Text, Box<[Text]>),
    ValueIn(Value, Box<[Value]>),
    HasTag(Text, FactId),
    Affix(Affix, Text, Text),
    Matches(Text, Regex),
    InStock(Value, Value),
}

/// Something that is a number.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Literal(Decimal),
    Fact(FactId),
    /// A named one, shared by all that use it.
    Named(Arc<Value>),
    Sum(Vec<(Sign, Value)>),
    Product(Vec<(Factor, Value)>),
    Negated(Box<Value>),
    If(Box<(Test, Value, Value)>),
    TagCount(FactId),
    Discount(Text, Arc<BTreeMap<String, Decimal>>),
    TagScore(FactId, Arc<BTreeMap<String, Decimal>>),
    Promoted(Box<Value>, Text, Arc<BTreeMap<String, Promotion>>),
}

/// Something that is a text.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Literal(Box<str>),
    Fact(FactId, FactKind),
    If(Box<(Test, Text, Text)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affix {
    Prefix,
    Suffix,
    Inside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Times,
    By,
    Rest,
}

fn deepest(parts: impl IntoIterator<Item = usize>) -> usize {
    1 + parts.into_iter().max().unwrap_or(0)
}

impl Test {
    /// How deep it nests; a leaf is 0.
    pub(super) fn depth(&self) -> usize {
        match self {
            Test::Literal(_) => 0,
            Test::Has(..) => 1,
            Test::All(parts) | Test::Any(parts) => deepest(parts.iter().map(Test::depth)),
            Test::Not(part) => deepest([part.depth()]),
            Test::If(parts) => deepest(parts.iter().map(Test::depth)),
            Test::Same(parts) => deepest(parts.iter().map(Test::depth)),
            Test::Equal(one, two) | Test::Affix(_, one, two) => deepest([one.depth(), two.depth()]),
            Test::Compare(one, _, two) | Test::InStock(one, two) => deepest([one.depth(), two.depth()]),
            Test::TextIn(one, list) => deepest(list.iter().map(Text::depth).chain([one.depth()])),
            Test::ValueIn(one, list) => deepest(list.iter().map(Value::depth).chain([one.depth()])),
            Test::HasTag(text, _) | Test::Matches(text, _) => deepest([text.depth()]),
        }
    }

    /// The most steps that evaluating takes.
    pub(super) fn steps(&self) -> u64 {
        let inside = match self {
            Test::Literal(_) => 0,
            Test::Has(..) => TEXT_STEPS,
            Test::All(parts) | Test::Any(parts) => parts.iter().map(Test::steps).sum(),
            Test::Not(part) => part.steps(),
            Test::If(parts) => parts.iter().map(Test::steps).sum(),
            Test::Same(parts) => parts.iter().map(Test::steps).sum(),
            Test::Equal(one, two) => one.steps() + two.steps() + TEXT_STEPS,
            Test::Affix(_, one, two) => one.steps() + two.steps() + 4 * TEXT_STEPS,
            Test::Compare(one, _, two) | Test::InStock(one, two) => one.steps() + two.steps(),
            Test::TextIn(one, list) => one.steps() + list.iter().map(|text| text.steps() + TEXT_STEPS).sum::<u64>(),
            Test::ValueIn(one, list) => one.steps() + list.iter().map(Value::steps).sum::<u64>(),
            Test::HasTag(text, _) => text.steps() + 8 * TEXT_STEPS,
            Test::Matches(text, _) => text.steps() + MATCH_STEPS,
        };
        1 + inside
    }
}

impl Value {
    /// How deep it nests; a leaf is 0.
    pub(super) fn depth(&self) -> usize {
        match self {
            Value::Literal(_) | Value::Fact(_) => 0,
            Value::Named(value) => deepest([value.depth()]),
            Value::TagCount(_) | Value::TagScore(..) => 1,
            Value::Sum(parts) => deepest(parts.iter().map(|(_, part)| part.depth())),
            Value::Product(parts) => deepest(parts.iter().map(|(_, part)| part.depth())),
            Value::Negated(part) => deepest([part.depth()]),
            Value::If(parts) => deepest([parts.0.depth(), parts.1.depth(), parts.2.depth()]),
            Value::Discount(text, _) => deepest([text.depth()]),
            Value::Promoted(price, text, _) => deepest([price.depth(), text.depth()]),
        }
    }

    /// The most steps that evaluating takes.
    pub(super) fn steps(&self) -> u64 {
        let inside = match self {
            Value::Literal(_) => 0,
            Value::Fact(_) => TEXT_STEPS,
            Value::Named(value) => value.steps(),
            Value::Sum(parts) => parts.iter().map(|(_, part)| part.steps()).sum(),
            Value::Product(parts) => parts.iter().map(|(_, part)| part.steps()).sum(),
            Value::Negated(part) => part.steps(),
            Value::If(parts) => parts.0.steps() + parts.1.steps() + parts.2.steps(),
            Value::TagCount(_) => 8 * TEXT_STEPS,
            Value::Discount(text, _) => text.steps() + TEXT_STEPS,
            Value::TagScore(_, scores) => 8 * TEXT_STEPS * scores.len().max(1) as u64,
            Value::Promoted(price, text, _) => price.steps() + text.steps() + TEXT_STEPS,
        };
        1 + inside
    }
}

impl Text {
    pub(super) fn depth(&self) -> usize {
        match self {
            Text::Literal(_) | Text::Fact(..) => 0,
            Text::If(parts) => deepest([parts.0.depth(), parts.1.depth(), parts.2.depth()]),
        }
    }

    pub(super) fn steps(&self) -> u64 {
        match self {
            Text::Literal(_) => 1,
            Text::Fact(..) => 1 + TEXT_STEPS,
            Text::If(parts) => 1 + parts.0.steps() + parts.1.steps() + parts.2.steps(),
        }
    }
}
