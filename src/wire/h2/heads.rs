//! Heads of HTTP/2, laid out flat as those of HTTP/1 are.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::wire::h1::{self, HeadError};
use crate::wire::{Known, RequestHead, ResponseHead, Verb, Version};

/// Lays a request out flat. The authority of the request wins over `Host` (RFC 9113 section 8.3.1).
pub fn flatten_request(
    parts: &mut http::request::Parts,
    limits: &h1::Limits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    head.clear();
    head.version = Version::H2;
    head.verb = Verb::of(parts.method.as_str().as_bytes());
    if head.verb == Verb::Connect {
        return Err(HeadError::CONNECT);
    }
    head.method = head.fields.store(parts.method.as_str().as_bytes());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.len() > limits.uri_bytes {
        return Err(HeadError::URI_TOO_LONG);
    }
    let is_server = target == "*" && head.verb == Verb::Options;
    if !target.starts_with('/') && !is_server {
        return Err(HeadError::TARGET);
    }
    if parts.headers.len() > limits.fields {
        return Err(HeadError::TOO_MANY_FIELDS);
    }
    head.set_target(target, "");
    if let Some(authority) = parts.uri.authority() {
        if !h1::is_authority(authority.as_str().as_bytes()) {
            return Err(HeadError::HOST);
        }
        head.authority = Some(head.fields.store(authority.as_str().as_bytes()));
    }
    tidy(&mut parts.headers);
    join_cookies(&mut parts.headers);
    head.fields.lay_out(std::mem::take(&mut parts.headers));
    let hosts = head.fields.all(Known::Host).count();
    let good_hosts = head.fields.all(Known::Host).all(h1::is_authority);
    if hosts > 1 || !good_hosts || (hosts == 0 && head.authority.is_none()) {
        return Err(HeadError::HOST);
    }
    if head.fields.has(Known::ContentLength) {
        h1::content_length(&head.fields)?;
    }
    Ok(())
}

/// HTTP/2 may split a cookie list over several lines for its compression; elsewhere it is one line (RFC 9113 section
/// 8.2.3).
fn join_cookies(map: &mut HeaderMap) {
    let mut crumbs = map.get_all(http::header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    // RFC 7541 section 6.2.3: what was never to be indexed is not indexed by anybody on the way.
    let mut is_sensitive = first.is_sensitive();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
        is_sensitive |= crumb.is_sensitive();
    }
    let joined = HeaderValue::from_maybe_shared(Bytes::from(joined));
    let mut joined = joined.expect("what joins values is allowed in them");
    joined.set_sensitive(is_sensitive);
    map.insert(http::header::COOKIE, joined);
}

/// Lays a response out flat.
pub fn flatten_response(mut parts: http::response::Parts, head: &mut ResponseHead) {
    head.clear();
    head.version = Version::H2;
    head.status = parts.status.as_u16();
    tidy(&mut parts.headers);
    head.fields.lay_out(parts.headers);
}

/// Whether a value is such as HTTP/2 allows: without white space at its ends (RFC 9113 section 8.2.1).
fn is_tidy(value: &HeaderValue) -> bool {
    !matches!(value.as_bytes(), [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

/// Takes white space off the ends of values. Services and clients do write such, because in HTTP/1 nobody sees it, and HTTP/2
/// must not be passed on with it.
pub(super) fn tidy(map: &mut HeaderMap) {
    for value in map.values_mut().filter(|value| !is_tidy(value)) {
        if let Ok(mut tidied) = HeaderValue::from_bytes(value.as_bytes().trim_ascii()) {
            tidied.set_sensitive(value.is_sensitive());
            *value = tidied;
        }
    }
}
