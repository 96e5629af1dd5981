//! Which field lines go on, and which are the proxy's own (RFC 9110 section 7.6).

pub(super) mod in_place;

use smallvec::SmallVec;

use super::timer::Clock;
use crate::trace::Passing;
use crate::wire::h1::Framing;
use crate::wire::{FieldSink, Fields, Known, Passage, RequestHead, ResponseHead, Version};

/// What is known of the peer that sent a request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its address.
    pub(super) ip: std::net::IpAddr,
    /// The address as it stands in forwarding fields.
    pub(super) text: Box<str>,
    /// Whether it may set identity, forwarding and lane-mark fields.
    pub(super) trusted: bool,
    /// How it came.
    pub(super) scheme: Scheme,
}

/// How a peer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// In plain.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// As forwarding fields name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What the upstream is told beside the client's own fields.
pub(super) struct Told<'t> {
    /// The lane decided.
    pub(super) lane: &'t str,
    /// The release that decided.
    pub(super) release: Option<&'t str>,
    /// The class of service that the strategies of the route gave.
    pub(super) qos: Option<&'t str>,
    /// Our name in `Via`.
    pub(super) pseudonym: &'t str,
    /// The peer.
    pub(super) peer: &'t Peer,
    /// The protocol of an upgrade that is asked for, where it may be.
    pub(super) upgrade: Option<&'t [u8]>,
    /// The clock that says how long it has, where it is told.
    pub(super) deadline: Option<&'t Clock>,
}

/// Writes the fields of a request for an upstream, `Host` and framing aside. Returns how many lines were removed
/// because the peer may not set them; `untrusted` says of a name whether it is such a one. `passing` says what becomes of the
/// trace fields.
pub(super) fn to_upstream<S: FieldSink>(
    sink: &mut S,
    head: &RequestHead,
    told: &Told<'_>,
    passing: Passing,
    untrusted: impl Fn(&[u8]) -> bool,
) -> usize {
    let mut upward = Upward::new(head, told.peer.trusted, passing, untrusted);
    sink.lines(&head.fields, |known, name| match upward.passes(known, name) {
        false => Passage::Stays,
        true if S::COMPRESSES && upward.is_own(known, name) => Passage::PassesAlone,
        true => Passage::Passes,
    });
    add_own(sink, head, told);
    upward.removed
}

/// Which lines of a request go up. It goes by names: lines of one name share their fate.
struct Upward<'h, U> {
    head: &'h RequestHead,
    named: Tokens<'h>,
    trusted: bool,
    passing: Passing,
    untrusted: U,
    /// How many lines did not, because the peer may not set them.
    removed: usize,
}

impl<'h, U: Fn(&[u8]) -> bool> Upward<'h, U> {
    fn new(head: &'h RequestHead, trusted: bool, passing: Passing, untrusted: U) -> Self {
        Self { head, named: connection_tokens(&head.fields), trusted, passing, untrusted, removed: 0 }
    }

    /// Whether a line goes on as it is.
    fn passes(&mut self, known: Known, name: &[u8]) -> bool {
        match known {
            Known::Other | Known::RequestId | Known::Traceparent | Known::GrpcTimeout
                if !self.trusted && (self.untrusted)(name) =>
            {
                self.removed += 1;
                return false;
            }
            Known::Host | Known::ContentLength | Known::GrayLane | Known::GrayRelease | Known::GrayQos => {
                self.removed += usize::from(!self.trusted && !matches!(known, Known::Host | Known::ContentLength));
                return false;
            }
            Known::GrpcTimeout
            | Known::RequestTimeout
            | Known::Forwarded
            | Known::XForwardedFor
            | Known::XForwardedProto
            | Known::XForwardedHost => {
                self.removed += usize::from(!self.trusted);
                return false;
            }
            Known::Traceparent if self.passing != Passing::AsIs => return false,
            Known::Other if self.passing == Passing::Restarted && name.eq_ignore_ascii_case(b"tracestate") => {
                return false;
            }
            Known::MaxForwards if counts_forwards(self.head) => return false,
            // RFC 9110 section 10.1.1: in HTTP/1.0 it means nothing, and in our version it would.
            Known::Expect if self.head.version == Version::Http10 => return false,
            known if known.is_hop_by_hop() => return false,
            _ => {}
        }
        self.named.is_empty() || !is_named(&self.named, name)
    }

