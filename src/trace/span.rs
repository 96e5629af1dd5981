//! Spans, written as OTLP has them.

use super::context::Context;
use super::protobuf::{Value, attribute, bytes, fixed32, fixed64, message, number};

/// The most bytes of one value. What a client sends is cut there, so that a span is bounded.
const LONGEST: usize = 512;
/// The attributes of a `Span`.
const ATTRIBUTES: u64 = 9;
/// `SpanFlags`: whether the parent is another process is known; and it is one.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Which side of a call a span tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that was served.
    Server,
    /// A request that was sent.
    Client,
}

/// Where the sender of a span's parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// There is none: the trace begins here.
    None,
    /// In another process.
    Remote([u8; 8]),
    /// In this one.
    Local([u8; 8]),
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing is said against it.
    Unset,
    /// It failed.
    Error,
}

/// What every span has.
#[derive(Debug, Clone, Copy)]
pub struct Span<'s> {
    /// The trace, and the span itself.
    pub context: Context,
    /// Who caused it.
    pub parent: Parent,
    /// The `tracestate` that came with the trace.
    pub state: &'s str,
    /// Its name: a method, and a route where there is one.
    pub name: (&'s str, Option<&'s str>),
    /// Which side it tells of.
    pub kind: Kind,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// How it ended.
    pub status: Status,
    /// A trace that it has to do with and does not belong to.
    pub link: Option<Context>,
}

/// The spans of one request, as they stand in a `ScopeSpans`.
#[derive(Debug, Default)]
pub struct Spans {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
}

/// Takes the attributes of a span or an event.
pub struct Attributes<'o> {
    out: &'o mut Vec<u8>,
    field: u64,
}

impl Spans {
    /// With room for so many.
    pub fn with_room_for(count: usize) -> Self {
        Self { bytes: Vec::with_capacity(1024 * count), count: 0 }
    }

    /// Adds one.
    pub fn add(&mut self, span: &Span<'_>, attributes: impl FnOnce(&mut Attributes<'_>)) {
        self.count += 1;
        message(&mut self.bytes, 2, |out| {
            bytes(out, 1, &span.context.trace);
            bytes(out, 2, &span.context.span);
            if !span.state.is_empty() {
                bytes(out, 3, cut(span.state).as_bytes());
            }
            let remote = match span.parent {
                Parent::None => 0,
                Parent::Remote(parent) => {
                    bytes(out, 4, &parent);
                    KNOWS_REMOTE | IS_REMOTE
                }
                Parent::Local(parent) => {
                    bytes(out, 4, &parent);
                    KNOWS_REMOTE
                }
            };
            message(out, 5, |out| {
                out.extend_from_slice(span.name.0.as_bytes());
                if let Some(route) = span.name.1 {
                    out.push(b' ');
                    out.extend_from_slice(route.as_bytes());
                }
            });
            number(out, 6, if span.kind == Kind::Server { 2 } else { 3 });
            fixed64(out, 7, span.times.0);
            // A clock that was set back must not make a span end before it began.
            fixed64(out, 8, span.times.1.max(span.times.0));
            attributes(&mut Attributes { out, field: ATTRIBUTES });
            if let Some(link) = span.link {
                message(out, 13, |out| {
                    bytes(out, 1, &link.trace);
                    bytes(out, 2, &link.span);
                    fixed32(out, 6, u32::from(link.flags()) | KNOWS_REMOTE | IS_REMOTE);
                });
            }
            if span.status == Status::Error {
                message(out, 15, |out| number(out, 3, 2));
            }
            fixed32(out, 16, u32::from(span.context.flags()) | remote);
        });
    }
}

