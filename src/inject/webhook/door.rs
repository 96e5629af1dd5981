//! Connections of the webhook: a bounded number, each through TLS within a deadline, without one waiting for another.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Certificate;

/// Handshakes at a time; the next ones wait in the kernel's queue.
const HANDSHAKES: usize = 64;
/// How long one may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Connections whose handshake is done and that nobody has taken yet.
const WAITING: usize = 16;

/// A listener behind TLS.
pub(super) struct Door {
    address: SocketAddr,
    arrived: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Door {
    /// Takes connections of `listener`; on the current runtime.
    pub(super) fn open(listener: TcpListener, certificate: Arc<Certificate>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, arrived) = mpsc::channel(WAITING);
        tokio::spawn(take(listener, certificate, sender));
        Ok(Self { address, arrived })
    }
}

/// Until the door is gone.
async fn take(
    mut listener: TcpListener,
    certificate: Arc<Certificate>,
    arrived: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let free = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let (stream, peer) = tokio::select! {
            arrival = Listener::accept(&mut listener) => arrival,
            () = arrived.closed() => return,
        };
        let acceptor = TlsAcceptor::from(certificate.config());
        tokio::spawn(shake(acceptor, stream, peer, arrived.clone(), permit));
    }
}

async fn shake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    arrived: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    _permit: OwnedSemaphorePermit,
) {
    match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        // Whoever is gone needs no connection any more.
        Ok(Ok(stream)) => _ = arrived.send((stream, peer)).await,
        Ok(Err(error)) => tracing::warn!(%peer, %error, "no TLS: does the caBundle fit the certificate?"),
        Err(_) => tracing::warn!(%peer, "no TLS within {HANDSHAKE_WITHIN:?}"),
    }
}

impl Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.arrived.recv().await {
            Some(arrival) => arrival,
            // The task that sends goes only when this is gone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
