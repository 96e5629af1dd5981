//! An entry as a line of JSON, by hand: the hot path has no use for a general serialiser.

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::user::UserHash;
use super::{Asked, Decided, Entry, LoggedFacts, Outcome};
use crate::config::Redaction;
use crate::decide::Reason;

/// How many bytes a path may take in the line, escapes counted.
const PATH_LIMIT: usize = 1024;

/// How many bytes any other text from a request may take in the line, escapes counted.
const VALUE_LIMIT: usize = 256;

/// What stands in place of a hidden value: one that was cut before its first byte, so that whoever reads the log takes it
/// for unknown and not for absent.
const HIDDEN: &str = "…";

/// Writes the line, its end included.
pub(super) fn encode(entry: &Entry<'_>, users: &UserHash, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    time(entry, out);
    out.push(b'"');
    asked(&entry.asked, entry.redact, users, out);
    if let Some(decision) = &entry.decided {
        decided(decision, out);
    }
    outcome(&entry.outcome, out);
    out.extend_from_slice(b"}\n");
}

fn time(entry: &Entry<'_>, out: &mut Vec<u8>) {
    // A clock beyond the year 9999 has no RFC 3339 form; the epoch shows that something is wrong.
    let time = Timestamp::try_from(entry.time).unwrap_or(Timestamp::UNIX_EPOCH);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{time:.3}");
}

fn asked(asked: &Asked<'_>, redact: &Redaction, users: &UserHash, out: &mut Vec<u8>) {
    let shown = |name: &'static str, value| if redact.hides(name) { HIDDEN } else { value };
    let field = |name, value: Option<_>, out: &mut _| optional(name, value.map(|value| shown(name, value)), out);
    text("request_id", shown("request_id", asked.request_id), out);
    field("trace_id", asked.trace_id, out);
    if redact.hides("client") {
        text("client", HIDDEN, out);
    } else {
        out.extend_from_slice(b",\"client\":\"");
        let _ = write!(out, "{}\"", asked.client);
    }
    text("protocol", asked.protocol, out);
    text("method", asked.method, out);
    field("host", asked.host, out);
    let path = asked.path.split_once('?').map_or(asked.path, |(path, _)| path);
    key("path", out);
    quoted(shown("path", path), PATH_LIMIT, out);
    hashed("user", asked.facts.user_id, redact, users, out);
    hashed("device", asked.facts.device_id, redact, users, out);
    field("sku_id", asked.facts.sku_id, out);
    field("category_id", asked.facts.category_id, out);
    field("order_amount", asked.facts.order_amount, out);
    named(&asked.facts, redact, out);
}

fn hashed(name: &str, id: Option<&str>, redact: &Redaction, users: &UserHash, out: &mut Vec<u8>) {
    if redact.hides(name) {
        optional(name, id.map(|_| HIDDEN), out);
    } else if let Some(id) = id {
        key(name, out);
        out.push(b'"');
        out.extend_from_slice(users.hash(id).as_bytes());
        out.push(b'"');
    }
}

/// The facts of `access_log_facts` with a value as an object, and a list of the names of facts that were not there.
fn named(facts: &LoggedFacts<'_>, redact: &Redaction, out: &mut Vec<u8>) {
    let mut between = Between::new("facts", b'{', b'}');
    for (name, value) in facts.named {
        between.next(out);
        quoted(name, VALUE_LIMIT, out);
        out.push(b':');
        quoted(if redact.hides(name) { HIDDEN } else { value }, VALUE_LIMIT, out);
    }
    between.end(out);
    let mut between = Between::new("absent", b'[', b']');
    for name in facts.absent {
        between.next(out);
        quoted(name, VALUE_LIMIT, out);
    }
    between.end(out);
}

/// Writes the brackets and commas around several values; nothing where there is no value.
struct Between {
    name: &'static str,
    open: u8,
    close: u8,
    begun: bool,
}

impl Between {
    fn new(name: &'static str, open: u8, close: u8) -> Between {
        Between { name, open, close, begun: false }
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            out.push(b',');
        } else {
            key(self.name, out);
            out.push(self.open);
            self.begun = true;
        }
    }

    fn end(self, out: &mut Vec<u8>) {
        if self.begun {
            out.push(self.close);
        }
    }
}

fn decided(decided: &Decided<'_>, out: &mut Vec<u8>) {
    text("route", decided.route, out);
    text("lane", decided.lane, out);
    text("level", decided.level.as_str(), out);
    text("reason", decided.reason.as_str(), out);
    optional("decided_reason", decided.decided_reason.map(Reason::as_str), out);
    optional("release", decided.release, out);
    if let Some(bucket) = decided.bucket {
        number("bucket", bucket.get().into(), out);
    }
    optional("salt", decided.salt, out);
    optional("key", decided.key, out);
    if let Some((bucket, salt)) = decided.experiment {
        number("ab_bucket", bucket.get().into(), out);
        text("ab_salt", salt, out);
    }
}

fn outcome(outcome: &Outcome<'_>, out: &mut Vec<u8>) {
    number("status", outcome.status.into(), out);
    optional("upstream", outcome.upstream, out);
    milliseconds("duration_ms", outcome.duration, out);
    if let Some(duration) = outcome.upstream_duration {
        milliseconds("upstream_ms", duration, out);
    }
    number("bytes_in", outcome.bytes_in, out);
    number("bytes_out", outcome.bytes_out, out);
    if outcome.replayed {
        out.extend_from_slice(b",\"replayed\":true");
    }
    optional("shielded", outcome.shielded, out);
    optional("fault", outcome.fault, out);
    if outcome.fault_counts {
        out.extend_from_slice(b",\"fault_counts\":true");
    }
    optional("limited", outcome.limited, out);
    optional("error", outcome.error, out);
}

/// A comma, the name, a colon. Names are ours and need no escape.
fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    quoted(value, VALUE_LIMIT, out);
}

fn optional(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        text(name, value, out);
    }
}

fn number(name: &str, value: u64, out: &mut Vec<u8>) {
    key(name, out);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Milliseconds with three digits behind the point.
fn milliseconds(name: &str, duration: Duration, out: &mut Vec<u8>) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(name, micros / 1000, out);
    let rest = micros % 1000;
    let digit = |n: u64| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

/// The value in quotes, escaped, at most `limit` bytes and an ellipsis.
fn quoted(value: &str, limit: usize, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if value.len() <= limit && value.bytes().all(plain) {
        out.extend_from_slice(value.as_bytes());
    } else {
        escaped(value, limit, out);
    }
    out.push(b'"');
}

fn escaped(value: &str, limit: usize, out: &mut Vec<u8>) {
    let end = out.len() + limit;
    for c in value.chars() {
        let before = out.len();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if is_deceptive(c) => {
                // All of them are in the basic plane: one escape is enough.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        if out.len() > end {
            out.truncate(before);
            out.extend_from_slice("…".as_bytes());
            return;
        }
    }
}

/// Characters that JSON forbids, that end a line for some viewer, that command a terminal, or that turn the text's
/// direction.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