    /// Whether its value is one user's or one request's, and so not the next one's, or was said to be a secret.
    fn is_own(&self, known: Known, name: &[u8]) -> bool {
        matches!(known, Known::RequestId | Known::Traceparent)
            || (self.untrusted)(name)
            || self.head.fields.is_marked(name)
    }
}

/// Adds what the upstream is told by us.
fn add_own(sink: &mut impl FieldSink, head: &RequestHead, told: &Told<'_>) {
    add_forwarding(sink, head, told);
    sink.field(b"x-gray-lane", told.lane.as_bytes());
    if let Some(release) = told.release {
        sink.field(b"x-gray-release", release.as_bytes());
    }
    if let Some(qos) = told.qos {
        sink.field(b"x-gray-qos", qos.as_bytes());
    }
    if let Some(clock) = told.deadline {
        clock.passed.write(sink, clock.left());
    }
    if let Some(protocol) = told.upgrade {
        sink.field(b"connection", b"upgrade");
        sink.field(b"upgrade", protocol);
    }
}

fn add_forwarding(sink: &mut impl FieldSink, head: &RequestHead, told: &Told<'_>) {
    let (fields, peer) = (&head.fields, told.peer);
    let believed = |known| fields.has(known) && peer.trusted;
    let mut line = SmallVec::<[u8; 128]>::new();
    if believed(Known::XForwardedFor) {
        join(&mut line, fields.all(Known::XForwardedFor));
        line.extend_from_slice(b", ");
    }
    sink.field_of(b"x-forwarded-for", &line, peer.text.as_bytes());
    let proto = fields.first(Known::XForwardedProto).filter(|_| peer.trusted);
    sink.field(b"x-forwarded-proto", proto.unwrap_or(peer.scheme.as_str().as_bytes()));
    let host = fields.first(Known::XForwardedHost).filter(|_| peer.trusted).or(head.authority());
    if let Some(host) = host {
        sink.field(b"x-forwarded-host", host);
    }
    if fields.has(Known::Forwarded) {
        line.clear();
        if peer.trusted {
            join(&mut line, fields.all(Known::Forwarded));
            line.extend_from_slice(b", ");
        }
        forwarded_element(&mut line, peer);
        sink.field(b"forwarded", &line);
    }
    sink.field_of(b"via", received_by(head.version), told.pseudonym.as_bytes());
    if counts_forwards(head)
        && let Some(left) = max_forwards(head)
    {
        sink.field(b"max-forwards", itoa::Buffer::new().format(left.saturating_sub(1)).as_bytes());
    }
}

/// The version of the message as it came (RFC 9110 section 7.6.3).
fn received_by(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"1.0 ",
        Version::Http11 => b"1.1 ",
        Version::H2 => b"2 ",
    }
}

/// RFC 7239 section 4; an IPv6 address is quoted and bracketed.
fn forwarded_element(line: &mut SmallVec<[u8; 128]>, peer: &Peer) {
    line.extend_from_slice(b"for=");
    match peer.ip {
        std::net::IpAddr::V4(_) => line.extend_from_slice(peer.text.as_bytes()),
        std::net::IpAddr::V6(_) => {
            line.extend_from_slice(b"\"[");
            line.extend_from_slice(peer.text.as_bytes());
            line.extend_from_slice(b"]\"");
        }
    }
    line.extend_from_slice(b";proto=");
    line.extend_from_slice(peer.scheme.as_str().as_bytes());
}

fn join<'v>(line: &mut SmallVec<[u8; 128]>, values: impl Iterator<Item = &'v [u8]>) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            line.extend_from_slice(b", ");
        }
        line.extend_from_slice(value);
    }
}

