//! Answers that no upstream gave.

use super::failure::Failure;
use super::record::Record;
use super::respond::{Mark, Responder};
use super::worker::Worker;
use super::{Request, tell};
use crate::wire::Verb;

/// Answers that no upstream answered.
pub(super) async fn refuse(
    responder: Responder<'_>,
    failure: Failure,
    request: &Request<'_, '_>,
    worker: &Worker,
    record: &mut Record,
    explain: Option<&str>,
) {
    if failure == Failure::InjectedReset {
        record.is_broken = true;
        responder.reset();
        return;
    }
    record.status = failure.status();
    if failure == Failure::ClientGone {
        record.is_broken = true;
        return;
    }
    if let (Responder::H1(h1), false) = (&responder, request.body.reader.is_done()) {
        h1.persistence.set(crate::wire::h1::Persistence::Close);
    }
    let answered = if failure == Failure::NoForwards && request.head.verb == Verb::Options {
        record.status = 204;
        responder.options().await
    } else {
        let id = tell::request_id(request.head, worker, record);
        responder.fail(failure, request.head, id, Mark { explain, ..Mark::default() }).await
    };
    match answered {
        Ok(bytes) => record.bytes_out = bytes,
        Err(_) => (record.is_broken, record.is_left) = (true, true),
    }
}
