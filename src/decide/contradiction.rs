//! Conditions that no request can meet.
//!
//! The conditions are brought into alternatives of which each is a list of tests that have to hold together, some of them
//! turned around by `not:`. They can never hold if no alternative can. The answer "never" is certain; where this cannot
//! tell (regular expressions, versions, more than [`MOST`] alternatives) it says nothing.
//!
//! A test that holds needs a value. A test under `not:` also holds without one, so tests that are all turned around never
//! contradict each other.

use rust_decimal::Decimal;

use super::condition::{Condition, Test};
use super::predicate::Predicate;

/// Alternatives that are looked at; more could be a mistake of another kind.
const MOST: usize = 256;

/// A test or something else that cannot be taken apart, and whether it has to hold.
#[derive(Clone, Copy)]
struct Literal<'c> {
    leaf: &'c Condition,
    wanted: bool,
}

/// Tests on one fact that have to hold together.
struct Together<'c> {
    wanted: Vec<&'c Test>,
    unwanted: Vec<&'c Test>,
}

impl Condition {
    /// Whether it is certain that no request meets all of these.
    pub fn never_hold(conditions: &[Condition]) -> bool {
        let refs: Vec<&Condition> = conditions.iter().collect();
        Condition::never_hold_together(&refs)
    }

    /// Like [`Condition::never_hold`], for conditions of several lists.
    pub fn never_hold_together(conditions: &[&Condition]) -> bool {
        let mut alternatives = vec![Vec::new()];
        for condition in conditions {
            let Some(parts) = alternatives_of(condition, true) else { return false };
            match product(&alternatives, &parts) {
                Some(next) => alternatives = next,
                None => return false,
            }
        }
        alternatives.iter().all(|literals| is_contradiction(literals))
    }
}

type Alternatives<'c> = Vec<Vec<Literal<'c>>>;

/// The alternatives under which a condition holds, or does not; nothing where they are too many.
fn alternatives_of(condition: &Condition, wanted: bool) -> Option<Alternatives<'_>> {
    match (condition, wanted) {
        (Condition::Not(part), wanted) => alternatives_of(part, !wanted),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => {
            parts.iter().try_fold(vec![Vec::new()], |so_far, part| product(&so_far, &alternatives_of(part, wanted)?))
        }
        (Condition::All(parts), false) | (Condition::Any(parts), true) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(alternatives_of(part, wanted)?);
            }
            (all.len() <= MOST).then_some(all)
        }
        (leaf, wanted) => Some(vec![vec![Literal { leaf, wanted }]]),
    }
}

fn product<'c>(one: &Alternatives<'c>, other: &Alternatives<'c>) -> Option<Alternatives<'c>> {
    if one.len() * other.len() > MOST {
        return None;
    }
    Some(one.iter().flat_map(|first| other.iter().map(move |second| [&**first, &**second].concat())).collect())
}

