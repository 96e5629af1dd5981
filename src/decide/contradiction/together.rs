//! Tests on one fact that have to hold together.

use ipnet::IpNet;
use rust_decimal::Decimal;

use super::super::FixedSet;
use super::super::condition::Test;
use super::super::fact::FactKind;
use super::super::predicate::{Predicate, Texts};
use super::span::Span;
use super::steps::Steps;
use super::versions;

/// What looking up all networks around one may take.
const NETWORKS_AROUND: usize = 32;

/// Those that have to hold, and those that must not.
#[derive(Clone, Default)]
pub(super) struct Together<'c> {
    wanted: Vec<&'c Test>,
    unwanted: Vec<&'c Test>,
}

impl<'c> Together<'c> {
    pub(super) fn add(&mut self, test: &'c Test, wanted: bool) {
        if wanted { self.wanted.push(test) } else { self.unwanted.push(test) }
    }

    /// These and others.
    pub(super) fn and(&self, other: &Together<'c>, steps: &Steps) -> Option<Together<'c>> {
        steps.take(self.wanted.len() + self.unwanted.len())?;
        Some(Together {
            wanted: [&*self.wanted, &*other.wanted].concat(),
            unwanted: [&*self.unwanted, &*other.unwanted].concat(),
        })
    }

    /// Whether no value passes all of them. Nothing can be said where all are turned around: then none may be there.
    pub(super) fn is_contradiction(&self, steps: &Steps) -> Option<bool> {
        let tests = self.wanted.iter().chain(&self.unwanted);
        steps.take(tests.map(|test| 1 + test.values().len()).sum())?;
        Some(
            !self.wanted.is_empty()
                && (self.turns_itself_around()
                    || self.no_text_fits(steps)?
                    || self.no_number_fits(steps)?
                    || self.no_version_fits()
                    || self.no_tags_fit()
                    || self.no_beginning_fits(steps)?
                    || self.no_network_fits(steps)?),
        )
    }

    /// A test and the same one under `not:`; `not: EXISTS` beside anything that needs a value.
    fn turns_itself_around(&self) -> bool {
        if self.unwanted.is_empty() {
            return false;
        }
        let unwanted: FixedSet<_> = self.unwanted.iter().map(|test| (test.operator(), test.values())).collect();
        self.unwanted.iter().any(|test| matches!(test.predicate(), Predicate::Present))
            || self.wanted.iter().any(|test| unwanted.contains(&(test.operator(), test.values())))
    }

    /// A test that lists the possible values, and none of them passes the others.
    fn no_text_fits(&self, steps: &Steps) -> Option<bool> {
        // Every such list holds the value, so the shortest will do.
        let listed = self.lists().filter(|(_, numbers)| numbers.is_empty()).map(|(texts, _)| texts);
        match listed.min_by_key(|texts| texts.len()) {
            Some(texts) => self.admit_none(texts.iter().collect(), steps),
            None => Some(false),
        }
    }

    /// The regions that are listed and pass all tests; nothing where no test lists any.
    pub(super) fn regions(&self, steps: &Steps) -> Option<Option<Vec<&'c str>>> {
        let regions = self.wanted.iter().filter(|test| test.kind() == FactKind::Region);
        let lists = regions.filter_map(|test| match test.predicate() {
            Predicate::Equal { texts, .. } if !test.operator().is_negative() => Some(texts),
            _ => None,
        });
        let Some(shortest) = lists.min_by_key(|texts| texts.len()) else { return Some(None) };
        self.admitted(shortest.iter().collect(), steps).map(Some)
    }

    /// The values of tests that list what the value may be.
    fn lists(&self) -> impl Iterator<Item = (&'c Texts, &'c [Decimal])> {
        self.wanted.iter().filter_map(|test| match test.predicate() {
            Predicate::Equal { texts, numbers } if !test.operator().is_negative() => Some((texts, &**numbers)),
            _ => None,
        })
    }

    /// Whether none of the texts passes all tests.
    pub(super) fn admit_none(&self, texts: Vec<&str>, steps: &Steps) -> Option<bool> {
        self.admitted(texts, steps).map(|left| left.is_empty())
    }

