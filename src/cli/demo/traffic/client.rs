//! A small HTTP/1.1 client for answers of our own making: one request at a time on a kept-alive connection, with
//! bounds on head, body and time. It is no general client: no redirects, no 1xx, no trailers kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_FIELDS: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The whole exchange, from the first byte sent to the last byte read.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Shorter than any server's keep-alive, so that a connection never closes under a request.
const MAX_IDLE: Duration = Duration::from_secs(2);

/// Why a request got no answer.
#[derive(Debug, Error)]
pub(in super::super) enum Failure {
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("connection lost: {0}")]
    Lost(#[from] std::io::Error),
    #[error("unreadable answer: {0}")]
    Unreadable(&'static str),
}

/// An answer, read to its end.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) body: BytesMut,
}

/// One connection, of which at most one request at a time makes use.
#[derive(Debug)]
pub(in super::super) struct Connection {
    stream: TcpStream,
    read: BytesMut,
    last_used: Instant,
    reusable: bool,
}

impl Connection {
    pub(in super::super) async fn open(address: SocketAddr) -> Result<Connection, Failure> {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
        let stream = connecting.await.map_err(|_| Failure::Timeout)?.map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        Ok(Connection { stream, read: BytesMut::new(), last_used: Instant::now(), reusable: true })
    }

    /// Whether another request may be sent on this connection.
    pub(in super::super) fn is_fresh(&self) -> bool {
        self.reusable && self.read.is_empty() && self.last_used.elapsed() < MAX_IDLE
    }

    /// Sends `request` (head and body as they go on the wire) and reads the answer. After a failure, or an answer that
    /// ends the connection, [`Connection::is_fresh`] is false.
    pub(in super::super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        self.reusable = false;
        let exchange = async {
            self.stream.write_all(request).await?;
            self.answer().await
        };
        let (answer, keep_alive) = timeout(EXCHANGE_TIMEOUT, exchange).await.map_err(|_| Failure::Timeout)??;
        self.last_used = Instant::now();
        self.reusable = keep_alive;
        Ok(answer)
    }

    async fn answer(&mut self) -> Result<(Answer, bool), Failure> {
        let head = loop {
            if let Some(head) = Head::parse(&self.read)? {
                break head;
            }
            if self.read.len() > MAX_HEAD_BYTES {
                return Err(Failure::Unreadable("the head is too long"));
            }
            self.fill().await?;
        };
        self.read.advance(head.length);
        let body = match head.framing {
            Framing::Length(length) => self.take(length).await?,
            Framing::Chunked => self.chunks().await?,
            Framing::UntilClose => self.rest().await?,
        };
        Ok((Answer { status: head.status, body }, head.keep_alive))
    }

    /// Reads more bytes; the end of the stream is an error here.
    async fn fill(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(Failure::Lost(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, length: usize) -> Result<BytesMut, Failure> {
        if length > MAX_BODY_BYTES {
            return Err(Failure::Unreadable("the body is too long"));
        }
        while self.read.len() < length {
            self.fill().await?;
        }
        Ok(self.read.split_to(length))
    }

    async fn chunks(&mut self) -> Result<BytesMut, Failure> {
        let mut body = BytesMut::new();
        loop {
            let (start, size) = loop {
                match httparse::parse_chunk_size(&self.read) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) if self.read.len() <= MAX_HEAD_BYTES => self.fill().await?,
                    _ => return Err(Failure::Unreadable("a chunk has no size")),
                }
            };
            self.read.advance(start);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size.saturating_add(body.len()) > MAX_BODY_BYTES {
                return Err(Failure::Unreadable("the body is too long"));
            }
            // The line end behind the chunk; behind the last one it is the end of an empty trailer section.
            let chunk = self.take(size + 2).await?;
            if !chunk.ends_with(b"\r\n") {
                return Err(Failure::Unreadable("a chunk has no end"));
            }
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn rest(&mut self) -> Result<BytesMut, Failure> {
        while self.stream.read_buf(&mut self.read).await? > 0 {
            if self.read.len() > MAX_BODY_BYTES {
                return Err(Failure::Unreadable("the body is too long"));
            }
        }
        Ok(self.read.split())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    status: u16,
    framing: Framing,
    keep_alive: bool,
}

impl Head {
    /// The head that `bytes` begin with; none while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, Failure> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Failure::Unreadable("the head is not HTTP")),
        };
        let status = response.code.unwrap_or_default();
        let field = |name: &str| {
            let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(field.value).ok().map(str::trim)
        };
        let framing = match (field("transfer-encoding"), field("content-length")) {
            _ if matches!(status, 204 | 304) => Framing::Length(0),
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
            (Some(_), _) => return Err(Failure::Unreadable("the transfer coding is unknown")),
            (None, Some(length)) => {
                Framing::Length(length.parse().map_err(|_| Failure::Unreadable("the length is no number"))?)
            }
            (None, None) => Framing::UntilClose,
        };
        let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let keep_alive = !closes && framing != Framing::UntilClose && response.version == Some(1);
        Ok(Some(Head { length, status, framing, keep_alive }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Serves `wire` to one connection, in pieces of `piece` bytes, and gives what the client made of it.
    async fn read(wire: &'static str, piece: usize) -> (Result<Answer, Failure>, bool) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            for piece in wire.as_bytes().chunks(piece) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.exchange(b"GET ").await;
        server.await.unwrap();
        (answer, connection.is_fresh())
    }

    async fn check(wire: &'static str, status: u16, body: &str, reusable: bool) {
        for piece in [1, 3, wire.len()] {
            let (answer, fresh) = read(wire, piece).await;
            let answer = answer.unwrap();
            assert_eq!((answer.status, &answer.body[..], fresh), (status, body.as_bytes(), reusable), "{wire}");
        }
    }

    #[tokio::test]
    async fn answers_are_read_by_length_by_chunks_and_to_the_end_in_any_pieces() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true).await;
        check("HTTP/1.1 503 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", 503, "no", false).await;
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        check(chunked, 200, "hello", true).await;
        check("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false).await;
        check("HTTP/1.1 204 None\r\n\r\n", 204, "", true).await;
        check("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false).await;
    }

    #[tokio::test]
    async fn a_broken_answer_is_a_failure_and_never_reused() {
        for wire in [
            "",
            "HTTP/1.1 200",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        ] {
            let (answer, fresh) = read(wire, wire.len().max(1)).await;
            assert!(answer.is_err(), "{wire}: {answer:?}");
            assert!(!fresh, "{wire}");
        }
    }
}
