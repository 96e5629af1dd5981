//! `graylane explain`: the decision for one request and its whole reasoning.

use crate::decide::{AllowEncoded, Program};
use crate::extract::{
    ExplainError, ExplainRequest, ExplainRequestError, Extractor, Surroundings, explain,
};

/// The request of a command line.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// An absolute URL, or a path.
    pub url: &'a str,
    /// Headers, each `name: value`.
    pub headers: &'a [String],
    /// The body.
    pub body: Option<&'a str>,
    /// The address of the peer; without one, a trusted peer speaks.
    pub client_ip: Option<&'a str>,
}

/// How the reasoning is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Why there is nothing to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The command line holds no request.
    #[error(transparent)]
    Request(#[from] ExplainRequestError),
    /// The request would be answered without a decision.
    #[error(transparent)]
    Undecided(#[from] ExplainError),
}

/// The reasoning for the request that was asked about, as it is printed. Nothing is latched: latches are the running
/// process's own.
pub fn answer(
    program: &Program,
    extractor: &Extractor,
    allow: AllowEncoded,
    asked: &Asked<'_>,
    now_unix: u64,
    form: Form,
) -> Result<String, Failure> {
    let mut request = ExplainRequest::new(asked.method, asked.url)?;
    for line in asked.headers {
        request = request.with_header_line(line)?;
    }
    if let Some(body) = asked.body {
        request = request.with_body(body);
    }
    if let Some(address) = asked.client_ip {
        request = request.with_client_ip(address)?;
    }
    let reasoning = explain(
        program,
        extractor,
        &request,
        Surroundings {
            allow,
            latched: &|_| false,
            now_unix,
        },
    )?;
    Ok(match form {
        Form::Text => reasoning.to_string(),
        Form::Json => {
            let json =
                serde_json::to_string_pretty(&reasoning).expect("a reasoning has text for keys");
            format!("{json}\n")
        }
    })
}
