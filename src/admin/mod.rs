//! The port for people and tools: health, metrics, what the sidecar knows, and a page that shows it.
//!
//! It reads what [`AdminView`] gives; the few calls that change something (releases, faults on purpose) ask for a token
//! first (`change`). It is not part of the data path: it runs on the control runtime, its connections, bodies and times
//! are bounded, and however busy it is, no request of the service waits.
//!
//! A browser on the same machine can reach a loopback port on behalf of any web page, so every request passes a
//! guard first: the `Host` must be one that only means this port, and a page of another origin is refused.

mod view;

mod api;
mod change;
mod config;
mod door;
mod explain;
mod fault;
mod figures;
mod guard;
mod listener;
mod metrics;
mod openapi;
mod page;
mod probes;
mod problem;
mod seats;
mod stream;
mod sync;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::telemetry::Telemetry;

pub use change::{ChangeError, Changed, ReleaseAction, ReleaseChange};
pub use config::{ConfigControl, DocumentView, PastView, PinView};
pub use explain::{ExplainError, ExplainRequest};
pub use fault::{FaultControl, FaultError, FaultView};
pub use probes::{ProbesView, serve_probes};
pub use sync::{SyncControl, SyncError, Synced};
pub use view::{
    AddressView, AdminView, AuditView, BreakerView, BucketsView, ConfigView, EndpointView, LaneView, NotReady,
    RefusedView, ReleaseView, RollbackView, RouteView, UpstreamView, VerdictView,
};

/// What the admin port answers from.
#[derive(Clone)]
pub struct AdminState {
    /// The sidecar as it is now.
    pub view: Arc<dyn AdminView>,
    /// Its faults on purpose.
    pub faults: Arc<dyn FaultControl>,
    /// Who reads its configuration again.
    pub sync: Arc<dyn SyncControl>,
    /// Who plans its changes and takes them back.
    pub configs: Arc<dyn ConfigControl>,
    /// Its metrics.
    pub telemetry: Arc<Telemetry>,
    /// Names beside loopback and the bound address that the port may be asked by, such as a Service's.
    pub host_names: Vec<String>,
}

/// Answers on `listener` until `shutdown` completes and the requests of that moment are answered.
pub async fn serve(
    listener: TcpListener,
    state: AdminState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let bound = listener.local_addr()?;
    // A stream of figures would outlive everything else, so it is told.
    let (ending, ended) = watch::channel(false);
    let shutdown = async move {
        shutdown.await;
        ending.send_replace(true);
    };
    let app = router(state, bound, ended).into_make_service_with_connect_info::<listener::Peer>();
    axum::serve(listener::BoundedListener::new(listener), app).with_graceful_shutdown(shutdown).await
}

/// All paths, with the guard before them; `bound` is the address of the listener, and `ended` turns true when it ends.
fn router(state: AdminState, bound: SocketAddr, ended: watch::Receiver<bool>) -> axum::Router {
    let guard = guard::Guard::new(bound, &state.host_names);
    let stream = stream::routes(state.view.clone(), ended);
    let routes = door::protect(api::routes(state.clone(), stream), state);
    guard::protect(routes, guard)
}

#[cfg(test)]
mod tests;
