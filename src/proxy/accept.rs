//! A worker from its first connection to its last.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::connection::{Client, serve_client};
use super::drain::Guest;
use super::entrance::{Threshold, enter, plain};
use super::worker::Worker;
use crate::config::Listener;
use crate::wire::Socket;

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    No,
    /// Accept as before, and have every connection end in order: whoever comes again comes to somebody else.
    Leave,
    /// Accept nothing more, finish what is under way, at most for this long.
    Drain(Duration),
    /// Cut off what is under way.
    Now,
}

/// How long a connection that is being ended may wait for one more request, so that one that is on its way is answered.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often connections that came meanwhile are told that the process leaves.
const USHER: Duration = Duration::from_millis(250);
/// Connections that are taken from the system's queue when a listener is closed; no queue of ours is longer.
const MOST_QUEUED: usize = 4096;
/// How long to wait when the system has no descriptor left for another connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// A listener's number, given once in the life of the process.
pub type Door = u64;

/// What another configuration means for a worker.
#[derive(Debug, Default)]
pub struct Turn {
    /// Listeners to accept from as well, non-blocking, and what they ask of connections.
    pub open: Vec<(Door, Threshold, std::net::TcpListener)>,
    /// Listeners to close, once all of [`Turn::open`] accept. What came by them is ended in order, and never cut off.
    pub close: Vec<Door>,
}

/// Accepts and serves until told to stop, then drains. Returns how many connections were cut off.
///
/// # Errors
///
/// Where one of the first listeners cannot be accepted from; `begun` is called when all can.
pub async fn run(
    worker: Rc<Worker>,
    first: Turn,
    mut turns: mpsc::Receiver<Turn>,
    mut stop: watch::Receiver<Stop>,
    begun: impl FnOnce(),
) -> io::Result<usize> {
    let mut doors = Doors::default();
    for (door, threshold, listener) in first.open {
        doors.open(&worker, door, threshold, listener)?;
    }
    begun();
    let sweeping = {
        let worker = worker.clone();
        tokio::task::spawn_local(async move { tokio::join!(worker.sweep(), worker.delay.watch(&worker)) })
    };
    let limit = loop {
        match *stop.borrow_and_update() {
            Stop::Drain(limit) => break limit,
            Stop::Now => break Duration::ZERO,
            Stop::No => {}
            Stop::Leave => worker.connections.usher(Instant::now() + PATIENCE),
        }
        let leaves = *stop.borrow() == Stop::Leave;
        tokio::select! {
            changed = stop.changed() => if changed.is_err() { break Duration::ZERO },
            Some(turn) = turns.recv() => doors.turn(&worker, turn).await,
            () = tokio::time::sleep(USHER), if leaves => {}
        }
    };
    doors.close_all().await;
    worker.connections.drain(Instant::now() + PATIENCE.min(limit / 2));
    let drained = std::future::poll_fn(|cx| worker.connections.poll_empty(cx));
    let now = async {
        if stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! { () = drained => {}, () = tokio::time::sleep(limit) => {}, () = now => {} }
    sweeping.abort();
    Ok(worker.connections.len())
}

/// The listeners of one worker; behind one door there may be several, where another process handed them to us.
#[derive(Default)]
struct Doors(HashMap<Door, Vec<Accepting>>);

struct Accepting {
    close: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Accepting {
    /// Accepts nothing more, after what the system has let in already.
    async fn end(self) {
        // A task that is gone listens on nothing.
        let _ = self.close.send(());
        let _ = self.task.await;
    }
}

impl Doors {
    fn open(
        &mut self,
        worker: &Rc<Worker>,
        door: Door,
        threshold: Threshold,
        listener: std::net::TcpListener,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let (close, closed) = oneshot::channel();
        let accepting = accept(worker.clone(), listener, door, threshold, closed);
        self.0.entry(door).or_default().push(Accepting { close, task: tokio::task::spawn_local(accepting) });
        Ok(())
    }

    async fn turn(&mut self, worker: &Rc<Worker>, turn: Turn) {
        // Now rather than under the next request.
        worker.renew();
        for (door, threshold, listener) in turn.open {
            if let Err(error) = self.open(worker, door, threshold, listener) {
                tracing::error!(%error, "a worker cannot accept from a new listener; the others do");
            }
        }
        for door in turn.close {
            let Some(listeners) = self.0.remove(&door) else { continue };
            for listener in listeners {
                listener.end().await;
            }
            worker.connections.close(door, Instant::now() + PATIENCE);
        }
    }

    /// Listeners are closed when their tasks are gone: from then on nobody is let in only to be cut off.
    async fn close_all(self) {
        for listener in self.0.into_values().flatten() {
            listener.end().await;
        }
    }
}

async fn accept(
    worker: Rc<Worker>,
    listener: TcpListener,
    door: Door,
    threshold: Threshold,
    mut closed: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut closed => break,
        };
        match accepted {
            Ok((stream, address)) => serve(worker.clone(), stream, address, door, &threshold),
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
    // The system has let them in already, and would reset them when the listener goes.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..MOST_QUEUED {
        let Ok((stream, address)) = listener.accept() else { return };
        let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            serve(worker.clone(), stream, address, door, &threshold);
        }
    }
}

fn serve(worker: Rc<Worker>, stream: tokio::net::TcpStream, address: SocketAddr, door: Door, threshold: &Threshold) {
    // Answers are written whole; waiting to gather more would only delay them.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (limits, trusted) = {
        let view = worker.view();
        (view.snapshot.settings.limits, view.snapshot.extractor.trust().contains(address.ip()))
    };
    let guest = match worker.crowd.admit(address.ip(), trusted, &limits) {
        Ok(seat) => worker.connections.enter(door).seated(seat),
        // Nothing is said: an answer would cost more than the connection.
        Err(why) => return worker.telemetry.totals().closed(worker.id, why),
    };
    let listener = threshold.load();
    if listener.is_plain() {
        let standing = plain(&worker, address);
        spawn(serve_client(Client::new(worker, Socket::Tcp(stream), standing, guest)));
        return;
    }
    spawn(let_in(worker, stream, address, guest, listener.clone()));
}

/// A handshake is large and soon over; what waits for requests after it is small.
async fn let_in(
    worker: Rc<Worker>,
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    guest: Guest,
    listener: Arc<Listener>,
) {
    let entered = Box::pin(enter(&worker, stream, address, &listener)).await;
    drop(listener);
    if let Some((socket, standing)) = entered {
        serve_client(Client::new(worker, socket, standing, guest)).await;
    }
}

/// A task of its own for each connection: a panic in it ends that connection and no other. It ends with the connection.
fn spawn(connection: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(connection);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// What every open connection costs is what its task holds while it waits.
    #[test]
    fn the_task_of_a_connection_that_waits_is_small() {
        assert!(size(serve_client) <= 128, "{}", size(serve_client));
        assert!(size_of::<Client>() <= 256, "{}", size_of::<Client>());
        let behind_tls =
            size(|(worker, stream, address, guest, listener)| let_in(worker, stream, address, guest, listener));
        assert!(behind_tls <= 384, "{behind_tls}");
    }

    #[tokio::test(flavor = "local")]
    async fn a_panic_in_one_connection_ends_that_connection_only() {
        let connections = Rc::<super::super::drain::Connections>::default();
        let (broken, whole) = (connections.enter(0), connections.enter(0));
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
