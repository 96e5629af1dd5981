//! From nodes to the file mirror: every wrong value is told, and reading goes on.
//!
//! `mirror!` writes a mirror struct once and derives three things from that one text: the struct, its reader and its
//! JSON Schema. So the schema and the reader cannot diverge.

use std::borrow::Cow;
use std::rc::Rc;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::nearest::nearest;
use super::node::{Key, Kind, Node, Scalar};
use super::problem::Findings;
use super::text::{At, Span};

/// A value that can be read from a node. `None` after a problem, which is told to `findings` first.
pub(super) trait Read: Sized {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self>;
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        T::read(node, findings).map(|value| At { value, at: node.at })
    }
}

impl<T: Read> Read for Box<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        T::read(node, findings).map(Box::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.kind {
            Kind::List(items) => {
                let read: Vec<T> = items.iter().filter_map(|item| T::read(item, findings)).collect();
                // A list of nothing but wrong items is not an empty list.
                (items.is_empty() || !read.is_empty()).then_some(read)
            }
            _ if node.is_null() => Some(Vec::new()),
            _ => {
                findings.error(node.at, format!("expected a list, found {}", node.what())).help("write it as `[a, b]`");
                None
            }
        }
    }
}

/// One value or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.kind {
            Kind::List(_) => Vec::read(node, findings).map(OneOrMany),
            _ => T::read(node, findings).map(|one| OneOrMany(vec![one])),
        }
    }
}

/// A map whose keys are names the user chose. An entry whose value could not be read keeps its name, so that a
/// reference to it is no second problem.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    pub(super) entries: Vec<(At<String>, Option<T>)>,
    /// It was no map: which names it would have is not known.
    pub(super) unread: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { entries: Vec::new(), unread: false }
    }
}

impl<T> Table<T> {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.value.as_str())
    }

    /// The entries that could be read.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&At<String>, &T)> {
        self.entries.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
    }

    /// Whether the name is certainly not there.
    pub(super) fn lacks(&self, name: &str) -> bool {
        !self.unread && !self.names().any(|there| there == name)
    }
}

impl<T: Read> Read for Table<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            _ if node.is_null() => return Some(Table::default()),
            _ => {
                findings.error(node.at, format!("expected a map of names, found {}", node.what()));
                return Some(Table { unread: true, ..Table::default() });
            }
        };
        let named =
            |(key, value): &(Key, Rc<Node>)| (At { value: key.text.clone(), at: key.at }, T::read(value, findings));
        Some(Table { entries: entries.iter().map(named).collect(), unread: false })
    }
}

/// The scalar of a node, or a problem that says what was expected.
pub(super) fn scalar<'n>(node: &'n Node, expected: &str, findings: &mut Findings) -> Option<&'n Scalar> {
    match &node.kind {
        Kind::Scalar(scalar) if !scalar.is_null() => Some(scalar),
        _ => {
            findings.error(node.at, format!("expected {expected}, found {}", node.what()));
            None
        }
    }
}

/// The fields of a map that are being read into a mirror struct.
pub(super) struct Fields<'n> {
    node: &'n Node,
    what: &'static str,
    /// Values of unknown keys, under the field that was probably meant: so they are read as well, and what they hold
    /// is neither missing nor unchecked.
    misspelt: Vec<(String, &'n Rc<Node>)>,
}

