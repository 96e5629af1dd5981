//! The reasoning for a request that was written down: find its route, read its facts, decide, tell.

use super::ahead::{Ahead, Body, unread};
use super::client::Peer;
use super::explain_request::ExplainRequest;
use super::extractor::Extractor;
use super::voice::{lane_mark, override_token};
use crate::decide::{AllowEncoded, FactId, Inputs, NormalPath, PathError, Program, Reasoning, ReleaseId, RequestParts};
use crate::lookup::Answer;

/// Why there is no decision to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The answer would be 400. The fault is part of the message, so it is no source: printed as a chain it would
    /// stand there twice.
    #[error("no decision is made, the answer is 400: {0}")]
    Path(PathError),
    /// The answer would be 404.
    #[error("no decision is made, the answer is 404: no route for {method} {path}{}", .host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default())]
    NoRoute {
        /// The method.
        method: String,
        /// The path as routes see it.
        path: String,
        /// The host.
        host: Option<String>,
    },
}

/// What an explanation is made from, beside the configuration and the request.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Which encoded characters a path may hold.
    pub allow: AllowEncoded,
    /// Whether a release is latched.
    pub latched: &'a dyn Fn(ReleaseId) -> bool,
    /// The time, in seconds since 1970.
    pub now_unix: u64,
}

/// Looks a record up: the place of its store, and the key.
pub type LookUp<'a> = dyn Fn(usize, &str) -> Answer + 'a;

/// Decides about `request` as the proxy would and tells how. Without an address of the client, a trusted peer sent it.
/// Nothing is looked up.
pub fn explain(
    program: &Program,
    extractor: &Extractor,
    request: &ExplainRequest,
    surroundings: Surroundings<'_>,
) -> Result<Reasoning, ExplainError> {
    explain_with(program, extractor, request, surroundings, &|_, _| Answer::Nothing("nothing is looked up here"))
}

/// The same, with records that `look_up` brings. Facts that the decision does not need are told too, so the body is read
/// and records are looked up for all of them.
pub fn explain_with(
    program: &Program,
    extractor: &Extractor,
    request: &ExplainRequest,
    surroundings: Surroundings<'_>,
    look_up: &LookUp<'_>,
) -> Result<Reasoning, ExplainError> {
    let path = NormalPath::new(request.path(), surroundings.allow).map_err(ExplainError::Path)?;
    let found = program.find(request, path.as_str()).ok_or_else(|| ExplainError::NoRoute {
        method: request.method().to_owned(),
        path: path.as_str().to_owned(),
        host: request.host().map(str::to_owned),
    })?;
    let peer = request.client_ip().map_or(Peer::local(), |address| Peer::at(address, extractor.trust()));
    let release = program.route(found.route).release;
    let developer = release.and_then(|release| program.release(release).developer.as_ref());
    let token = developer.and_then(|developer| override_token(developer, request));
    let mut ahead = Ahead::default();
    ahead.take_body(extractor, body_of(extractor, request));
    let all: Vec<FactId> = program.facts().ids().collect();
    for wanted in extractor.records_for(&all, request, &found, peer, &ahead) {
        ahead.take_record(wanted.lookup, look_up(wanted.lookup, &wanted.key));
    }
    let facts = extractor.facts_with(request, &found, peer, &ahead);
    let inputs = Inputs {
        facts: &facts,
        override_token: token.as_deref(),
        mark: lane_mark(request, peer),
        latched: release.is_some_and(surroundings.latched),
        now_unix: surroundings.now_unix,
    };
    Ok(program.explain_decision(found.route, &inputs))
}

fn body_of<'r>(extractor: &Extractor, request: &'r ExplainRequest) -> Body<'r> {
    let body = request.body();
    // Whoever writes a body down for an explanation means JSON unless something else is said.
    if request.header("content-type").is_none() && !body.is_empty() && body.len() <= extractor.json_body_max() {
        return Body::Whole(body);
    }
    match unread(request, Some(body.len() as u64), extractor.json_body_max()) {
        Some(why) => Body::Unread(why),
        None => Body::Whole(body),
    }
}
