//! Changes of the configuration at the admin port: what one would do, which there were, and the way back.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::change::{caller, is_json, may_change};
use super::listener::Peer;
use super::problem::Problem;
use super::sync::{SyncError, Synced};
use crate::change::{Past, Plan};

/// The longest configuration that is planned, in bytes: the longest file there may be.
const PLAN_LIMIT: usize = 4 << 20;

/// Plans, history and rollback. The calls may wait for a disk, so none is for an async task.
pub trait ConfigControl: Send + Sync + 'static {
    /// What it would do to put these documents in force instead of everything that is; or what is wrong with them.
    fn plan(&self, text: &str) -> Result<Plan, Vec<String>>;

    /// The last versions that were in force, oldest first.
    fn history(&self) -> Vec<PastView>;

    /// Puts an earlier version in force and keeps it there until its source changes.
    fn roll_back(&self, version: &str, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError>;
}

/// One version that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastView {
    /// The version.
    pub version: String,
    /// Since when, RFC 3339.
    pub time: String,
    /// Whether it is in force.
    pub in_force: bool,
    /// The names of its texts.
    pub sources: Vec<String>,
    /// How long its texts are together.
    pub bytes: usize,
}

impl PastView {
    /// Of a version that was kept.
    pub fn of(past: &Past, in_force: bool) -> Self {
        let time = Timestamp::try_from(past.time()).unwrap_or(Timestamp::UNIX_EPOCH);
        let sources = past.paths().map(|path| path.display().to_string()).collect();
        Self { version: past.version.clone(), time: time.to_string(), in_force, sources, bytes: past.bytes() }
    }
}

/// An earlier version that stays in force although its source says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinView {
    /// The version that was in force before.
    pub rolled_back_from: String,
    /// The version that the source holds. Another one ends the pin.
    pub source_holds: String,
}

/// One text of the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentView {
    /// Its file, or its place in its source.
    pub name: String,
    /// `file`, or `shared` where it came from a store or a centre.
    pub origin: &'static str,
    /// The name of that store or centre; `null` for a file.
    pub source: Option<String>,
    /// How long it is.
    pub bytes: usize,
    /// What it defines, such as `releases.pricing-v2`; what has no name goes by its field.
    pub defines: Vec<String>,
}

/// The paths of configurations.
pub(super) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/config/plan", post(plan).layer(DefaultBodyLimit::max(PLAN_LIMIT)))
        .route("/api/v1/config/history", get(history))
        .route("/api/v1/config/rollback", post(roll_back))
}

#[derive(Serialize)]
struct Told {
    plan: Plan,
    /// The effects as sentences.
    summary: Vec<String>,
}

/// Changes nothing and tells what is in force, so it is a reading call.
async fn plan(State(state): State<AdminState>, body: Bytes) -> Result<Json<Told>, Problem> {
    let text = String::from_utf8(body.to_vec())
        .map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body is not UTF-8 text"))?;
    let planned = blocking(move || {
        state.configs.plan(&text).map_err(|problems| {
            let detail = "these documents would be refused";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).listing(problems)
        })
    });
    let plan = planned.await?;
    let effects = plan.effects.iter().map(ToString::to_string);
    let needs = plan.needs.iter().map(|need| format!("needs a confirmation where it is guarded: {need}"));
    Ok(Json(Told { summary: effects.chain(needs).collect(), plan }))
}

#[derive(Serialize)]
struct Versions {
    history: Vec<PastView>,
}

async fn history(State(state): State<AdminState>) -> Result<Json<Versions>, Problem> {
    blocking(move || Ok(Json(Versions { history: state.configs.history() }))).await
}

/// What may stand in the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    version: String,
    confirm: Option<String>,
    by: Option<String>,
}

async fn roll_back(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Synced>, Problem> {
    blocking(move || {
        let how = may_change(&state.view.changes(), &headers)?;
        if !is_json(&headers) {
            let detail = "the body is JSON; send `content-type: application/json` with `{\"version\": \"...\"}`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let wanted: Wanted = serde_json::from_slice(&body)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {error}")))?;
        let Wanted { version, confirm, by } = wanted;
        let by = caller(peer, how, by.as_deref().filter(|by| by.len() <= super::change::LONGEST_TEXT));
        Ok(Json(state.configs.roll_back(&version, &by, confirm.as_deref())?))
    })
    .await
}

/// A confirmation that comes with a call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Confirmed {
    /// The digest of the plan.
    pub(super) confirm: Option<String>,
}

/// The confirmation in the query of a call.
pub(super) fn confirmation(query: Result<Query<Confirmed>, QueryRejection>) -> Result<Option<String>, Problem> {
    query.map(|Query(confirmed)| confirmed.confirm).map_err(|why| Problem::new(why.status(), why.body_text()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let broke_off = |_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the call broke off"));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(broke_off)
}
