//! A YAML text as a tree in which every value knows its place.
//!
//! Typed deserialisation stops at its first error, and a `check` that is run twelve times for twelve mistakes is
//! not a check. So the events of the YAML parser become this small tree, and `read` walks it and goes on after a
//! problem. Only a syntax error ends the reading of a file: what follows it cannot be known.
//!
//! Bounds, so that no file can cost more than it is long: nesting, and the number of values with aliases counted as
//! often as they are used.

use std::collections::HashMap;
use std::rc::Rc;

use serde_yaml::granit_parser::{self as yaml, Event, Parser, ScalarStyle};

use super::problem::Findings;
use super::text::Span;

/// Deepest nesting of lists and maps. The deepest valid file needs about ten, and conditions may nest.
const MAX_DEPTH: usize = 64;
/// Most values in a document, aliases counted as often as they are used.
const MAX_VALUES: usize = 250_000;

/// One value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Span,
    /// Values in this subtree, itself and every use of an alias included.
    values: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<(Key, Rc<Node>)>),
}

/// A scalar as written: `330000` stays six characters, and whether it was quoted is kept.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) quoted: bool,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) at: Span,
}

impl Node {
    /// Nothing was written, or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }

    /// Whether it is this text.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.text == word)
    }

    /// What was found, for messages.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Scalar(scalar) if scalar.is_null() => "nothing",
            Kind::Scalar(scalar) if scalar.quoted => "a quoted text",
            Kind::Scalar(scalar) if scalar.boolean().is_some() => "a boolean",
            Kind::Scalar(scalar) if scalar.text.parse::<f64>().is_ok() => "a number",
            Kind::Scalar(_) => "a text",
        }
    }

    /// The value of a key of a map.
    pub(super) fn get(&self, name: &str) -> Option<&Rc<Node>> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl Scalar {
    pub(super) fn is_null(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// YAML 1.2 booleans; `yes` and `off` are texts.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.text.as_str() {
            _ if self.quoted => None,
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }
}

/// Reads every document of a text. `None` after a problem that hides the rest of the file.
pub(super) fn documents(text: &str, source: usize, findings: &mut Findings) -> Option<Vec<Rc<Node>>> {
    let mut options = yaml::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder =
        Builder { source, findings, open: Vec::new(), anchors: HashMap::new(), done: Vec::new(), values: 0 };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                let range = span.byte_range().unwrap_or_default();
                builder.event(event, Span::new(source, range)).ok()?;
            }
            Err(error) => {
                syntax_error(&error, text, source, builder.findings);
                return None;
            }
        }
    }
    Some(builder.done)
}

fn syntax_error(error: &yaml::ScanError, text: &str, source: usize, findings: &mut Findings) {
    let offset = error
        .marker()
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(error.marker().index()).map_or(text.len(), |(offset, _)| offset));
    let (offset, tab) = match leading_tab(text, offset) {
        Some(tab) => (tab, true),
        None => (offset, false),
    };
    let at =
        Span::new(source, offset..offset + text[offset.min(text.len())..].chars().next().map_or(0, char::len_utf8));
    if matches!(error.kind(), yaml::ErrorKind::RecursionLimitExceeded) {
        findings.error(at, format!("nested deeper than {MAX_DEPTH} levels"));
    } else if tab {
        findings.error(at, "a tab cannot indent YAML").help("indent with spaces");
    } else {
        findings.error(at, format!("not valid YAML: {}", error.info()));
    }
}

/// The tab in the indentation of the line of a syntax error, or of a line beside it: the parser tells a tab where it
/// noticed it, which is not always where it is.
fn leading_tab(text: &str, offset: usize) -> Option<usize> {
    let offset = (0..=offset.min(text.len())).rev().find(|&offset| text.is_char_boundary(offset))?;
    let line = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[..line.saturating_sub(1)].rfind('\n').map_or(0, |newline| newline + 1);
    let after = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline + 1);
    [line, before, after].into_iter().find_map(|start| {
        let blank = text[start..].len() - text[start..].trim_start_matches([' ', '\t', '-']).len();
        text[start..start + blank].find('\t').map(|tab| start + tab)
    })
}

/// A reason to stop reading the file was found and told.
struct Stop;

struct Builder<'f> {
    source: usize,
    findings: &'f mut Findings,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    done: Vec<Rc<Node>>,
    values: usize,
}

/// A list or map that is not closed yet.
struct Open {
    at: Span,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Rc<Node>>),
    Map(Entries),
}

