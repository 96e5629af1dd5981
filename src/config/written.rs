//! A configuration as it was written, as one tree without places: what two configurations are compared by.
//!
//! Comments, order of keys, quotes that change nothing and the split into files are gone; what is left is what was
//! said. Secrets are still in it, so it is compared and hashed, and never shown as it is.

use std::collections::HashMap;
use std::rc::Rc;

use super::Source;
use super::gather::is_gray_release;
use super::node::{self, Kind, Node, Scalar};
use super::problem::Findings;

/// The field that confirms a change; it says nothing about the configuration itself.
const CONFIRM: &str = "confirm";
/// Where `BusinessRule` documents stand in the tree.
const RULES: &str = "business_rules";
/// Where `GrayRelease` documents stand in it.
const RELEASES: &str = "gray_releases";

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A scalar; in quotes only where these make a text of what would else be a number, a flag or nothing.
    Scalar(String),
    /// A list.
    List(Vec<Written>),
    /// A map, in the order written.
    Map(Vec<(String, Written)>),
}

impl Written {
    /// The value of a key, where this is a map.
    pub fn get(&self, name: &str) -> Option<&Written> {
        match self {
            Written::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, where this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Written::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// What the texts of a configuration that loaded say, all of them together: maps merged, lists one after another.
pub fn written(sources: &[Source]) -> Written {
    let mut merged = Merged::default();
    for source in sources {
        let mut findings = Findings::default();
        for document in node::documents(&source.text, 0, &mut findings).unwrap_or_default() {
            match resource_of(&document) {
                Some((table, name, spec)) => merged.add(table.to_owned(), Written::Map(vec![(name, spec)])),
                None => {
                    if let Some(Written::Map(entries)) = value(&document) {
                        entries
                            .into_iter()
                            .filter(|(key, _)| key != CONFIRM)
                            .for_each(|(key, value)| merged.add(key, value));
                    }
                }
            }
        }
    }
    Written::Map(merged.tree)
}

/// A tree that grows by whole documents. Its fields hold thousands of names, so that each is found by its name.
#[derive(Default)]
struct Merged {
    tree: Vec<(String, Written)>,
    /// The place of each name in each field that is a map.
    places: HashMap<String, HashMap<String, usize>>,
}

impl Merged {
    fn add(&mut self, field: String, value: Written) {
        let Some((_, known)) = self.tree.iter_mut().find(|(known, _)| *known == field) else {
            return self.tree.push((field, value));
        };
        match (known, value) {
            (Written::Map(known), Written::Map(next)) => {
                let named = || known.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
                let places = self.places.entry(field).or_insert_with(named);
                for (name, value) in next {
                    match places.get(&name) {
                        Some(place) => merge_value(&mut known[*place].1, value),
                        None => {
                            places.insert(name.clone(), known.len());
                            known.push((name, value));
                        }
                    }
                }
            }
            (known, next) => {
                self.places.remove(&field);
                merge_value(known, next);
            }
        }
    }
}

/// Table, name and `spec` of a resource; what the cluster writes into it is not looked at.
fn resource_of(document: &Node) -> Option<(&'static str, String, Written)> {
    document.get("kind").or_else(|| document.get("apiVersion"))?;
    let table = if is_gray_release(document) { RELEASES } else { RULES };
    let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
    let name = match name.map(|name| &name.kind) {
        Some(Kind::Scalar(scalar)) => scalar.text.clone(),
        _ => String::new(),
    };
    Some((table, name, document.get("spec").and_then(value).unwrap_or_else(|| Written::Map(Vec::new()))))
}

/// A node as a value; nothing where nothing is written.
fn value(node: &Rc<Node>) -> Option<Written> {
    Some(match &node.kind {
        Kind::Scalar(scalar) if scalar.is_null() => return None,
        Kind::Scalar(scalar) => Written::Scalar(scalar_text(scalar)),
        Kind::List(items) => Written::List(items.iter().filter_map(value).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| Some((key.text.clone(), self::value(value)?)));
            Written::Map(entries.collect())
        }
    })
}

fn scalar_text(scalar: &Scalar) -> String {
    let plain = Scalar { text: scalar.text.clone(), quoted: false };
    let means_more = plain.is_null() || plain.boolean().is_some() || scalar.text.parse::<f64>().is_ok();
    if scalar.quoted && means_more { format!("\"{}\"", scalar.text) } else { scalar.text.clone() }
}

fn merge(into: &mut Vec<(String, Written)>, next: Vec<(String, Written)>) {
    for (key, value) in next {
        match into.iter_mut().find(|(known, _)| *known == key).map(|(_, value)| value) {
            None => into.push((key, value)),
            Some(known) => merge_value(known, value),
        }
    }
}

fn merge_value(known: &mut Written, next: Written) {
    match (known, next) {
        (Written::Map(known), Written::Map(next)) => merge(known, next),
        (Written::List(known), Written::List(next)) => known.extend(next),
        (known, next) => *known = next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Written {
        let source = |text: &&str| Source { path: "t.yaml".into(), text: (*text).to_owned() };
        written(&texts.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        assert_eq!(of(&["a: 1 # one\nb: {c: 'x'}\n"]), of(&["a: 1\n", "b:\n  c: x\nd:\n"]));
        assert_eq!(of(&["trust: [a, b]"]), of(&["trust: [a]", "trust: [b]"]));
        assert_eq!(of(&["a: 1\nconfirm: 12ab\n"]), of(&["a: 1"]));
    }

    #[test]
    fn quotes_count_where_they_make_a_text() {
        assert_ne!(of(&["a: '330000'"]), of(&["a: 330000"]));
        assert_ne!(of(&["a: 'true'"]), of(&["a: true"]));
    }

    #[test]
    fn rules_stand_under_their_names_without_what_the_cluster_writes() {
        let rule = "apiVersion: gray.alibaba.com/v1\nkind: BusinessRule\nmetadata: {name: r, uid: 7}\nspec: {service: \
                    s}\nstatus: {a: 1}\n";
        let tree = of(&[rule]);
        let spec = tree.get(RULES).and_then(|rules| rules.get("r")).unwrap();
        assert_eq!(spec.get("service").and_then(Written::text), Some("s"));
        assert_eq!(tree, of(&[&rule.replace("a: 1", "a: 2").replace("uid: 7", "uid: 8")]));
    }
}
