//! The trace that a request belongs to, by W3C `traceparent`.

use crate::wire::{Known, RequestHead};

/// What `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceContext<'h> {
    /// 32 digits.
    pub(super) trace_id: &'h str,
    /// Whether the caller keeps what it records of it.
    pub(super) is_sampled: bool,
}

/// The trace of the request; nothing where the field is not well-formed (W3C Trace Context, section 3.2.2).
pub(super) fn trace_context(head: &RequestHead) -> Option<TraceContext<'_>> {
    parse(head.fields.first(Known::Traceparent)?)
}

fn parse(value: &[u8]) -> Option<TraceContext<'_>> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.splitn(5, '-');
    let mut part = |length| {
        let is_hex = |part: &&str| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(is_hex)
    };
    let (version, trace_id, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_zero = |id: &str| id.bytes().all(|b| b == b'0');
    // Version 00 ends here; later ones may go on.
    if version == "ff" || is_zero(trace_id) || is_zero(parent) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(TraceContext { trace_id, is_sampled: flags & 1 == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[track_caller]
    fn check(value: &str, expected: Option<bool>) {
        let expected = expected.map(|is_sampled| TraceContext { trace_id: ID, is_sampled });
        assert_eq!(parse(value.replace("ID", ID).as_bytes()), expected, "{value}");
    }

    #[test]
    fn only_what_is_well_formed_is_believed() {
        check("00-ID-00f067aa0ba902b7-01", Some(true));
        check("00-ID-00f067aa0ba902b7-00", Some(false));
        check("00-ID-00f067aa0ba902b7-fe", Some(false));
        check("cc-ID-00f067aa0ba902b7-01-what-the-future-brings", Some(true));
        check("00-ID-00f067aa0ba902b7-01-more", None);
        check("ff-ID-00f067aa0ba902b7-01", None);
        check("0-ID-00f067aa0ba902b7-01", None);
        check("00-ID-0000000000000000-01", None);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None);
        check("00-ID-00f067aa0ba902b7", None);
        check("", None);
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
