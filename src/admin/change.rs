//! Changing calls: who may make them, and what they say.
//!
//! Two things have to hold. The caller may: it shows the token, or the port is on loopback and the configuration says
//! that this is enough. And no page of another origin made somebody's browser the caller: the guard has refused every
//! foreign `Origin`, and here the request has to be one that a browser does not send across origins without asking
//! first (Fetch standard, "CORS-safelisted request-header"), which this port never allows.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::listener::Peer;
use super::problem::Problem;
use super::view::ReleaseView;
use crate::config::{AdminChanges, AdminToken};
use crate::latch::LatchError;

/// The longest name or reason that is taken, in bytes.
pub(super) const LONGEST_TEXT: usize = 500;
/// A header that only asks for what a form cannot send; its value does not matter.
const CHANGE_HEADER: &str = "x-graylane-change";

/// What is to be done with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseAction {
    /// Nothing may open it.
    Pause,
    /// It may be opened again.
    Resume,
    /// It is taken back, and stays so.
    Rollback,
    /// What took it back is over.
    Reset,
}

impl ReleaseAction {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "rollback" => Self::Rollback,
            "reset" => Self::Reset,
            _ => return None,
        })
    }
}

/// One changing call that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseChange {
    /// The release.
    pub release: String,
    /// What is to be done.
    pub action: ReleaseAction,
    /// Who asks: the address, how it was let in, and the name it gave itself.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What a changing call did.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    /// Whether it is different now; false where it was so before.
    pub changed: bool,
    /// Whether it is so after a restart: it stands in the state directory.
    pub survives_restart: bool,
    /// The number of the incident, where the release was latched now.
    pub incident: Option<u64>,
    /// The release as it is now.
    pub release: ReleaseView,
}

/// Why a release is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The latches say no.
    #[error(transparent)]
    Latch(#[from] LatchError),
}