impl<'o> Attributes<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, field: u64) -> Self {
        Self { out, field }
    }

    /// A text of ours or of the configuration.
    pub fn text(&mut self, key: &str, value: &str) {
        attribute(self.out, self.field, key, Value::Text(cut(value)));
    }

    /// A text that a client wrote: what could fool a viewer is replaced.
    pub fn sent(&mut self, key: &str, value: &str) {
        if value.chars().any(is_misleading) {
            let clean: String =
                cut(value).chars().map(|c| if is_misleading(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
            self.text(key, &clean);
        } else {
            self.text(key, value);
        }
    }

    /// A whole number.
    pub fn number(&mut self, key: &str, value: i64) {
        attribute(self.out, self.field, key, Value::Number(value));
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &str, value: bool) {
        attribute(self.out, self.field, key, Value::Flag(value));
    }
}

/// At most [`LONGEST`] bytes, and whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// Control characters, and those that part lines or turn the direction of text.
fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::trace::v1::{self, ScopeSpans};
    use prost::Message as _;

    fn decoded(span: &Span<'_>, attributes: impl FnOnce(&mut Attributes<'_>)) -> v1::Span {
        let mut spans = Spans::with_room_for(1);
        spans.add(span, attributes);
        assert_eq!(spans.count, 1);
        let mut read = ScopeSpans::decode(&spans.bytes[..]).unwrap().spans;
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    fn span() -> Span<'static> {
        Span {
            context: Context::new([7; 16], [8; 8], true),
            parent: Parent::None,
            state: "",
            name: ("GET", Some("/sku/{id}")),
            kind: Kind::Server,
            times: (1_000, 3_000),
            status: Status::Unset,
            link: None,
        }
    }

    fn value(span: &v1::Span, key: &str) -> any_value::Value {
        let found = span.attributes.iter().find(|attribute| attribute.key == key);
        found.and_then(|attribute| attribute.value.clone()?.value).unwrap_or_else(|| panic!("no {key}"))
    }

    #[test]
    fn others_read_a_root_span() {
        let read = decoded(&span(), |attributes| {
            attributes.text("graylane.lane", "gray");
            attributes.number("http.response.status_code", 200);
            attributes.flag("graylane.fault_counts", true);
        });
        assert_eq!((&read.trace_id[..], &read.span_id[..]), (&[7; 16][..], &[8; 8][..]));
        assert_eq!((read.name.as_str(), read.kind), ("GET /sku/{id}", v1::span::SpanKind::Server as i32));
        assert_eq!((read.start_time_unix_nano, read.end_time_unix_nano), (1_000, 3_000));
        assert!(read.parent_span_id.is_empty() && read.links.is_empty() && read.status.is_none());
        assert_eq!(read.flags, 1);
        assert_eq!(value(&read, "graylane.lane"), any_value::Value::StringValue("gray".into()));
        assert_eq!(value(&read, "http.response.status_code"), any_value::Value::IntValue(200));
        assert_eq!(value(&read, "graylane.fault_counts"), any_value::Value::BoolValue(true));
    }

    #[test]
    fn others_read_parents_links_states_and_errors() {
        let link = Some(Context::new([1; 16], [2; 8], false));
        let whole = Span { parent: Parent::Remote([3; 8]), state: "a=b", status: Status::Error, link, ..span() };
        let read = decoded(&whole, |_| {});
        assert_eq!((&read.parent_span_id[..], read.flags, read.trace_state.as_str()), (&[3; 8][..], 0x301, "a=b"));
        assert_eq!((&read.links[0].trace_id[..], &read.links[0].span_id[..]), (&[1; 16][..], &[2; 8][..]));
        assert_eq!(read.status.unwrap().code, v1::status::StatusCode::Error as i32);
        let inner = Span { parent: Parent::Local([3; 8]), kind: Kind::Client, name: ("GET", None), ..span() };
        let read = decoded(&inner, |_| {});
        assert_eq!((read.flags, read.kind, read.name.as_str()), (0x101, v1::span::SpanKind::Client as i32, "GET"));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_span_that_ends_first() {
        let read = decoded(&Span { times: (3_000, 1_000), ..span() }, |_| {});
        assert_eq!(read.end_time_unix_nano, 3_000);
    }

    #[test]
    fn hostile_text_is_cut_at_a_character_and_cannot_fool_a_viewer() {
        let long = format!("{}锅{}", "a".repeat(LONGEST - 1), "b".repeat(10_000));
        let read = decoded(&span(), |attributes| {
            attributes.sent("long", &long);
            attributes.sent("turned", "a\u{202e}b\u{1b}[2Jc\nd");
            attributes.sent("tag", "<script>alert(1)</script>");
        });
        assert_eq!(value(&read, "long"), any_value::Value::StringValue("a".repeat(LONGEST - 1)));
        let clean = "a\u{fffd}b\u{fffd}[2Jc\u{fffd}d";
        assert_eq!(value(&read, "turned"), any_value::Value::StringValue(clean.into()));
        assert_eq!(value(&read, "tag"), any_value::Value::StringValue("<script>alert(1)</script>".into()));
    }
}
