//! What differs between two configurations as they were written: one tree beside the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::shown;
use crate::config::{Source, Written, written};

/// Most differences that are told one by one; the rest is counted.
pub(super) const MOST: usize = 1000;

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// It was not there before.
    Added,
    /// It is another one.
    Changed,
    /// It is no longer there.
    Removed,
}

impl Became {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Became::Added => "added",
            Became::Changed => "changed",
            Became::Removed => "removed",
        }
    }
}

/// One value that differs. Secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The top field it lies under, such as `releases`.
    pub kind: String,
    /// The name under it, such as that of the release; none where the field has no names.
    pub name: Option<String>,
    /// Its whole path, such as `releases.pricing-v2.permille`.
    pub path: String,
    /// What became of it.
    pub became: Became,
    /// Its value before; none where there was none, or where it is a secret.
    pub from: Option<String>,
    /// Its value after.
    pub to: Option<String>,
}

impl std::fmt::Display for Difference {
    /// `releases.pricing-v2.permille: 50 -> 80`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{}: {from} -> {to}", self.path),
            (None, Some(value)) | (Some(value), None) => {
                write!(f, "{}: {} {value}", self.path, self.became.as_str())
            }
            (None, None) => write!(f, "{}: {}", self.path, self.became.as_str()),
        }
    }
}

/// The names under one top field by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// New ones.
    pub added: BTreeSet<String>,
    /// Those that are different.
    pub changed: BTreeSet<String>,
    /// Those that are gone.
    pub removed: BTreeSet<String>,
}

/// What texts define: the names under each field that has names, as `releases.pricing-v2`, and the other fields.
pub fn defined(sources: &[Source]) -> Vec<String> {
    let everything = differences(&Written::Map(Vec::new()), &written(sources));
    let found = everything.iter().map(|one| match &one.name {
        Some(name) => shown::path(&[&one.kind, name]),
        None => one.kind.clone(),
    });
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Everything that differs, in the order of the paths.
pub(super) fn differences(old: &Written, new: &Written) -> Vec<Difference> {
    let mut walk = Walk { path: Vec::new(), found: Vec::new() };
    walk.values(Some(old), Some(new));
    walk.found.sort_by(|one, two| (&one.kind, &one.name, &one.path).cmp(&(&two.kind, &two.name, &two.path)));
    walk.found
}

/// The names by kind: a name is added or removed where it is as a whole, and changed where something in it is.
pub(super) fn names(differences: &[Difference]) -> BTreeMap<String, Names> {
    let mut kinds: BTreeMap<String, Names> = BTreeMap::new();
    for difference in differences {
        let names = kinds.entry(difference.kind.clone()).or_default();
        let name = difference.name.clone().unwrap_or_else(|| difference.kind.clone());
        let whole = difference.path == shown::path(&[&difference.kind, &name])
            || (difference.name.is_none() && difference.path == difference.kind);
        match difference.became {
            Became::Added if whole => names.added.insert(name),
            Became::Removed if whole => names.removed.insert(name),
            _ => names.changed.insert(name),
        };
    }
    kinds
}

struct Walk {
    path: Vec<String>,
    found: Vec<Difference>,
}

impl Walk {
    fn values(&mut self, old: Option<&Written>, new: Option<&Written>) {
        if old == new {
            return;
        }
        // Of a whole field that comes or goes, each name in it does.
        let absent = Written::Map(Vec::new());
        let whole_field = self.path.len() == 1 && (old.is_none() || new.is_none());
        let named = |value: Option<&Written>| value.is_none_or(|value| entries(value).is_some());
        if whole_field && named(old) && named(new) {
            return self.maps(old.unwrap_or(&absent), new.unwrap_or(&absent));
        }
        match (old, new) {
            (Some(one), Some(two)) if entries(one).is_some() && entries(two).is_some() => self.maps(one, two),
            (Some(Written::List(one)), Some(Written::List(two))) if !(is_flat(one) && is_flat(two)) => {
                for place in 0..one.len().max(two.len()) {
                    self.step(&format!("[{place}]"), |walk| walk.values(one.get(place), two.get(place)));
                }
            }
            (old, new) => self.tell(old, new),
        }
    }

    fn maps(&mut self, old: &Written, new: &Written) {
        let (before, after) = (entries(old).unwrap_or_default(), entries(new).unwrap_or_default());
        let find = |list: &[(String, &Written)]| -> BTreeMap<String, usize> {
            list.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect()
        };
        let (olds, news) = (find(&before), find(&after));
        let names: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
        for name in names {
            let old = olds.get(name).map(|place| before[*place].1);
            let new = news.get(name).map(|place| after[*place].1);
            self.step(name, |walk| walk.values(old, new));
        }
        // The groups of an experiment take their buckets in the order written; nothing else has an order.
        let orders = [&before, &after].map(|list| list.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        let is_groups = self.path.first().is_some_and(|kind| kind == "experiments")
            && self.path.last().is_some_and(|last| last == "groups");
        if is_groups && olds.keys().eq(news.keys()) && orders[0] != orders[1] {
            let [from, to] = orders.map(|order| Written::Scalar(format!("[{}]", order.join(", "))));
            self.step("order", |walk| walk.tell(Some(&from), Some(&to)));
        }
    }

    fn step(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        inside(self);
        self.path.pop();
    }

    fn tell(&mut self, old: Option<&Written>, new: Option<&Written>) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let secret = path.iter().any(|name| shown::is_secret(name));
        let value = |value: Option<&Written>| value.filter(|_| !secret).map(shown::value);
        // Two values that differ only in what is left out would look alike.
        let (mut from, mut to) = (value(old), value(new));
        if from == to {
            (from, to) = (None, None);
        }
        let became = match (old, new) {
            (None, _) => Became::Added,
            (_, None) => Became::Removed,
            _ => Became::Changed,
        };
        let kind = path.first().copied().unwrap_or_default().to_owned();
        let name = path.get(1).filter(|name| !name.starts_with('[')).map(|name| (*name).to_owned());
        self.found.push(Difference { kind, name, path: shown::path(&path), became, from, to });
    }
}

/// The values of a map by key, and of a list of named things by name; nothing where it is neither.
fn entries(value: &Written) -> Option<Vec<(String, &Written)>> {
    match value {
        Written::Map(entries) => Some(entries.iter().map(|(key, value)| (key.clone(), value)).collect()),
        Written::List(items) if !items.is_empty() => {
            let named: Vec<(String, &Written)> =
                items.iter().map(|item| Some((name_of(item)?, item))).collect::<Option<_>>()?;
            let distinct: BTreeSet<&String> = named.iter().map(|(name, _)| name).collect();
            (distinct.len() == named.len()).then_some(named)
        }
        _ => None,
    }
}

/// What a thing in a list goes by: its name, its address, or what a condition asks for.
fn name_of(item: &Written) -> Option<String> {
    let text = |field: &str| item.get(field).and_then(Written::text);
    match (text("name").or_else(|| text("bind")), text("key"), text("operator")) {
        (Some(name), _, _) => Some(name.to_owned()),
        (None, Some(key), Some(operator)) => Some(format!("{key} {operator}")),
        _ => text("metric").map(str::to_owned),
    }
}

/// Whether a list reads best as a whole: scalars, or maps of one scalar.
fn is_flat(items: &[Written]) -> bool {
    items.iter().all(|item| match item {
        Written::Scalar(_) => true,
        Written::List(_) => false,
        Written::Map(entries) => entries.len() == 1 && entries[0].1.text().is_some(),
    })
}
