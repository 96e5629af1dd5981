//! The address of the probes, open as long as the process is, and what it can be told there: that its pod is about to end.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::view::ControlView;
use crate::admin::{self, NotReady, ProbesView};
use crate::proxy::Stop;

/// Tells how the sidecar is, and has it leave.
pub(super) struct Leaver {
    pub(super) view: Arc<ControlView>,
    pub(super) stop: watch::Sender<Stop>,
}

impl ProbesView for Leaver {
    fn readiness(&self) -> Result<(), NotReady> {
        admin::AdminView::readiness(&*self.view)
    }

    fn leave(&self) {
        let begun = self.stop.send_if_modified(|stop| {
            let begins = *stop == Stop::No;
            if begins {
                *stop = Stop::Leave;
            }
            begins
        });
        if begun {
            self.view.draining();
            tracing::info!("the pod is about to end: not ready any more, and connections end in order");
        }
    }
}

/// Answers on `listener` until the admin port ends for good.
pub(super) fn open(
    control: &Runtime,
    listener: TcpListener,
    leaver: Leaver,
    admin_end: &watch::Sender<u64>,
) -> io::Result<()> {
    let _inside = control.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut end = admin_end.subscribe();
    let ended = async move { _ = end.wait_for(|least| *least == u64::MAX).await };
    tokio::spawn(async move {
        if let Err(error) = admin::serve_probes(listener, Arc::new(leaver), ended).await {
            tracing::error!(%error, "the probes' address ended");
        }
    });
    Ok(())
}
