//! Reading the configuration again, for those who may change things.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::AdminState;
use super::change::{caller, may_change};
use super::config::{Confirmed, confirmation};
use super::listener::Peer;
use super::problem::Problem;

/// The one who reads the configuration again.
pub trait SyncControl: Send + Sync + 'static {
    /// Reads everything again now and waits for what comes of it; `by` says who asks, and `confirm` is the digest of a
    /// plan that is to be let through. Not for an async task.
    fn sync(&self, by: &str, confirm: Option<&str>) -> Result<Synced, SyncError>;
}

/// The configuration that is in force after all was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Synced {
    /// Its version.
    pub version: String,
    /// The version before; the same where nothing had changed.
    pub from: String,
    /// Whether it is another one now.
    pub changed: bool,
    /// Names of what was added, changed or taken away.
    pub names: Vec<String>,
}

/// Why nothing else is in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// It was refused as a whole, for these problems.
    #[error("the configuration was refused; the one before it stays in force")]
    Refused(Vec<String>),
    /// It needs a confirmation: for these reasons, with this digest.
    #[error("{reason}")]
    Unconfirmed {
        /// Why, and what would let it through.
        reason: String,
        /// The digest of its plan.
        digest: String,
    },
    /// There is no such version.
    #[error("version `{0}` is not among those that are kept; see `GET /api/v1/config/history`")]
    Unknown(String),
    /// Nobody reads configurations at this moment.
    #[error("the configuration cannot be read now: {0}")]
    Away(&'static str),
}

impl From<SyncError> for Problem {
    fn from(error: SyncError) -> Self {
        let detail = error.to_string();
        match error {
            SyncError::Refused(problems) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).listing(problems),
            SyncError::Unconfirmed { .. } => Self::new(StatusCode::CONFLICT, detail),
            SyncError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, detail),
            SyncError::Away(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

pub(super) async fn sync(
    State(state): State<AdminState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    confirmed: Result<Query<Confirmed>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Synced>, Problem> {
    let confirm = confirmation(confirmed)?;
    // The token's file is on a disk, and so is the configuration.
    let work = tokio::task::spawn_blocking(move || {
        let how = may_change(&state.view.changes(), &headers)?;
        state.sync.sync(&caller(peer, how, None), confirm.as_deref()).map(Json).map_err(Problem::from)
    });
    work.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the change broke off")))
}
