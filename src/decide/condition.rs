//! Conditions: tests on facts and expressions, nested by all, any and not.
//!
//! The logic has two values. A test on an absent fact is false, also `NE` and `NOT_IN`; `not:` turns what it is given
//! around, so `not:` of a test on an absent fact is true.

use super::expression::Expression;
use super::fact::{FactId, FactKind, Facts};
use super::fact_table::{FactError, FactTable};
use super::number::Scalar;
use super::operator::Operator;
use super::predicate::Predicate;
use super::region;
use super::trace::{ConditionTrace, TestTrace};

/// Why a condition cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The key is at fault.
    #[error(transparent)]
    Key(#[from] FactError),
    /// The operator does not suit the fact.
    #[error("{operator} makes no sense for `{key}`, which is {kind}; {instead}")]
    Operator {
        /// The operator.
        operator: Operator,
        /// The key as written.
        key: String,
        /// What the fact is.
        kind: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// Too few or too many values.
    #[error("{operator} takes {wanted}, not {given}{}", if *.hint { "; IN takes several" } else { "" })]
    Arity {
        /// The operator.
        operator: Operator,
        /// How many it takes, in words.
        wanted: &'static str,
        /// How many were given.
        given: usize,
        /// Whether another operator would take them.
        hint: bool,
    },
    /// One of the values is at fault.
    #[error("{message}")]
    Values {
        /// Its place among the values.
        index: usize,
        /// What is wrong with it.
        message: String,
    },
    /// Nested deeper than [`Condition::DEEPEST`].
    #[error("conditions are nested deeper than {}", Condition::DEEPEST)]
    TooDeep,
}

/// A condition, compiled.
#[derive(Debug, Clone)]
pub enum Condition {
    /// One test on one fact.
    Test(Test),
    /// An expression in CEL.
    Expression(Box<Expression>),
    /// All hold.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// How deep conditions may nest; evaluating them recurses that far.
    pub const DEEPEST: usize = 16;

    /// Compiles one test. `key` is a fact, `tag`, `header:NAME` or `query:NAME`.
    pub fn test(
        facts: &mut FactTable,
        key: &str,
        operator: Operator,
        values: Vec<Scalar>,
    ) -> Result<Condition, ConditionError> {
        let fact = facts.resolve(key)?;
        let kind = facts.kind(fact);
        if !operator.suits(kind) {
            let (kind, instead) = (kind.in_words(), operator.instead(kind));
            return Err(ConditionError::Operator { operator, key: key.to_owned(), kind, instead });
        }
        let (least, most, wanted) = operator.arity();
        if values.len() < least || values.len() > most {
            let hint = matches!(operator, Operator::Eq | Operator::Ne) && values.len() > 1;
            return Err(ConditionError::Arity { operator, wanted, given: values.len(), hint });
        }
        Test::compile(fact, kind, operator, values).map(Condition::Test)
    }

    /// Refuses what is nested too deep to be evaluated by recursion.
    pub fn check_depth(&self) -> Result<(), ConditionError> {
        fn fits(condition: &Condition, left: usize) -> bool {
            match (condition, left) {
                (Condition::Test(_) | Condition::Expression(_), _) => true,
                (_, 0) => false,
                (Condition::All(parts) | Condition::Any(parts), left) => parts.iter().all(|part| fits(part, left - 1)),
                (Condition::Not(part), left) => fits(part, left - 1),
            }
        }
        if fits(self, Condition::DEEPEST) { Ok(()) } else { Err(ConditionError::TooDeep) }
    }

    /// Whether it holds of the request.
    pub fn holds<F: Facts>(&self, facts: &F) -> bool {
        match self {
            Condition::Test(test) => test.holds(facts),
            Condition::Expression(expression) => expression.holds(facts),
            Condition::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Condition::Not(part) => !part.holds(facts),
        }
    }

    /// Whether it holds, with what was wanted and what there was, for every part.
    pub(super) fn trace<F: Facts>(&self, table: &FactTable, facts: &F) -> ConditionTrace {
        let all = |parts: &[Condition]| parts.iter().map(|part| part.trace(table, facts)).collect();
        let holds = self.holds(facts);
        match self {
            Condition::Test(test) => ConditionTrace::Test(test.trace(table, facts)),
            Condition::Expression(expression) => ConditionTrace::Expression(expression.trace(table, facts)),
            Condition::All(parts) => ConditionTrace::All { holds, all: all(parts) },
            Condition::Any(parts) => ConditionTrace::Any { holds, any: all(parts) },
            Condition::Not(part) => ConditionTrace::Not { holds, not: Box::new(part.trace(table, facts)) },
        }
    }

    /// Calls `each` with every fact that is looked at.
    pub(super) fn for_each_fact(&self, each: &mut dyn FnMut(FactId)) {
        match self {
            Condition::Test(test) => each(test.fact),
            Condition::Expression(expression) => expression.facts().iter().for_each(|fact| each(*fact)),
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| part.for_each_fact(each)),
            Condition::Not(part) => part.for_each_fact(each),
        }
    }
}

/// A test on one fact.
#[derive(Debug, Clone)]
pub struct Test {
    fact: FactId,
    kind: FactKind,
    operator: Operator,
    values: Vec<Scalar>,
    predicate: Predicate,
}

impl Test {
    /// A test whose operator suits its fact.
    pub(super) fn compile(
        fact: FactId,
        kind: FactKind,
        operator: Operator,
        values: Vec<Scalar>,
    ) -> Result<Test, ConditionError> {
        let predicate = Predicate::compile(fact, kind, operator, &values)
            .map_err(|(index, message)| ConditionError::Values { index, message })?;
        Ok(Test { fact, kind, operator, values, predicate })
    }

    /// The fact it looks at.
    pub fn fact(&self) -> FactId {
        self.fact
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub(super) fn kind(&self) -> FactKind {
        self.kind
    }

    pub(super) fn values(&self) -> &[Scalar] {
        &self.values
    }

    pub(super) fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// Whether it holds of a fact that has this value.
    pub(super) fn holds_of(&self, value: &str) -> bool {
        self.predicate.holds(value).is_some_and(|holds| holds != self.operator.is_negative())
    }

    fn value<'f, F: Facts>(&self, facts: &'f F) -> Option<std::borrow::Cow<'f, str>> {
        match self.kind {
            FactKind::Region => region::read(facts, self.fact),
            _ => facts.get(self.fact),
        }
    }

    fn holds<F: Facts>(&self, facts: &F) -> bool {
        match self.value(facts) {
            Some(value) => self.holds_of(&value),
            None => false,
        }
    }

    fn trace<F: Facts>(&self, table: &FactTable, facts: &F) -> TestTrace {
        TestTrace {
            key: table.name(self.fact).to_owned(),
            operator: self.operator,
            wanted: self.values.clone(),
            actual: self.value(facts).map(std::borrow::Cow::into_owned),
            holds: self.holds(facts),
        }
    }
}
