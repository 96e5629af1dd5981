//! A way between client and server that can stop passing bytes without closing anything, as a lost route does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes until it is told to stop.
pub(crate) struct Relay {
    pub(crate) port: u16,
    open: watch::Sender<bool>,
    /// Watches of etcd get no answers any more, and everything else does.
    mute: watch::Sender<bool>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((open, opened), (mute, muted)) = (watch::channel(true), watch::channel(false));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let up = Way { open: opened.clone(), muted: muted.clone(), is_watch: Arc::default() };
                tokio::spawn(pass(from_server, to_client, up.clone(), Direction::Down));
                tokio::spawn(pass(from_client, to_server, up, Direction::Up));
            }
        });
        Self { port, open, mute }
    }

    /// From now on nothing passes, and nobody is told.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Bytes pass again, those that waited too.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }

    /// From now on the watches that are open are told nothing.
    pub(crate) fn mute_watches(&self) {
        self.mute.send_replace(true);
    }

    /// Watches are told again what there is.
    pub(crate) fn unmute_watches(&self) {
        self.mute.send_replace(false);
    }
}

/// What the two directions of a connection share.
#[derive(Clone)]
struct Way {
    open: watch::Receiver<bool>,
    muted: watch::Receiver<bool>,
    is_watch: Arc<AtomicBool>,
}

#[derive(PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: Way, direction: Direction) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        if direction == Direction::Up && bytes[..count].windows(9).any(|part| part == b"/v3/watch") {
            way.is_watch.store(true, SeqCst);
        }
        if direction == Direction::Down && count > 0 && way.is_watch.load(SeqCst) && *way.muted.borrow() {
            continue;
        }
        // What is read while the way is cut, an end included, waits.
        if way.open.wait_for(|open| *open).await.is_err() || count == 0 || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
}