    /// Those of the texts that pass all tests.
    fn admitted<'v>(&self, mut left: Vec<&'v str>, steps: &Steps) -> Option<Vec<&'v str>> {
        // What tests shut out by listing it is looked up at once.
        let shut = |test: &Test, wanted: bool| test.operator().is_negative() == wanted;
        let listed = |test: &'c Test| match test.predicate() {
            Predicate::Equal { texts, numbers } if numbers.is_empty() => Some(texts),
            _ => None,
        };
        let all =
            || self.wanted.iter().map(|test| (*test, true)).chain(self.unwanted.iter().map(|test| (*test, false)));
        let shut_out: FixedSet<&str> = all()
            .filter(|(test, wanted)| shut(test, *wanted))
            .filter_map(|(test, _)| listed(test))
            .flat_map(Texts::iter)
            .collect();
        left.retain(|text| !shut_out.contains(text));
        for (test, wanted) in all().filter(|(test, wanted)| !(shut(test, *wanted) && listed(test).is_some())) {
            if left.is_empty() {
                break;
            }
            steps.take(left.len().saturating_mul(compared(test)))?;
            left.retain(|text| test.holds_of(text) == wanted);
        }
        Some(left)
    }

    /// Ranges that do not meet, or listed numbers outside of them.
    fn no_number_fits(&self, steps: &Steps) -> Option<bool> {
        let span = self.span();
        let lists = || self.lists().filter(|(_, numbers)| !numbers.is_empty());
        // A list that has texts too says the most: its numbers may be on no other list, and its texts fail by themselves.
        let mixed = lists().find(|(texts, _)| !texts.is_empty());
        match mixed.or_else(|| lists().min_by_key(|(_, numbers)| numbers.len())) {
            Some((texts, numbers)) => {
                let within = numbers.iter().copied().filter(|number| span.is_none_or(|span| span.contains(*number)));
                Some(self.shut_out_all(within.collect(), steps)? && self.admit_none(texts.iter().collect(), steps)?)
            }
            None => match span {
                Some(span) if span.is_empty() => Some(true),
                Some(span) => span.only().map_or(Some(false), |number| self.shut_out_all(vec![number], steps)),
                None => Some(false),
            },
        }
    }

    /// What all ranges leave, where there are some.
    fn span(&self) -> Option<Span<Decimal>> {
        let ranges = self.wanted.iter().filter_map(|test| match test.predicate() {
            Predicate::Range { low, high } => Some(Span { low: *low, high: *high }),
            _ => None,
        });
        let span = ranges.reduce(Span::and)?;
        // A value that is no number meets no range, and then `not:` of a range says nothing of it.
        let turned = self.unwanted.iter().filter_map(|test| match test.predicate() {
            Predicate::Range { low: Some((end, closed)), high: None } => {
                Some(Span { low: None, high: Some((*end, !closed)) })
            }
            Predicate::Range { low: None, high: Some((end, closed)) } => {
                Some(Span { low: Some((*end, !closed)), high: None })
            }
            _ => None,
        });
        Some(turned.fold(span, Span::and))
    }

    /// Whether each of these numbers is shut out however it is written, by a test that compares numbers alone.
    fn shut_out_all(&self, mut left: Vec<Decimal>, steps: &Steps) -> Option<bool> {
        let numbers = |test: &'c Test| match test.predicate() {
            Predicate::Equal { texts, numbers } if texts.is_empty() => Some(&**numbers),
            _ => None,
        };
        let wanted = || self.wanted.iter().filter_map(|test| Some((test.operator().is_negative(), numbers(test)?)));
        let unwanted =
            || self.unwanted.iter().filter_map(|test| Some((!test.operator().is_negative(), numbers(test)?)));
        let lists = || wanted().chain(unwanted());
        let shut: FixedSet<&Decimal> = lists().filter(|(shuts, _)| *shuts).flat_map(|(_, list)| list).collect();
        left.retain(|number| !shut.contains(number));
        for (_, list) in lists().filter(|(shuts, _)| !*shuts) {
            steps.take(left.len())?;
            left.retain(|number| list.binary_search(number).is_ok());
        }
        for test in &self.unwanted {
            if let Predicate::Range { low, high } = test.predicate() {
                steps.take(left.len())?;
                left.retain(|number| !Span { low: *low, high: *high }.contains(*number));
            }
        }
        Some(left.is_empty())
    }

    /// Requirements that no version meets.
    fn no_version_fits(&self) -> bool {
        let spans = self.wanted.iter().filter_map(|test| match test.predicate() {
            Predicate::Version(requirement) => versions::span(requirement),
            _ => None,
        });
        spans.reduce(Span::and).is_some_and(Span::is_empty)
    }

    /// Tags that have to be there and must not be.
    fn no_tags_fit(&self) -> bool {
        let (mut forbidden, mut required) = (FixedSet::default(), FixedSet::default());
        for test in &self.unwanted {
            match test.predicate() {
                Predicate::AnyOf(tags) => forbidden.extend(tags.iter()),
                Predicate::AllOf(tags) => forbidden.extend(tags.first().filter(|_| tags.len() == 1).map(|tag| &**tag)),
                _ => {}
            }
        }
        for test in &self.wanted {
            if let Predicate::AllOf(tags) = test.predicate() {
                required.extend(tags.iter().map(|tag| &**tag));
            }
        }
        let none_left = self.wanted.iter().any(|test| match test.predicate() {
            Predicate::AnyOf(tags) => tags.iter().all(|tag| forbidden.contains(tag)),
            _ => false,
        });
        let all_there = self.unwanted.iter().any(|test| match test.predicate() {
            Predicate::AllOf(tags) => tags.iter().all(|tag| required.contains(&**tag)),
            _ => false,
        });
        none_left || all_there || required.iter().any(|tag| forbidden.contains(tag))
    }

    /// Prefixes of which none begins with another's; suffixes likewise.
    fn no_beginning_fits(&self, steps: &Steps) -> Option<bool> {
        let of = |suffix: bool| -> Vec<Vec<&str>> {
            let lists = self.wanted.iter().filter_map(|test| match (test.predicate(), suffix) {
                (Predicate::Prefix(list), false) | (Predicate::Suffix(list), true) => Some(list),
                _ => None,
            });
            lists.map(|list| list.iter().map(|text| &**text).collect()).collect()
        };
        let starts = |one: &&str, other: &&str| one.starts_with(*other) || other.starts_with(*one);
        let ends = |one: &&str, other: &&str| one.ends_with(*other) || other.ends_with(*one);
        let long = |text: &&str| text.len();
        Some(are_apart(&of(false), long, starts, steps)? || are_apart(&of(true), long, ends, steps)?)
    }

    /// Networks that do not meet, or that lie in those that are shut out.
    fn no_network_fits(&self, steps: &Steps) -> Option<bool> {
        let networks = |test: &&'c Test| match test.predicate() {
            Predicate::Networks(networks) => Some(networks.as_slice()),
            _ => None,
        };
        let negative = |test: &&&'c Test| test.operator().is_negative();
        let open: Vec<&[IpNet]> = self.wanted.iter().filter(|test| !negative(test)).filter_map(networks).collect();
        let meet = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
        if are_apart(&open, |network| network.prefix_len().into(), meet, steps)? {
            return Some(true);
        }
        let shut: FixedSet<IpNet> = (self.wanted.iter().filter(negative))
            .chain(self.unwanted.iter().filter(|test| !negative(test)))
            .filter_map(networks)
            .flatten()
            .copied()
            .collect();
        if shut.is_empty() {
            return Some(false);
        }
        steps.take(open.iter().map(|list| list.len() * NETWORKS_AROUND).sum())?;
        let around = |network: &IpNet| std::iter::successors(Some(*network), IpNet::supernet);
        let inside = |network: &IpNet| around(network).any(|outer| shut.contains(&outer));
        Some(open.iter().any(|list| list.iter().all(inside)))
    }
}

