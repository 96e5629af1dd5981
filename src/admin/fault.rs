//! Faults on purpose at the admin port: what is set, and setting and taking away for those who may change things.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::AdminState;
use super::change::{caller, may_change};
use super::listener::Peer;
use super::problem::Problem;

/// The faults of a sidecar. Every call answers at once.
pub trait FaultControl: Send + Sync + 'static {
    /// Those that are set.
    fn faults(&self) -> Vec<FaultView>;

    /// Sets one, written as in a configuration; `by` says who asks.
    fn add_fault(&self, text: &[u8], by: &str) -> Result<FaultView, FaultError>;

    /// Takes one away; says whether there was one.
    fn remove_fault(&self, name: &str, by: &str) -> bool;

    /// Takes all of them away; says their names.
    fn clear_faults(&self, by: &str) -> Vec<Arc<str>>;
}

/// Why a fault is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// It is none, or not one for this configuration.
    #[error("{0}")]
    Unfit(String),
    /// Others stand in its way.
    #[error("{0}")]
    InTheWay(String),
}

/// One fault.
#[derive(Debug, Clone, Serialize)]
pub struct FaultView {
    /// Its name.
    pub name: String,
    /// The routes whose requests meet it.
    pub routes: Vec<String>,
    /// The lane whose requests meet it.
    pub lane: String,
    /// How many in a thousand of them do.
    pub permille: u16,
    /// `delay`, `abort`, `reset` or `slow_body`.
    pub kind: &'static str,
    /// The figures of what it does, with their units in their names.
    pub effect: Value,
    /// When it ends by itself.
    #[serde(serialize_with = "instant")]
    pub expires: SystemTime,
    /// Whether it has not ended by itself.
    pub on: bool,
    /// `configuration` or `admin`: who set it.
    pub origin: &'static str,
    /// Whether it counts against the release and its breaker as if it were real.
    pub counts: bool,
    /// How many requests met it.
    pub injected: u64,
}

fn instant<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = Timestamp::try_from(*time).unwrap_or(Timestamp::UNIX_EPOCH);
    serializer.collect_str(&format_args!("{time:.0}"))
}

/// The paths of faults.
pub(super) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/faults", get(list).post(add).delete(clear))
        .route("/api/v1/faults/{name}", axum::routing::delete(remove))
}

#[derive(Serialize)]
struct Faults {
    faults: Vec<FaultView>,
}

async fn list(State(state): State<AdminState>) -> Json<Faults> {
    Json(Faults { faults: state.faults.faults() })
}

async fn add(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<FaultView>), Problem> {
    change(state, peer, headers, move |faults, by| match faults.add_fault(&body, by) {
        Ok(fault) => Ok((StatusCode::CREATED, Json(fault))),
        Err(FaultError::Unfit(why)) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
        Err(FaultError::InTheWay(why)) => Err(Problem::new(StatusCode::CONFLICT, why)),
    })
    .await
}

async fn remove(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    change(state, peer, headers, move |faults, by| match faults.remove_fault(&name, by) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(StatusCode::NOT_FOUND, "there is no fault of this name")),
    })
    .await
}

#[derive(Serialize)]
struct Cleared {
    removed: Vec<Arc<str>>,
}

async fn clear(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Result<Json<Cleared>, Problem> {
    change(state, peer, headers, |faults, by| Ok(Json(Cleared { removed: faults.clear_faults(by) }))).await
}

/// Does what a caller asks for who may; the token's file is on a disk, which may be slow.
async fn change<T: Send + 'static>(
    state: AdminState,
    peer: SocketAddr,
    headers: HeaderMap,
    work: impl FnOnce(&dyn FaultControl, &str) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let work = tokio::task::spawn_blocking(move || {
        let how = may_change(&state.view.changes(), &headers)?;
        work(&*state.faults, &caller(peer, how, None))
    });
    work.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the change broke off")))
}
