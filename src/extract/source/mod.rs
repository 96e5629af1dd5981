//! Where a fact's value is looked for.

mod baggage;
pub(super) mod cookie;
pub(super) mod header;
pub(super) mod path;
pub(super) mod query;

mod probe;

use std::borrow::Cow;
use std::fmt;

pub use probe::check_sources;

use super::pointer::Pointer;
use crate::decide::{Found, RequestParts};

/// One place in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A header.
    Header(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// A query parameter.
    Query(Box<str>),
    /// A parameter of the route's path.
    Path(Box<str>),
    /// A member of the `baggage` header.
    Baggage(Box<str>),
    /// A claim of a verified token.
    Jwt(Pointer),
    /// A value of a JSON body.
    Json(Pointer),
    /// Where the client's address lies.
    Geoip(Region),
    /// A field of a record that is looked up.
    Lookup {
        /// The place of the store among the configuration's.
        lookup: usize,
        /// Its name.
        name: Box<str>,
        /// The field.
        field: Box<str>,
    },
}

/// Which region of an address is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// The province.
    Province,
    /// The city.
    City,
}

/// Whether further values of a repeated header count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The first value alone.
    First,
    /// All of them, joined by commas.
    Joined,
}

/// What a source gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    Absent,
    Value(Cow<'a, str>),
    /// Something, that is not text.
    Bad(&'static str),
}

impl Source {
    /// The header of this name, in any case.
    pub fn header(name: &str) -> Source {
        Source::Header(name.to_ascii_lowercase().into())
    }

    pub(super) fn read<'a, R: RequestParts>(
        &self,
        request: &'a R,
        found: &Found<'a>,
        repeated: Repeated,
    ) -> Reading<'a> {
        let reading = match self {
            Source::Header(name) => header::read(request, name, repeated),
            Source::Cookie(name) => cookie::read(request, name),
            Source::Query(name) => query::read(request, name),
            Source::Path(name) => path::read(found, name),
            Source::Baggage(name) => baggage::read(request, name),
            // These need more than the head of the request; see `RequestFacts`.
            Source::Jwt(_) | Source::Json(_) | Source::Geoip(_) | Source::Lookup { .. } => Reading::Absent,
        };
        match reading {
            // A set of nothing is no set, and nothing is wrong with it.
            Reading::Value(set) if repeated == Repeated::Joined && is_blank(&set) => Reading::Absent,
            reading => reading,
        }
    }
}

fn is_blank(set: &str) -> bool {
    set.split(',').all(|member| member.trim().is_empty())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Header(name) => write!(f, "header {name}"),
            Source::Cookie(name) => write!(f, "cookie {name}"),
            Source::Query(name) => write!(f, "query {name}"),
            Source::Path(name) => write!(f, "path {name}"),
            Source::Baggage(name) => write!(f, "baggage {name}"),
            Source::Jwt(claim) => write!(f, "jwt {}", claim.as_str()),
            Source::Json(pointer) => write!(f, "json {}", pointer.as_str()),
            Source::Geoip(Region::Province) => f.write_str("geoip province"),
            Source::Geoip(Region::City) => f.write_str("geoip city"),
            Source::Lookup { name, field, .. } => write!(f, "lookup {name} {field}"),
        }
    }
}

impl<'a> Reading<'a> {
    const NOT_UTF8: Reading<'static> = Reading::Bad("not UTF-8");

    fn of_bytes(bytes: &'a [u8]) -> Reading<'a> {
        match std::str::from_utf8(bytes.trim_ascii()) {
            Ok(text) => Reading::Value(Cow::Borrowed(text)),
            Err(_) => Reading::NOT_UTF8,
        }
    }

    fn owned(self) -> Reading<'static> {
        match self {
            Reading::Absent => Reading::Absent,
            Reading::Value(text) => Reading::Value(Cow::Owned(text.into_owned())),
            Reading::Bad(why) => Reading::Bad(why),
        }
    }
}
