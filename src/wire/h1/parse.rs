//! Raw bytes to heads.

use std::mem::MaybeUninit;

use crate::wire::{Fields, Known, RequestHead, ResponseHead, Span, Verb, Version};

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole head.
    pub head_bytes: usize,
    /// Field lines.
    pub fields: usize,
    /// Bytes of the request target.
    pub uri_bytes: usize,
}

/// Field lines for which there is room on the stack; a head of more, where the limit allows it, is read a second time
/// with room on the heap.
const USUAL_FIELDS: usize = 256;

/// Why a head is refused: the status to answer with and a stable word for logs, metrics and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{word}")]
pub struct HeadError {
    /// 400, 405, 414, 431 or 505
    pub status: u16,
    /// A stable word.
    pub word: &'static str,
}

impl HeadError {
    const fn new(status: u16, word: &'static str) -> Self {
        Self { status, word }
    }

    /// A line end without CR.
    pub const BARE_LF: Self = Self::new(400, "bare_lf");
    /// Not a request or status line.
    pub const START_LINE: Self = Self::new(400, "bad_start_line");
    /// A field line that is none: obsolete folding, a space before the colon, a control character.
    pub const FIELD: Self = Self::new(400, "bad_field");
    /// More field lines than allowed.
    pub const TOO_MANY_FIELDS: Self = Self::new(431, "too_many_fields");
    /// More bytes than allowed.
    pub const HEAD_TOO_LARGE: Self = Self::new(431, "head_too_large");
    /// A target longer than allowed.
    pub const URI_TOO_LONG: Self = Self::new(414, "uri_too_long");
    /// A version that is neither 1.0 nor 1.1.
    pub const VERSION: Self = Self::new(505, "version_not_supported");
    /// A target in a form that the method does not take.
    pub const TARGET: Self = Self::new(400, "bad_target");
    /// CONNECT, which a reverse proxy has no use for.
    pub const CONNECT: Self = Self::new(405, "connect_refused");
    /// `Host` missing, repeated or malformed.
    pub const HOST: Self = Self::new(400, "bad_host");
    /// `Content-Length` repeated, signed, a list or no number.
    pub const CONTENT_LENGTH: Self = Self::new(400, "bad_content_length");
    /// `Transfer-Encoding` other than one `chunked`, or in HTTP/1.0.
    pub const TRANSFER_ENCODING: Self = Self::new(400, "bad_transfer_encoding");
    /// `Transfer-Encoding` beside `Content-Length`.
    pub const TWO_FRAMINGS: Self = Self::new(400, "two_framings");
    /// A chunked body that is none.
    pub const CHUNK: Self = Self::new(400, "bad_chunk");
}

/// Reads the whole head of a request, found by [`super::HeadScan`].
pub(super) fn parse_request(raw: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<(), HeadError> {
    let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let read = request_in(&mut room[..limits.fields.min(USUAL_FIELDS)], raw, limits, head);
    let read = match read {
        Err(HeadError::TOO_MANY_FIELDS) if limits.fields > USUAL_FIELDS => {
            request_in(&mut vec![MaybeUninit::uninit(); limits.fields], raw, limits, head)
        }
        read => read,
    };
    all_of(raw, read)
}

/// A head that was found must be one to its last byte.
fn all_of(raw: &[u8], read: Result<Read, HeadError>) -> Result<(), HeadError> {
    if read?.end == raw.len() { Ok(()) } else { Err(HeadError::START_LINE) }
}

/// Reads the head at the front of `buf` in one pass, and says where it ends; `None` where it is not there as a whole, is out
/// of the ordinary, or is none: then [`super::HeadScan`] has to look at it. What is read here is read the same way there.
pub(super) fn request_at_once(buf: &[u8], limits: &Limits, head: &mut RequestHead) -> Option<usize> {
    let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let read = request_in(&mut room[..limits.fields.min(USUAL_FIELDS)], buf, limits, head).ok()?;
    is_strict(buf, &read, &head.fields, limits).then_some(read.end)
}

/// As [`request_at_once`], of a response.
pub(super) fn response_at_once(buf: &[u8], limits: &Limits, head: &mut ResponseHead) -> Option<usize> {
    let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let read = response_in(&mut room[..limits.fields.min(USUAL_FIELDS)], buf, head).ok()?;
    is_strict(buf, &read, &head.fields, limits).then_some(read.end)
}

/// Where a head that was read ends.
struct Read {
    end: usize,
    /// Where its start line ends, line end aside; 0 where that is not known.
    line: usize,
}

/// Whether a CR stands directly behind each part that ends a line. `httparse` takes an LF for nothing but the end of a line,
/// bare or behind a CR, so then every LF has its CR. Values with spaces behind them, or none, are looked at elsewhere.
fn is_strict(buf: &[u8], read: &Read, fields: &Fields, limits: &Limits) -> bool {
    read.end <= limits.head_bytes
        && (1..=limits.uri_bytes + LINE_BESIDE_URI).contains(&read.line)
        && buf[read.line] == b'\r'
        && buf[read.end - 2] == b'\r'
        && fields.all_before(b'\r')
}

/// Bytes that a start line may have beside its target: the method and the version.
pub(super) const LINE_BESIDE_URI: usize = 64;

/// Room for field lines.
type Room<'r> = [MaybeUninit<httparse::Header<'r>>];