fn is_contradiction(literals: &[Literal<'_>]) -> bool {
    let tests: Vec<(&Test, bool)> = literals
        .iter()
        .filter_map(|literal| match literal.leaf {
            Condition::Test(test) => Some((test, literal.wanted)),
            _ => None,
        })
        .collect();
    let facts = tests.iter().filter(|(_, wanted)| *wanted).map(|(test, _)| test.fact());
    facts.into_iter().any(|fact| {
        let of = |which: bool| {
            let fitting = tests.iter().filter(move |(test, wanted)| test.fact() == fact && *wanted == which);
            fitting.map(|(test, _)| *test).collect()
        };
        Together { wanted: of(true), unwanted: of(false) }.is_contradiction()
    })
}

impl Together<'_> {
    /// At least one test is wanted, so there has to be a value; whether none does.
    fn is_contradiction(&self) -> bool {
        self.turns_itself_around()
            || self.no_text_fits()
            || self.no_number_fits()
            || self.no_tags_fit()
            || self.no_beginning_fits()
            || self.no_network_fits()
    }

    /// A test and the same one under `not:`; `not: EXISTS` beside anything that needs a value.
    fn turns_itself_around(&self) -> bool {
        self.unwanted.iter().any(|unwanted| {
            matches!(unwanted.predicate(), Predicate::Present)
                || self
                    .wanted
                    .iter()
                    .any(|wanted| wanted.operator() == unwanted.operator() && wanted.values() == unwanted.values())
        })
    }

    /// A test that lists the possible values, and none of them passes the others.
    fn no_text_fits(&self) -> bool {
        let listed = self.wanted.iter().find_map(|test| match test.predicate() {
            Predicate::Equal { texts, numbers } if numbers.is_empty() && !test.operator().is_negative() => Some(texts),
            _ => None,
        });
        listed.is_some_and(|texts| !texts.iter().any(|text| self.admits(text)))
    }

    fn admits(&self, value: &str) -> bool {
        self.wanted.iter().all(|test| test.holds_of(value)) && !self.unwanted.iter().any(|test| test.holds_of(value))
    }

    /// Ranges that do not meet, or listed numbers outside of them.
    fn no_number_fits(&self) -> bool {
        let mut span = Span::ALL;
        let mut bounded = false;
        for test in &self.wanted {
            if let Predicate::Range { low, high } = test.predicate() {
                span = span.and(Span { low: *low, high: *high });
                bounded = true;
            }
        }
        // A value that is no number meets no range, and then `not:` of a range says nothing of it.
        for test in self.unwanted.iter().filter(|_| bounded) {
            match test.predicate() {
                Predicate::Range { low: Some((end, closed)), high: None } => {
                    span = span.and(Span { low: None, high: Some((*end, !closed)) });
                }
                Predicate::Range { low: None, high: Some((end, closed)) } => {
                    span = span.and(Span { low: Some((*end, !closed)), high: None });
                }
                _ => {}
            }
        }
        let outside = |number: &Decimal| !span.contains(*number) || self.unwanted_numbers(*number);
        let listed = self.wanted.iter().find_map(|test| match test.predicate() {
            Predicate::Equal { texts, numbers } if !test.operator().is_negative() && !numbers.is_empty() => {
                Some((texts, numbers))
            }
            _ => None,
        });
        match listed {
            Some((texts, numbers)) => numbers.iter().all(outside) && !texts.iter().any(|text| self.admits(text)),
            None => bounded && (span.is_empty() || span.only().is_some_and(|number| self.unwanted_numbers(number))),
        }
    }

    /// Whether a number is shut out however it is written, by a test that compares numbers alone.
    fn unwanted_numbers(&self, number: Decimal) -> bool {
        let by_wanted = self.wanted.iter().any(|test| match test.predicate() {
            Predicate::Equal { texts, numbers } if texts.is_empty() => {
                numbers.contains(&number) == test.operator().is_negative()
            }
            _ => false,
        });
        let by_unwanted = self.unwanted.iter().any(|test| match test.predicate() {
            Predicate::Equal { texts, numbers } if texts.is_empty() => {
                numbers.contains(&number) != test.operator().is_negative()
            }
            Predicate::Range { low, high } => Span { low: *low, high: *high }.contains(number),
            _ => false,
        });
        by_wanted || by_unwanted
    }

    /// Tags that have to be there and must not be.
    fn no_tags_fit(&self) -> bool {
        let forbidden = |tag: &str| {
            self.unwanted.iter().any(|test| match test.predicate() {
                Predicate::AnyOf(tags) => tags.contains(tag),
                Predicate::AllOf(tags) => matches!(&**tags, [only] if **only == *tag),
                _ => false,
            })
        };
        let required: Vec<&str> = self
            .wanted
            .iter()
            .flat_map(|test| match test.predicate() {
                Predicate::AllOf(tags) => tags.iter().map(|tag| &**tag).collect(),
                _ => Vec::new(),
            })
            .collect();
        let none_left = self.wanted.iter().any(|test| match test.predicate() {
            Predicate::AnyOf(tags) => tags.iter().all(forbidden),
            _ => false,
        });
        let all_there = self.unwanted.iter().any(|test| match test.predicate() {
            Predicate::AllOf(tags) => tags.iter().all(|tag| required.contains(&&**tag)),
            _ => false,
        });
        none_left || all_there || required.iter().any(|tag| forbidden(tag))
    }

    /// Prefixes of which none begins with another's; suffixes likewise.
    fn no_beginning_fits(&self) -> bool {
        let apart = |one: &[Box<str>], other: &[Box<str>], meet: fn(&str, &str) -> bool| {
            !one.iter().any(|first| other.iter().any(|second| meet(first, second) || meet(second, first)))
        };
        self.pairs().any(|(one, other)| match (one.predicate(), other.predicate()) {
            (Predicate::Prefix(one), Predicate::Prefix(other)) => apart(one, other, |a, b| a.starts_with(b)),
            (Predicate::Suffix(one), Predicate::Suffix(other)) => apart(one, other, |a, b| a.ends_with(b)),
            _ => false,
        })
    }

    /// Networks that do not meet, or that lie in those that are shut out.
    fn no_network_fits(&self) -> bool {
        let positive = || self.wanted.iter().filter(|test| !test.operator().is_negative());
        let apart = self.pairs().any(|(one, other)| match (one.predicate(), other.predicate()) {
            (Predicate::Networks(one_nets), Predicate::Networks(other_nets))
                if !one.operator().is_negative() && !other.operator().is_negative() =>
            {
                !one_nets.iter().any(|a| other_nets.iter().any(|b| a.contains(b) || b.contains(a)))
            }
            _ => false,
        });
        let shut: Vec<&[ipnet::IpNet]> = (self.wanted.iter().filter(|test| test.operator().is_negative()))
            .chain(self.unwanted.iter().filter(|test| !test.operator().is_negative()))
            .filter_map(|test| match test.predicate() {
                Predicate::Networks(networks) => Some(networks.as_slice()),
                _ => None,
            })
            .collect();
        let inside = |network: &ipnet::IpNet| shut.iter().any(|list| list.iter().any(|outer| outer.contains(network)));
        apart
            || positive().any(|test| match test.predicate() {
                Predicate::Networks(networks) => networks.iter().all(inside),
                _ => false,
            })
    }

    fn pairs(&self) -> impl Iterator<Item = (&Test, &Test)> {
        let tests = &self.wanted;
        tests.iter().enumerate().flat_map(|(at, one)| tests[at + 1..].iter().map(|other| (*one, *other)))
    }
}

