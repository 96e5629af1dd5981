//! An origin of our own, for what nginx's `return 200` cannot do: bodies of any length in both directions, gRPC with its
//! trailers, and answers after a set time. It says its lane in `x-lane`.
//!
//! `/bytes/N` answers N bytes, `/delay/MS` answers after so many milliseconds, every other path answers
//! [`SMALL_BODY`] bytes; a request's body is read to its end first. Over HTTP/2 a POST is a gRPC call.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::scenario::SMALL_BODY;
use crate::visitors::Lane;

/// How much is read or written of a body at a time, in bytes.
const PIECE: usize = 256 << 10;
/// The longest head, in bytes.
const HEAD: usize = 64 << 10;
/// HTTP/2's windows, in bytes.
const WINDOW: u32 = 16 << 20;
/// An empty gRPC message after a prefix that says 64 bytes, and those.
static MESSAGE: [u8; 69] = {
    let mut message = [7; 69];
    (message[0], message[1], message[2], message[3], message[4]) = (0, 0, 0, 0, 64);
    message
};
static ZEROS: [u8; PIECE] = [0; PIECE];

/// What an origin speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Serves both lanes as tasks of this runtime, until what it returns is dropped.
///
/// # Errors
/// Where an address cannot be taken.
pub async fn serve(stable: &[SocketAddr], gray: &[SocketAddr], speaks: Speaks) -> std::io::Result<JoinSet<()>> {
    let mut listeners = JoinSet::new();
    for (addresses, lane) in [(stable, Lane::Stable), (gray, Lane::Gray)] {
        for address in addresses {
            let listener = TcpListener::bind(address).await?;
            listeners.spawn(accept(listener, lane, speaks));
        }
    }
    Ok(listeners)
}

/// Serves the connections of one listener.
pub async fn accept(listener: TcpListener, lane: Lane, speaks: Speaks) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others have to close first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it answers wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        match speaks {
            Speaks::Http1 => tokio::spawn(async move { http1(stream, lane).await.ok() }),
            Speaks::Http2 => tokio::spawn(async move { http2(stream, lane).await.ok() }),
        };
    }
}

/// What a path asks for.
struct Wish {
    bytes: usize,
    delay: Duration,
}

impl Wish {
    fn of(path: &str) -> Self {
        let number = |prefix| path.strip_prefix(prefix).and_then(|rest: &str| rest.parse().ok());
        Self {
            bytes: number("/bytes/").unwrap_or(SMALL_BODY),
            delay: Duration::from_millis(number("/delay/").unwrap_or(0) as u64),
        }
    }
}

async fn http1(mut stream: TcpStream, lane: Lane) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    loop {
        let Some(head) = head(&buffer[..filled])? else {
            if filled >= HEAD {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
            continue;
        };
        let here = (filled - head.length).min(head.body);
        let mut left = head.body - here;
        buffer.copy_within(head.length + here..filled, 0);
        filled -= head.length + here;
        while left > 0 {
            let most = left.min(PIECE);
            match stream.read(&mut buffer[..most]).await? {
                0 => return Ok(()),
                read => left -= read,
            }
        }
        answer(&mut stream, &head.wish, lane).await?;
    }
}

async fn answer(stream: &mut TcpStream, wish: &Wish, lane: Lane) -> std::io::Result<()> {
    if !wish.delay.is_zero() {
        tokio::time::sleep(wish.delay).await;
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nx-lane: {}\r\ncontent-length: {}\r\n\r\n",
        lane.name(),
        wish.bytes
    );
    let mut first = head.into_bytes();
    let with_head = wish.bytes.min(16 << 10);
    first.extend_from_slice(&ZEROS[..with_head]);
    stream.write_all(&first).await?;
    let mut left = wish.bytes - with_head;
    while left > 0 {
        let next = left.min(PIECE);
        stream.write_all(&ZEROS[..next]).await?;
        left -= next;
    }
    Ok(())
}

struct Head {
    length: usize,
    body: usize,
    wish: Wish,
}

fn head(bytes: &[u8]) -> std::io::Result<Option<Head>> {
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(|_| bad())? else { return Ok(None) };
    let body = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body = match body {
        None => 0,
        Some(field) => std::str::from_utf8(field.value).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)?,
    };
    Ok(Some(Head { length, body, wish: Wish::of(request.path.unwrap_or("/")) }))
}

async fn http2(stream: TcpStream, lane: Lane) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_concurrent_streams(1024);
    let mut connection = builder.handshake(stream).await?;
    while let Some(next) = connection.accept().await {
        let (request, respond) = next?;
        tokio::spawn(async move { call(request, respond, lane).await.ok() });
    }
    Ok(())
}

async fn call(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    lane: Lane,
) -> Result<(), h2::Error> {
    let wish = Wish::of(request.uri().path());
    let grpc = request.method() == http::Method::POST;
    let mut body = request.into_body();
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    if !wish.delay.is_zero() {
        tokio::time::sleep(wish.delay).await;
    }
    let mut answer = Response::new(());
    answer.headers_mut().insert("x-lane", HeaderValue::from_static(lane.name()));
    if !grpc {
        let mut down = respond.send_response(answer, false)?;
        return down.send_data(Bytes::from_static(&ZEROS[..wish.bytes.min(PIECE)]), true);
    }
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut down = respond.send_response(answer, false)?;
    down.send_data(Bytes::from_static(&MESSAGE), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    down.send_trailers(trailers)
}

/// The length of the body of a gRPC answer, in bytes.
pub const GRPC_BODY: usize = MESSAGE.len();
