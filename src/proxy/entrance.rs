//! What stands before the first request of a connection: the PROXY protocol, then TLS. A listener that asks for neither has
//! its connections served at once, and nothing of this is paid for.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::standing::Standing;
use super::worker::Worker;
use crate::config::{Listener, ServerTls};
use crate::telemetry::{Handshake, ProxyHeader};
use crate::tls::PeerNames;
use crate::wire::{ProxyHeaderError, ProxyOrigin, Socket, read_proxy_header};

/// What a listener asks of connections; another configuration puts something else there, for those that come then.
pub type Threshold = Arc<ArcSwap<Listener>>;

/// The first byte of a TLS handshake (RFC 8446 section 5.1, `ContentType`).
const HANDSHAKE: u8 = 22;
/// Bytes of a request in plain that are read, so that our answer is not lost over them.
const PLAIN_BYTES: usize = 16 * 1024;
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 22\r\n\
    connection: close\r\n\r\nthis port speaks TLS.\n";

/// Connections of a worker that have not come to their first request.
#[derive(Default)]
pub(super) struct Waiting(Cell<usize>);

/// One of them.
struct Place<'w>(&'w Waiting);

impl Waiting {
    fn take(&self, most: usize) -> Option<Place<'_>> {
        let there = self.0.get();
        (there < most).then(|| {
            self.0.set(there + 1);
            Place(self)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// How far a connection has come.
#[derive(Clone, Copy)]
enum Stage {
    Proxy,
    Tls,
}

/// A peer that said nothing of itself.
pub(super) fn plain(worker: &Worker, address: SocketAddr) -> Standing {
    Standing::at(address.ip(), &worker.view().snapshot)
}

/// Lets a connection in, or closes it and counts why.
pub(super) async fn enter(
    worker: &Worker,
    stream: TcpStream,
    address: SocketAddr,
    listener: &Listener,
) -> Option<(Socket, Standing)> {
    let limits = worker.view().snapshot.settings.limits;
    let totals = worker.telemetry.totals();
    let Some(_place) = worker.waiting.take(limits.handshakes) else {
        totals.handshake(worker.id, Handshake::Busy);
        return None;
    };
    let stage = Cell::new(if listener.proxies.is_some() { Stage::Proxy } else { Stage::Tls });
    let entered = tokio::time::timeout(limits.handshake_time, begin(worker, stream, address, listener, &stage)).await;
    entered.unwrap_or_else(|_| {
        match stage.get() {
            Stage::Proxy => totals.proxy_header(worker.id, ProxyHeader::TimedOut),
            Stage::Tls => totals.handshake(worker.id, Handshake::TimedOut),
        }
        None
    })
}

async fn begin(
    worker: &Worker,
    mut stream: TcpStream,
    address: SocketAddr,
    listener: &Listener,
    stage: &Cell<Stage>,
) -> Option<(Socket, Standing)> {
    let standing = match &listener.proxies {
        None => plain(worker, address),
        Some(proxies) => {
            let sender = address.ip().to_canonical();
            let read = match proxies.iter().any(|network| network.contains(&sender)) {
                true => read_proxy_header(&mut stream).await.map_err(|error| fate_of(&error)),
                false => Err(ProxyHeader::Untrusted),
            };
            worker.telemetry.totals().proxy_header(worker.id, read.err().unwrap_or(ProxyHeader::Accepted));
            told(worker, address, read.ok()?)
        }
    };
    let Some(tls) = &listener.tls else { return Some((Socket::Tcp(stream), standing)) };
    stage.set(Stage::Tls);
    let (socket, names) = match shake_hands(stream, tls).await {
        Ok((socket, names, how)) => {
            worker.telemetry.totals().handshake(worker.id, how);
            (socket, names)
        }
        Err(why) => {
            worker.telemetry.totals().handshake(worker.id, why);
            return None;
        }
    };
    Some((socket, standing.by_tls(names)))
}

/// The peer as its balancer tells of it. Trust goes by the address told: the balancer's own address says nothing of its
/// clients, and one that is told nothing of is trusted with nothing.
fn told(worker: &Worker, balancer: SocketAddr, origin: ProxyOrigin) -> Standing {
    match origin {
        ProxyOrigin::Client(client) => plain(worker, client),
        ProxyOrigin::Own => plain(worker, balancer),
        ProxyOrigin::Unknown => plain(worker, balancer).without_trust_in_its_address(),
    }
}

fn fate_of(error: &ProxyHeaderError) -> ProxyHeader {
    match error {
        ProxyHeaderError::Closed(_) => ProxyHeader::Closed,
        ProxyHeaderError::Malformed => ProxyHeader::Malformed,
        ProxyHeaderError::TooLong => ProxyHeader::TooLong,
    }
}

async fn shake_hands(mut stream: TcpStream, tls: &ServerTls) -> Result<(Socket, PeerNames, Handshake), Handshake> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1..) => {}
        _ => return Err(Handshake::Closed),
    }
    if first[0] != HANDSHAKE && first[0].is_ascii_uppercase() {
        answer_plain(&mut stream).await;
        return Err(Handshake::PlainHttp);
    }
    let config = tls.server.get().config.clone();
    match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let names = PeerNames::of(session.peer_certificates());
            let how = match session.handshake_kind() {
                Some(rustls::HandshakeKind::Resumed) => Handshake::Resumed,
                _ => Handshake::Full,
            };
            Ok((Socket::Tls(Box::new(stream.into())), names, how))
        }
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            let left = error.kind() == std::io::ErrorKind::UnexpectedEof;
            Err(if left { Handshake::Closed } else { Handshake::Failed })
        }
    }
}

/// Says what is wrong to somebody who speaks HTTP where TLS is spoken. The caller's deadline holds.
async fn answer_plain(stream: &mut TcpStream) {
    if stream.write_all(PLAIN_ANSWER).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let (mut read, mut left) = ([0; 1024], PLAIN_BYTES);
    while let Ok(n @ 1..) = stream.read(&mut read).await {
        left = left.saturating_sub(n);
        if left == 0 {
            return;
        }
    }
}
