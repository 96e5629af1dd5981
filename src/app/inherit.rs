//! Listeners that come from another process and go to another one, so that the port is never closed.
//!
//! The form is that of systemd's socket activation: descriptors from 3 on, as many as `LISTEN_FDS` says. Which is which
//! follows from their addresses, so neither side has to know how many workers the other has.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use listenfd::ListenFd;

use crate::proxy::Door;

/// What another process handed to this one, as far as nobody has taken it.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(SocketAddr, TcpListener)>);

/// A descriptor that was handed to us is no listener.
#[derive(Debug, thiserror::Error)]
#[error("descriptor {number} of LISTEN_FDS is no TCP listener")]
pub struct InheritError {
    /// Its number.
    pub number: usize,
    source: io::Error,
}

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
pub(super) const FIRST: usize = 3;

impl Inherited {
    /// What `LISTEN_FDS` tells of; nothing where it is not set, or meant for another process by `LISTEN_PID`. To be
    /// called before there are threads: it takes both out of the environment.
    ///
    /// # Errors
    ///
    /// For a descriptor that is no TCP listener.
    pub fn from_environment() -> Result<Self, InheritError> {
        let mut handed = ListenFd::from_env();
        let mut all = Vec::new();
        for at in 0..handed.len() {
            let failed = |source| InheritError { number: FIRST + at, source };
            let Some(listener) = handed.take_tcp_listener(at).map_err(failed)? else { continue };
            all.push((listener.local_addr().map_err(failed)?, listener));
        }
        Ok(Self(all))
    }

    /// Takes those of an address. A wanted port 0 is no address yet.
    pub(super) fn take(&mut self, wanted: SocketAddr) -> Vec<TcpListener> {
        let (own, rest) = std::mem::take(&mut self.0).into_iter().partition(|(address, _)| *address == wanted);
        self.0 = rest;
        own.into_iter().map(|(_, listener)| listener).collect()
    }

    /// Closes what nobody took.
    pub(super) fn forget_rest(self) {
        for (address, _) in self.0 {
            tracing::warn!(%address, "a listener that was handed to this process is not in its configuration; it is closed");
        }
    }
}

/// A second hold of every listener, for a process that takes over.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    traffic: Vec<(Door, TcpListener)>,
    admin: Option<TcpListener>,
}

impl Spares {
    /// Keeps those whose door stays, and new ones.
    pub(super) fn keep_traffic(&self, stays: impl Fn(Door) -> bool, new: Vec<(Door, TcpListener)>) {
        let mut held = self.held();
        held.traffic.retain(|(door, _)| stays(*door));
        held.traffic.extend(new);
    }

    /// Keeps this one in place of the one before.
    pub(super) fn keep_admin(&self, listener: TcpListener) {
        self.held().admin = Some(listener);
    }

    /// Lets go of all.
    pub(super) fn drop_all(&self) {
        *self.held() = Held::default();
    }

    /// Another hold of each.
    pub(super) fn hand_out(&self) -> io::Result<Vec<TcpListener>> {
        let held = self.held();
        let traffic = held.traffic.iter().map(|(_, listener)| listener);
        traffic.chain(&held.admin).map(TcpListener::try_clone).collect()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // Whatever happens under the lock leaves a list of listeners.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), listener)
    }

    #[test]
    fn what_is_handed_over_is_taken_once_and_by_its_address() {
        let ((one, first), (other, second)) = (listener(), listener());
        let mut inherited = Inherited(vec![(one, first), (other, second)]);
        assert!(inherited.take("127.0.0.1:0".parse().unwrap()).is_empty());
        assert_eq!(inherited.take(one).len(), 1);
        assert!(inherited.take(one).is_empty());
        assert_eq!(inherited.take(other).len(), 1);
    }

    #[test]
    fn a_spare_of_a_closed_door_is_not_handed_out() {
        let spares = Spares::default();
        spares.keep_traffic(|_| true, vec![(1, listener().1), (2, listener().1)]);
        spares.keep_admin(listener().1);
        assert_eq!(spares.hand_out().unwrap().len(), 3);
        spares.keep_traffic(|door| door == 2, Vec::new());
        assert_eq!(spares.hand_out().unwrap().len(), 2);
        spares.drop_all();
        assert!(spares.hand_out().unwrap().is_empty());
    }
}
