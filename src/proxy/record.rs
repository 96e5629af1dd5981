//! What is remembered of an exchange while it goes on, to be told at its end.

use std::sync::Arc;
use std::time::Instant;

use super::failure::Failure;
use super::fault_table::Fault;
use crate::wire::ResponseHead;

/// One exchange as it went.
#[derive(Default)]
pub(super) struct Record {
    /// The status the client got; 0 while none was sent.
    pub(super) status: u16,
    /// When the upstream's answer began.
    pub(super) answered_at: Option<Instant>,
    /// Bytes of the answer's body.
    pub(super) bytes_out: u64,
    /// Field lines removed because the peer may not set them.
    pub(super) stripped: usize,
    /// Whether the request was sent once more on a fresh connection.
    pub(super) replayed: bool,
    /// What went wrong, if anything did.
    pub(super) failure: Option<Failure>,
    /// Whether the caller's own deadline is the one that holds: then [`Failure::RequestLate`] means that it passed.
    pub(super) deadline_is_callers: bool,
    /// The fault on purpose that the request met.
    pub(super) fault: Option<Arc<Fault>>,
    /// Whether that fault counts against the release and its breaker as if it were real. A request that met a fault which
    /// does not says nothing about its lane.
    pub(super) fault_counts: bool,
    /// The request's id, once somebody asked for it.
    pub(super) id: Option<Box<str>>,
    /// Whether an answer was broken off, so that the connection cannot be used again.
    pub(super) is_broken: bool,
}

impl Record {
    /// The upstream's final answer, or its change of protocol, has begun.
    pub(super) fn answered(&mut self, head: &ResponseHead, now: Instant) {
        self.status = head.status;
        self.answered_at = Some(now);
    }

    /// The answer was broken off.
    pub(super) fn broken(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.is_broken = true;
    }
}
