//! The admin port, which may move while the sidecar runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::bind::{self, BindError};
use super::inherit::Spares;
use crate::admin::{self, AdminState};

/// The admin port.
pub(super) struct AdminDoor {
    state: AdminState,
    wanted: SocketAddr,
    /// Servers of a lower number end, when the requests of that moment are answered.
    least: watch::Sender<u64>,
    spares: Arc<Spares>,
}

impl AdminDoor {
    /// Answers on `listener`, which was bound for `wanted`; on the control runtime.
    pub(super) fn open(
        state: AdminState,
        wanted: SocketAddr,
        listener: std::net::TcpListener,
        spares: Arc<Spares>,
    ) -> io::Result<Self> {
        let door = Self { state, wanted, least: watch::Sender::new(0), spares };
        door.serve(listener)?;
        Ok(door)
    }

    /// Ends it from elsewhere, by sending [`u64::MAX`].
    pub(super) fn end(&self) -> watch::Sender<u64> {
        self.least.clone()
    }

    /// Binds another address, if another one is wanted.
    pub(super) fn plan(&self, wanted: SocketAddr) -> Result<Option<std::net::TcpListener>, BindError> {
        if wanted == self.wanted { Ok(None) } else { bind::admin(wanted).map(Some) }
    }

    /// Answers there from now on, and on the address before no more.
    pub(super) fn turn(&mut self, wanted: SocketAddr, listener: std::net::TcpListener) {
        let before = *self.least.borrow();
        self.least.send_modify(|least| *least = least.saturating_add(1));
        match self.serve(listener) {
            Ok(()) => self.wanted = wanted,
            Err(error) => tracing::error!(%error, number = before, "the admin port cannot answer on its new address"),
        }
    }

    fn serve(&self, listener: std::net::TcpListener) -> io::Result<()> {
        let (own, state) = (*self.least.borrow(), self.state.clone());
        self.spares.keep_admin(listener.try_clone()?);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut least = self.least.subscribe();
        let ended = async move { _ = least.wait_for(|least| *least > own).await };
        tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, state, ended).await {
                tracing::error!(%error, "the admin port ended");
            }
        });
        Ok(())
    }
}