#[derive(Default)]
struct Entries {
    list: Vec<(Key, Rc<Node>)>,
    places: HashMap<String, Span>,
    /// The key that waits for its value: `None` in it where the key was no scalar and its value is dropped.
    waiting: Option<Option<Key>>,
    merged: Vec<Rc<Node>>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, at: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = !matches!(style, ScalarStyle::Plain)
                    || tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                self.refuse_tag(tag.as_deref(), at);
                let scalar = Scalar { text: text.into_owned(), quoted };
                self.close(Kind::Scalar(scalar), at, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.begin(at, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.begin(at, anchor, Items::Map(Entries::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = Rc::clone(node);
                    self.place(node, at)
                }
                None => {
                    self.findings.error(at, "an alias cannot stand inside the value it names");
                    Err(Stop)
                }
            },
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, tag: Option<&yaml::Tag>, at: Span) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.findings.error(at, format!("the tag `{}` means nothing here", tag.original()));
        }
    }

    fn begin(&mut self, at: Span, anchor: usize, items: Items) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.findings.error(at, format!("nested deeper than {MAX_DEPTH} levels"));
            return Err(Stop);
        }
        self.open.push(Open { at, anchor, items });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let at = Span::new(self.source, open.at.range().start..end.range().end);
        let kind = match open.items {
            Items::List(items) => Kind::List(items),
            Items::Map(entries) => {
                // Merging copies keys: counted, or a short file of merges could ask for a long day's work.
                let merged = entries.merged.iter().fold(0, |sum: usize, node| sum.saturating_add(node.values));
                self.values = self.values.saturating_add(merged);
                let entries = if self.values > MAX_VALUES { Vec::new() } else { entries.finish() };
                Kind::Map(entries)
            }
        };
        self.close(kind, at, open.anchor)
    }

    fn close(&mut self, kind: Kind, at: Span, anchor: usize) -> Result<(), Stop> {
        let inside: usize = match &kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().fold(0, |sum, item| sum.saturating_add(item.values)),
            Kind::Map(entries) => entries.iter().fold(0, |sum, (_, value)| sum.saturating_add(value.values)),
        };
        let node = Rc::new(Node { kind, at, values: inside.saturating_add(1) });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, at)
    }

    /// Puts a finished value, or an alias of one, where it belongs. `at` is the place of the use.
    fn place(&mut self, node: Rc<Node>, at: Span) -> Result<(), Stop> {
        self.values += 1;
        if node.values > MAX_VALUES || self.values > MAX_VALUES {
            self.findings
                .error(at, format!("more than {MAX_VALUES} values, each use of an alias counted"))
                .help("split the file, or use fewer aliases");
            return Err(Stop);
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.done.push(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map(entries)) => entries.take(node, at, self.findings),
        }
        Ok(())
    }
}

impl Entries {
    fn take(&mut self, node: Rc<Node>, at: Span, findings: &mut Findings) {
        match self.waiting.take() {
            None => self.waiting = Some(self.key(&node, at, findings)),
            Some(Some(key)) if key.text == "<<" => self.merge(node, at, findings),
            Some(Some(key)) => self.list.push((key, node)),
            Some(None) => {}
        }
    }

    fn key(&mut self, node: &Node, at: Span, findings: &mut Findings) -> Option<Key> {
        let Kind::Scalar(scalar) = &node.kind else {
            findings.error(at, format!("a key is a text, not {}", node.what()));
            return None;
        };
        if let Some(first) = self.places.get(&scalar.text) {
            findings.error(at, format!("the key `{}` stands twice in this map", scalar.text)).also(*first, "first");
            return None;
        }
        self.places.insert(scalar.text.clone(), at);
        Some(Key { text: scalar.text.clone(), at })
    }

    /// `<<: *base` takes the entries of another map that this one does not write itself.
    fn merge(&mut self, node: Rc<Node>, at: Span, findings: &mut Findings) {
        match &node.kind {
            Kind::Map(_) => self.merged.push(node),
            Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                self.merged.extend(items.iter().cloned());
            }
            _ => {
                findings.error(at, format!("`<<` merges a map or a list of maps, not {}", node.what()));
            }
        }
    }

    fn finish(mut self) -> Vec<(Key, Rc<Node>)> {
        for merged in &self.merged {
            let Kind::Map(entries) = &merged.kind else { continue };
            for (key, value) in entries {
                if !self.places.contains_key(&key.text) {
                    self.places.insert(key.text.clone(), key.at);
                    self.list.push((Key { text: key.text.clone(), at: key.at }, Rc::clone(value)));
                }
            }
        }
        self.list
    }
}