/// Reads the head that `raw` begins with.
fn request_in<'r>(
    room: &mut Room<'r>,
    raw: &'r [u8],
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Read, HeadError> {
    head.clear();
    let mut parsed = httparse::Request::new(&mut []);
    let httparse::Status::Complete(end) = parsed.parse_with_uninit_headers(raw, room).map_err(head_error)? else {
        return Err(HeadError::START_LINE);
    };
    let raw = &raw[..end];
    let method = parsed.method.ok_or(HeadError::START_LINE)?;
    let target = parsed.path.ok_or(HeadError::START_LINE)?;
    if target.len() > limits.uri_bytes {
        return Err(HeadError::URI_TOO_LONG);
    }
    head.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.verb = Verb::of(method.as_bytes());
    // The head is kept as it stood, so that places within it are places in the copy.
    let base = raw.as_ptr() as usize;
    head.fields.store(raw);
    head.method = span_of(method.as_bytes(), base);
    place_target(head, target, base)?;
    for field in parsed.headers.iter() {
        head.fields.index(span_of(field.name.as_bytes(), base), span_of(field.value, base));
    }
    check_host(head)?;
    // Behind target, space and version, where nothing stands before the method.
    let line =
        if method.as_ptr() as usize == base { span_of(target.as_bytes(), base).end() + " HTTP/1.1".len() } else { 0 };
    Ok(Read { end, line })
}

/// Reads the whole head of a response, found by [`super::HeadScan`].
pub(super) fn parse_response(raw: &[u8], limits: &Limits, head: &mut ResponseHead) -> Result<(), HeadError> {
    let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let read = match response_in(&mut room[..limits.fields.min(USUAL_FIELDS)], raw, head) {
        Err(HeadError::TOO_MANY_FIELDS) if limits.fields > USUAL_FIELDS => {
            response_in(&mut vec![MaybeUninit::uninit(); limits.fields], raw, head)
        }
        read => read,
    };
    all_of(raw, read)
}

fn response_in<'r>(room: &mut Room<'r>, raw: &'r [u8], head: &mut ResponseHead) -> Result<Read, HeadError> {
    head.clear();
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let read = config.parse_response_with_uninit_headers(&mut parsed, raw, room).map_err(head_error)?;
    let httparse::Status::Complete(end) = read else { return Err(HeadError::START_LINE) };
    let raw = &raw[..end];
    head.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.status = parsed.code.ok_or(HeadError::START_LINE)?;
    if head.status < 100 {
        return Err(HeadError::START_LINE);
    }
    let base = raw.as_ptr() as usize;
    head.fields.store(raw);
    head.reason = match parsed.reason {
        Some(reason) if !reason.is_empty() => span_of(reason.as_bytes(), base),
        _ => Span::default(),
    };
    for field in parsed.headers.iter() {
        head.fields.index(span_of(field.name.as_bytes(), base), span_of(field.value, base));
    }
    // Empty lines may have been passed over.
    let line = if raw.first() == Some(&b'H') { head.reason.end() } else { 0 };
    Ok(Read { end, line })
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TOO_MANY_FIELDS,
        httparse::Error::Version => HeadError::VERSION,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::FIELD,
        _ => HeadError::START_LINE,
    }
}

