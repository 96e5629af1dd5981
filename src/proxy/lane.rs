//! From a request to its lane: find the route, read the facts, decide.

use std::time::SystemTime;

use super::failure::Failure;
use super::fields::Peer;
use super::peek::speaker;
use super::snapshot::Snapshot;
use super::worker::Worker;
use crate::decide::{Decision, Found, Inputs, NormalPath, RequestParts};
use crate::extract::{Ahead, TokenFault, lane_mark, override_token};
use crate::telemetry::TokenFate;
use crate::wire::RequestHead;

impl RequestParts for RequestHead {
    fn method(&self) -> &str {
        RequestHead::method(self)
    }

    fn host(&self) -> Option<&str> {
        std::str::from_utf8(self.authority()?).ok()
    }

    fn path(&self) -> &str {
        RequestHead::path(self)
    }

    fn query(&self) -> Option<&str> {
        RequestHead::query(self)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        // The host has been decided where the target has one.
        if name == "host" { self.authority() } else { self.fields.named(name.as_bytes()).next() }
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.fields.named(name.as_bytes()).for_each(each);
    }
}

/// The path of a request as routes see it.
pub(super) fn normal_path<'h>(snapshot: &Snapshot, head: &'h RequestHead) -> Result<NormalPath<'h>, Failure> {
    NormalPath::new(head.path(), snapshot.allow).map_err(|_| Failure::Path)
}

/// The route of a request.
pub(super) fn find<'p>(snapshot: &'p Snapshot, head: &RequestHead, path: &'p str) -> Result<Found<'p>, Failure> {
    snapshot.settings.program.find(head, path).ok_or(Failure::NoRoute)
}

/// Decides, and counts what was ignored on the way.
pub(super) fn decide(
    worker: &Worker,
    snapshot: &Snapshot,
    head: &RequestHead,
    found: &Found<'_>,
    peer: &Peer,
    ahead: &Ahead,
) -> Decision {
    let program = &snapshot.settings.program;
    let release = program.route(found.route).release;
    let developer = release.and_then(|release| program.release(release).developer.as_ref());
    let token = developer.and_then(|developer| override_token(developer, head));
    let speaker = speaker(peer);
    let facts = snapshot.extractor.facts_with(head, found, speaker, ahead);
    let inputs = Inputs {
        facts: &facts,
        override_token: token.as_deref(),
        mark: lane_mark(head, speaker),
        latched: release.is_some_and(|release| snapshot.is_latched(release)),
        // Only a token's expiry asks for the time of day.
        now_unix: if token.is_some() { now_unix() } else { 0 },
    };
    let decision = program.decide(found.route, &inputs);
    if let Some(fault) = decision.override_rejected {
        worker.telemetry.totals().override_rejected(worker.id, fault);
    }
    if let Some(fault) = facts.token_fault() {
        worker.telemetry.totals().token_rejected(worker.id, token_fate(fault));
    }
    if facts.expressions_failed() > 0 {
        worker.telemetry.totals().expressions_failed(worker.id, facts.expressions_failed());
    }
    facts.refused().iter().for_each(|fact| snapshot.facts.rejected(worker.id, fact.index()));
    decision
}

fn token_fate(fault: TokenFault) -> TokenFate {
    match fault {
        TokenFault::Malformed => TokenFate::Malformed,
        TokenFault::Algorithm => TokenFate::Algorithm,
        TokenFault::Key => TokenFate::Key,
        TokenFault::Signature => TokenFate::Signature,
        TokenFault::Expired | TokenFault::NoExpiry => TokenFate::Expired,
        TokenFault::NotYetValid => TokenFate::NotYetValid,
        TokenFault::Issuer | TokenFault::NoIssuer => TokenFate::Issuer,
        TokenFault::Audience | TokenFault::NoAudience => TokenFate::Audience,
    }
}

/// The second since 1970.
pub(super) fn now_unix() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
