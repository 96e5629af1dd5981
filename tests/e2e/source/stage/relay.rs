//! A way between client and server that can stop passing bytes without closing anything, as a lost route does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes until it is told to stop.
pub(crate) struct Relay {
    pub(crate) port: u16,
    open: watch::Sender<bool>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, opened) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(pass(from_client, to_server, opened.clone()));
                tokio::spawn(pass(from_server, to_client, opened.clone()));
            }
        });
        Self { port, open }
    }

    /// From now on nothing passes, and nobody is told.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Bytes pass again, those that waited too.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        // What is read while the way is cut, an end included, waits.
        if open.wait_for(|open| *open).await.is_err() || count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