fn span_of(part: &[u8], base: usize) -> Span {
    let start = if part.is_empty() { 0 } else { part.as_ptr() as usize - base };
    Span::new(start, start + part.len())
}

/// The four forms of a target (RFC 9112 section 3.2). Absolute-form becomes origin-form, its authority kept aside.
fn place_target(head: &mut RequestHead, target: &str, base: usize) -> Result<(), HeadError> {
    if head.verb == Verb::Connect {
        return Err(HeadError::CONNECT);
    }
    // A target has no fragment; servers that cut one off read another path than those that do not.
    if target.contains('#') {
        return Err(HeadError::TARGET);
    }
    if target.starts_with('/') {
        head.set_target(target, "");
        return Ok(());
    }
    if target == "*" {
        head.set_target("*", "");
        return if head.verb == Verb::Options { Ok(()) } else { Err(HeadError::TARGET) };
    }
    let scheme = ["http://", "https://"]
        .iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .ok_or(HeadError::TARGET)?;
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    if !is_authority(&rest.as_bytes()[..end]) {
        return Err(HeadError::TARGET);
    }
    let start = rest.as_ptr() as usize - base;
    head.authority = Some(Span::new(start, start + end));
    // `http://host?query` and `http://host` have an empty path, which is `/`; of OPTIONS the second is about the server
    // itself (RFC 9112 section 3.2.4).
    let root = match &rest[end..] {
        "" if head.verb == Verb::Options => "*",
        rest if rest.starts_with('/') => "",
        _ => "/",
    };
    head.set_target(root, &rest[end..]);
    Ok(())
}

/// Exactly one well-formed `Host`, also beside an absolute-form target (RFC 9112 section 3.2); HTTP/1.0 may lack it.
fn check_host(head: &RequestHead) -> Result<(), HeadError> {
    let mut hosts = head.fields.all(Known::Host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.is_empty() || is_authority(host) => Ok(()),
        (None, None) if head.version == Version::Http10 => Ok(()),
        _ => Err(HeadError::HOST),
    }
}

