//! What the sources that speak HTTP share: a client with a base address, and how answers that are none are told.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::SourceError;
use super::credentials::roots;
use crate::config::{self, TlsFiles};
use crate::outbound::{Answer, Bounds, Caller};

/// Everything that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How much longer than it was asked to a server may hold a long poll.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long a call may take that is answered at once.
pub(super) const WITHIN: Duration = Duration::from_secs(10);
/// The shortest round of a poll that brought nothing: a server that does not wait is not asked without end.
const LEAST_ROUND: Duration = Duration::from_secs(1);
/// How much of what a server says in refusal is told.
const MOST_TOLD: usize = 200;
/// The most bytes of an answer that holds no documents.
pub(super) const SMALL: usize = 1 << 20;

/// Calls one server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    caller: Caller,
    base: String,
}

impl Client {
    /// For the server at `base`, a URL without a slash at its end.
    pub(super) fn new(base: &str, tls: &TlsFiles) -> Result<Self, SourceError> {
        Ok(Self { caller: Caller::new(&roots(tls))?, base: base.to_owned() })
    }

    /// Asks for `target`, a path with its query.
    pub(super) async fn get(
        &self,
        target: &str,
        fields: &[(&str, String)],
        bounds: Bounds,
    ) -> Result<Answer, SourceError> {
        self.send(Request::get(format!("{}{target}", self.base)), fields, String::new(), bounds).await
    }

    /// Sends a body of the media type `kind`.
    pub(super) async fn post(
        &self,
        target: &str,
        fields: &[(&str, String)],
        (kind, body): (&str, String),
        bounds: Bounds,
    ) -> Result<Answer, SourceError> {
        let request = Request::post(format!("{}{target}", self.base)).header(CONTENT_TYPE, kind);
        self.send(request, fields, body, bounds).await
    }

    async fn send(
        &self,
        mut request: http::request::Builder,
        fields: &[(&str, String)],
        body: String,
        bounds: Bounds,
    ) -> Result<Answer, SourceError> {
        request = request.header(ACCEPT, "*/*");
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        let request = request.body(Bytes::from(body));
        let request = request.map_err(|error| SourceError::Refused(format!("this cannot be sent: {error}")))?;
        Ok(self.caller.call(request, bounds).await?)
    }
}

/// A bound for an answer that holds no documents and comes at once.
pub(super) fn short() -> Bounds {
    Bounds { within: WITHIN, bytes: SMALL }
}

/// What an answer that is none of the expected ones comes to.
pub(super) fn refusal(answer: &Answer) -> SourceError {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let said: String = String::from_utf8_lossy(&answer.body).chars().take(MOST_TOLD).map(shown).collect();
    let told = format!("answered {} {}", answer.status, said.trim()).trim_end().to_owned();
    if (400..500).contains(&answer.status) { SourceError::Refused(told) } else { SourceError::Unreachable(told) }
}

/// The body as text.
pub(super) fn text_of(body: &[u8]) -> Result<&str, SourceError> {
    std::str::from_utf8(body).map_err(|error| SourceError::Garbled(format!("no UTF-8 text: {error}")))
}

/// A part of a path, or a name or value of a query or a form.
pub(super) fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

/// Names and values as a query or a form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let mut written = String::new();
    for (name, value) in pairs {
        let separator = if written.is_empty() { "" } else { "&" };
        let _ = write!(written, "{separator}{}={}", encoded(name), encoded(value));
    }
    written
}

/// Waits until a round that began at `begun` and brought nothing was long enough.
pub(super) async fn rest(begun: Instant) {
    tokio::time::sleep_until(begun + LEAST_ROUND).await;
}

/// SHA-256 in lower case hexadecimal digits over names and texts, each with its length as eight bytes, most significant
/// first.
pub(super) fn digest<'t>(documents: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    let mut hash = Sha256::new();
    for part in documents.flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hexadecimal(&hash.finalize())
}

/// Two lower case digits a byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A revision for servers that have none for everything together: equal texts have equal ones.
pub(super) fn revision(texts: &[config::Source]) -> String {
    let names: Vec<_> = texts.iter().map(|text| (text.path.to_string_lossy(), text.text.as_str())).collect();
    let mut whole = digest(names.iter().map(|(path, text)| (path.as_ref(), *text)));
    whole.truncate(12);
    whole
}
