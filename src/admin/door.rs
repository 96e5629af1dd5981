//! Who may read, and what becomes of those who try tokens.
//!
//! A wrong token is counted, and its answer held back for a moment; so many of them wait at a time and no more, the rest is
//! turned away at once. Guessing gets slow, and whoever guesses cannot fill the port for those who know.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::AdminState;
use super::change::shows_one_of;
use super::guard::OPEN_PATHS;
use super::problem::Problem;

/// How long the answer to a wrong token is held back.
const WRONG_WAIT: Duration = Duration::from_millis(250);
/// Questions that are too long for a `GET`: they change nothing, and their answers tell of the configuration.
const QUESTIONS: [&str; 2] = ["/api/v1/explain", "/api/v1/config/plan"];
/// So many such answers are held back at a time.
const MOST_WAITING: usize = 8;

struct Door {
    state: AdminState,
    waiting: Semaphore,
}

/// Puts the door before every path.
pub(super) fn protect(routes: Router, state: AdminState) -> Router {
    let door = Arc::new(Door { state, waiting: Semaphore::new(MOST_WAITING) });
    routes.layer(from_fn_with_state(door, pass))
}

async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let shows_token = request.headers().contains_key(header::AUTHORIZATION);
    let (files, headers) = (door.readers(&request), request.headers().clone());
    let response = match door.may_read(files, headers).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if !shows_token || response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    door.state.telemetry.wrong_admin_token();
    match door.waiting.try_acquire() {
        Ok(_waiting) => {
            tokio::time::sleep(WRONG_WAIT).await;
            response
        }
        Err(_) => Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens at a time").into_response(),
    }
}

impl Door {
    /// The files of the tokens that this call needs one of. Whatever changes something is let through: it asks for a token of
    /// its own.
    fn readers(&self, request: &Request) -> Option<Vec<PathBuf>> {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD) || QUESTIONS.contains(&path);
        // The page itself tells nothing, and is where a browser can be given a token.
        if reads && path != "/" && !OPEN_PATHS.contains(&path) { self.state.view.readers() } else { None }
    }

    async fn may_read(&self, files: Option<Vec<PathBuf>>, headers: HeaderMap) -> Result<(), Problem> {
        let Some(files) = files else { return Ok(()) };
        // The files are on a disk, which may be slow.
        let asked = tokio::task::spawn_blocking(move || shows_one_of(&files, &headers)).await;
        asked.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the check broke off")))
    }
}
