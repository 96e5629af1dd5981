//! Health and readiness on an address of their own, for whoever is not on the machine, such as a kubelet. The admin port
//! tells and takes much more, and stays on loopback.
//!
//! One thing more is taken there, from loopback alone: that the pod is about to end. A kubelet tells a native sidecar last; by then
//! clients have long kept on asking, over connections that nobody asked them to leave.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::listener::{BoundedListener, Peer};
use super::view::NotReady;

/// What this address answers from.
pub trait ProbesView: Send + Sync + 'static {
    /// As that of the admin port.
    fn readiness(&self) -> Result<(), NotReady>;

    /// The pod is about to end: not ready from now on, and every connection ends in order, while new ones are served.
    fn leave(&self);
}

/// Answers `GET /healthz`, `GET /readyz` and, from loopback, `POST /leave`, until `shutdown` completes.
pub async fn serve_probes(
    listener: TcpListener,
    view: Arc<dyn ProbesView>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/leave", post(leave))
        .with_state(view);
    let app = app.into_make_service_with_connect_info::<Peer>();
    axum::serve(BoundedListener::new(listener), app).with_graceful_shutdown(shutdown).await
}

async fn readyz(State(view): State<Arc<dyn ProbesView>>) -> Result<&'static str, (StatusCode, String)> {
    match view.readiness() {
        Ok(()) => Ok("ready\n"),
        Err(why) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))),
    }
}

async fn leave(State(view): State<Arc<dyn ProbesView>>, ConnectInfo(Peer(peer)): ConnectInfo<Peer>) -> StatusCode {
    if !peer.ip().to_canonical().is_loopback() {
        return StatusCode::FORBIDDEN;
    }
    view.leave();
    StatusCode::NO_CONTENT
}
