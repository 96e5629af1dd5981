//! A worker from its first connection to its last.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection::serve_client;
use super::worker::Worker;
use crate::wire::Socket;

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    No,
    /// Accept nothing more, finish what is under way, at most for this long.
    Drain(Duration),
}

/// How long to wait when the system has no descriptor left for another connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Accepts and serves until told to stop, then drains. Returns how many connections were cut off.
pub async fn run(worker: Rc<Worker>, listeners: Vec<TcpListener>, mut stop: watch::Receiver<Stop>) -> usize {
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| tokio::task::spawn_local(accept(worker.clone(), listener))).collect();
    let sweeping = {
        let worker = worker.clone();
        tokio::task::spawn_local(async move { tokio::join!(worker.sweep(), worker.delay.watch()) })
    };
    let limit = loop {
        match *stop.borrow_and_update() {
            Stop::Drain(limit) => break limit,
            Stop::No => {}
        }
        if stop.changed().await.is_err() {
            break Duration::ZERO;
        }
    };
    for task in accepting {
        task.abort();
        // The listener is closed when its task is gone: from then on nobody is let in only to be cut off.
        let _ = task.await;
    }
    worker.connections.drain();
    let drained = std::future::poll_fn(|cx| worker.connections.poll_empty(cx));
    let _ = tokio::time::timeout(limit, drained).await;
    sweeping.abort();
    worker.connections.len()
}

async fn accept(worker: Rc<Worker>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => serve(worker.clone(), stream, address),
            Err(error) => {
                // A connection that was gone before it was taken costs nothing; without descriptors, waiting is all
                // there is.
                tracing::warn!(%error, "cannot accept a connection");
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }
}

fn serve(worker: Rc<Worker>, stream: tokio::net::TcpStream, address: SocketAddr) {
    // Answers are written whole; waiting to gather more would only delay them.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    spawn(serve_client(worker, Socket::Tcp(stream), address));
}

/// A task of its own for each connection: a panic in it ends that connection and no other. It ends with the connection.
fn spawn(connection: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(connection);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local")]
    async fn a_panic_in_one_connection_ends_that_connection_only() {
        let connections = Rc::<super::super::drain::Connections>::default();
        let (broken, whole) = (connections.enter(), connections.enter());
        spawn(async move {
            let _guest = broken;
            panic!("on purpose");
        });
        let (served, was_served) = tokio::sync::oneshot::channel();
        spawn(async move {
            let _guest = whole;
            tokio::task::yield_now().await;
            served.send(()).expect("the test waits");
        });
        was_served.await.expect("the other connection is served");
        std::future::poll_fn(|cx| connections.poll_empty(cx)).await;
    }
}
