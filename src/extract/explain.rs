//! The reasoning for a request that was written down: find its route, read its facts, decide, tell.

use super::client::Peer;
use super::explain_request::ExplainRequest;
use super::extractor::Extractor;
use super::voice::{lane_mark, override_token};
use crate::decide::{AllowEncoded, Inputs, NormalPath, PathError, Program, Reasoning, ReleaseId, RequestParts};

/// Why there is no decision to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The answer would be 400.
    #[error("no decision is made, the answer is 400: {0}")]
    Path(#[from] PathError),
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

/// Decides about `request` as the proxy would and tells how. Without an address of the client, a trusted peer sent it.
pub fn explain(
    program: &Program,
    extractor: &Extractor,
    request: &ExplainRequest,
    surroundings: Surroundings<'_>,
) -> Result<Reasoning, ExplainError> {
    let path = NormalPath::new(request.path(), surroundings.allow)?;
    let found = program.find(request, path.as_str()).ok_or_else(|| ExplainError::NoRoute {
        method: request.method().to_owned(),
        path: path.as_str().to_owned(),
        host: request.host().map(str::to_owned),
    })?;
    let peer = request.client_ip().map_or(Peer::local(), |address| Peer::at(address, extractor.trust()));
    let release = program.route(found.route).release;
    let developer = release.and_then(|release| program.release(release).developer.as_ref());
    let token = developer.and_then(|developer| override_token(developer, request, &found));
    let facts = extractor.facts(request, &found, peer);
    let inputs = Inputs {
        facts: &facts,
        override_token: token.as_deref(),
        mark: lane_mark(request, peer),
        latched: release.is_some_and(surroundings.latched),
        now_unix: surroundings.now_unix,
    };
    Ok(program.explain_decision(found.route, &inputs))
}