/// The characters of a registered name (RFC 3986 section 3.2.2), a percent sign among them.
const IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// A host with an optional port, without user information (RFC 3986 section 3.2).
pub(in crate::wire) fn is_authority(bytes: &[u8]) -> bool {
    let (host, port) = match bytes.iter().rposition(|&b| b == b':') {
        Some(colon) if !bytes[colon..].contains(&b']') => (&bytes[..colon], &bytes[colon + 1..]),
        _ => (bytes, &[][..]),
    };
    let host_is_good = match host {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
        }
        name => !name.is_empty() && name.iter().all(|b| IS_NAME[usize::from(*b)]),
    };
    host_is_good && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 64 * 1024, fields: 8, uri_bytes: 1024 };

    #[test]
    fn a_limit_above_the_usual_room_is_what_it_says() {
        let limits = Limits { head_bytes: 64 * 1024, fields: 700, uri_bytes: 1024 };
        for (more, expected) in [(698, Ok(())), (699, Ok(())), (700, Err(HeadError::TOO_MANY_FIELDS))] {
            let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(more));
            assert_eq!(parse_request(raw.as_bytes(), &limits, &mut RequestHead::default()), expected, "{more}");
            let raw = format!("HTTP/1.1 200 OK\r\nA: b\r\n{}\r\n", "X: y\r\n".repeat(more));
            assert_eq!(parse_response(raw.as_bytes(), &limits, &mut ResponseHead::default()), expected, "{more}");
        }
    }

    fn parse(raw: &str) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        parse_request(raw.as_bytes(), &LIMITS, &mut head).map(|()| head)
    }

    fn refused(raw: &str, error: HeadError) {
        assert_eq!(parse(raw).err(), Some(error), "{raw:?}");
    }

    #[test]
    fn a_request_is_read_as_it_stood() {
        let head = parse("GET /a/b?c=d HTTP/1.1\r\nHost: shop:80\r\nX-User-Id:  u1 \r\n\r\n").unwrap();
        assert_eq!((head.method(), head.target(), head.path(), head.query()), ("GET", "/a/b?c=d", "/a/b", Some("c=d")));
        assert_eq!(head.authority(), Some(&b"shop:80"[..]));
        assert_eq!(head.fields.named(b"x-user-id").next(), Some(&b"u1"[..]));
    }

    #[test]
    fn absolute_form_beats_host() {
        let head = parse("GET http://a.example/x?y HTTP/1.1\r\nHost: b.example\r\n\r\n").unwrap();
        assert_eq!((head.authority(), head.target()), (Some(&b"a.example"[..]), "/x?y"));
        let head = parse("GET HTTP://a.example?y HTTP/1.1\r\nHost: b.example\r\n\r\n").unwrap();
        assert_eq!((head.path(), head.target()), ("/", "/?y"));
        let head = parse("GET http://a.example HTTP/1.1\r\nHost: b.example\r\n\r\n").unwrap();
        assert_eq!((head.path(), head.target(), head.query()), ("/", "/", None));
        let head = parse("OPTIONS http://a.example HTTP/1.1\r\nHost: b.example\r\n\r\n").unwrap();
        assert_eq!((head.path(), head.target()), ("*", "*"));
        let head = parse("OPTIONS http://a.example?a HTTP/1.1\r\nHost: b.example\r\n\r\n").unwrap();
        assert_eq!(head.target(), "/?a");
    }

    #[test]
    fn hosts_that_are_missing_repeated_or_malformed_are_refused() {
        refused("GET / HTTP/1.1\r\n\r\n", HeadError::HOST);
        refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::HOST);
        for bad in ["a b", "a/b", "user@a", "a:b", "a:123456", "[::1", "[zz]", "a,b:x"] {
            refused(&format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n"), HeadError::HOST);
        }
        for good in ["a", "a:80", "[::1]:80", "127.0.0.1", "", "shop_1.example"] {
            assert!(parse(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")).is_ok(), "{good}");
        }
        assert!(parse("GET / HTTP/1.0\r\n\r\n").is_ok());
    }

    #[test]
    fn targets_in_the_wrong_form_are_refused() {
        refused("GET a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::TARGET);
        refused("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::TARGET);
        refused("GET /a#/../b HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::TARGET);
        refused("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::TARGET);
        refused("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::TARGET);
        refused("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::CONNECT);
        assert_eq!(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().path(), "*");
    }

    #[test]
    fn field_lines_that_are_none_are_refused() {
        for line in ["a : b", "a: b\r\n c", " a: b", "a", "a: \0", "a: b\rc", "a\0: b", ": b", "a: \x7f"] {
            refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"), HeadError::FIELD);
        }
    }

    #[test]
    fn start_lines_that_are_none_are_refused() {
        for line in
            ["GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /", " GET / HTTP/1.1", "G ET / HTTP/1.1", "GET /\t HTTP/1.1"]
        {
            let error = parse(&format!("{line}\r\nHost: a\r\n\r\n")).err();
            assert!(error.is_some_and(|e| e.status == 400 || e.status == 505), "{line}: {error:?}");
        }
        refused("GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::VERSION);
        refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::VERSION);
    }

    #[test]
    fn more_lines_than_allowed_are_refused() {
        let many = (0..9).map(|i| format!("a{i}: b\r\n")).collect::<String>();
        refused(&format!("GET / HTTP/1.1\r\n{many}\r\n"), HeadError::TOO_MANY_FIELDS);
    }

    #[test]
    fn a_response_keeps_its_reason() {
        let mut head = ResponseHead::default();
        parse_response(b"HTTP/1.1 299 Odd Thing\r\nA: b\r\n\r\n", &LIMITS, &mut head).unwrap();
        assert_eq!((head.status, head.reason()), (299, &b"Odd Thing"[..]));
        parse_response(b"HTTP/1.1 200\r\n\r\n", &LIMITS, &mut head).unwrap();
        assert_eq!((head.status, head.reason()), (200, &b""[..]));
        assert!(parse_response(b"HTTP/1.1 099 x\r\n\r\n", &LIMITS, &mut head).is_err());
    }
}
