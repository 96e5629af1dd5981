//! The head of an answer, off an HTTP/1 connection to an upstream.

use super::attempt::Failed;
use super::failure::Failure;
use super::fields::connection_has;
use super::worker::Worker;
use crate::wire::h1::{self, Framing, Limits};
use crate::wire::{Input, Known, ResponseHead, Version};

/// Why an answer's head could not be read.
pub(super) enum ReadError {
    /// The connection ended or failed before a byte of it.
    Closed,
    /// The connection ended or failed within it.
    Cut,
    /// It is none.
    Malformed,
}

impl ReadError {
    /// What it means for the attempt; `is_race` where the connection had carried an exchange before, and nothing came of this
    /// one: then the upstream may have closed it before it saw the request.
    pub(super) fn into_failed(self, is_race: bool) -> Failed {
        match self {
            Self::Closed => Failed { failure: Failure::Reset, untouched: is_race },
            Self::Cut => Failure::Reset.into(),
            Self::Malformed => Failure::BadAnswer.into(),
        }
    }
}

/// Reads the head of one answer, interim or final.
pub(super) async fn read_head(input: &mut Input, limits: &Limits, worker: &Worker) -> Result<ResponseHead, ReadError> {
    let mut scan = h1::HeadScan::default();
    loop {
        if !input.buf.is_empty() {
            // Not before there is something to put into it.
            let mut head = worker.response_head();
            if let Some(end) = scan.response(&input.buf, limits, &mut head).map_err(|_| ReadError::Malformed)? {
                input.consume(end);
                return Ok(head);
            }
            worker.keep_response_head(head);
        }
        match input.fill().await {
            Ok(n) if n > 0 => {}
            _ if input.buf.is_empty() => return Err(ReadError::Closed),
            _ => return Err(ReadError::Cut),
        }
    }
}

/// Whether the upstream keeps the connection open behind this answer.
pub(super) fn may_persist(head: &ResponseHead, framing: Framing) -> bool {
    // HTTP/1.0 knows no transfer codings (RFC 9112 section 6.1).
    let both_framings = head.fields.has(Known::TransferEncoding)
        && (head.fields.has(Known::ContentLength) || head.version == Version::Http10);
    // A 204 that speaks of a body may be followed by one.
    let unclear =
        head.status == 204 && (head.fields.has(Known::TransferEncoding) || head.fields.has(Known::ContentLength));
    let keeps = match head.version {
        Version::Http10 => connection_has(&head.fields, b"keep-alive"),
        _ => !connection_has(&head.fields, b"close"),
    };
    keeps && framing != Framing::UntilClose && !both_framings && !unclear
}
