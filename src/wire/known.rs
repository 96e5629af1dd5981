//! Field names the proxy itself acts on, recognised once when a head is read.

/// A field name with a meaning to the proxy; every other name is [`Known::Other`] and passes as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// A field the proxy does not act on.
    Other,
    /// `host`
    Host,
    /// `content-length`
    ContentLength,
    /// `transfer-encoding`
    TransferEncoding,
    /// `connection`
    Connection,
    /// `keep-alive`
    KeepAlive,
    /// `proxy-connection` and the other `proxy-*` fields
    Proxy,
    /// `te`
    Te,
    /// `upgrade`
    Upgrade,
    /// `http2-settings`, the other half of `upgrade: h2c` (RFC 7540 section 3.2.1)
    Http2Settings,
    /// `expect`
    Expect,
    /// `via`
    Via,
    /// `max-forwards`
    MaxForwards,
    /// `forwarded`
    Forwarded,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-forwarded-proto`
    XForwardedProto,
    /// `x-forwarded-host`
    XForwardedHost,
    /// `x-gray-lane`
    GrayLane,
    /// `x-gray-release`
    GrayRelease,
    /// `x-gray-qos`
    GrayQos,
    /// `x-gray-explain`
    GrayExplain,
    /// `x-request-id`
    RequestId,
    /// `traceparent`
    Traceparent,
    /// `grpc-timeout`
    GrpcTimeout,
    /// `x-request-timeout-ms`
    RequestTimeout,
    /// `grpc-status`
    GrpcStatus,
    /// `content-type`
    ContentType,
    /// `date`
    Date,
    /// `content_length` or `transfer_encoding`: no framing, but there are servers that take them for it
    Disguised,
}

impl Known {
    /// The meaning of a field name, whatever its case.
    pub fn of(name: &[u8]) -> Self {
        let (text, known): (&[u8], Self) = match name.len() {
            2 => (b"te", Self::Te),
            3 => (b"via", Self::Via),
            4 if starts(name, b'd') => (b"date", Self::Date),
            4 => (b"host", Self::Host),
            6 => (b"expect", Self::Expect),
            7 => (b"upgrade", Self::Upgrade),
            9 => (b"forwarded", Self::Forwarded),
            10 if starts(name, b'k') => (b"keep-alive", Self::KeepAlive),
            10 if starts(name, b'x') => (b"x-gray-qos", Self::GrayQos),
            10 => (b"connection", Self::Connection),
            11 if starts(name, b'x') => (b"x-gray-lane", Self::GrayLane),
            11 if starts(name, b't') => (b"traceparent", Self::Traceparent),
            11 => (b"grpc-status", Self::GrpcStatus),
            12 if starts(name, b'x') => (b"x-request-id", Self::RequestId),
            12 if starts(name, b'c') => (b"content-type", Self::ContentType),
            12 if starts(name, b'g') => (b"grpc-timeout", Self::GrpcTimeout),
            12 => (b"max-forwards", Self::MaxForwards),
            14 if starts(name, b'x') && name[7] | 0x20 == b'e' => (b"x-gray-explain", Self::GrayExplain),
            14 if starts(name, b'x') => (b"x-gray-release", Self::GrayRelease),
            14 if starts(name, b'h') => (b"http2-settings", Self::Http2Settings),
            14 => (b"content-length", Self::ContentLength),
            15 => (b"x-forwarded-for", Self::XForwardedFor),
            16 => (b"x-forwarded-host", Self::XForwardedHost),
            17 if starts(name, b'x') => (b"x-forwarded-proto", Self::XForwardedProto),
            17 => (b"transfer-encoding", Self::TransferEncoding),
            20 => (b"x-request-timeout-ms", Self::RequestTimeout),
            _ => (b"", Self::Other),
        };
        // Most names are none of these, and most of those differ at an end.
        if is_alike(name, text) && is_same_name(name, text) {
            return known;
        }
        match name.len() {
            14 | 17 if is_disguised(name) => Self::Disguised,
            7.. if starts(name, b'p') && is_same_name(&name[..6], b"proxy-") => Self::Proxy,
            _ => Self::Other,
        }
    }

    /// Whether the field speaks of one connection only and never passes a proxy (RFC 9110 section 7.6.1).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::Proxy
                | Self::Te
                | Self::Upgrade
                | Self::Http2Settings
                | Self::TransferEncoding
                | Self::Disguised
        )
    }
}

fn is_disguised(name: &[u8]) -> bool {
    match name.len() {
        14 => is_alike(name, b"content_length") && is_same_name(name, b"content_length"),
        17 => is_alike(name, b"transfer_encoding") && is_same_name(name, b"transfer_encoding"),
        _ => false,
    }
}

/// Whether two names are the same whatever their case, as `eq_ignore_ascii_case` says it. This is asked for each field line
/// several times, so it is eight bytes at once, and the last eight overlap with those before them.
pub(super) fn is_same_name(name: &[u8], text: &[u8]) -> bool {
    if name.len() != text.len() {
        return false;
    }
    if let (Some(last), Some(last_of)) = (name.last_chunk::<8>(), text.last_chunk::<8>()) {
        let mut chunks = name.as_chunks::<8>().0.iter().zip(text.as_chunks::<8>().0);
        return is_same_word(last, last_of) && chunks.all(|(name, text)| is_same_word(name, text));
    }
    match (name.first_chunk::<4>(), text.first_chunk::<4>(), name.last_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(first_of), Some(last), Some(last_of)) => {
            let word = |first: &[u8; 4], last: &[u8; 4]| {
                let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
                lower(u64::from(first) << 32 | u64::from(last))
            };
            word(first, last) == word(first_of, last_of)
        }
        _ => name.eq_ignore_ascii_case(text),
    }
}

fn is_same_word(name: &[u8; 8], text: &[u8; 8]) -> bool {
    let (name, text) = (u64::from_le_bytes(*name), u64::from_le_bytes(*text));
    name == text || lower(name) == lower(text)
}

/// Eight bytes, letters among them in lower case.
fn lower(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A byte below 0x80 gets its highest bit where it is at least `A`, and where it is above `Z`.
    let plain = bytes & (0x7f * EACH);
    let from_a = plain + (0x80 - b'A' as u64) * EACH;
    let above_z = plain + (0x7f - b'Z' as u64) * EACH;
    let is_capital = (from_a & !above_z) & !bytes & (0x80 * EACH);
    bytes | (is_capital >> 2)
}

/// Whether two names of one length have the same ends, whatever their case.
fn is_alike(name: &[u8], text: &[u8]) -> bool {
    match (name, text) {
        ([first, .., last], [begins, .., ends]) => first | 0x20 == *begins && last | 0x20 == *ends,
        _ => false,
    }
}

fn starts(name: &[u8], first: u8) -> bool {
    name[0] | 0x20 == first
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn every_byte_in_every_place_is_compared_as_it_is() {
        let text = b"x-forwarded-proto";
        for (length, place) in (0..=text.len()).flat_map(|length| (0..length).map(move |place| (length, place))) {
            let text = &text[..length];
            for byte in 0..=255_u8 {
                let mut name = text.to_vec();
                name[place] = byte;
                assert_eq!(super::is_same_name(&name, text), name.eq_ignore_ascii_case(text), "{byte} at {place}");
                let (lowered, raised) = (name.to_ascii_lowercase(), name.to_ascii_uppercase());
                assert!(
                    super::is_same_name(&name, &lowered) && super::is_same_name(&lowered, &raised),
                    "{byte} at {place}"
                );
            }
        }
        assert!(!super::is_same_name(b"via", b"vi") && super::is_same_name(b"", b""));
    }

    #[test]
    fn names_are_known_in_any_case() {
        let all = [
            ("Host", Known::Host),
            ("CONTENT-LENGTH", Known::ContentLength),
            ("dAte", Known::Date),
            ("data", Known::Other),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("connection", Known::Connection),
            ("Keep-Alive", Known::KeepAlive),
            ("Proxy-Connection", Known::Proxy),
            ("Proxy-Authorization", Known::Proxy),
            ("TE", Known::Te),
            ("Upgrade", Known::Upgrade),
            ("HTTP2-Settings", Known::Http2Settings),
            ("Expect", Known::Expect),
            ("Via", Known::Via),
            ("Max-Forwards", Known::MaxForwards),
            ("Forwarded", Known::Forwarded),
            ("X-Forwarded-For", Known::XForwardedFor),
            ("X-Forwarded-Proto", Known::XForwardedProto),
            ("X-Forwarded-Host", Known::XForwardedHost),
            ("X-Gray-Lane", Known::GrayLane),
            ("x-gray-release", Known::GrayRelease),
            ("x-gray-qos", Known::GrayQos),
            ("X-Gray-Explain", Known::GrayExplain),
            ("X-Request-Id", Known::RequestId),
            ("traceparent", Known::Traceparent),
            ("grpc-timeout", Known::GrpcTimeout),
            ("X-Request-Timeout-Ms", Known::RequestTimeout),
            ("grpc-status", Known::GrpcStatus),
            ("Content-Type", Known::ContentType),
            ("Content_Length", Known::Disguised),
            ("transfer_Encoding", Known::Disguised),
            ("x-user-id", Known::Other),
            ("hosts", Known::Other),
            ("hast", Known::Other),
            ("proxy-", Known::Other),
        ];
        for (name, known) in all {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }
}