/// What one value is compared with: a list that is hashed or in order is asked once, another one is run through.
fn compared(test: &Test) -> usize {
    match test.predicate() {
        Predicate::Present
        | Predicate::Equal { .. }
        | Predicate::Range { .. }
        | Predicate::Regex(_)
        | Predicate::Version(_)
        | Predicate::AnyOf(_) => 1,
        Predicate::Prefix(_)
        | Predicate::Suffix(_)
        | Predicate::Contains(_)
        | Predicate::Networks(_)
        | Predicate::AllOf(_) => 1 + test.values().len(),
    }
}

/// Whether two of these lists have no two values that meet. Two values that meet are such that one is within the other, and the
/// narrower one is the `narrow`er: so lists of one value are compared with the narrowest of them and not with each other.
fn are_apart<T>(
    lists: &[impl AsRef<[T]>],
    narrow: impl Fn(&T) -> usize,
    meet: impl Fn(&T, &T) -> bool,
    steps: &Steps,
) -> Option<bool> {
    let apart = |one: &[T], other: &[T]| !one.iter().any(|first| other.iter().any(|second| meet(first, second)));
    let (single, several): (Vec<&[T]>, Vec<&[T]>) = lists.iter().map(AsRef::as_ref).partition(|list| list.len() == 1);
    if let Some(narrowest) = single.iter().max_by_key(|list| narrow(&list[0]))
        && lists.iter().any(|list| apart(list.as_ref(), narrowest))
    {
        return Some(true);
    }
    for (place, one) in several.iter().enumerate() {
        for other in &several[place + 1..] {
            steps.take(one.len() * other.len())?;
            if apart(one, other) {
                return Some(true);
            }
        }
    }
    Some(false)
}
