//! Connections of the webhook: a bounded number, each through TLS, and each part of its life within a deadline.
//!
//! Whoever can reach the port can open connections, since nobody knows the address of the API server. So a connection that says
//! nothing, or drips, is let go, and one that lives for long is ended in order: the next one finds room. The API server opens
//! another when it needs one.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time, handshakes among them; the next ones wait in the kernel's queue.
    connections: usize,
    /// How long a handshake may take.
    handshake: Duration,
    /// How long the next head may take, from the end of the answer before it to its last byte.
    head: Duration,
    /// How long a connection lives.
    life: Duration,
    /// How long it may take to end then, and when the process ends.
    ending: Duration,
}

pub(super) const LIMITS: Limits = Limits {
    connections: 256,
    handshake: Duration::from_secs(5),
    head: Duration::from_secs(30),
    life: Duration::from_secs(600),
    ending: Duration::from_secs(10),
};

/// Answers by `routes` until `shutdown`, and finishes what is under way then.
pub(super) async fn open(
    mut listener: TcpListener,
    certificate: Arc<Certificate>,
    routes: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let free = Arc::new(Semaphore::new(limits.connections));
    let (ending, ended) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = free.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            () = &mut shutdown => break,
        };
        let (stream, peer) = tokio::select! {
            arrival = Listener::accept(&mut listener) => arrival,
            () = &mut shutdown => break,
        };
        let acceptor = TlsAcceptor::from(certificate.config());
        let (routes, ended) = (routes.clone(), ended.clone());
        tokio::spawn(async move {
            let _permit = permit;
            converse(acceptor, stream, peer, routes, limits, ended).await;
        });
    }
    drop((listener, ended));
    ending.send_replace(true);
    // Each connection holds the other end.
    let _ = timeout(limits.ending, ending.closed()).await;
}

async fn converse(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    limits: Limits,
    ended: watch::Receiver<bool>,
) {
    // Else the first answer waits for the client to acknowledge the end of the handshake, which takes its time (40 ms: measured).
    let _ = stream.set_nodelay(true);
    match timeout(limits.handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => answer(stream, routes, limits, ended).await,
        Ok(Err(error)) => tracing::warn!(%peer, %error, "no TLS: does the caBundle fit the certificate?"),
        Err(_) => tracing::warn!(%peer, "no TLS within {:?}", limits.handshake),
    }
}

/// The requests of one connection.
async fn answer<S>(stream: S, routes: Router, limits: Limits, mut ended: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    tokio::select! {
        // Whoever is gone, or said nothing, needs no words.
        _ = connection.as_mut() => return,
        _ = ended.wait_for(|is_ended| *is_ended) => {}
        () = sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.ending, connection).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::inject::webhook::make;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);
    const SLOW: Limits = Limits { connections: 1, handshake: LONG, head: LONG, life: LONG, ending: LONG };

    /// A connection, its client's end, and what tells it that the process ends.
    fn begun(limits: Limits) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
        let (client, server) = duplex(1024);
        let (ending, ended) = watch::channel(false);
        let routes = Router::new().route("/", get(async || "ok"));
        (client, tokio::spawn(answer(server, routes, limits, ended)), ending)
    }

    async fn ask(client: &mut DuplexStream) -> String {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok") {
            answer.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(answer).unwrap()
    }

    async fn ends(task: JoinHandle<()>) {
        timeout(LONG / 2, task).await.expect("the connection ends").unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_a_head_is_let_go_also_after_an_answer() {
        for said in [&b""[..], b"GET / HTTP/1.1\r\nhost:"] {
            let (mut client, task, _ending) = begun(Limits { head: SHORT, ..SLOW });
            assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
            client.write_all(said).await.unwrap();
            ends(task).await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_lived_for_long_is_ended_in_order() {
        let (mut client, task, _ending) = begun(Limits { life: SHORT, ..SLOW });
        assert!(!ask(&mut client).await.contains("connection: close"));
        ends(task).await;
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_idle_connection_ends_with_the_process() {
        let (mut client, task, ending) = begun(SLOW);
        ask(&mut client).await;
        ending.send_replace(true);
        ends(task).await;
    }

    #[tokio::test]
    async fn connections_too_many_wait_and_find_room_when_a_silent_one_is_let_go() {
        let made = make("webhook.test", None).unwrap();
        let certificate = Arc::new(Certificate::of(made.certificate.as_bytes(), made.key.as_bytes()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let limits = Limits { handshake: SHORT, ..SLOW };
        let door = tokio::spawn(open(listener, certificate, Router::new(), limits, async { _ = ended.await }));
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let begun = std::time::Instant::now();
        for client in &mut clients {
            // Nobody shook hands, so all that comes is the end.
            assert_eq!(timeout(LONG / 2, client.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
        }
        assert!(begun.elapsed() >= 2 * SHORT, "one after the other: {:?}", begun.elapsed());
        end.send(()).unwrap();
        ends(door).await;
    }
}
