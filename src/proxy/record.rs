//! What is remembered of an exchange while it goes on, to be told at its end.

use std::sync::Arc;
use std::time::Instant;

use super::failure::Failure;
use super::fault_table::Fault;
use super::outcome;
use super::share::ClientShare;
use super::traced::Trace;
use crate::upstream::{Outcome, Report};
use crate::wire::{Fields, Known, ResponseHead};

/// UNKNOWN of gRPC: what a status that cannot be read is to be taken for.
const GRPC_UNKNOWN: u16 = 2;

/// One exchange as it went.
#[derive(Default)]
pub(super) struct Record {
    /// The status the client got; 0 while none was sent.
    pub(super) status: u16,
    /// The status of a gRPC answer.
    pub(super) grpc_status: Option<u16>,
    /// When the upstream's answer began.
    pub(super) answered_at: Option<Instant>,
    /// When all of it was over.
    pub(super) ended_at: Option<Instant>,
    /// Bytes of the answer's body.
    pub(super) bytes_out: u64,
    /// Field lines removed because the peer may not set them.
    pub(super) stripped: usize,
    /// Whether the request was sent once more on a fresh connection.
    pub(super) replayed: bool,
    /// How gray failed, where stable answered in its place.
    pub(super) shielded: Option<Failure>,
    /// What went wrong, if anything did.
    pub(super) failure: Option<Failure>,
    /// Whether the caller's own deadline is the one that holds: then [`Failure::RequestLate`] means that it passed.
    pub(super) deadline_is_callers: bool,
    /// The fault on purpose that the request met; the last one, where stable's attempt met another.
    pub(super) fault: Option<Arc<Fault>>,
    /// Whether the attempt under way met a fault that does not count against the release and its breaker: it says nothing
    /// about its lane.
    pub(super) is_drill: bool,
    /// The request's id, once somebody asked for it.
    pub(super) id: Option<Box<str>>,
    /// Whether an answer was broken off, so that the connection cannot be used again.
    pub(super) is_broken: bool,
    /// Whether the client did not take an answer of our own.
    pub(super) is_left: bool,
    /// Where the endpoint's part in it is told, if anybody asks.
    pub(super) report: Option<Report>,
    /// What is traced of it.
    pub(super) trace: Trace,
}

impl Record {
    /// Whether the exchange may be late before anything was waited for: its caller's deadline may be over at once, and a
    /// fault may have held it back.
    pub(super) fn may_be_late(&self) -> bool {
        self.deadline_is_callers || self.fault.is_some()
    }

    /// The upstream's final answer, or its change of protocol, has begun.
    pub(super) fn answered(&mut self, head: &ResponseHead, method: &str, client: &ClientShare, now: Instant) {
        self.status = head.status;
        self.answered_at = Some(now);
        if let Some(report) = &mut self.report {
            let outcome = match outcome::of_head(head) {
                failed if failed.is_failure() => {
                    let excused = client.kept_waiting(now) || outcome::is_odd_method(head.status, method);
                    if excused { Outcome::Unknown } else { failed }
                }
                outcome => outcome,
            };
            report.answered(outcome, client.until(now), now);
        }
        self.grpc_status = None;
        self.note_grpc(&head.fields);
    }

    /// A head or a trailer section may tell how a gRPC call ended.
    pub(super) fn note_grpc(&mut self, fields: &Fields) {
        if let Some(status) = fields.first(Known::GrpcStatus) {
            let number = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
            self.grpc_status = Some(number.unwrap_or(GRPC_UNKNOWN));
        }
    }

    /// A whole gRPC answer that does not tell how the call ended is UNKNOWN.
    pub(super) fn ended_grpc(&mut self) {
        if self.status == 200 && self.failure.is_none() {
            self.grpc_status.get_or_insert(GRPC_UNKNOWN);
        }
    }

    /// Whether the sidecar or the upstream failed, as far as anybody could see: an answer of 500 to 599, one that did not come
    /// whole, or one of gray that stable made good. What clients do wrong is no failure.
    pub(super) fn has_failed(&self) -> bool {
        self.status >= 500 || self.failure.is_some_and(|failure| failure.status() >= 500) || self.shielded.is_some()
    }

    /// Whether the answer was broken off because its client does not take it, or does not want it any more. What it has not
    /// taken lies with the system, which must not wait for it.
    pub(super) fn is_untaken(&self) -> bool {
        self.is_left || self.is_broken && matches!(self.failure, Some(Failure::ClientLate | Failure::ClientGone))
    }

    /// The answer was broken off.
    pub(super) fn broken(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.is_broken = true;
    }
}
