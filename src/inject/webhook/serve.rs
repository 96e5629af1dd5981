//! What the webhook answers.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::certificate::Certificate;
use super::door::{self, LIMITS};
use super::namespaces::{Known, Namespaces};
use crate::inject::{Defaults, Review};

/// The most bytes of a review. An object of a cluster has at most 3 MiB, and a review may hold it twice.
pub const MOST_BODY: usize = 8 << 20;
/// How long a review may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

struct Desk {
    defaults: Defaults,
    certificate: Arc<Certificate>,
    namespaces: Option<Arc<Namespaces>>,
}

/// Answers on `listener` until `shutdown` completes and the reviews of that moment are answered: `POST /mutate`, `GET
/// /healthz`, and `GET /readyz`, which fails once the certificate has ended. Without `namespaces`, annotations of namespaces do not
/// count.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<Certificate>,
    defaults: Defaults,
    namespaces: Option<Arc<Namespaces>>,
    shutdown: impl Future<Output = ()>,
) {
    let desk = Desk { defaults, certificate: certificate.clone(), namespaces };
    let routes = Router::new()
        .route("/mutate", post(mutate))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(desk));
    door::open(listener, certificate, routes, LIMITS, shutdown).await;
}

async fn mutate(State(desk): State<Arc<Desk>>, body: Body) -> Response {
    let review = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, MOST_BODY)).await {
        Ok(Ok(review)) => review,
        Ok(Err(_)) => return told(StatusCode::PAYLOAD_TOO_LARGE, format!("no review, or more than {MOST_BODY} bytes")),
        Err(_) => return told(StatusCode::REQUEST_TIMEOUT, format!("no review within {BODY_WITHIN:?}")),
    };
    let begun = Instant::now();
    let read = match Review::read(&review) {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(%error, "no review");
            return told(StatusCode::BAD_REQUEST, error.to_string());
        }
    };
    let known = match (&desk.namespaces, read.namespace()) {
        (Some(namespaces), Some(namespace)) => namespaces.annotations(namespace).await,
        _ => Known::default(),
    };
    let (answer, done) = read.answer(known.annotations.as_ref(), known.warning, &desk.defaults);
    let uid = answer.pointer("/response/uid").and_then(serde_json::Value::as_str).unwrap_or_default();
    tracing::info!(uid, ?done, bytes = review.len(), took = ?begun.elapsed(), "a pod was looked at");
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn told(status: StatusCode, text: String) -> Response {
    (status, format!("{text}\n")).into_response()
}

async fn readyz(State(desk): State<Arc<Desk>>) -> (StatusCode, &'static str) {
    match desk.certificate.is_good() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the certificate has ended: nobody takes it any more\n"),
    }
}
