//! The request to be explained, from JSON to what a request is made of.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How many header values a request to be explained may have: as many as one on the data path.
const HEADERS: usize = 128;

const NO_URL: &str = "must be a path such as /api/v1/sku/7, or begin with http:// or https://";

/// One request whose decision is asked for.
#[derive(Debug, Clone)]
pub struct ExplainRequest {
    /// The method.
    pub method: Method,
    /// Path and query, or a whole URL; its authority then is the `Host`.
    pub uri: Uri,
    /// The headers as the client would send them.
    pub headers: HeaderMap,
    /// The address of the client; `None` speaks as a trusted peer.
    pub client_ip: Option<IpAddr>,
    /// The body.
    pub body: Option<String>,
}

/// Why a request cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The question is no request.
    #[error("{field}: {problem}")]
    Field {
        /// The field of the question.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is a request, and the data path would refuse it before any decision.
    #[error("the request would be refused: {0}")]
    Refused(String),
}

/// The question as it stands in the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    #[serde(default = "get")]
    method: String,
    url: String,
    /// A name to a value, or to a list of values.
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    client_ip: Option<IpAddr>,
    /// Text, or any JSON that then is the body.
    #[serde(default)]
    body: Option<Value>,
}

fn get() -> String {
    "GET".to_owned()
}

impl TryFrom<Question> for ExplainRequest {
    type Error = ExplainError;

    fn try_from(question: Question) -> Result<Self, ExplainError> {
        let method = question.method.parse().map_err(|_| wrong("method", "not a method"))?;
        let uri = uri(&question.url)?;
        let mut headers = headers(&question.headers)?;
        if let Some(authority) = uri.authority() {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("url", "not a host"))?;
            headers.insert(header::HOST, host);
        }
        let body = question.body.map(|body| match body {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Self { method, uri, headers, client_ip: question.client_ip, body })
    }
}

fn wrong(field: impl Into<String>, problem: impl Into<String>) -> ExplainError {
    ExplainError::Field { field: field.into(), problem: problem.into() }
}

fn uri(url: &str) -> Result<Uri, ExplainError> {
    let uri: Uri = url.parse().map_err(|_| wrong("url", NO_URL))?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if web || (uri.scheme().is_none() && uri.authority().is_none() && url.starts_with('/')) {
        Ok(uri)
    } else {
        Err(wrong("url", NO_URL))
    }
}

fn headers(fields: &Map<String, Value>) -> Result<HeaderMap, ExplainError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let field = || format!("headers.{name}");
        let header: HeaderName = name.parse().map_err(|_| wrong(field(), "not a header name"))?;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(wrong(field(), "must be text or a list of texts")),
            };
            // `from_str` would take visible ASCII only; names of shops are not.
            let value = HeaderValue::from_bytes(text.as_bytes());
            let value = value.map_err(|_| wrong(field(), "holds a character that no header may"))?;
            if headers.len() == HEADERS {
                return Err(wrong("headers", format!("more than {HEADERS}")));
            }
            headers.append(header.clone(), value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(question: Value) -> Result<ExplainRequest, String> {
        let question: Question = serde_json::from_value(question).map_err(|error| error.to_string())?;
        ExplainRequest::try_from(question).map_err(|error| error.to_string())
    }

    #[test]
    fn a_full_question_becomes_a_request() {
        let request = ask(json!({
            "method": "POST",
            "url": "http://shop.example:8080/api/v1/orders?x=1",
            "headers": { "X-User-Id": "用户", "x-user-tags": ["a", "b"], "x-stock-level": 501, "host": "other" },
            "client_ip": "203.0.113.9",
            "body": { "amount": 299 },
        }));
        let request = request.unwrap();
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.uri.path_and_query().unwrap(), "/api/v1/orders?x=1");
        assert_eq!(request.headers["x-user-id"].as_bytes(), "用户".as_bytes());
        assert_eq!(request.headers.get_all("x-user-tags").iter().count(), 2);
        assert_eq!(request.headers["x-stock-level"], "501");
        assert_eq!(request.headers["host"], "shop.example:8080");
        assert_eq!(request.client_ip, Some(IpAddr::from([203, 0, 113, 9])));
        assert_eq!(request.body.as_deref(), Some(r#"{"amount":299}"#));
    }

    #[test]
    fn a_path_alone_is_a_get_by_a_trusted_peer() {
        let request = ask(json!({ "url": "/api/v1/sku/7" })).unwrap();
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.client_ip, None);
        assert!(request.headers.is_empty() && request.body.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |question: Value, expected: &str| {
            let error = ask(question).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(json!({}), "url");
        check(json!({ "url": "" }), "url");
        check(json!({ "url": "api/v1" }), "must be a path");
        check(json!({ "url": "ftp://a/b" }), "must be a path");
        check(json!({ "url": "/", "method": "GE T" }), "method");
        check(json!({ "url": "/", "headers": { "a b": "c" } }), "headers.a b: not a header name");
        check(json!({ "url": "/", "headers": { "a": "c\r\nd" } }), "headers.a: holds a character");
        check(json!({ "url": "/", "headers": { "a": { "b": 1 } } }), "headers.a: must be text");
        check(json!({ "url": "/", "client_ip": "somewhere" }), "IP address");
        check(json!({ "url": "/", "headres": {} }), "headres");
        check(json!({ "url": "/", "headers": { "a": vec!["x"; 129] } }), "more than 128");
    }
}
