//! What has to hold of single facts where an expression holds: conditions that can be compared with others. They never say
//! more than the expression does, and less where it computes.

use rust_decimal::Decimal;

use super::super::condition::{Condition, Test as OneTest};
use super::super::fact::{FactId, FactKind};
use super::super::number::Scalar;
use super::super::operator::Operator;
use super::node::{Affix, Comparison, Test, Text, Value};

const ALWAYS: Condition = Condition::All(Vec::new());
const NEVER: Condition = Condition::Any(Vec::new());

impl Test {
    /// What has to hold where this is `wanted` true or false. What cannot be computed is neither, so a comparison that is
    /// false has its facts too.
    pub(super) fn implied(&self, wanted: bool) -> Condition {
        let all = |parts: &[Test]| parts.iter().map(|part| part.implied(wanted)).collect();
        match self {
            Test::Literal(literal) => constant(*literal == wanted),
            Test::Not(part) => part.implied(!wanted),
            Test::All(parts) if wanted => Condition::All(all(parts)),
            Test::Any(parts) if !wanted => Condition::All(all(parts)),
            Test::All(parts) | Test::Any(parts) => Condition::Any(all(parts)),
            Test::Has(fact, kind) => turned(one(*fact, *kind, Operator::Exists, Vec::new()), wanted),
            Test::Compare(one, comparison, two) => compared(one, *comparison, two, wanted),
            Test::InStock(stock, least) => compared(stock, Comparison::GreaterOrEqual, least, wanted),
            Test::Equal(one, two) => match (one, two) {
                (Text::Literal(one), Text::Literal(two)) => constant((one == two) == wanted),
                (Text::Fact(fact, kind), Text::Literal(text)) | (Text::Literal(text), Text::Fact(fact, kind)) => {
                    texts(*fact, *kind, [text], wanted)
                }
                _ => ALWAYS,
            },
            Test::TextIn(_, list) if list.is_empty() => constant(!wanted),
            Test::ValueIn(_, list) if list.is_empty() => constant(!wanted),
            Test::TextIn(Text::Fact(fact, kind), list) => {
                let known: Option<Vec<_>> = list.iter().map(Text::literal).collect();
                known.map_or(ALWAYS, |known| texts(*fact, *kind, known, wanted))
            }
            Test::ValueIn(value, list) => match (value.fact(), list.iter().map(Value::literal).collect()) {
                (Some(fact), Some(known)) => numbers(fact, known, wanted),
                _ => ALWAYS,
            },
            Test::Affix(affix, Text::Fact(fact, kind), Text::Literal(part)) if !part.is_empty() => {
                let operator = match affix {
                    Affix::Prefix => Operator::Prefix,
                    Affix::Suffix => Operator::Suffix,
                    Affix::Inside => Operator::Contains,
                };
                let kind = if *kind == FactKind::Region { FactKind::Region } else { FactKind::Code };
                turned(one(*fact, kind, operator, vec![Scalar::Text(part.to_string())]), wanted)
            }
            // A condition drops the blanks around a tag, an expression does not.
            Test::HasTag(Text::Literal(tag), fact) if tag.trim() == &**tag => {
                turned(one(*fact, FactKind::Tags, Operator::AnyOf, vec![Scalar::Text(tag.to_string())]), wanted)
            }
            Test::If(_) | Test::Same(_) | Test::TextIn(..) | Test::HasTag(..) | Test::Affix(..) | Test::Matches(..) => {
                ALWAYS
            }
        }
    }
}

impl Value {
    fn literal(&self) -> Option<Decimal> {
        match self {
            Value::Literal(literal) => Some(*literal),
            Value::Negated(value) => value.literal().map(|value| -value),
            Value::Named(value) => value.literal(),
            _ => None,
        }
    }

    fn fact(&self) -> Option<FactId> {
        match self {
            Value::Fact(fact) => Some(*fact),
            Value::Named(value) => value.fact(),
            _ => None,
        }
    }
}

impl Text {
    fn literal(&self) -> Option<&str> {
        match self {
            Text::Literal(literal) => Some(literal),
            _ => None,
        }
    }
}

fn constant(holds: bool) -> Condition {
    if holds { ALWAYS } else { NEVER }
}

fn compared(one: &Value, comparison: Comparison, two: &Value, wanted: bool) -> Condition {
    if let (Some(one), Some(two)) = (one.literal(), two.literal()) {
        return constant(comparison.holds(one, two) == wanted);
    }
    let (fact, comparison, number) = match (one.fact(), two.literal(), one.literal(), two.fact()) {
        (Some(fact), Some(number), ..) => (fact, comparison, number),
        (_, _, Some(number), Some(fact)) => (fact, comparison.mirrored(), number),
        _ => return ALWAYS,
    };
    let operator = match (comparison, wanted) {
        (Comparison::Equal, wanted) => return numbers(fact, vec![number], wanted),
        (Comparison::Less, true) | (Comparison::GreaterOrEqual, false) => Operator::Lt,
        (Comparison::LessOrEqual, true) | (Comparison::Greater, false) => Operator::Le,
        (Comparison::Greater, true) | (Comparison::LessOrEqual, false) => Operator::Gt,
        (Comparison::GreaterOrEqual, true) | (Comparison::Less, false) => Operator::Ge,
    };
    self::one(fact, FactKind::Number, operator, vec![Scalar::Number(number)]).unwrap_or(ALWAYS)
}

impl Comparison {
    fn holds(self, one: Decimal, two: Decimal) -> bool {
        match self {
            Comparison::Equal => one == two,
            Comparison::Less => one < two,
            Comparison::LessOrEqual => one <= two,
            Comparison::Greater => one > two,
            Comparison::GreaterOrEqual => one >= two,
        }
    }

    /// The same with its sides changed.
    fn mirrored(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::Equal,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

fn numbers(fact: FactId, list: Vec<Decimal>, wanted: bool) -> Condition {
    let operator = if wanted { Operator::In } else { Operator::NotIn };
    one(fact, FactKind::Number, operator, list.into_iter().map(Scalar::Number).collect()).unwrap_or(ALWAYS)
}

fn texts<'t>(
    fact: FactId,
    kind: FactKind,
    list: impl IntoIterator<Item = impl AsRef<str> + 't>,
    wanted: bool,
) -> Condition {
    let operator = if wanted { Operator::In } else { Operator::NotIn };
    // An address is a text here; a region is brought to six digits on both sides.
    let kind = if kind == FactKind::Region { FactKind::Region } else { FactKind::Code };
    let values = list.into_iter().map(|text| Scalar::Text(text.as_ref().to_owned())).collect();
    one(fact, kind, operator, values).unwrap_or(ALWAYS)
}

/// Nothing where such a test cannot be written, as one with a region that there is none of.
fn one(fact: FactId, kind: FactKind, operator: Operator, values: Vec<Scalar>) -> Option<Condition> {
    OneTest::compile(fact, kind, operator, values).ok().map(Condition::Test)
}

/// The test, or that it does not hold; the latter also where its fact is absent.
fn turned(test: Option<Condition>, wanted: bool) -> Condition {
    match test {
        Some(test) if wanted => test,
        Some(test) => Condition::Not(Box::new(test)),
        None => ALWAYS,
    }
}
