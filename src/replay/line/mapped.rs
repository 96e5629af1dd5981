//! JSON objects of any other log, by a map of fields.

use std::borrow::Cow;

use serde_json::Value;

use super::{Known, Line, Unreadable, split_target};
use crate::replay::fields::{Fields, Part, Pick};

pub(super) fn read<'a>(text: &'a str, fields: &'a Fields) -> Result<Line<'a>, Unreadable> {
    let object: Value = serde_json::from_str(text).map_err(|error| Unreadable::NotJson(error.to_string()))?;
    if !object.is_object() {
        return Err(Unreadable::NotJson("it is another value".to_owned()));
    }
    let mut line = Line::default();
    for (part, pick) in fields.list() {
        let found = match pick {
            Pick::Name(name) => object.get(name),
            Pick::Pointer(pointer) => object.pointer(pointer),
            Pick::Place(_) => None,
        };
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
fn value(value: &Value) -> Known<'static> {
    match value {
        Value::Null => Known::Absent,
        Value::String(text) if text.is_empty() => Known::Absent,
        Value::String(text) => Known::Value(Cow::Owned(text.clone())),
        Value::Number(number) => Known::Value(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Known::Value(Cow::Owned(flag.to_string())),
        Value::Array(_) | Value::Object(_) => Known::Unknown,
    }
}
