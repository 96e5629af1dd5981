//! Heads of requests and responses, the same for both protocols.

use super::{Fields, Known, Span};

/// The protocol version a head was read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    H2,
}

impl Version {
    /// As written in logs: `HTTP/1.1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::H2 => "HTTP/2",
        }
    }
}

/// What a method means to a proxy (RFC 9110 section 9.2); unknown ones pass as [`Verb::Other`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// CONNECT
    Connect,
    /// POST, PATCH and whatever else there is: not to be sent twice.
    Other,
}

impl Verb {
    /// The meaning of a method; methods are case-sensitive.
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether sending the request twice does no more than sending it once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Connect | Self::Other)
    }
}

/// The head of one request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The version it came in.
    pub version: Version,
    /// The meaning of the method.
    pub verb: Verb,
    pub(super) method: Span,
    /// Path and query; text, so that nobody has to make sure of that again.
    target: String,
    /// Where the path ends in it.
    path_end: usize,
    pub(super) authority: Option<Span>,
    /// The field lines; those of HTTP/2's pseudo fields are not among them.
    pub fields: Fields,
}

impl RequestHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        let Self { version, verb, method, target, path_end, authority, fields } = self;
        (*version, *verb, *method, *path_end, *authority) = Default::default();
        fields.clear();
        target.clear();
        if target.capacity() > KEEP_TARGET {
            *target = String::new();
        }
    }

    /// The method as sent.
    pub fn method(&self) -> &str {
        match self.verb {
            Verb::Get => "GET",
            Verb::Head => "HEAD",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
            Verb::Options => "OPTIONS",
            Verb::Trace => "TRACE",
            Verb::Connect => "CONNECT",
            // A method is a token, which was checked.
            Verb::Other => std::str::from_utf8(self.fields.at(self.method)).unwrap_or(""),
        }
    }

    /// Path and query as they go to the upstream: origin-form, or `*`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path as sent, without the query; `*` for a request about the server itself.
    pub fn path(&self) -> &str {
        &self.target[..self.path_end]
    }

    /// The query as sent, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.get(self.path_end + 1..)
    }

    /// Whom the request is for: the authority of the target where it has one (RFC 9112 section 3.2.2, RFC 9113
    /// section 8.3.1), else `Host`. None only for HTTP/1.0.
    pub fn authority(&self) -> Option<&[u8]> {
        match self.authority {
            Some(span) => Some(self.fields.at(span)),
            None => self.fields.first(Known::Host),
        }
    }

    /// Whether it is a call of gRPC.
    pub fn is_grpc(&self) -> bool {
        let content_type = self.fields.first(Known::ContentType);
        self.version == Version::H2 && content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
    }

    /// Whether the client waits to be asked for its body. No other expectation is known, and HTTP/1.0 has none (RFC 9110
    /// section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        let mut members = self.fields.all(Known::Expect).flat_map(|value| value.split(|byte| *byte == b','));
        self.version != Version::Http10
            && members.any(|member| member.trim_ascii().eq_ignore_ascii_case(b"100-continue"))
    }

    /// Sets path and query, in two pieces.
    pub(super) fn set_target(&mut self, begin: &str, end: &str) {
        self.target.clear();
        self.target.push_str(begin);
        self.target.push_str(end);
        self.path_end = memchr::memchr(b'?', self.target.as_bytes()).unwrap_or(self.target.len());
    }
}

/// Memory that the target of a cleared head may keep for the next.
const KEEP_TARGET: usize = 4 * 1024;

/// The head of one response.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// The version it came in.
    pub version: Version,
    /// The status code, 100 to 999.
    pub status: u16,
    pub(super) reason: Span,
    /// The field lines.
    pub fields: Fields,
}

impl ResponseHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.status = 0;
        self.reason = Span::default();
    }

    /// The reason phrase as sent; empty from HTTP/2.
    pub fn reason(&self) -> &[u8] {
        self.fields.at(self.reason)
    }

    /// A head of our own making.
    pub fn own(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Whether a response of this status to a request of this method ends with its head (RFC 9112 section 6.3).
    pub fn is_bodiless(&self, verb: Verb) -> bool {
        verb == Verb::Head || matches!(self.status, 100..=199 | 204 | 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_100_continue_is_an_expectation() {
        let expects = |version, lines: &[&str]| {
            let mut head = RequestHead { version, ..RequestHead::default() };
            lines.iter().for_each(|value| head.fields.push(b"expect", value.as_bytes()));
            head.expects_continue()
        };
        for lines in [&["100-continue"][..], &["100-Continue"], &["x", "100-continue"], &["x, 100-continue"]] {
            assert!(expects(Version::Http11, lines) && expects(Version::H2, lines), "{lines:?}");
            assert!(!expects(Version::Http10, lines), "{lines:?}");
        }
        for lines in [&[][..], &[""], &["x"], &["y 100-continue"], &["100-continues"]] {
            assert!(!expects(Version::Http11, lines), "{lines:?}");
        }
    }
}