impl From<ChangeError> for Problem {
    fn from(ChangeError::Latch(error): ChangeError) -> Self {
        let status = match error {
            LatchError::Unknown { .. } => StatusCode::NOT_FOUND,
            LatchError::Paused { .. } => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

/// What may stand in the body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

pub(super) async fn release(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path((release, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Changed>, Problem> {
    // The token's file and the state directory are on disks, which may be slow.
    let work = tokio::task::spawn_blocking(move || {
        let how = may_change(&state.view.changes(), &headers)?;
        let action = ReleaseAction::named(&action).ok_or_else(|| unknown(&action))?;
        let said = said(&headers, &body)?;
        let by = caller(peer, how, said.by.as_deref());
        let change = ReleaseChange { release, action, by, reason: said.reason.filter(|reason| !reason.is_empty()) };
        state.view.change(&change).map(Json).map_err(Problem::from)
    });
    work.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the change broke off")))
}

fn unknown(action: &str) -> Problem {
    let detail = format!("`{action}` is nothing that a release does; it is pause, resume, rollback or reset");
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// Lets a changing call through and says how, or refuses it. May read the token's file, so not for an async task.
pub(super) fn may_change(changes: &AdminChanges, headers: &HeaderMap) -> Result<&'static str, Problem> {
    let how = authorise(changes, headers)?;
    refuse_pages(headers)?;
    Ok(how)
}

/// A caller by what is known of it.
pub(super) fn caller(peer: SocketAddr, how: &str, name: Option<&str>) -> String {
    let address = peer.ip().to_canonical();
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} ({how}, {address})"),
        None => format!("{how}, {address}"),
    }
}

/// Whether the caller may change things; how it was let in.
fn authorise(changes: &AdminChanges, headers: &HeaderMap) -> Result<&'static str, Problem> {
    let files = match changes {
        AdminChanges::Loopback => return Ok("no token"),
        AdminChanges::Refused => {
            let detail = "nothing may be changed here; set `admin.token_file`, or `admin.insecure_changes` on loopback";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        AdminChanges::Token(files) => files,
    };
    shows_one_of(files, headers)?;
    Ok("token")
}

/// Whether the call shows the token of one of these files. Every file is compared, so that the time does not tell which one it was.
pub(super) fn shows_one_of(files: &[PathBuf], headers: &HeaderMap) -> Result<(), Problem> {
    let shown = bearer(headers).ok_or_else(|| Problem::unauthorised("send `Authorization: Bearer TOKEN`"))?;
    let (mut is_one, mut unread) = (false, false);
    for file in files {
        match AdminToken::read(file) {
            Ok(token) => is_one |= token.is(shown),
            Err(error) => {
                unread = true;
                tracing::error!(%error, file = %file.display(), "an admin token cannot be read: it lets nobody in");
            }
        }
    }
    match (is_one, unread) {
        (true, _) => Ok(()),
        (false, true) => {
            let detail = "the token file cannot be read; see the log";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
        }
        (false, false) => Err(Problem::unauthorised("this is not a token that may do this")),
    }
}

/// The token of `Authorization: Bearer`, where the header stands once; the scheme has no case (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Refuses what a page of another origin can make a browser send without being asked for leave.
///
/// A form, a beacon or a plain `fetch` cannot set `Authorization`, a header of our own or `content-type:
/// application/json`. A request without any of them is taken only if it has no content type at all and none of the
/// traces that browsers leave: that is `curl -X POST`, as typed in the middle of the night.
fn refuse_pages(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::AUTHORIZATION) || headers.contains_key(CHANGE_HEADER) || is_json(headers) {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_TYPE) {
        let detail = "a changing call is JSON or has no body; send `content-type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let agent = headers.get(header::USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
    let is_browser = ["origin", "referer", "sec-fetch-site"].iter().any(|name| headers.contains_key(*name))
        || agent.starts_with(b"Mozilla/");
    if is_browser {
        let detail = "a page has to send `content-type: application/json` with a changing call";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

fn said(headers: &HeaderMap, body: &[u8]) -> Result<Said, Problem> {
    if body.is_empty() {
        return Ok(Said::default());
    }
    if !is_json(headers) {
        let detail = "the body is JSON; send `content-type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let said: Said = serde_json::from_slice(body)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {error}")))?;
    for (name, text) in [("by", &said.by), ("reason", &said.reason)] {
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            let detail = format!("`{name}` is longer than {LONGEST_TEXT} bytes");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_what_no_page_can_send_across_origins_is_taken() {
        let check = |lines: &[(&'static str, &'static str)], status: Option<StatusCode>| {
            let found = refuse_pages(&headers(lines)).map_err(|problem| problem.status()).err();
            assert_eq!(found, status, "{lines:?}");
        };
        check(&[], None);
        check(&[("user-agent", "curl/8.5.0")], None);
        check(&[("content-type", "application/json")], None);
        check(&[("content-type", "Application/JSON; charset=utf-8"), ("origin", "http://localhost")], None);
        check(&[("x-graylane-change", "1"), ("user-agent", "Mozilla/5.0")], None);
        let form = Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "text/ping"] {
            check(&[("content-type", kind)], form);
        }
        check(&[("content-type", "text/plain; a=application/json")], form);
        check(&[("content-type", "application/json-seq")], form);
        for trace in [("origin", "null"), ("sec-fetch-site", "cross-site"), ("user-agent", "Mozilla/5.0 (X11)")] {
            check(&[trace], Some(StatusCode::FORBIDDEN));
        }
    }

    #[test]
    fn the_scheme_of_a_token_has_no_case_and_stands_once() {
        let of = |value| bearer(&headers(&[("authorization", value)])).map(<[u8]>::to_vec);
        assert_eq!(of("Bearer secret"), Some(b"secret".to_vec()));
        assert_eq!(of("bEARER  secret "), Some(b"secret".to_vec()));
        assert_eq!(of("Basic secret"), None);
        assert_eq!(of("Bearer"), None);
        let mut twice = headers(&[("authorization", "Bearer secret")]);
        twice.append("authorization", HeaderValue::from_static("Bearer other"));
        assert_eq!(bearer(&twice), None);
    }

    #[test]
    fn a_caller_is_named_with_what_is_known() {
        let peer = "[::ffff:127.0.0.1]:4000".parse().unwrap();
        assert_eq!(caller(peer, "token", Some("li.wei")), "li.wei (token, 127.0.0.1)");
        assert_eq!(caller(peer, "no token", Some("")), "no token, 127.0.0.1");
    }
}
