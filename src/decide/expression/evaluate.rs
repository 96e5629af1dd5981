//! From nodes and facts to an answer. Allocates nothing where the facts are borrowed; recurses as deep as the tree.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::super::fact::{FactId, FactKind, Facts};
use super::super::number::number;
use super::super::predicate::tags;
use super::super::region;
use super::Fault;
use super::functions::Functions;
use super::node::{Affix, Comparison, Factor, LONGEST_MATCHED, Sign, Test, Text, Value};

/// The value of a fact as it is compared.
pub(super) fn text_of<F: Facts>(fact: FactId, kind: FactKind, facts: &F) -> Option<Cow<'_, str>> {
    match kind {
        FactKind::Region => region::read(facts, fact),
        _ => facts.get(fact),
    }
}

impl Test {
    pub(super) fn holds<F: Facts>(&self, facts: &F) -> Result<bool, Fault> {
        match self {
            Test::Literal(literal) => Ok(*literal),
            Test::All(parts) => until(false, parts, facts),
            Test::Any(parts) => until(true, parts, facts),
            Test::Not(part) => part.holds(facts).map(|holds| !holds),
            Test::If(parts) => if parts[0].holds(facts)? { &parts[1] } else { &parts[2] }.holds(facts),
            Test::Same(parts) => Ok(parts[0].holds(facts)? == parts[1].holds(facts)?),
            Test::Has(fact, kind) => Ok(text_of(*fact, *kind, facts).is_some()),
            Test::Equal(one, two) => Ok(one.read(facts)? == two.read(facts)?),
            Test::Compare(one, comparison, two) => {
                let (one, two) = (one.compute(facts)?, two.compute(facts)?);
                Ok(match comparison {
                    Comparison::Equal => one == two,
                    Comparison::Less => one < two,
                    Comparison::LessOrEqual => one <= two,
                    Comparison::Greater => one > two,
                    Comparison::GreaterOrEqual => one >= two,
                })
            }
            Test::TextIn(one, list) => {
                let one = one.read(facts)?;
                any(list, |text| Ok(text.read(facts)? == one))
            }
            Test::ValueIn(one, list) => {
                let one = one.compute(facts)?;
                any(list, |value| Ok(value.compute(facts)? == one))
            }
            Test::HasTag(tag, fact) => {
                let (tag, all) = (tag.read(facts)?, facts.get(*fact).ok_or(Fault::Absent(*fact))?);
                Ok(tags(&all).any(|there| there == tag))
            }
            Test::Affix(affix, text, part) => {
                let (text, part) = (text.read(facts)?, part.read(facts)?);
                Ok(match affix {
                    Affix::Prefix => text.starts_with(&*part),
                    Affix::Suffix => text.ends_with(&*part),
                    Affix::Inside => text.contains(&*part),
                })
            }
            Test::Matches(text, pattern) => {
                let text = text.read(facts)?;
                if text.len() > LONGEST_MATCHED { Err(Fault::TooLong) } else { Ok(pattern.is_match(&text)) }
            }
            Test::InStock(stock, least) => Ok(stock.compute(facts)? >= least.compute(facts)?),
        }
    }
}

/// Whether one part is `wanted`, as CEL has it: one that is decides, whatever cannot be told of the others.
fn until<F: Facts>(wanted: bool, parts: &[Test], facts: &F) -> Result<bool, Fault> {
    any(parts, |part| Ok(part.holds(facts)? == wanted)).map(|found| found == wanted)
}

fn any<T>(list: &[T], mut holds: impl FnMut(&T) -> Result<bool, Fault>) -> Result<bool, Fault> {
    let mut fault: Option<Fault> = None;
    for part in list {
        match holds(part) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // What is wrong is told before what is merely absent.
            Err(next) => match fault {
                Some(known) if !matches!(known, Fault::Absent(_)) => {}
                _ => fault = Some(next),
            },
        }
    }
    fault.map_or(Ok(false), Err)
}

impl Value {
    pub(super) fn compute<F: Facts>(&self, facts: &F) -> Result<Decimal, Fault> {
        match self {
            Value::Literal(literal) => Ok(*literal),
            Value::Fact(fact) => {
                let text = facts.get(*fact).ok_or(Fault::Absent(*fact))?;
                number(text.trim()).ok_or(Fault::NotANumber(*fact))
            }
            Value::Named(value) => value.compute(facts),
            Value::Sum(parts) => parts.iter().try_fold(Decimal::ZERO, |sum, (sign, part)| {
                let part = part.compute(facts)?;
                match sign {
                    Sign::Plus => sum.checked_add(part),
                    Sign::Minus => sum.checked_sub(part),
                }
                .ok_or(Fault::Overflow)
            }),
            Value::Product(parts) => parts.iter().try_fold(Decimal::ONE, |product, (factor, part)| {
                let part = part.compute(facts)?;
                match factor {
                    Factor::Times => product.checked_mul(part),
                    Factor::By | Factor::Rest if part.is_zero() => return Err(Fault::Zero),
                    Factor::By => product.checked_div(part),
                    Factor::Rest => product.checked_rem(part),
                }
                .ok_or(Fault::Overflow)
            }),
            Value::Negated(part) => part.compute(facts).map(|value| -value),
            Value::If(parts) => if parts.0.holds(facts)? { &parts.1 } else { &parts.2 }.compute(facts),
            Value::TagCount(fact) => {
                let all = facts.get(*fact).ok_or(Fault::Absent(*fact))?;
                Ok(Decimal::from(tags(&all).count()))
            }
            Value::Discount(tier, table) => Ok(table.get(&*tier.read(facts)?).copied().unwrap_or(Decimal::ZERO)),
            Value::TagScore(fact, table) => {
                let all = facts.get(*fact).ok_or(Fault::Absent(*fact))?;
                Functions::tag_score(table, &all).ok_or(Fault::Overflow)
            }
            Value::Promoted(price, name, table) => {
                let price = price.compute(facts)?;
                let promotion = table.get(&*name.read(facts)?);
                promotion.map_or(Some(price), |promotion| promotion.apply(price)).ok_or(Fault::Overflow)
            }
        }
    }
}

impl Text {
    fn read<'f, F: Facts>(&'f self, facts: &'f F) -> Result<Cow<'f, str>, Fault> {
        match self {
            Text::Literal(literal) => Ok(Cow::Borrowed(literal)),
            Text::Fact(fact, kind) => text_of(*fact, *kind, facts).ok_or(Fault::Absent(*fact)),
            Text::If(parts) => if parts.0.holds(facts)? { &parts.1 } else { &parts.2 }.read(facts),
        }
    }
}
