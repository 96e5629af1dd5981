//! The two voices that can decide before a release does: an override, and the mark of an earlier sidecar.

use std::borrow::Cow;

use super::client::Peer;
use super::source::{Reading, Repeated, Source};
use crate::decide::{Developer, Found, LaneMark, RequestParts};

/// The override that a request carries: the header, else the cookie. It is looked at whoever sends it, as only its
/// signature is believed.
pub fn override_token<'a, R: RequestParts>(
    developer: &Developer,
    request: &'a R,
    found: &Found<'a>,
) -> Option<Cow<'a, str>> {
    let header = developer.header.as_deref().map(Source::header);
    let cookie = developer.cookie.as_deref().map(|name| Source::Cookie(name.into()));
    [header, cookie].into_iter().flatten().find_map(|source| match source.read(request, found, Repeated::First) {
        Reading::Value(value) if !value.is_empty() => Some(value),
        _ => None,
    })
}

/// The lane mark of a trusted peer: `x-gray-lane` with `x-gray-release`.
pub fn lane_mark<R: RequestParts>(request: &R, peer: Peer) -> Option<LaneMark<'_>> {
    if !peer.trusted {
        return None;
    }
    let lane = request.header("x-gray-lane").and_then(text).filter(|lane| !lane.is_empty())?;
    match request.header("x-gray-release").map(text) {
        None => Some(LaneMark { lane, release: None }),
        // A release that cannot be read is not ours.
        Some(release) => release.map(|release| LaneMark { lane, release: Some(release) }),
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(str::trim)
}
