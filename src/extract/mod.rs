//! A request to facts: where each comes from, which values count, and whom to believe.
//!
//! An [`Extractor`] is compiled once from a configuration. [`RequestFacts`] is its view of one request: lazy, so that
//! only what a condition asks for is looked up, and without copies where a value stands in the request as it is.
//! Headers that speak of identity count only from trusted peers; cookies, query and path are the client's own words.
//!
//! A new source is one file below `source` and one line in its list.

mod client;
mod fit;
mod json;
mod jwt;
mod pointer;
mod source;

mod ahead;

mod extractor;
mod request_facts;
mod untrusted;
mod voice;

mod configured;
mod explain;
mod explain_request;
mod parts;
mod probe;

#[cfg(test)]
mod tests;

pub use ahead::{Ahead, Body, Needs, TOO_LONG, WantedRecord, unread};
pub use client::{Peer, Trust, client_ip};
pub use configured::allow_encoded;
pub use explain::{ExplainError, LookUp, Surroundings, explain, explain_with};
pub use explain_request::{ExplainRequest, ExplainRequestError};
pub use extractor::{Beyond, Extractor, Sources};
pub use fit::Fit;
pub use json::JsonText;
pub use jwt::{TokenFault, Verifier};
pub use pointer::Pointer;
pub use probe::{check_forwarded, check_json, check_jwt, check_request};
pub use request_facts::RequestFacts;
pub use source::{Region, Source, check_sources};
pub use untrusted::Untrusted;
pub use voice::{lane_mark, override_token};
