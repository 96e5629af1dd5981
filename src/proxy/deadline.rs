//! How long a caller still waits, and what the upstream is told of it.
//!
//! A trusted caller says so in `grpc-timeout` (gRPC over HTTP/2, "Requests") or `x-request-timeout-ms`, both with at
//! most eight digits. The smallest of what it says and of the route's own limit holds. The upstream is told what is
//! left of that, in the fields that the caller used, so that nobody works for a caller who has given up. What is no
//! deadline is not passed on: a careless reader behind us could take it for one.

use std::time::Duration;

use super::fields::Peer;
use crate::config::Timeouts;
use crate::telemetry::DeadlineField;
use crate::wire::{FieldSink, Known, RequestHead};

/// Most digits of a deadline.
const DIGITS: usize = 8;

/// What a trusted caller said of its deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CallerDeadline {
    /// How long it waits at most, counted from the request's beginning.
    pub(super) within: Option<Duration>,
    grpc: bool,
    milliseconds: bool,
}

impl CallerDeadline {
    /// What the head says, where the peer is believed; `ignored` is told of every line that is no deadline.
    pub(super) fn of(head: &RequestHead, peer: &Peer, mut ignored: impl FnMut(DeadlineField)) -> Self {
        let mut found = Self::default();
        if !peer.trusted {
            return found;
        }
        for value in head.fields.all(Known::GrpcTimeout) {
            match grpc_timeout(value) {
                Some(within) => found.grpc |= found.shorten(within),
                None => ignored(DeadlineField::GrpcTimeout),
            }
        }
        for value in head.fields.all(Known::RequestTimeout) {
            match number(value).map(Duration::from_millis) {
                Some(within) => found.milliseconds |= found.shorten(within),
                None => ignored(DeadlineField::RequestTimeout),
            }
        }
        found
    }

    fn shorten(&mut self, within: Duration) -> bool {
        self.within = Some(self.within.map_or(within, |before| before.min(within)));
        true
    }

    /// Whether it is this deadline that holds, and not the route's own.
    pub(super) fn holds_before(&self, own: Option<Duration>) -> bool {
        self.within.is_some_and(|within| own.is_none_or(|own| within <= own))
    }

    /// What the upstream is told: the caller's fields anew, or the one of the protocol where the route says so.
    pub(super) fn pass_on(self, head: &RequestHead, limits: &Timeouts) -> Passed {
        let unasked = self.within.is_none() && limits.pass_on && limits.request.is_some();
        let is_grpc = unasked && head.is_grpc();
        Passed { grpc: self.grpc || is_grpc, milliseconds: self.milliseconds || unasked && !is_grpc }
    }
}

/// The fields in which the upstream is told how long it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    grpc: bool,
    milliseconds: bool,
}

impl Passed {
    /// Whether it is told at all.
    pub(super) fn any(self) -> bool {
        self.grpc || self.milliseconds
    }

    /// Writes what is left.
    pub(super) fn write(self, sink: &mut impl FieldSink, left: Duration) {
        let mut digits = itoa::Buffer::new();
        if self.grpc {
            let (count, unit) = in_eight_digits(left);
            let mut value = digits.format(count).to_owned();
            value.push(unit);
            sink.own_field(b"grpc-timeout", value.as_bytes());
        }
        if self.milliseconds {
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            sink.own_field(b"x-request-timeout-ms", digits.format(left.clamp(1, MOST)).as_bytes());
        }
    }
}

/// The greatest number of eight digits.
const MOST: u64 = 99_999_999;

/// In the finest unit in which it has no more than eight digits, rounded down, never nothing.
fn in_eight_digits(left: Duration) -> (u64, char) {
    let micros = u64::try_from(left.as_micros()).unwrap_or(u64::MAX).max(1);
    match micros {
        ..=MOST => (micros, 'u'),
        _ if micros / 1000 <= MOST => (micros / 1000, 'm'),
        _ => ((micros / 1_000_000).min(MOST), 'S'),
    }
}

/// A positive number of at most eight digits.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    (number > 0).then_some(number)
}

fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let count = number(digits)?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn head(lines: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::default();
        head.version = crate::wire::Version::H2;
        lines.iter().for_each(|(name, value)| head.fields.push(name.as_bytes(), value.as_bytes()));
        head
    }

    fn peer(trusted: bool) -> Peer {
        Peer { ip: [10, 0, 0, 9].into(), text: "10.0.0.9".into(), trusted, scheme: crate::proxy::fields::Scheme::Http }
    }

    /// What a trusted peer's lines come to, and how many of them were ignored.
    fn read(lines: &[(&str, &str)]) -> (Option<Duration>, usize) {
        let mut ignored = 0;
        let deadline = CallerDeadline::of(&head(lines), &peer(true), |_| ignored += 1);
        (deadline.within, ignored)
    }

    #[test]
    fn every_unit_of_grpc_is_known() {
        let check = |value: &str, expected: Duration| assert_eq!(read(&[("grpc-timeout", value)]), (Some(expected), 0));
        check("2H", 7200 * SECOND);
        check("3M", 180 * SECOND);
        check("4S", 4 * SECOND);
        check("250m", Duration::from_millis(250));
        check("99999999u", Duration::from_micros(99_999_999));
        check("00000001n", Duration::from_nanos(1));
        check("99999999H", Duration::from_secs(99_999_999 * 3600));
    }

    #[test]
    fn what_is_no_deadline_is_ignored() {
        for value in ["", "S", "5", "0S", "00000000m", "-1S", "+1S", "123456789S", "1 S", "1s", "1.5S", "1mS", "١S"] {
            assert_eq!(read(&[("grpc-timeout", value)]), (None, 1), "{value:?}");
        }
        for value in ["", "0", "-5", "+5", "100000000", "99999999999999999999999", "5ms", "0x5", "1e3", "1.5", " 5"] {
            assert_eq!(read(&[("x-request-timeout-ms", value)]), (None, 1), "{value:?}");
        }
        assert_eq!(read(&[("X-Request-Timeout-Ms", "99999999")]), (Some(Duration::from_millis(99_999_999)), 0));
    }

    #[test]
    fn the_smallest_of_all_holds_and_a_bad_one_does_not_spoil_it() {
        let both = [("grpc-timeout", "3S"), ("x-request-timeout-ms", "2000")];
        assert_eq!(read(&both), (Some(2 * SECOND), 0));
        let lines = [("grpc-timeout", "x"), ("grpc-timeout", "1S"), ("x-request-timeout-ms", "0")];
        assert_eq!(read(&lines), (Some(SECOND), 2));
        let (deadline, none) =
            (CallerDeadline { within: Some(SECOND), ..Default::default() }, CallerDeadline::default());
        assert!(deadline.holds_before(None) && deadline.holds_before(Some(2 * SECOND)));
        assert!(!deadline.holds_before(Some(SECOND / 2)) && !none.holds_before(Some(SECOND)));
    }

    #[test]
    fn nobody_else_is_believed() {
        let lines = [("grpc-timeout", "1S"), ("x-request-timeout-ms", "0")];
        let deadline = CallerDeadline::of(&head(&lines), &peer(false), |_| panic!("not even read"));
        assert_eq!(deadline, CallerDeadline::default());
    }

    /// The fields that an upstream gets where two seconds are left, on a route with this limit.
    fn passed(lines: &[(&str, &str)], request: Option<Duration>, pass_on: bool) -> String {
        let head = head(lines);
        let limits = Timeouts { request, pass_on, ..Timeouts::default() };
        let passed = CallerDeadline::of(&head, &peer(true), |_| {}).pass_on(&head, &limits);
        let mut out = Vec::new();
        passed.write(&mut out, 2 * SECOND);
        assert_eq!(passed.any(), !out.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_left_is_passed_on_in_the_callers_own_fields() {
        let (grpc, other) = (("grpc-timeout", "3S"), ("x-request-timeout-ms", "9"));
        assert_eq!(passed(&[grpc], None, false), "grpc-timeout: 2000000u\r\n");
        assert_eq!(passed(&[other], Some(SECOND), true), "x-request-timeout-ms: 2000\r\n");
        assert_eq!(passed(&[grpc, other], None, false), "grpc-timeout: 2000000u\r\nx-request-timeout-ms: 2000\r\n");
        assert_eq!(passed(&[("x-request-timeout-ms", "0")], Some(SECOND), false), "");
    }

    #[test]
    fn a_route_may_tell_its_own_limit() {
        assert_eq!(passed(&[], Some(SECOND), true), "x-request-timeout-ms: 2000\r\n");
        let grpc = [("content-type", "application/grpc+proto")];
        assert_eq!(passed(&grpc, Some(SECOND), true), "grpc-timeout: 2000000u\r\n");
        assert_eq!(passed(&[], None, true), "");
        assert_eq!(passed(&[], Some(SECOND), false), "");
    }

    #[test]
    fn a_passed_deadline_has_at_most_eight_digits_and_is_never_nothing() {
        let check = |left: Duration, expected| assert_eq!(in_eight_digits(left), expected);
        check(Duration::ZERO, (1, 'u'));
        check(Duration::from_micros(99_999_999), (99_999_999, 'u'));
        check(100 * SECOND, (100_000, 'm'));
        check(99_999 * SECOND, (99_999_000, 'm'));
        check(100_000 * SECOND, (100_000, 'S'));
        check(Duration::MAX, (99_999_999, 'S'));
        let mut out = Vec::new();
        Passed { grpc: true, milliseconds: true }.write(&mut out, Duration::ZERO);
        assert_eq!(out, b"grpc-timeout: 1u\r\nx-request-timeout-ms: 1\r\n");
    }
}
