//! The sections of RFC 9113 and RFC 7541 that h2spec checks and that matter most, as raw frames, so that every run of the
//! tests has them. The whole suite is `make conformance`.

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Heard, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, block, frame, get,
};
use crate::harness::{Origin, Plan, Sidecar};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;

/// What a case has to come to.
enum To {
    /// The whole connection ends with one of these reasons, or with the general one (RFC 9113 section 5.4.1), which is what
    /// `h2` mostly gives.
    Connection(&'static [u32]),
    /// The stream is reset with one of these, or the connection ends: a stricter reading is allowed.
    Stream(&'static [u32]),
}

use To::{Connection, Stream};

fn open(method: &str, stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(method))
}

/// A head with more fields, each of which has a short name and value.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    let short = |text: &str| u8::try_from(text.len()).expect("a short text");
    let more = fields
        .iter()
        .flat_map(|(name, value)| [&[0, short(name)][..], name.as_bytes(), &[short(value)], value.as_bytes()].concat());
    [block("GET"), more.collect()].concat()
}

fn settings(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn frames() -> Vec<(&'static str, Vec<u8>, To)> {
    let most = 0x7fff_ffffu32.to_be_bytes();
    vec![
        ("9113 4.2 a frame over the limit", frame(DATA, 0, 1, &[0; 20_000]), Connection(&[FRAME_SIZE_ERROR])),
        ("9113 5.1 DATA on an idle stream", frame(DATA, 0, 1, b"x"), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
        ("9113 5.1 RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), Connection(&[PROTOCOL_ERROR])),
        ("9113 5.1 WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, &most), Connection(&[PROTOCOL_ERROR])),
        ("9113 5.1.1 an even stream", get(2), Connection(&[PROTOCOL_ERROR])),
        ("9113 5.1.1 a smaller stream", [get(5), get(3)].concat(), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
        ("9113 6.1 DATA on stream 0", frame(DATA, 0, 0, b"x"), Connection(&[PROTOCOL_ERROR])),
        (
            "9113 6.1 padding longer than the frame",
            [open("POST", 1, 0), frame(DATA, 8, 1, &[9, 1, 2])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        ("9113 6.2 HEADERS on stream 0", get(0), Connection(&[PROTOCOL_ERROR])),
        (
            "9113 6.2 another frame within a header section",
            [frame(HEADERS, 0, 1, &block("GET")), frame(PING, 0, 0, &[0; 8])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        ("9113 6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), Connection(&[PROTOCOL_ERROR])),
        (
            "9113 6.4 RST_STREAM of a wrong length",
            [open("POST", 1, 0), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        ("9113 6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Connection(&[PROTOCOL_ERROR])),
        ("9113 6.5 SETTINGS of a wrong length", frame(SETTINGS, 0, 0, &[0; 3]), Connection(&[FRAME_SIZE_ERROR])),
        (
            "9113 6.5 an acknowledgement that carries something",
            frame(SETTINGS, 1, 0, &[0; 6]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        ("9113 6.5.2 push neither on nor off", settings(2, 2), Connection(&[PROTOCOL_ERROR])),
        ("9113 6.5.2 a window too large", settings(4, 0x8000_0000), Connection(&[FLOW_CONTROL_ERROR])),
        ("9113 6.5.2 frames too small", settings(5, 16_383), Connection(&[PROTOCOL_ERROR])),
        ("9113 6.7 PING on a stream", frame(PING, 0, 1, &[0; 8]), Connection(&[PROTOCOL_ERROR])),
        ("9113 6.7 PING of a wrong length", frame(PING, 0, 0, &[0; 7]), Connection(&[FRAME_SIZE_ERROR])),
        ("9113 6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Connection(&[PROTOCOL_ERROR])),
        ("9113 6.9 a window opened by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Connection(&[PROTOCOL_ERROR])),
        (
            "9113 6.9 WINDOW_UPDATE of a wrong length",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "9113 6.9.1 a window over its limit",
            frame(WINDOW_UPDATE, 0, 0, &most).repeat(2),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "9113 6.9.1 a stream's window over its limit",
            [open("POST", 1, 0), frame(WINDOW_UPDATE, 0, 1, &most)].concat(),
            Stream(&[FLOW_CONTROL_ERROR]),
        ),
        ("9113 6.10 CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, b""), Connection(&[PROTOCOL_ERROR])),
        (
            "9113 6.10 CONTINUATION of another stream",
            [frame(HEADERS, 0, 1, &block("GET")), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "7541 2.3.3 an index beyond the tables",
            frame(HEADERS, 5, 1, &[0xff, 0x80, 0x01]),
            Connection(&[COMPRESSION_ERROR]),
        ),
        ("7541 5.2 a text that is cut", frame(HEADERS, 5, 1, &[0x82, 0x40, 0x7f]), Connection(&[COMPRESSION_ERROR])),
        (
            "7541 4.2 a table over its limit",
            frame(HEADERS, 5, 1, &[0x3f, 0xff, 0xff, 0x7f]),
            Connection(&[COMPRESSION_ERROR]),
        ),
    ]
}

fn messages() -> Vec<(&'static str, Vec<u8>, To)> {
    let head = |fields: &[(&str, &str)]| frame(HEADERS, END_STREAM | END_HEADERS, 1, &with(fields));
    let malformed = || Stream(&[PROTOCOL_ERROR]);
    vec![
        ("9113 8.2.1 a name in capitals", head(&[("X", "1")]), malformed()),
        ("9113 8.2.2 a field of the connection", head(&[("connection", "keep-alive")]), malformed()),
        ("9113 8.2.2 TE other than trailers", head(&[("te", "trailers, deflate")]), malformed()),
        ("9113 8.3 an unknown pseudo-field", head(&[(":x", "1")]), malformed()),
        ("9113 8.3 a pseudo-field of answers", head(&[(":status", "200")]), malformed()),
        ("9113 8.3 a pseudo-field behind others", head(&[("x", "1"), (":path", "/")]), malformed()),
        ("9113 8.3.1 :method twice", head(&[(":method", "GET")]), malformed()),
        ("9113 8.3.1 no :path", frame(HEADERS, 5, 1, &[0x82, 0x86, 0x01, 1, b'a']), malformed()),
        ("9113 8.3.1 no :method", frame(HEADERS, 5, 1, &[0x84, 0x86, 0x01, 1, b'a']), malformed()),
        (
            "9113 8.1.1 a body longer than its length",
            [frame(HEADERS, END_HEADERS, 1, &with(&[("content-length", "1")])), frame(DATA, END_STREAM, 1, b"two")]
                .concat(),
            malformed(),
        ),
        (
            "9113 8.1.1 a body shorter than its length",
            [frame(HEADERS, END_HEADERS, 1, &with(&[("content-length", "5")])), frame(DATA, END_STREAM, 1, b"two")]
                .concat(),
            malformed(),
        ),
        ("9113 8.1 a second head that ends nothing", [open("POST", 1, 0), open("POST", 1, 0)].concat(), malformed()),
    ]
}

fn check(cases: Vec<(&str, Vec<u8>, To)>) {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    let count = cases.len();
    for (what, bytes, to) in cases {
        let mut raw = Raw::connect(sidecar.traffic(), &[]);
        raw.send(&bytes);
        match to {
            Connection(reasons) => {
                let heard = raw.leave_after(what, |heard| heard.goaway().is_some_and(|reason| reason != 0));
                assert!(
                    heard.goaway().is_some_and(|reason| reasons.contains(&reason) || reason == PROTOCOL_ERROR),
                    "{what}: {heard:?}"
                );
            }
            Stream(reasons) => {
                let ended =
                    |heard: &Heard| heard.goaway().is_some_and(|reason| reason != 0) || !heard.resets().is_empty();
                let heard = raw.leave_after(what, ended);
                let reset = heard.resets().iter().all(|(_, reason)| reasons.contains(reason));
                assert!(
                    reset && heard.goaway().is_none_or(|reason| reason == 0 || reasons.contains(&reason)),
                    "{what}: {heard:?}"
                );
            }
        }
    }
    println!("{count} sections of h2spec");
    // Nothing of it was taken for a whole request with a body that it had not.
    assert!(origin.requests().iter().all(|request| request.body.is_empty()), "{:?}", origin.requests());
    assert_eq!(sidecar.get("/", "").status(), 200);
}

#[test]
fn frames_against_the_protocol_end_what_they_break() {
    check(frames());
}

#[test]
fn messages_against_the_protocol_end_their_stream() {
    check(messages());
}
