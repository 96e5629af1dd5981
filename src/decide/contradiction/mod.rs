//! Conditions that no request can meet.
//!
//! The conditions are brought into alternatives of which each is a list of tests that have to hold together, some of them
//! turned around by `not:`. They can never hold if no alternative can. The answer "never" is certain; where this cannot
//! tell (regular expressions, more than [`MOST`] alternatives, more [`Steps`] than there are) it says nothing. Of an expression
//! counts what it compares with values; what it computes may be anything.
//!
//! A test that holds needs a value. A test under `not:` also holds without one, so tests that are all turned around never
//! contradict each other.
//!
//! Configurations are judged while a sidecar runs, so this has to take about as long as reading them: what all alternatives
//! share stands there once, tests on one fact are compared with the narrowest of them and not with each other, and what
//! cannot be had that way is counted and given up in time.

mod span;
mod steps;
mod together;
mod versions;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::condition::Condition;
use super::fact::FactId;
use super::region;
use steps::Steps;
use together::Together;

/// Alternatives that are looked at; more could be a mistake of another kind.
const MOST: usize = 256;

/// Where a list of conditions becomes one that no request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction {
    /// The place of the first condition with which those before it can never hold.
    pub at: usize,
    /// What it contradicts.
    pub with: Opponent,
}

/// What a condition contradicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opponent {
    /// Itself: it can never hold.
    Itself,
    /// The condition at this place.
    Other(usize),
    /// Those before it taken together.
    AllBefore,
}

impl Condition {
    /// Whether it is certain that no request meets all of these.
    pub fn never_hold(conditions: &[Condition]) -> bool {
        let plain = plain(conditions);
        never(plain.iter().map(Cow::as_ref), &Steps::of(&plain)).unwrap_or(false)
    }

    /// Where these become such that no request meets them all, if that is certain.
    pub fn contradiction(conditions: &[Condition]) -> Option<Contradiction> {
        let plain = plain(conditions);
        let plain: Vec<&Condition> = plain.iter().map(Cow::as_ref).collect();
        let steps = Steps::of(&plain);
        never(plain.iter().copied(), &steps)?.then(|| find(&plain, &steps))
    }
}

/// The same with what expressions say of single facts in their place.
fn plain(conditions: &[Condition]) -> Vec<Cow<'_, Condition>> {
    let conditions = conditions.iter().map(|condition| match has_expression(condition) {
        true => Cow::Owned(without_expressions(condition, true)),
        false => Cow::Borrowed(condition),
    });
    conditions.collect()
}

fn has_expression(condition: &Condition) -> bool {
    match condition {
        Condition::Test(_) => false,
        Condition::Expression(_) => true,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(has_expression),
        Condition::Not(part) => has_expression(part),
    }
}

/// `wanted` is whether it stands under no `not:`, or under two. Under one an expression may hold or not: it also fails
/// where it cannot be computed.
fn without_expressions(condition: &Condition, wanted: bool) -> Condition {
    let all = |parts: &[Condition]| parts.iter().map(|part| without_expressions(part, wanted)).collect();
    match condition {
        Condition::Test(_) => condition.clone(),
        Condition::Expression(expression) if wanted => expression.implied(),
        Condition::Expression(_) => Condition::Any(Vec::new()),
        Condition::All(parts) => Condition::All(all(parts)),
        Condition::Any(parts) => Condition::Any(all(parts)),
        Condition::Not(part) => Condition::Not(Box::new(without_expressions(part, !wanted))),
    }
}

/// The place, of conditions that can never all hold. Where looking for it takes too long, it is the last one.
fn find(conditions: &[&Condition], steps: &Steps) -> Contradiction {
    // Whoever contradicts a list contradicts every longer one, so half of the places can be left out each time.
    let (mut low, mut high) = (0, conditions.len().saturating_sub(1));
    while low < high {
        let middle = low.midpoint(high);
        match never(conditions[..=middle].iter().copied(), steps) {
            Some(true) => high = middle,
            Some(false) => low = middle + 1,
            None => break,
        }
    }
    let culprit = conditions[high];
    let alone = never([culprit], steps) == Some(true);
    let other = || {
        let few = Steps::few_of(conditions);
        let clashes = |other: &&Condition| never([other, culprit], &few);
        // Without steps nobody is found.
        conditions[..high].iter().map_while(clashes).position(|clashes| clashes)
    };
    let with = match alone {
        true => Opponent::Itself,
        false => other().map_or(Opponent::AllBefore, Opponent::Other),
    };
    Contradiction { at: high, with }
}

/// Nothing where it cannot be told.
fn never<'c>(conditions: impl IntoIterator<Item = &'c Condition>, steps: &Steps) -> Option<bool> {
    let mut cases = Cases::one();
    conditions.into_iter().try_for_each(|condition| cases.add(condition, true, steps))?;
    cases.are_contradictions(steps)
}

/// A test or something else that cannot be taken apart, and whether it has to hold.
#[derive(Clone, Copy)]
struct Literal<'c> {
    leaf: &'c Condition,
    wanted: bool,
}