/// Writes the fields of an answer for the client, framing aside: the length stays where the body has one.
pub(super) fn to_client(sink: &mut impl FieldSink, head: &ResponseHead, framing: Framing, shows_mark: bool) {
    let downward = Downward::new(head, framing, shows_mark);
    let mut lengths = 0;
    sink.lines(&head.fields, |known, name| {
        lengths += usize::from(known == Known::ContentLength);
        Passage::if_it(downward.passes(known, name) && (known != Known::ContentLength || lengths == 1))
    });
}

/// Which lines of an answer go down, the second of two lengths aside. Like [`Upward`] it goes by names.
struct Downward<'h> {
    named: Tokens<'h>,
    has_no_length: bool,
    shows_mark: bool,
}

impl<'h> Downward<'h> {
    fn new(head: &'h ResponseHead, framing: Framing, shows_mark: bool) -> Self {
        let has_no_length =
            matches!(framing, Framing::Chunked | Framing::UntilClose) || matches!(head.status, 100..=199 | 204);
        Self { named: connection_tokens(&head.fields), has_no_length, shows_mark }
    }

    /// Whether a line goes on as it is.
    fn passes(&self, known: Known, name: &[u8]) -> bool {
        let stays = match known {
            Known::Other => true,
            Known::ContentLength => !self.has_no_length,
            Known::GrayLane => !self.shows_mark,
            // Ours alone: what a service writes here is no decision, and nobody asked it.
            Known::GrayExplain => false,
            known => !known.is_hop_by_hop(),
        };
        // The length frames the body on this side too: `Connection` cannot take it away.
        stays && (self.named.is_empty() || known == Known::ContentLength || !is_named(&self.named, name))
    }
}

/// Trailers as they may go on: no field that frames, routes, modifies, authenticates, says what the content is or speaks of a
/// connection (RFC 9110 section 6.5.1), and none that the sender may not set, for there are servers that make them one with the
/// head.
pub(super) fn clean_trailers(trailers: &mut Fields, head: &Fields, untrusted: impl Fn(&[u8]) -> bool) {
    let named = connection_tokens(head);
    let passes = |known: Known, name: &[u8]| {
        let frames = known.is_hop_by_hop()
            || matches!(known, Known::ContentLength | Known::Host | Known::MaxForwards | Known::Expect)
            || matches!(known, Known::GrayLane | Known::GrayRelease | Known::GrayQos | Known::Forwarded)
            || matches!(known, Known::GrayExplain | Known::GrpcTimeout | Known::RequestTimeout | Known::Date)
            || matches!(known, Known::XForwardedFor | Known::XForwardedHost | Known::XForwardedProto)
            || is_only_for_heads(name);
        !frames && !is_named(&named, name) && !untrusted(name)
    };
    // Most are clean, and go on as they are.
    if trailers.iter().all(|(known, name, _)| passes(known, name)) {
        return;
    }
    let mut clean = Fields::default();
    let lines = trailers.iter().filter(|(known, name, _)| passes(*known, name));
    lines.for_each(|(_, name, value)| clean.push(name, value));
    *trailers = clean;
}

/// Fields that mean something only before a body, or never in trailers.
fn is_only_for_heads(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 18] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"range",
        b"set-cookie",
        b"trailer",
        b"www-authenticate",
    ];
    NAMES.iter().any(|only| name.eq_ignore_ascii_case(only))
}

type Tokens<'h> = SmallVec<[&'h [u8]; 4]>;

/// The field names that `Connection` says are for this hop only.
fn connection_tokens(fields: &Fields) -> Tokens<'_> {
    if !fields.has(Known::Connection) {
        return Tokens::new();
    }
    let tokens = fields.all(Known::Connection).flat_map(|value| value.split(|b| *b == b','));
    tokens.map(<[u8]>::trim_ascii).filter(|token| !token.is_empty()).collect()
}

fn is_named(named: &Tokens<'_>, name: &[u8]) -> bool {
    named.iter().any(|token| token.eq_ignore_ascii_case(name))
}

