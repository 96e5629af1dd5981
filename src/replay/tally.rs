//! What was counted. Each thread has a tally of its own; they are added at the end.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use super::distinct::Distinct;
use super::facts::Why;
use super::judge::{Goods, Placed};

/// Characters of a line that are kept to be shown.
const SHOWN: usize = 120;

/// Requests, and what they were about.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) users: Distinct,
    pub(super) skus: Distinct,
    pub(super) categories: Distinct,
    pub(super) amount: Decimal,
}

/// From one route and lane to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) from: (Option<u16>, Option<u8>),
    pub(super) to: (Option<u16>, Option<u8>),
}

/// Lines of one kind that do not count, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) lines: u64,
    pub(super) first: Place,
    pub(super) reason: String,
    pub(super) shown: String,
}

/// A line of an input, from 1; ordered as they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) line: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally<'s> {
    pub(super) seen: Counts,
    pub(super) changed: Counts,
    pub(super) ways: HashMap<Way, Counts>,
    pub(super) undecided: BTreeMap<Why<'s>, Skip>,
    /// By kind, and which one of the kind.
    pub(super) unreadable: BTreeMap<(&'static str, &'static str), Skip>,
    /// Requests that the first configuration puts on another lane than the log says.
    pub(super) unlike_log: Option<Skip>,
}

impl Counts {
    pub(super) fn add(&mut self, goods: &Goods) {
        self.requests += 1;
        goods.user.into_iter().for_each(|user| self.users.add(user));
        goods.sku.into_iter().for_each(|sku| self.skus.add(sku));
        goods.category.into_iter().for_each(|category| self.categories.add(category));
        self.amount = self.amount.saturating_add(goods.amount.unwrap_or_default());
    }

    fn merge(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.users.merge(&other.users);
        self.skus.merge(&other.skus);
        self.categories.merge(&other.categories);
        self.amount = self.amount.saturating_add(other.amount);
    }
}

impl Way {
    pub(super) fn of(from: &Placed, to: &Placed) -> Way {
        let end = |placed: &Placed| {
            (placed.route.map(|route| route.index() as u16), placed.lane.map(|lane| lane.index() as u8))
        };
        Way { from: end(from), to: end(to) }
    }
}

impl Skip {
    pub(super) fn new(first: Place, reason: String, line: &[u8]) -> Skip {
        let text = String::from_utf8_lossy(&line[..line.len().min(4 * SHOWN)]);
        let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Skip { lines: 1, first, reason, shown }
    }

    fn merge(&mut self, other: Skip) {
        let lines = self.lines + other.lines;
        if other.first < self.first {
            *self = other;
        }
        self.lines = lines;
    }
}

/// Counts one more line of a kind. The blocks of one thread come in order, so its first is the first.
pub(super) fn skip<K: Ord>(list: &mut BTreeMap<K, Skip>, kind: K, first: impl FnOnce() -> Skip) {
    list.entry(kind).and_modify(|known| known.lines += 1).or_insert_with(first);
}

impl<'s> Tally<'s> {
    pub(super) fn unlike(&mut self, first: impl FnOnce() -> Skip) {
        match &mut self.unlike_log {
            Some(known) => known.lines += 1,
            None => self.unlike_log = Some(first()),
        }
    }

    pub(super) fn merge(&mut self, other: Tally<'s>) {
        self.seen.merge(&other.seen);
        self.changed.merge(&other.changed);
        for (way, counts) in other.ways {
            self.ways.entry(way).or_default().merge(&counts);
        }
        for (why, more) in other.undecided {
            merge_into(&mut self.undecided, why, more);
        }
        for (kind, more) in other.unreadable {
            merge_into(&mut self.unreadable, kind, more);
        }
        match (&mut self.unlike_log, other.unlike_log) {
            (Some(known), Some(more)) => known.merge(more),
            (None, more) => self.unlike_log = more,
            (_, None) => {}
        }
    }
}

fn merge_into<K: Ord>(list: &mut BTreeMap<K, Skip>, kind: K, more: Skip) {
    match list.entry(kind) {
        std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(more),
        std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(more),
    }
}