/// The tests on each fact.
type Facts<'c> = BTreeMap<FactId, Together<'c>>;

/// The alternatives under which conditions hold: what is common to all, with each of the choices. No choice means never.
struct Cases<'c> {
    common: Vec<Literal<'c>>,
    choices: Vec<Vec<Literal<'c>>>,
}

impl<'c> Cases<'c> {
    fn one() -> Cases<'c> {
        Cases { common: Vec::new(), choices: vec![Vec::new()] }
    }

    /// Only those in which the condition holds, or does not; nothing where they are too many.
    fn add(&mut self, condition: &'c Condition, wanted: bool, steps: &Steps) -> Option<()> {
        match (condition, wanted) {
            (Condition::Not(part), wanted) => self.add(part, !wanted, steps),
            (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                parts.iter().try_for_each(|part| self.add(part, wanted, steps))
            }
            (Condition::All(parts), false) | (Condition::Any(parts), true) => {
                let mut choices = Vec::new();
                for part in parts {
                    let mut cases = Cases::one();
                    cases.add(part, wanted, steps)?;
                    choices.extend(cases.into_lists(steps)?);
                }
                self.choose(choices, steps)
            }
            (leaf, wanted) => {
                self.common.push(Literal { leaf, wanted });
                steps.take(1)
            }
        }
    }

    /// Each of the cases with each of these.
    fn choose(&mut self, mut choices: Vec<Vec<Literal<'c>>>, steps: &Steps) -> Option<()> {
        if self.choices.len() * choices.len() > MOST {
            return None;
        }
        if let [only] = &mut choices[..] {
            self.common.append(only);
            return Some(());
        }
        let sum = |lists: &[Vec<Literal<'_>>]| lists.iter().map(Vec::len).sum::<usize>();
        steps.take(sum(&self.choices) * choices.len() + sum(&choices) * self.choices.len())?;
        let both = |first: &Vec<Literal<'c>>, second: &Vec<Literal<'c>>| [&**first, &**second].concat();
        self.choices =
            self.choices.iter().flat_map(|first| choices.iter().map(move |second| both(first, second))).collect();
        Some(())
    }

    /// Each case by itself.
    fn into_lists(self, steps: &Steps) -> Option<Vec<Vec<Literal<'c>>>> {
        let Cases { common, mut choices } = self;
        for choice in &mut choices {
            steps.take(common.len())?;
            choice.extend_from_slice(&common);
        }
        Some(choices)
    }

    /// Whether none of them can be.
    fn are_contradictions(&self, steps: &Steps) -> Option<bool> {
        let common = by_fact(&self.common);
        if is_any_a_contradiction(common.values(), steps)? || are_regions_apart(&common, steps)? {
            return Some(true);
        }
        for choice in &self.choices {
            let mut own = by_fact(choice);
            if REGIONS.iter().any(|fact| own.contains_key(fact)) {
                REGIONS
                    .iter()
                    .filter(|fact| common.contains_key(fact))
                    .for_each(|fact| _ = own.entry(*fact).or_default());
            }
            for (fact, tests) in &mut own {
                if let Some(common) = common.get(fact) {
                    *tests = common.and(tests, steps)?;
                }
            }
            if !is_any_a_contradiction(own.values(), steps)? && !are_regions_apart(&own, steps)? {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// The facts of which one follows from the other.
const REGIONS: [FactId; 2] = [FactId::PROVINCE_CODE, FactId::CITY_ID];

/// Whether none of the listed cities lies in a province that passes: the province follows from the city.
fn are_regions_apart(facts: &Facts<'_>, steps: &Steps) -> Option<bool> {
    let (Some(province), Some(city)) = (facts.get(&REGIONS[0]), facts.get(&REGIONS[1])) else { return Some(false) };
    let Some(cities) = city.regions(steps)? else { return Some(false) };
    province.admit_none(cities.into_iter().filter_map(region::province_of).collect(), steps)
}

fn is_any_a_contradiction<'t, 'c: 't>(
    lists: impl IntoIterator<Item = &'t Together<'c>>,
    steps: &Steps,
) -> Option<bool> {
    for tests in lists {
        if tests.is_contradiction(steps)? {
            return Some(true);
        }
    }
    Some(false)
}

fn by_fact<'c>(literals: &[Literal<'c>]) -> Facts<'c> {
    let mut facts = Facts::new();
    for literal in literals {
        if let Condition::Test(test) = literal.leaf {
            facts.entry(test.fact()).or_default().add(test, literal.wanted);
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::super::fact_table::FactTable;
    use super::super::number::Scalar;
    use super::super::operator::Operator;
    use super::*;

    const MANY: usize = 10_000;

    fn test(table: &mut FactTable, (key, operator, values): (&str, Operator, Vec<String>)) -> Condition {
        Condition::test(table, key, operator, values.into_iter().map(Scalar::Text).collect()).unwrap()
    }

    /// Judging this many conditions takes steps in proportion to their size, whether they contradict each other or not.
    #[track_caller]
    fn check(shape: impl Fn(usize) -> Condition, last: Option<Condition>, expected: Option<(usize, Opponent)>) {
        let conditions: Vec<Condition> = (0..MANY).map(shape).chain(last).collect();
        let conditions: Vec<&Condition> = conditions.iter().collect();
        let steps = Steps::of(&conditions);
        let all = steps.left();
        let found = never(conditions.iter().copied(), &steps).unwrap().then(|| find(&conditions, &steps));
        assert_eq!(found.map(|found| (found.at, found.with)), expected);
        let (used, size) = (all - steps.left(), (all - Steps::LEAST) / Steps::EACH);
        assert!(used <= 64 * size, "{used} steps for {size} tests and values");
    }

    #[test]
    fn many_conditions_take_few_steps() {
        use Operator::{AllOf, AnyOf, Cidr, Eq, Exists, Gt, In, Lt, Ne, NotIn, Prefix, Suffix};
        let table = std::cell::RefCell::new(FactTable::new());
        let one = |key: &str, operator, values: &[&str]| {
            test(&mut table.borrow_mut(), (key, operator, values.iter().map(|value| (*value).to_owned()).collect()))
        };
        let not = |condition| Condition::Not(Box::new(condition));
        let stock = |at: usize| one("stock_level", Gt, &[&at.to_string()]);
        let category = |operator| move |at: usize| one("category_id", operator, &[&at.to_string()]);
        let numbers: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
        let listed = |operator| {
            let all: Vec<&str> = numbers.iter().map(String::as_str).collect();
            one("category_id", operator, &all)
        };
        check(stock, None, None);
        check(stock, Some(one("stock_level", Lt, &["0"])), Some((MANY, Opponent::Other(0))));
        check(stock, Some(one("stock_level", Lt, &["9999.5"])), None);
        check(category(Ne), Some(one("category_id", Eq, &["10000"])), None);
        check(category(Ne), Some(listed(In)), Some((MANY, Opponent::AllBefore)));
        check(|at| not(category(Eq)(at)), Some(listed(In)), Some((MANY, Opponent::AllBefore)));
        check(category(Eq), None, Some((1, Opponent::Other(0))));
        check(category(Ne), Some(listed(NotIn)), None);
        let beginning = "x".repeat(200);
        check(|at| one("category_id", Prefix, &[&beginning[..=at % 200]]), None, None);
        check(
            |at| one("category_id", Suffix, &[&beginning[..=at % 200]]),
            Some(one("category_id", Suffix, &["y"])),
            Some((MANY, Opponent::Other(0))),
        );
        check(|at| one("client_ip", Cidr, &[&format!("10.0.0.0/{}", at % 32)]), None, None);
        let inside = |at: usize| format!("10.{}.{}.0/24", at / 256, at % 256);
        check(|at| not(one("client_ip", Cidr, &[&inside(at)])), Some(one("client_ip", Cidr, &["11.0.0.0/8"])), None);
        check(
            |at| not(one("client_ip", Cidr, &[&inside(at)])),
            Some(one("client_ip", Cidr, &["10.1.2.0/28"])),
            Some((MANY, Opponent::Other(258))),
        );
        check(
            |at| one("tag", AllOf, &[&at.to_string()]),
            Some(not(one("tag", AnyOf, &["9"]))),
            Some((MANY, Opponent::Other(9))),
        );
        check(|at| one("tag", AllOf, &[&at.to_string()]), None, None);
        check(|at| one(&format!("header:x-{}", at % 50), Exists, &[]), None, None);
    }

    #[test]
    fn what_would_take_too_long_is_given_up() {
        let mut table = FactTable::new();
        let mut header = |key: usize, value: usize| {
            test(&mut table, (&format!("header:x-{key}"), Operator::Eq, vec![value.to_string()]))
        };
        let any = |parts: Vec<Condition>| Condition::Any(parts);
        // 256 alternatives, and as many tests that all of them share.
        let mut conditions: Vec<Condition> = (0..8).map(|at| any(vec![header(at, 0), header(at, 1)])).collect();
        conditions.extend((0..MANY).map(|_| header(0, 0)));
        let begun = Steps::of(&conditions);
        let all = begun.left();
        let _ = never(conditions.iter(), &begun);
        assert!(all - begun.left() <= 1024 * conditions.len());
        // One more is too many, and nothing is said.
        conditions.push(any(vec![header(9, 0), header(9, 1)]));
        conditions.push(header(0, 2));
        assert_eq!(Condition::contradiction(&conditions), None);
    }

    #[test]
    fn a_long_list_of_parts_is_counted_for_every_value_it_is_compared_with() {
        use Operator::{Contains, In, Prefix, Suffix};
        let list = |operator, values| test(&mut FactTable::new(), ("category_id", operator, values));
        let told = |operator, many: usize| {
            let parts = (0..many).map(|at| format!("x{at}")).collect();
            let conditions = [list(In, (0..many).map(|at| at.to_string()).collect()), list(operator, parts)];
            never(&conditions, &Steps::of(&conditions))
        };
        for operator in [Contains, Prefix, Suffix] {
            assert_eq!(told(operator, 500), Some(true), "{operator}");
            assert_eq!(told(operator, 2 * MANY), None, "{operator}");
        }
    }
}
