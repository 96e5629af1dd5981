//! nginx's `combined` form, and further fields behind it.
//!
//! ```text
//! $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" ...
//! ```
//!
//! A field in brackets or quotes may hold blanks. nginx writes `"`, `\` and bytes beyond printable ASCII as `\xHH`, and
//! `-` for a variable without a value.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Known, Line, Unreadable, split_target};
use crate::replay::fields::{Fields, Part, Pick};

const ADDRESS: usize = 0;
const REQUEST: usize = 4;
const REFERER: usize = 7;
const USER_AGENT: usize = 8;
/// So many fields the form has at least.
const LEAST: usize = 9;

pub(super) fn read<'a>(text: &'a str, fields: &'a Fields) -> Result<Line<'a>, Unreadable> {
    let parts = split(text)?;
    if parts.len() < LEAST {
        return Err(Unreadable::NotCombined("fewer fields than the form has"));
    }
    let Known::Value(request) = value(parts[REQUEST]) else {
        return Err(Unreadable::Missing("request"));
    };
    let (method, path, query) = request_line(request)?;
    let mut line = Line { method, path, query, client: value(parts[ADDRESS]), ..Line::default() };
    line.headers.push(("referer".into(), value(parts[REFERER])));
    line.headers.push(("user-agent".into(), value(parts[USER_AGENT])));
    for (part, pick) in fields.list() {
        let Pick::Place(place) = pick else { continue };
        let found = parts.get(*place).map_or(Known::Unknown, |part| value(part));
        match part {
            Part::Method | Part::Path | Part::Uri => {}
            other => other.put(found, &mut line),
        }
    }
    Ok(line)
}

/// `GET /path?query HTTP/1.1`.
fn request_line(request: Cow<'_, str>) -> Result<(Cow<'_, str>, Cow<'_, str>, Known<'_>), Unreadable> {
    let no_request = Unreadable::NotCombined("the request is not `METHOD /path HTTP/x`");
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(no_request);
    };
    if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/") {
        return Err(no_request);
    }
    Ok(match &request {
        Cow::Borrowed(text) => {
            let (path, query) = split_target(Cow::Borrowed(&text[method.len() + 1..][..target.len()]));
            (Cow::Borrowed(&text[..method.len()]), path, query)
        }
        Cow::Owned(_) => {
            let (path, query) = split_target(Cow::Owned(target.to_owned()));
            (Cow::Owned(method.to_owned()), path, query)
        }
    })
}

/// The fields, brackets and quotes removed, escapes kept.
fn split(text: &str) -> Result<SmallVec<[&str; 16]>, Unreadable> {
    let mut fields = SmallVec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (field, after) = match rest.as_bytes()[0] {
            b'"' => quoted(&rest[1..])?,
            b'[' => rest[1..].split_once(']').ok_or(Unreadable::NotCombined("a bracket is not closed"))?,
            _ => rest.split_once(' ').unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = after.trim_ascii_start();
    }
    Ok(fields)
}

fn quoted(rest: &str) -> Result<(&str, &str), Unreadable> {
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(place) = memchr::memchr2(b'"', b'\\', &bytes[from..]) {
        let at = from + place;
        if bytes[at] == b'"' {
            return Ok((&rest[..at], &rest[at + 1..]));
        }
        from = (at + 2).min(bytes.len());
    }
    Err(Unreadable::NotCombined("a quote is not closed"))
}

/// The value of a field; `-` and an empty one say that there is none.
fn value(field: &str) -> Known<'_> {
    match field {
        "" | "-" => Known::Absent,
        field if !field.contains('\\') => Known::Value(Cow::Borrowed(field)),
        field => unescaped(field).map_or(Known::Unknown, |text| Known::Value(Cow::Owned(text))),
    }
}

fn unescaped(field: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.bytes();
    while let Some(byte) = rest.next() {
        match (byte, byte == b'\\') {
            (byte, false) => bytes.push(byte),
            _ => match rest.next()? {
                b'x' => {
                    let mut digit = || char::from(rest.next()?).to_digit(16);
                    bytes.push((digit()? * 16 + digit()?) as u8);
                }
                escaped => bytes.push(escaped),
            },
        }
    }
    String::from_utf8(bytes).ok()
}