/// Numbers between two ends, each included or not.
#[derive(Clone, Copy)]
struct Span {
    low: Option<(Decimal, bool)>,
    high: Option<(Decimal, bool)>,
}

impl Span {
    const ALL: Span = Span { low: None, high: None };

    fn and(self, other: Span) -> Span {
        // Of two equal ends the one that leaves itself out is the narrower one.
        let higher = |one: (Decimal, bool), other: (Decimal, bool)| {
            if one.0 > other.0 || (one.0 == other.0 && !one.1) { one } else { other }
        };
        let lower = |one: (Decimal, bool), other: (Decimal, bool)| {
            if one.0 < other.0 || (one.0 == other.0 && !one.1) { one } else { other }
        };
        Span {
            low: self.low.zip(other.low).map(|(one, other)| higher(one, other)).or(self.low).or(other.low),
            high: self.high.zip(other.high).map(|(one, other)| lower(one, other)).or(self.high).or(other.high),
        }
    }

    fn contains(self, number: Decimal) -> bool {
        self.low.is_none_or(|(low, closed)| number > low || (closed && number == low))
            && self.high.is_none_or(|(high, closed)| number < high || (closed && number == high))
    }

    fn is_empty(self) -> bool {
        self.low.zip(self.high).is_some_and(|((low, from), (high, to))| low > high || (low == high && !(from && to)))
    }

    /// The one number that there is.
    fn only(self) -> Option<Decimal> {
        let ((low, from), (high, to)) = self.low.zip(self.high)?;
        (low == high && from && to).then_some(low)
    }
}
