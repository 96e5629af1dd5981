//! How every answer of the shop looks: JSON that names the version and the lane mark first, ended by a newline so
//! that it reads well on a terminal.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Edition;

/// The header by which the sidecar tells the service what was decided.
const LANE_MARK: &str = "x-gray-lane";

/// What is the same in all answers to one request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stamp {
    version: &'static str,
    /// `null` when the request came without one, past the sidecar for example.
    lane_mark: Option<String>,
}

impl Stamp {
    pub(super) fn new(edition: Edition, headers: &HeaderMap) -> Stamp {
        Stamp { version: edition.version(), lane_mark: text(headers, LANE_MARK).map(str::to_owned) }
    }

    /// A good answer.
    pub(super) fn ok<T: Serialize>(self, body: T) -> Response {
        self.answer(StatusCode::OK, body)
    }

    pub(super) fn answer<T: Serialize>(self, status: StatusCode, body: T) -> Response {
        let Ok(mut text) = serde_json::to_vec(&Stamped { stamp: self, body }) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        text.push(b'\n');
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
    }

    /// A refusal that says what is wrong.
    pub(super) fn refuse(self, status: StatusCode, error: impl Into<String>) -> Response {
        self.answer(status, Refusal { error: error.into() })
    }
}

/// The value of a header that is readable text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[derive(Serialize)]
struct Stamped<T> {
    #[serde(flatten)]
    stamp: Stamp,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}
