//! The paths and what they answer.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AdminState;
use super::explain::{ExplainRequest, Question};
use super::problem::Problem;
use super::view::{AuditView, BreakerView, BucketsView, ConfigView, ReleaseView, RouteView, UpstreamView};
use super::{change, config as configs, fault, metrics, openapi, page, problem, sync};
use crate::latch::Incident;
use crate::source::SourceStatus;

/// The longest body that is read.
const BODY_LIMIT: usize = 256 * 1024;

/// Every path; `stream` is the one of the stream of figures.
pub(super) fn routes(state: AdminState, stream: Router<AdminState>) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::show))
        .route("/api/v1/config", get(config))
        .route("/api/v1/releases", get(releases))
        .route("/api/v1/openapi.json", get(openapi::show))
        .route("/api/v1/releases/{release}/buckets", get(buckets))
        .route("/api/v1/routes", get(route_list))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/upstreams", get(upstreams))
        .route("/api/v1/breakers", get(breakers))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/releases/{release}/{action}", post(change::release))
        .route("/api/flags/sync", post(sync::sync))
        .route("/api/v1/explain", post(explain))
        .merge(fault::routes())
        .merge(configs::routes())
        .merge(stream)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(map_response(problem::of_any))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(state)
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(state): State<AdminState>) -> Result<&'static str, Problem> {
    let ready = state.view.readiness();
    ready.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()))?;
    Ok("ready\n")
}

async fn config(State(state): State<AdminState>) -> Json<ConfigView> {
    Json(state.view.config())
}

/// Lists stand under their name, so that something can be said beside them later.
#[derive(Serialize)]
struct Releases {
    releases: Vec<ReleaseView>,
}

async fn releases(State(state): State<AdminState>) -> Json<Releases> {
    Json(Releases { releases: state.view.releases() })
}

#[derive(Deserialize)]
struct Asked {
    /// Whose bucket is asked for: a user id, or whatever the release hashes.
    key: Option<String>,
}

async fn buckets(
    State(state): State<AdminState>,
    Path(release): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<BucketsView>, Problem> {
    let Query(Asked { key }) = asked.map_err(|why| Problem::new(why.status(), why.body_text()))?;
    let found = state.view.buckets(&release, key.as_deref());
    found.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no release of this name"))
}

#[derive(Serialize)]
struct Routes {
    routes: Vec<RouteView>,
}

async fn route_list(State(state): State<AdminState>) -> Json<Routes> {
    Json(Routes { routes: state.view.routes() })
}

#[derive(Serialize)]
struct Sources {
    sources: Vec<SourceStatus>,
}

async fn sources(State(state): State<AdminState>) -> Json<Sources> {
    Json(Sources { sources: state.view.sources() })
}

#[derive(Serialize)]
struct Upstreams {
    upstreams: Vec<UpstreamView>,
}

async fn upstreams(State(state): State<AdminState>) -> Json<Upstreams> {
    Json(Upstreams { upstreams: state.view.upstreams() })
}

#[derive(Serialize)]
struct Breakers {
    breakers: Vec<BreakerView>,
}

async fn breakers(State(state): State<AdminState>) -> Json<Breakers> {
    Json(Breakers { breakers: state.view.breakers() })
}

async fn audit(State(state): State<AdminState>) -> Json<AuditView> {
    Json(state.view.audit())
}

#[derive(Serialize)]
struct Incidents {
    incidents: Vec<Arc<Incident>>,
}

#[derive(Deserialize)]
struct Wanted {
    /// How many, the last ones; all that are kept where nothing is said.
    last: Option<usize>,
}

async fn incidents(
    State(state): State<AdminState>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Incidents>, Problem> {
    let Query(Wanted { last }) = wanted.map_err(|why| Problem::new(why.status(), why.body_text()))?;
    let mut incidents = state.view.incidents();
    let extra = incidents.len().saturating_sub(last.unwrap_or(usize::MAX));
    incidents.drain(..extra);
    Ok(Json(Incidents { incidents }))
}

async fn explain(
    State(state): State<AdminState>,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(question) = question.map_err(|why| Problem::new(why.status(), why.body_text()))?;
    let unfit = |why: super::ExplainError| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string());
    let request = ExplainRequest::try_from(question).map_err(unfit)?;
    state.view.explain(&request).map(Json).map_err(unfit)
}

async fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "nothing is here; the paths are /, /healthz, /readyz, /metrics, /api/flags/sync and /api/v1/...",
    )
}

/// `Allow` is added by the router.
async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method; see the Allow header")
}
