//! Errors as `application/problem+json` (RFC 9457).

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

const PROBLEM: &str = "application/problem+json";

/// An error answer: a status and one sentence of what is wrong with this request.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    asks_for_token: bool,
    problems: Vec<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), asks_for_token: false, problems: Vec::new() }
    }

    /// With everything that is wrong, one by one.
    pub(super) fn listing(self, problems: Vec<String>) -> Self {
        Self { problems, ..self }
    }

    /// 401: a token is missing or wrong.
    pub(super) fn unauthorised(detail: impl Into<String>) -> Self {
        Self { asks_for_token: true, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
}

/// The longest text of a refusal that is passed on.
const LONGEST_REFUSAL: usize = 4096;

/// Makes a problem of whatever error was answered as plain text, by the framework that took the request apart.
pub(super) async fn of_any(response: Response) -> Response {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if !is_error || response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM) {
        return response;
    }
    let status = response.status();
    let text = to_bytes(response.into_body(), LONGEST_REFUSAL).await.unwrap_or_default();
    Problem::new(status, String::from_utf8_lossy(&text)).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            problems: &self.problems,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if self.asks_for_token {
            let scheme = HeaderValue::from_static("Bearer realm=\"graylane\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
