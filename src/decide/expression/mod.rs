//! Expressions: a bounded subset of CEL, parsed by the `cel` crate and evaluated by ourselves.
//!
//! The crate's evaluator has no cost or time limit, compiles a regular expression on every call, computes money in
//! floats and allocates for every variable. So only its parser is used, behind [`Fenced`], and its tree is compiled to
//! the typed nodes of `node`: every type is checked once, numbers are decimals, and the greatest number of steps is
//! known before the first request. Nothing in a node can loop, so the bound of steps is the deadline.
//!
//! Parsing recurses deeply; whoever calls [`Fenced::parse`] gives it [`Fenced::STACK`] bytes of stack.

mod compile;
mod evaluate;
mod fence;
mod functions;
mod implied;
mod names;
mod node;
mod regions;
mod syntax;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::condition::Condition;
use super::fact::{FactId, Facts};
use super::fact_table::FactTable;
use super::trace::{ExpressionTrace, ValueTrace};
pub use fence::{Fenced, Parsed};
pub use functions::{Functions, Promotion};
use node::{Test, Value};

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// The bytes of the source that are at fault.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The nearest valid word.
    pub nearest: Option<String>,
}

/// Why an expression has no value for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A fact is absent: nothing is wrong.
    Absent(FactId),
    /// A fact that is computed with is no number.
    NotANumber(FactId),
    /// A text is too long to be matched.
    TooLong,
    /// A number does not fit a decimal.
    Overflow,
    /// Something is divided by zero.
    Zero,
}

impl Fault {
    fn in_words(self, table: &FactTable) -> String {
        match self {
            Fault::Absent(fact) => format!("`{}` is absent", table.name(fact)),
            Fault::NotANumber(fact) => format!("`{}` is no number", table.name(fact)),
            Fault::TooLong => format!("a text is longer than the {} bytes that are matched", node::LONGEST_MATCHED),
            Fault::Overflow => String::from("a number grows too large"),
            Fault::Zero => String::from("division by zero"),
        }
    }
}

/// What expressions may name besides facts.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// The tables of the functions.
    pub functions: Functions,
    /// Named numeric expressions, in the order written.
    pub values: Vec<(String, NumberExpression)>,
}

/// An expression that is true or false.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Box<str>,
    facts: Box<[FactId]>,
    /// The named values that it looks at.
    named: Box<[(Box<str>, Arc<Value>)]>,
    steps: u64,
    test: Test,
}

/// An expression that gives a number.
#[derive(Debug, Clone)]
pub struct NumberExpression {
    source: Box<str>,
    facts: Box<[FactId]>,
    value: Arc<Value>,
}

impl Expression {
    /// The deepest nesting, counted over the whole tree; a chain of one operator counts once.
    pub const DEEPEST: usize = 8;
    /// The most steps that evaluating may take. A step is one operation on numbers, or 64 bytes of text looked at.
    pub const MOST_STEPS: u64 = 20_000;

    /// Compiles a condition; headers and query parameters that it names are added to the table.
    pub fn compile(
        parsed: &Parsed,
        table: &mut FactTable,
        vocabulary: &Vocabulary,
    ) -> Result<Expression, ExpressionError> {
        let mut compiler = compile::Compiler::new(parsed, table, vocabulary);
        let test = compiler.whole_test()?;
        let named = std::mem::take(&mut compiler.named).into_boxed_slice();
        let (facts, steps) = compiler.finish(test.depth(), test.steps())?;
        Ok(Expression { source: parsed.source().into(), facts, named, steps, test })
    }

    /// The most steps that evaluating this one takes.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The facts that it looks at.
    pub fn facts(&self) -> &[FactId] {
        &self.facts
    }

    /// What has to hold of single facts where it holds: never more than it says.
    pub(super) fn implied(&self) -> Condition {
        self.test.implied(true)
    }

    /// Whether it holds of the request. Without a fact that it needs it does not hold; neither does it where it
    /// cannot be computed, which is told to `facts`.
    pub fn holds<F: Facts>(&self, facts: &F) -> bool {
        match self.test.holds(facts) {
            Ok(holds) => holds,
            Err(Fault::Absent(_)) => false,
            Err(_) => {
                facts.expression_failed();
                false
            }
        }
    }

    pub(super) fn trace<F: Facts>(&self, table: &FactTable, facts: &F) -> ExpressionTrace {
        let outcome = self.test.holds(facts);
        let computed = |value: &Value| Some(value.compute(facts).ok()?.normalize().to_string());
        let named = self.named.iter().map(|(name, value)| (name.to_string(), computed(value)));
        ExpressionTrace {
            expression: self.source.to_string(),
            holds: outcome.unwrap_or(false),
            why: outcome.err().map(|fault| fault.in_words(table)),
            actual: seen(&self.facts, table, facts).into_iter().chain(named).collect(),
        }
    }
}

impl NumberExpression {
    /// Compiles an expression that has to give a number.
    pub fn compile(
        parsed: &Parsed,
        table: &mut FactTable,
        vocabulary: &Vocabulary,
    ) -> Result<NumberExpression, ExpressionError> {
        let mut compiler = compile::Compiler::new(parsed, table, vocabulary);
        let value = compiler.whole_value()?;
        let (facts, _) = compiler.finish(value.depth(), value.steps())?;
        Ok(NumberExpression { source: parsed.source().into(), facts, value: Arc::new(value) })
    }

    /// The facts that it looks at.
    pub fn facts(&self) -> &[FactId] {
        &self.facts
    }

    /// The number for the request, unless a fact is absent or it cannot be computed; the latter is told to `facts`.
    pub fn value<F: Facts>(&self, facts: &F) -> Option<Decimal> {
        match self.value.compute(facts) {
            Ok(value) => Some(value),
            Err(Fault::Absent(_)) => None,
            Err(_) => {
                facts.expression_failed();
                None
            }
        }
    }

    pub(super) fn trace<F: Facts>(&self, name: &str, table: &FactTable, facts: &F) -> ValueTrace {
        let outcome = self.value.compute(facts);
        ValueTrace {
            name: name.to_owned(),
            expression: self.source.to_string(),
            value: outcome.ok().map(|value| value.normalize().to_string()),
            why: outcome.err().map(|fault| fault.in_words(table)),
        }
    }
}

fn seen<F: Facts>(list: &[FactId], table: &FactTable, facts: &F) -> Vec<(String, Option<String>)> {
    let value = |fact: &FactId| evaluate::text_of(*fact, table.kind(*fact), facts).map(std::borrow::Cow::into_owned);
    list.iter().map(|fact| (table.name(*fact).to_owned(), value(fact))).collect()
}
