//! Which products a change concerns: whose answers may come from another lane, or be made by another rule, from then on.
//!
//! A rule concerns the SKUs that its conditions keep it to. What differs in a rule that is kept to none concerns all of them,
//! and so does another product snapshot. Upstreams, listeners, limits and the like concern none.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::config::Written;

/// Most SKUs that are told one by one; beyond that it is all of them.
const MOST: usize = 10_000;
/// Fields of the top that decide for every SKU.
const FOR_ALL: [&str; 4] = ["facts", "experiments", "sku_format", "categories"];
const SKU: &str = "sku_id";

/// The products that a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// None.
    Nothing,
    /// These.
    Skus(BTreeSet<String>),
    /// All of them.
    Everything,
}

impl Serialize for Concern {
    /// A list, or `"*"` for all.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Concern::Nothing => serializer.collect_seq([""; 0]),
            Concern::Skus(skus) => serializer.collect_seq(skus),
            Concern::Everything => serializer.serialize_str("*"),
        }
    }
}

impl Concern {
    /// Of the way from one tree to another.
    pub(super) fn between(old: &Written, new: &Written) -> Concern {
        let both = |field: &str| (old.get(field), new.get(field));
        let version = |tree: &Written| tree.get("products").and_then(|products| products.get("version")).cloned();
        let mut concern = Concern::Nothing;
        if version(old) != version(new) || FOR_ALL.iter().any(|field| old.get(field) != new.get(field)) {
            concern = Concern::Everything;
        }
        for field in ["releases", "business_rules", "gray_releases"] {
            let (before, after) = both(field);
            concern =
                named(before, after).into_iter().fold(concern, |concern, (one, other)| concern.and(rule(one, other)));
        }
        let (before, after) = both("routes");
        pairs(&routes(before), &routes(after))
            .into_iter()
            .fold(concern, |concern, (one, other)| concern.and(route(one, other)))
    }

    /// Both together.
    fn and(self, other: Concern) -> Concern {
        match (self, other) {
            (Concern::Everything, _) | (_, Concern::Everything) => Concern::Everything,
            (Concern::Nothing, one) | (one, Concern::Nothing) => one,
            (Concern::Skus(mut one), Concern::Skus(other)) => {
                one.extend(other);
                if one.len() > MOST { Concern::Everything } else { Concern::Skus(one) }
            }
        }
    }

    fn of(skus: Option<BTreeSet<String>>) -> Concern {
        match skus {
            Some(skus) if skus.is_empty() => Concern::Nothing,
            Some(skus) if skus.len() <= MOST => Concern::Skus(skus),
            _ => Concern::Everything,
        }
    }
}

type Pair<'a> = (Option<&'a Written>, Option<&'a Written>);

/// The entries of two maps that differ.
fn named<'a>(old: Option<&'a Written>, new: Option<&'a Written>) -> Vec<Pair<'a>> {
    let entries = |map: Option<&'a Written>| -> Vec<(&'a str, &'a Written)> {
        match map {
            Some(Written::Map(entries)) => entries.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            _ => Vec::new(),
        }
    };
    pairs(&entries(old), &entries(new))
}

/// What differs of two lists of names and values.
fn pairs<'a>(old: &[(&'a str, &'a Written)], new: &[(&'a str, &'a Written)]) -> Vec<Pair<'a>> {
    let index = |list: &[(&'a str, &'a Written)]| list.iter().copied().collect::<std::collections::BTreeMap<_, _>>();
    let (before, after) = (index(old), index(new));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let pairs = names.iter().map(|name| (before.get(name).copied(), after.get(name).copied()));
    pairs.filter(|(before, after)| before != after).collect()
}

fn routes(list: Option<&Written>) -> Vec<(&str, &Written)> {
    let Some(Written::List(routes)) = list else { return Vec::new() };
    routes.iter().filter_map(|route| Some((route.get("name")?.text()?, route))).collect()
}

/// A release or a business rule that differs.
fn rule(old: Option<&Written>, new: Option<&Written>) -> Concern {
    [old, new].into_iter().flatten().fold(Concern::Nothing, |concern, rule| concern.and(Concern::of(kept_to(rule))))
}

/// The SKUs that a rule is kept to; none where it is kept to none.
fn kept_to(rule: &Written) -> Option<BTreeSet<String>> {
    // Every other level admits whom no condition was asked about.
    if rule.get("level").and_then(Written::text).is_some_and(|level| level != "permille" && level != "off") {
        return None;
    }
    let rule = rule.get("spec").unwrap_or(rule);
    all_of(items(rule.get("conditions")?))
}

fn items(list: &Written) -> &[Written] {
    match list {
        Written::List(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// Of conditions that all hold, each one that names SKUs is enough.
fn all_of(conditions: &[Written]) -> Option<BTreeSet<String>> {
    conditions.iter().filter_map(condition).reduce(|one, other| one.intersection(&other).cloned().collect())
}

fn condition(condition: &Written) -> Option<BTreeSet<String>> {
    if let Some(all) = condition.get("all") {
        return all_of(items(all));
    }
    if let Some(any) = condition.get("any") {
        let each: Option<Vec<BTreeSet<String>>> = items(any).iter().map(self::condition).collect();
        return each.map(|each| each.into_iter().flatten().collect());
    }
    let is = |field: &str, words: &[&str]| {
        condition.get(field).and_then(Written::text).is_some_and(|word| words.contains(&word))
    };
    if !is("key", &[SKU]) || !is("operator", &["EQ", "IN"]) {
        return None;
    }
    let values = condition.get("values").or_else(|| condition.get("value"))?;
    items(values).iter().map(plain).collect()
}

/// A scalar as the text it means: quotes are only written around what would else be something else.
fn plain(value: &Written) -> Option<String> {
    let text = value.text()?;
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(inner.unwrap_or(text).to_owned())
}

/// A route that differs: only in its whitelists, or in more.
fn route(old: Option<&Written>, new: Option<&Written>) -> Concern {
    let (Some(old), Some(new)) = (old, new) else { return Concern::Everything };
    if without_whitelist(old) != without_whitelist(new) {
        return Concern::Everything;
    }
    let (before, after) = (dedicated(old), dedicated(new));
    let differ = before.symmetric_difference(&after).map(|(sku, _)| sku.clone());
    Concern::of(Some(differ.collect()))
}

fn without_whitelist(route: &Written) -> Written {
    let Written::Map(entries) = route else { return route.clone() };
    let inner = |(key, value): &(String, Written)| {
        let value = match (key.as_str(), value) {
            ("strategies", Written::Map(fields)) => {
                Written::Map(fields.iter().filter(|(name, _)| name != "whitelist").cloned().collect())
            }
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Written::Map(entries.iter().map(inner).collect())
}

/// Each SKU of the whitelists, with everything else that is said of it.
fn dedicated(route: &Written) -> BTreeSet<(String, String)> {
    let lists =
        route.get("strategies").and_then(|strategies| strategies.get("whitelist")).map(items).unwrap_or_default();
    let of_list = |list: &Written| {
        let said = |field: &str| list.get(field).and_then(Written::text).unwrap_or_default().to_owned();
        let place = format!("{} {}", said("lane"), said("qos"));
        let skus: Vec<String> = list.get("skus").map(items).unwrap_or_default().iter().filter_map(plain).collect();
        skus.into_iter().map(move |sku| (sku, place.clone())).collect::<Vec<_>>()
    };
    lists.iter().flat_map(of_list).collect()
}