impl<'n> Fields<'n> {
    /// Tells every key that is no field. `None` where the node is no map at all.
    pub(super) fn open(
        node: &'n Node,
        what: &'static str,
        names: &[&'static str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            findings
                .error(node.at, format!("expected {what}: a map, found {}", node.what()))
                .help(format!("fields: {}", names.join(", ")));
            return None;
        };
        let mut misspelt = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| !names.contains(&key.text.as_str())) {
            findings
                .error(key.at, format!("unknown field `{}` in {what}", key.text))
                .suggest_or_list(&key.text, names.iter().copied());
            if misspelt.len() < names.len() {
                misspelt.extend(nearest(&key.text, names.iter().copied()).map(|meant| (meant, value)));
            }
        }
        Some(Fields { node, what, misspelt })
    }

    pub(super) fn field<T: Read>(&self, name: &str, required: bool, findings: &mut Findings) -> Option<T> {
        let meant = || self.misspelt.iter().find(|(meant, _)| meant == name).map(|(_, value)| *value);
        if let Some(value) = self.node.get(name).or_else(meant) {
            return T::read(value, findings);
        }
        if required {
            findings.error(self.at(), format!("missing field `{name}` in {}", self.what));
        }
        None
    }

    /// The first key's place: a whole map would underline half a file.
    pub(super) fn at(&self) -> Span {
        match &self.node.kind {
            Kind::Map(entries) => entries.first().map_or(self.node.at, |(key, _)| key.at),
            _ => self.node.at,
        }
    }
}

/// Writes a mirror struct: each field becomes an `Option`, `[required]` before a field makes its absence a problem.
macro_rules! mirror {
    (
        $(#[doc = $what:literal])+
        $(#[schemars($($meta:tt)*)])*
        struct $name:ident ($words:literal) {
            $( $(#[doc = $doc:literal])+ $(#[schemars($($fmeta:tt)*)])* $([$required:ident])? $field:ident: $type:ty, )+
        }
    ) => {
        $(#[doc = $what])+
        #[derive(Debug, Clone, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[schemars($($meta)*)])*
        #[allow(non_snake_case, reason = "fields are spelled as the file spells them")]
        #[allow(dead_code, reason = "some fields are only read to be known, and not every place is asked for")]
        pub(in crate::config) struct $name {
            $( $(#[doc = $doc])+ $(#[schemars($($fmeta)*)])* $(#[schemars($required)])? pub(in crate::config) $field: Option<$type>, )+
            /// Where the map begins.
            #[schemars(skip)]
            pub(in crate::config) at: $crate::config::text::Span,
            /// Something in it could not be read, so what seems to be absent may only be misspelt.
            #[schemars(skip)]
            pub(in crate::config) flawed: bool,
        }

        impl $crate::config::read::Read for $name {
            fn read(node: &$crate::config::node::Node, findings: &mut $crate::config::problem::Findings) -> Option<Self> {
                const NAMES: &[&str] = &[$($crate::config::read::plain_name(stringify!($field))),+];
                let before = findings.errors();
                let fields = $crate::config::read::Fields::open(node, $words, NAMES, findings)?;
                let mut read = Self {
                    $( $field: fields.field(
                        $crate::config::read::plain_name(stringify!($field)),
                        $crate::config::read::is_required(&[$(stringify!($required))?]),
                        findings,
                    ), )+
                    at: fields.at(),
                    flawed: false,
                };
                read.flawed = findings.errors() > before;
                Some(read)
            }
        }
    };
}
pub(super) use mirror;

/// `r#match` is written `match` in a file.
pub(super) const fn plain_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

pub(super) const fn is_required(marks: &[&str]) -> bool {
    !marks.is_empty()
}

/// Declares an enum whose variants are words of the file.
macro_rules! words {
    (
        $(#[doc = $what:literal])+
        $vis:vis enum $name:ident ($words:literal) { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $what])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, schemars::JsonSchema)]
        $vis enum $name {
            $( $(#[doc = $doc])+ #[schemars(rename = $word)] $variant, )+
        }

        #[allow(dead_code, reason = "not every word is written back")]
        impl $name {
            /// The word of the file.
            $vis fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl $crate::config::read::Read for $name {
            fn read(node: &$crate::config::node::Node, findings: &mut $crate::config::problem::Findings) -> Option<Self> {
                let scalar = $crate::config::read::scalar(node, $words, findings)?;
                match scalar.text.as_str() {
                    $( $word => Some($name::$variant), )+
                    other => {
                        findings.error(node.at, format!("`{other}` is not {}", $words)).suggest_or_list(other, [$($word),+]);
                        None
                    }
                }
            }
        }
    };
}
pub(super) use words;

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Table_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}