/// Whether `Connection` has a token.
pub(super) fn connection_has(fields: &Fields, token: &[u8]) -> bool {
    is_named(&connection_tokens(fields), token)
}

/// How often our own name already stands in `Via`: the sidecars of this service that a request has passed.
pub(super) fn times_passed(fields: &Fields, pseudonym: &str) -> usize {
    let hops = fields.all(Known::Via).flat_map(|value| value.split(|b| *b == b','));
    hops.filter(|hop| {
        let mut words = hop.trim_ascii().split(|b| *b == b' ').filter(|word| !word.is_empty());
        words.next();
        words.next().is_some_and(|by| by.eq_ignore_ascii_case(pseudonym.as_bytes()))
    })
    .count()
}

/// Whether `Max-Forwards` means something for this method (RFC 9110 section 7.6.2).
fn counts_forwards(head: &RequestHead) -> bool {
    head.fields.has(Known::MaxForwards) && matches!(head.verb, crate::wire::Verb::Options | crate::wire::Verb::Trace)
}

/// How many more times a TRACE or OPTIONS may be forwarded, where it says so.
pub(super) fn max_forwards(head: &RequestHead) -> Option<u32> {
    let value = head.fields.first(Known::MaxForwards).filter(|_| counts_forwards(head))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The protocol a request asks to change to, where the proxy lets it: one protocol, no body, not HTTP/2 in the clear
/// (RFC 9113 deprecates that upgrade, and its bytes would pass unseen).
pub(super) fn wanted_upgrade(head: &RequestHead, framing: Framing) -> Option<&[u8]> {
    if !head.fields.has(Known::Upgrade) || head.version != Version::Http11 || framing != Framing::Empty {
        return None;
    }
    let mut protocols = head.fields.all(Known::Upgrade);
    let protocol = protocols.next()?;
    let single = protocols.next().is_none() && !protocol.contains(&b',') && !protocol.is_empty();
    let is_h2 = protocol.len() >= 2 && protocol[..2].eq_ignore_ascii_case(b"h2");
    (single && !is_h2 && connection_has(&head.fields, b"upgrade")).then_some(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn peer(trusted: bool) -> Peer {
        Peer { ip: [10, 0, 0, 9].into(), text: "10.0.0.9".into(), trusted, scheme: Scheme::Http }
    }

    pub(super) fn told(peer: &Peer) -> Told<'_> {
        Told { lane: "gray", release: Some("r"), qos: None, pseudonym: "shop", peer, upgrade: None, deadline: None }
    }

    fn sent(lines: &[(&str, &str)], trusted: bool) -> String {
        let mut out = Vec::new();
        send(&mut out, lines, trusted);
        String::from_utf8(out).unwrap()
    }

    fn send(sink: &mut impl FieldSink, lines: &[(&str, &str)], trusted: bool) {
        let mut head = RequestHead::default();
        lines.iter().for_each(|(name, value)| head.fields.push(name.as_bytes(), value.as_bytes()));
        to_upstream(sink, &head, &told(&peer(trusted)), Passing::AsIs, |name| name.eq_ignore_ascii_case(b"x-user-id"));
    }

    #[test]
    fn what_is_one_users_or_one_requests_is_not_compressed_by_what_others_sent() {
        let mut map = http::HeaderMap::new();
        send(&mut map, &[("X-User-Id", "u1"), ("traceparent", "00-1"), ("x-request-id", "7"), ("Accept", "a")], true);
        let own: Vec<_> = map.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(own, ["x-user-id", "traceparent", "x-request-id"]);
        assert!(map.contains_key("accept") && map.contains_key("x-gray-lane"));
    }

    #[test]
    fn hop_by_hop_fields_and_those_connection_names_stay_here() {
        let lines = [
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authorization", "x"),
            ("TE", "gzip"),
            ("X-Stay", "2"),
        ];
        assert_eq!(
            sent(&lines, true),
            "X-Stay: 2\r\nx-forwarded-for: 10.0.0.9\r\nx-forwarded-proto: http\r\nvia: 1.1 shop\r\n\
             x-gray-lane: gray\r\nx-gray-release: r\r\n"
        );
    }

    #[test]
    fn a_trusted_peers_forwarding_fields_are_continued() {
        let lines = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-For", "2.2.2.2"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=1.1.1.1"),
            ("Host", "shop"),
            ("X-User-Id", "u1"),
        ];
        assert_eq!(
            sent(&lines, true),
            "X-User-Id: u1\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.9\r\nx-forwarded-proto: https\r\n\
             x-forwarded-host: shop\r\nforwarded: for=1.1.1.1, for=10.0.0.9;proto=http\r\nvia: 1.1 shop\r\n\
             x-gray-lane: gray\r\nx-gray-release: r\r\n"
        );
    }

    #[test]
    fn an_untrusted_peers_claims_are_replaced() {
        let lines = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=1.1.1.1"),
            ("x-gray-lane", "gold"),
            ("x-gray-release", "other"),
            ("X-User-Id", "u1"),
        ];
        assert_eq!(
            sent(&lines, false),
            "x-forwarded-for: 10.0.0.9\r\nx-forwarded-proto: http\r\nforwarded: for=10.0.0.9;proto=http\r\n\
             via: 1.1 shop\r\nx-gray-lane: gray\r\nx-gray-release: r\r\n"
        );
    }

    #[test]
    fn our_name_in_via_is_counted_however_it_is_written() {
        let mut fields = Fields::default();
        fields.push(b"via", b"1.1 other, 1.1 shop (comment),2  SHOP");
        fields.push(b"Via", b"1.0 shop-2, 1.1 shop");
        assert_eq!(times_passed(&fields, "shop"), 3);
    }

    #[test]
    fn forwards_are_counted_down_for_options_alone() {
        let mut head = RequestHead::default();
        head.verb = crate::wire::Verb::Options;
        head.fields.push(b"max-forwards", b"3");
        let peer = peer(true);
        let told = Told {
            lane: "stable",
            release: None,
            qos: None,
            pseudonym: "shop",
            peer: &peer,
            upgrade: None,
            deadline: None,
        };
        let mut out = Vec::new();
        to_upstream(&mut out, &head, &told, Passing::AsIs, |_| false);
        assert!(String::from_utf8(out).unwrap().contains("max-forwards: 2\r\n"));
        assert_eq!(max_forwards(&head), Some(3));
        head.verb = crate::wire::Verb::Get;
        assert_eq!(max_forwards(&head), None);
    }

    #[test]
    fn only_a_plain_upgrade_is_let_through() {
        let mut head = RequestHead::default();
        head.fields.push(b"Connection", b"keep-alive, Upgrade");
        head.fields.push(b"Upgrade", b"websocket");
        assert_eq!(wanted_upgrade(&head, Framing::Empty), Some(&b"websocket"[..]));
        assert_eq!(wanted_upgrade(&head, Framing::Length(3)), None);
        let mut h2c = RequestHead::default();
        h2c.fields.push(b"Connection", b"Upgrade, HTTP2-Settings");
        h2c.fields.push(b"Upgrade", b"h2c");
        assert_eq!(wanted_upgrade(&h2c, Framing::Empty), None);
    }

    #[test]
    fn trailers_cannot_frame_or_mark() {
        let mut trailers = Fields::default();
        let framing = ["content-length", "transfer-encoding", "content_length", "te", "upgrade", "trailer"];
        let others = ["x-gray-lane", "x-user-id", "Authorization", "COOKIE", "content-type", "range", "grpc-status"];
        let more = ["grpc-timeout", "x-request-timeout-ms", "Date"];
        for name in framing.iter().chain(&others).chain(&more) {
            trailers.push(name.as_bytes(), b"0");
        }
        clean_trailers(&mut trailers, &Fields::default(), |name| name == b"x-user-id");
        assert_eq!(trailers.iter().map(|(_, name, _)| name).collect::<Vec<_>>(), [b"grpc-status"]);
    }
}
