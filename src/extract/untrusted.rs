//! The headers that only trusted peers may send. Those of any other peer are removed before anything believes them.

use std::borrow::Cow;
use std::collections::HashSet;

/// Forwarding headers; every `x-forwarded-*` is one as well.
const FORWARDING: [&str; 3] = ["forwarded", "x-real-ip", "true-client-ip"];

/// What every client says of itself, so that a fact may be read from it whoever sends it, and what HTTP needs.
const CLIENTS_OWN: [&str; 15] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The headers of identity, forwarding and lane marks.
///
/// Not among them: the header of an override. It is signed, so it proves itself whoever sends it; in the environment
/// `dev` anyone may override. Cookies and query parameters are not touched: a client can only speak for itself there.
#[derive(Debug, Clone, Default)]
pub struct Untrusted {
    named: HashSet<Box<str>>,
    overrides: HashSet<Box<str>>,
    /// A bit for each length of a name here that does not begin with an x; the last for all longer ones.
    lengths: u64,
}

impl Untrusted {
    /// The headers named as sources of facts, less those that carry overrides.
    pub fn new<'a>(
        sources: impl IntoIterator<Item = &'a str>,
        overrides: impl IntoIterator<Item = &'a str>,
    ) -> Untrusted {
        let overrides: HashSet<Box<str>> = overrides.into_iter().map(|name| name.to_ascii_lowercase().into()).collect();
        let named = sources.into_iter().map(|name| hyphenated(&name.to_ascii_lowercase()).into_owned());
        let named = named.filter(|name| !CLIENTS_OWN.contains(&name.as_str())).map(String::into_boxed_str);
        let named: HashSet<Box<str>> = named.collect();
        let plain = named.iter().map(|name| &**name).chain(FORWARDING).filter(|name| !name.starts_with('x'));
        let lengths = plain.fold(0, |lengths, name| lengths | bit_of_length(name.len()));
        Untrusted { named, overrides, lengths }
    }

    /// Whether a name in any case may be one of them; of most names a look at its first byte and its length says no.
    pub fn may_contain(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|first| first | 0x20 == b'x') || self.lengths & bit_of_length(name.len()) != 0
    }

    /// Whether a header, its name in lower case, is removed from requests of peers that are not trusted.
    ///
    /// `x_user_id` counts as `x-user-id`: to services behind CGI and its descendants (WSGI, Rack, PHP) they are one.
    pub fn contains(&self, name: &str) -> bool {
        if self.overrides.contains(name) {
            return false;
        }
        let name = &*hyphenated(name);
        name.starts_with("x-gray-")
            || name.starts_with("x-forwarded-")
            || FORWARDING.contains(&name)
            || self.named.contains(name)
    }
}

fn bit_of_length(length: usize) -> u64 {
    1 << length.min(63)
}

fn hyphenated(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_marks_and_forwarding_are_for_trusted_peers() {
        let untrusted = Untrusted::new(["X-User-Id", "user-agent"], ["x-gray-override"]);
        for name in ["x-user-id", "x-gray-lane", "x-gray-release", "x-forwarded-for", "x-forwarded-proto", "forwarded"]
        {
            assert!(untrusted.contains(name) && untrusted.may_contain(name.to_uppercase().as_bytes()), "{name}");
        }
        for name in ["x_user_id", "x_forwarded_for", "x-gray_lane"] {
            assert!(untrusted.contains(name), "{name}");
        }
        assert!(Untrusted::new(["x_tenant"], []).contains("x-tenant"));
        for name in ["user-agent", "host", "cookie", "x-gray-override", "x-request-id", "traceparent"] {
            assert!(!untrusted.contains(name), "{name}");
        }
        assert!(Untrusted::new(["tenant"], []).may_contain(b"Tenant"));
        assert!(!untrusted.may_contain(b"accept") && !untrusted.may_contain(b""));
    }
}
