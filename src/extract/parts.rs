//! Single parts of a request, read as sources of facts read them: for whoever has requests that are not whole.

use std::borrow::Cow;

use super::source::{Reading, path, query};
use crate::decide::{Found, RequestParts};

/// A parameter of the route's path, decoded.
pub fn path_value<'a>(found: &Found<'a>, name: &str) -> Option<Cow<'a, str>> {
    text(path::read(found, name))
}

/// A parameter of the query, decoded.
pub fn query_value<'a, R: RequestParts>(request: &'a R, name: &str) -> Option<Cow<'a, str>> {
    text(query::read(request, name))
}

fn text(reading: Reading<'_>) -> Option<Cow<'_, str>> {
    match reading {
        Reading::Value(value) => Some(value),
        _ => None,
    }
}
