//! JSON objects of any other log, by a map of fields. Numbers are the digits as written: an id of twenty digits is hashed as it
//! stands there.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::graylane::Text;
use super::{Known, Line, Unreadable, split_target};
use crate::replay::fields::{Fields, Part, Pick};

pub(super) fn read<'a>(text: &'a str, fields: &'a Fields) -> Result<Line<'a>, Unreadable> {
    let object: Members<'a> = serde_json::from_str(text).map_err(|error| Unreadable::not_json(&error))?;
    let mut line = Line::default();
    for (part, pick) in fields.list() {
        let found = match pick {
            Pick::Name(name) => object.get(name),
            Pick::Pointer(pointer) => object.at(pointer),
            Pick::Place(_) => None,
        };
        if *part == Part::Method && found.is_some_and(|raw| !raw.get().starts_with(['"', 'n'])) {
            return Err(Unreadable::NoRequest("the method is no text"));
        }
        let found = found.map_or(Known::Absent, value);
        match (part, found) {
            (Part::Method, Known::Value(method)) => line.method = method,
            (Part::Path, Known::Value(path)) => {
                let (path, query) = split_target(path);
                line.path = path;
                if matches!(query, Known::Value(_)) {
                    line.query = query;
                }
            }
            (Part::Uri, Known::Value(uri)) => (line.path, line.query) = split_target(uri),
            (Part::Method | Part::Path | Part::Uri, _) => {}
            (part, found) => part.put(found, &mut line),
        }
    }
    if line.method.is_empty() {
        return Err(Unreadable::Missing("method"));
    }
    if line.path.is_empty() {
        return Err(Unreadable::Missing("path"));
    }
    Ok(line)
}

/// A text, a number or a flag as it is written; `null` and an empty text say that there is none.
fn value(raw: &RawValue) -> Known<'_> {
    match raw.get() {
        "null" | "\"\"" => Known::Absent,
        text if text.starts_with('"') => {
            serde_json::from_str::<Text<'_>>(text).map_or(Known::Unknown, |text| Known::Value(text.0))
        }
        text if text.starts_with(['{', '[']) => Known::Unknown,
        text => Known::Value(Cow::Borrowed(text)),
    }
}

/// The members of an object, as they stand there.
#[derive(Debug)]
struct Members<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Of a name that stands twice the last counts.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known.0 == name).map(|(_, raw)| *raw)
    }

    /// The value at a pointer of RFC 6901.
    fn at(&self, pointer: &str) -> Option<&'a RawValue> {
        let mut tokens = pointer.split('/').skip(1).map(|token| match token.contains('~') {
            true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(token),
        });
        let mut raw = self.get(&tokens.next()?)?;
        for token in tokens {
            raw = match raw.get().as_bytes().first()? {
                b'{' => serde_json::from_str::<Members<'a>>(raw.get()).ok()?.get(&token)?,
                b'[' => {
                    let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
                    *items.get(token.parse::<usize>().ok()?)?
                }
                _ => return None,
            };
        }
        Some(raw)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::with_capacity(MEMBERS);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// So many members most lines do not have.
const MEMBERS: usize = 16;
