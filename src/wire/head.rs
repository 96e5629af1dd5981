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
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) query: Option<Span>,
    pub(super) authority: Option<Span>,
    /// The field lines; those of HTTP/2's pseudo fields are not among them.
    pub fields: Fields,
}

impl RequestHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// The method as sent.
    pub fn method(&self) -> &str {
        self.text(self.method)
    }

    /// Path and query as they go to the upstream: origin-form, or `*`.
    pub fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The path as sent, without the query; `*` for a request about the server itself.
    pub fn path(&self) -> &str {
        self.text(self.path)
    }

    /// The query as sent, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.text(span))
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

    /// Places method and target are stored at hold only bytes that were checked to be text.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.fields.at(span)).unwrap_or("")
    }

    /// Splits the stored target into path and query.
    pub(super) fn split_target(&mut self, start: usize, target: &[u8]) {
        let question = memchr::memchr(b'?', target);
        let path_end = question.unwrap_or(target.len());
        self.target = Span::new(start, start + target.len());
        self.path = Span::new(start, start + path_end);
        self.query = question.map(|at| Span::new(start + at + 1, start + target.len()));
    }
}

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
