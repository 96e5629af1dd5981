//! The map of fields: where a foreign log has the parts of a request and the facts.

use std::borrow::Cow;

use super::line::{Known, Line};

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// graylane's own JSON lines.
    Graylane,
    /// nginx's `combined`, with further fields behind it or not.
    Combined,
    /// JSON lines of any other program; needs a map of fields.
    Json,
}

/// A part of a request, or a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Method,
    Path,
    Uri,
    Host,
    Query,
    ClientIp,
    Header(String),
    Cookie(String),
    Fact(String),
}

/// Where a line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pick {
    /// The field at this place.
    Place(usize),
    /// The field of this name.
    Name(String),
    /// What this JSON pointer leads to.
    Pointer(String),
}

/// Which part of a request is in which field of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Part, Pick)>);

/// Why a map of fields is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// The log says of itself what is where.
    #[error("graylane's own log needs no map of fields")]
    NotNeeded,
    /// No requests without them.
    #[error("the map of fields has no `{0}`")]
    Missing(&'static str),
    /// Neither a variable of the form nor a place.
    #[error("`{0}` is no field of the combined form: {COMBINED_NAMES}, or fieldN, counted from 1")]
    NoField(String),
    /// Two fields for one part.
    #[error("`{0}` is mapped twice")]
    Twice(String),
    /// The combined form has these by itself.
    #[error("`{0}` is part of the combined form and cannot be mapped")]
    Fixed(String),
}

const COMBINED_NAMES: &str =
    "remote_addr, remote_user, time_local, status, body_bytes_sent, http_referer, http_user_agent";

impl Fields {
    /// The map for a log of this form, from pairs of a part and the name of a field. Parts are `method`, `uri` (path and
    /// query), `path`, `query`, `host`, `client_ip`, `header:NAME`, `cookie:NAME`, and the names of facts.
    pub fn new(format: Format, pairs: &[(String, String)]) -> Result<Fields, FieldsError> {
        let mut list: Vec<(Part, Pick)> = Vec::new();
        for (name, field) in pairs {
            let part = Part::of(name);
            if list.iter().any(|(known, _)| *known == part) {
                return Err(FieldsError::Twice(name.clone()));
            }
            let pick = match format {
                Format::Graylane => return Err(FieldsError::NotNeeded),
                Format::Json if field.starts_with('/') => Pick::Pointer(field.clone()),
                Format::Json => Pick::Name(field.clone()),
                Format::Combined if matches!(part, Part::Method | Part::Path | Part::Uri | Part::Query) => {
                    return Err(FieldsError::Fixed(name.clone()));
                }
                Format::Combined => Pick::Place(place(field).ok_or_else(|| FieldsError::NoField(field.clone()))?),
            };
            list.push((part, pick));
        }
        let has = |wanted: &[Part]| list.iter().any(|(part, _)| wanted.contains(part));
        if format == Format::Json && !has(&[Part::Method]) {
            return Err(FieldsError::Missing("method"));
        }
        if format == Format::Json && !has(&[Part::Path, Part::Uri]) {
            return Err(FieldsError::Missing("uri"));
        }
        Ok(Fields(list))
    }

    /// The names of the facts that are mapped.
    pub fn facts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(part, _)| match part {
            Part::Fact(name) => Some(name.as_str()),
            _ => None,
        })
    }

    pub(super) fn list(&self) -> &[(Part, Pick)] {
        &self.0
    }
}

impl Part {
    fn of(name: &str) -> Part {
        match name {
            "method" => Part::Method,
            "path" => Part::Path,
            "uri" => Part::Uri,
            "host" => Part::Host,
            "query" => Part::Query,
            "client_ip" => Part::ClientIp,
            "tag" => Part::Fact("tags".to_owned()),
            name => match name.split_once(':') {
                Some(("header", header)) => Part::Header(header.trim().to_ascii_lowercase()),
                Some(("cookie", cookie)) => Part::Cookie(cookie.trim().to_owned()),
                _ => Part::Fact(name.to_owned()),
            },
        }
    }

    /// Puts a value to its place in the line; method, path and URI are the readers' own.
    pub(super) fn put<'a>(&'a self, value: Known<'a>, line: &mut Line<'a>) {
        match self {
            Part::Method | Part::Path | Part::Uri => {}
            Part::Host => line.host = value,
            Part::Query => line.query = value,
            Part::ClientIp => line.client = value,
            Part::Header(name) => {
                // What is mapped goes before what the form has by itself.
                line.headers.retain(|(known, _)| known != name);
                line.headers.push((Cow::Borrowed(name), value));
            }
            Part::Cookie(name) => line.cookies.push((Cow::Borrowed(name), value)),
            Part::Fact(name) => line.put(Cow::Borrowed(name), value),
        }
    }
}

/// The place of a field of the combined form, by the name of its variable or as `fieldN`, counted from 1.
fn place(field: &str) -> Option<usize> {
    Some(match field.strip_prefix('$').unwrap_or(field) {
        "remote_addr" => 0,
        "remote_user" => 2,
        "time_local" => 3,
        "request" => 4,
        "status" => 5,
        "body_bytes_sent" => 6,
        "http_referer" => 7,
        "http_user_agent" => 8,
        numbered => {
            numbered.strip_prefix("field")?.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < 1000)?
        }
    })
}
