//! Where values stand in JSON text: pointers (RFC 6901), and all those that are wanted as one tree, so that a text is gone
//! through once for all of them.
//!
//! Only the ways to the values are followed by recursion, so the pointers bound the depth; all else is skipped without.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Key;

/// A JSON pointer, or the name of a member. A copy is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Arc<Steps>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Steps {
    written: Box<str>,
    tokens: Box<[Box<str>]>,
    /// The tree of this one alone.
    alone: Node,
}

/// Pointers that are looked for together.
#[derive(Debug, Clone, Default)]
pub(super) struct Pointers {
    /// Each with whether a list there is joined, and its place in what is found.
    wanted: Vec<(Pointer, bool, usize)>,
    places: usize,
    tree: Node,
}

/// What is looked for at one place and below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// The place in what is found of what stands here, where that is wanted.
    here: Option<usize>,
    below: Vec<Branch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Branch {
    name: Box<str>,
    /// The name as an index of a list.
    index: Option<usize>,
    node: Node,
}

impl Pointer {
    /// A pointer of RFC 6901, as `/items/0/sku_id`.
    pub fn new(text: &str) -> Pointer {
        let tokens = text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~").into());
        Pointer::of(text, tokens.collect())
    }

    /// A claim: a pointer where it begins with `/`, else the name of a member of the whole.
    pub fn claim(text: &str) -> Pointer {
        if text.starts_with('/') { Pointer::new(text) } else { Pointer::of(text, Box::new([text.into()])) }
    }

    fn of(written: &str, tokens: Box<[Box<str>]>) -> Pointer {
        let mut alone = Node::default();
        alone.at(&tokens).here = Some(0);
        Pointer(Arc::new(Steps { written: written.into(), tokens, alone }))
    }

    /// As it is written in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }

    /// The tree of this one alone, whose place is 0.
    pub(super) fn alone(&self) -> &Node {
        &self.0.alone
    }
}

impl Pointers {
    /// These, each with whether a list there is joined.
    pub(super) fn new(wanted: impl IntoIterator<Item = (Pointer, bool)>) -> Pointers {
        let mut all = Pointers::default();
        for (pointer, joins_lists) in wanted {
            let here = &mut all.tree.at(&pointer.0.tokens).here;
            let place = *here.get_or_insert(all.places);
            all.places = all.places.max(place + 1);
            if !all.wanted.iter().any(|(known, joins, _)| (known, *joins) == (&pointer, joins_lists)) {
                all.wanted.push((pointer, joins_lists, place));
            }
        }
        all
    }

    /// How many places there are in what is found.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn tree(&self) -> &Node {
        &self.tree
    }

    /// Each pointer with whether a list there is joined, and its place in what is found.
    pub(super) fn wanted(&self) -> impl ExactSizeIterator<Item = (&Pointer, bool, usize)> {
        self.wanted.iter().map(|(pointer, joins_lists, place)| (pointer, *joins_lists, *place))
    }
}

impl Node {
    /// The node at the end of a way, which is laid where it is not there yet.
    fn at(&mut self, tokens: &[Box<str>]) -> &mut Node {
        tokens.iter().fold(self, |node, token| {
            let known = node.below.iter().position(|branch| branch.name == *token);
            let place = known.unwrap_or_else(|| {
                node.below.push(Branch { name: token.clone(), index: index(token), node: Node::default() });
                node.below.len() - 1
            });
            &mut node.below[place].node
        })
    }

    /// Goes through a text, and keeps what stands where something is wanted. What was found before an error does not count.
    pub(super) fn walk<'t>(&self, text: &'t str, found: &mut [Option<&'t RawValue>]) -> serde_json::Result<()> {
        let mut reader = serde_json::Deserializer::from_str(text);
        Walk { node: self, found }.deserialize(&mut reader)?;
        reader.end()
    }

    /// Of a key that stands twice the last counts, with nothing of the first.
    fn forget(&self, found: &mut [Option<&RawValue>]) {
        if let Some(place) = self.here {
            found[place] = None;
        }
        self.below.iter().for_each(|branch| branch.node.forget(found));
    }
}

/// Goes down along what is left of the ways.
struct Walk<'n, 'f, 't> {
    node: &'n Node,
    found: &'f mut [Option<&'t RawValue>],
}

impl<'t> DeserializeSeed<'t> for Walk<'_, '_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(place) = self.node.here else { return deserializer.deserialize_any(self) };
        let raw = <&RawValue>::deserialize(deserializer)?;
        self.found[place] = Some(raw);
        if self.node.below.is_empty() {
            return Ok(());
        }
        // Wanted as a whole and in parts, which a number or a text has none of; gone into all the same, so that what no
        // type holds is found out as on the way to a part alone.
        serde_json::Deserializer::from_str(raw.get()).deserialize_any(self).map_err(D::Error::custom)
    }
}

impl<'t> Visitor<'t> for Walk<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            match self.node.below.iter().find(|branch| *key == *branch.name) {
                Some(Branch { node, .. }) => {
                    node.forget(self.found);
                    map.next_value_seed(Walk { node, found: &mut *self.found })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut seq: A) -> Result<(), A::Error> {
        for at in 0_usize.. {
            let is_there = match self.node.below.iter().find(|branch| branch.index == Some(at)) {
                Some(Branch { node, .. }) => seq.next_element_seed(Walk { node, found: &mut *self.found })?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_there {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// An index of RFC 6901: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}
