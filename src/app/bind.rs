//! Listening sockets: one for each worker on the same address, so that the kernel spreads connections over them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({used_for}): {}", reason(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// `traffic`, `admin` or `probes`.
    pub used_for: &'static str,
    source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; end the other process or choose another port in the configuration".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    }
}

/// Listeners that were handed to us, spread over the workers: each of them is accepted from, or connections would wait in
/// it for ever, and each worker has one.
pub(super) fn spread(
    address: SocketAddr,
    workers: usize,
    handed: Vec<TcpListener>,
) -> Result<Vec<(usize, TcpListener)>, BindError> {
    let failed = |source| BindError { address, used_for: "traffic", source };
    let count = handed.len();
    let mut all: Vec<(usize, TcpListener)> = Vec::new();
    for worker in count..workers {
        all.push((worker, handed[worker % count].try_clone().map_err(failed)?));
    }
    for (at, listener) in handed.into_iter().enumerate() {
        listener.set_nonblocking(true).map_err(failed)?;
        all.push((at % workers, listener));
    }
    Ok(all)
}

/// One listener for each of `workers` on an address; port 0 becomes one free port for all. `own` are the addresses that
/// this process has listeners on.
pub(super) fn listeners(
    address: SocketAddr,
    workers: usize,
    own: &[SocketAddr],
) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    let failed = |source| BindError { address, used_for: "traffic", source };
    if address.port() != 0 && own.iter().all(|known| known.port() != address.port()) {
        // Sockets that share a port would quietly share it with another process of ours too: ask for it alone first. On
        // a port of our own (`127.0.0.1:80` becomes `0.0.0.0:80`) that cannot be asked.
        bind(address, Sharing::No).map_err(failed)?;
    }
    let first = bind(address, Sharing::Yes).map_err(failed)?;
    let bound = first.local_addr().map_err(failed)?;
    let mut all = vec![first];
    for _ in 1..workers {
        all.push(bind(bound, Sharing::Yes).map_err(failed)?);
    }
    Ok((bound, all))
}

/// A second hold of a listener, for a process that takes it over.
pub(super) fn spare(listener: &TcpListener, address: SocketAddr) -> Result<TcpListener, BindError> {
    listener.try_clone().map_err(|source| BindError { address, used_for: "traffic", source })
}

/// The admin port's one listener.
pub(super) fn admin(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind(address, Sharing::No).map_err(|source| BindError { address, used_for: "admin", source })
}

/// The listener of the probes' address. A process that takes over listens there beside the one that leaves.
pub(super) fn probes(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind(address, Sharing::Yes).map_err(|source| BindError { address, used_for: "probes", source })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    No,
    Yes,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Yes {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_that_was_handed_over_has_a_worker_and_every_worker_a_listener() {
        for (handed, workers) in [(1, 1), (1, 3), (3, 1), (2, 3), (3, 2), (4, 4)] {
            let (bound, listeners) = listeners("127.0.0.1:0".parse().unwrap(), handed, &[]).unwrap();
            let spread = spread(bound, workers, listeners).unwrap();
            assert_eq!(spread.len(), handed.max(workers));
            assert!((0..workers).all(|worker| spread.iter().any(|(own, _)| *own == worker)), "{handed} {workers}");
        }
    }

    #[test]
    fn workers_share_one_free_port_and_nobody_else_does() {
        let (bound, all) = listeners("127.0.0.1:0".parse().unwrap(), 3, &[]).unwrap();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|listener| listener.local_addr().unwrap() == bound));
        let error = listeners(bound, 1, &[]).unwrap_err();
        assert!(error.to_string().contains(&bound.to_string()), "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
