//! What the webhook answers.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::certificate::Certificate;
use super::door::Door;
use crate::inject::{Defaults, answer};

/// The most bytes of a review. An object of a cluster has at most 3 MiB, and a review may hold it twice.
pub const MOST_BODY: usize = 8 << 20;

struct Desk {
    defaults: Defaults,
    certificate: Arc<Certificate>,
}

/// Answers on `listener` until `shutdown` completes and the reviews of that moment are answered: `POST /mutate`, `GET
/// /healthz`, and `GET /readyz`, which fails once the certificate has ended.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<Certificate>,
    defaults: Defaults,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let door = Door::open(listener, certificate.clone())?;
    let routes = Router::new()
        .route("/mutate", post(mutate).layer(DefaultBodyLimit::max(MOST_BODY)))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Desk { defaults, certificate }));
    axum::serve(door, routes).with_graceful_shutdown(shutdown).await
}

async fn mutate(State(desk): State<Arc<Desk>>, review: Bytes) -> Response {
    let begun = Instant::now();
    match answer(&review, &desk.defaults) {
        Ok((answer, done)) => {
            let uid = answer.pointer("/response/uid").and_then(serde_json::Value::as_str).unwrap_or_default();
            tracing::info!(uid, ?done, bytes = review.len(), took = ?begun.elapsed(), "a pod was looked at");
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "no review");
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
    }
}

async fn readyz(State(desk): State<Arc<Desk>>) -> (StatusCode, &'static str) {
    match desk.certificate.is_good() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the certificate has ended: nobody takes it any more\n"),
    }
}
