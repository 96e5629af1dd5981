//! Answers to the client, in its own protocol.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::drain::Guest;
use super::failure::Failure;
use super::fields::{in_place, to_client};
use crate::wire::h1::{self, Framing, Persistence, response_line};
use crate::wire::{BodyWriter, FieldSink, Known, Output, RequestHead, ResponseHead, Verb, Version, h2};

/// Where the answer to one request goes; used up by the final one.
pub(super) enum Responder<'c> {
    /// An HTTP/1 connection.
    H1(H1Responder<'c>),
    /// An HTTP/2 stream.
    H2(::h2::server::SendResponse<Bytes>),
}

/// An HTTP/1 connection's side of an answer.
pub(super) struct H1Responder<'c> {
    pub(super) output: &'c mut Output,
    pub(super) version: Version,
    /// Tells whether the process is ending its connections.
    pub(super) guest: &'c Guest,
    /// Whether the connection is to be closed behind the answer; the connection reads it afterwards.
    pub(super) persistence: &'c Cell<Persistence>,
}

/// What is added to an answer so that people and shared caches can tell the lanes apart.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark<'m> {
    /// The lane that answered, where clients are to see it.
    pub(super) lane: Option<&'m str>,
    /// `Vary` or `Cache-Control`, and its value.
    pub(super) cache: Option<(&'static str, &'m str)>,
    /// How the lane was decided, for a signed debugger.
    pub(super) explain: Option<&'m str>,
}

impl<'c> Responder<'c> {
    /// Passes an interim answer on, where the client's protocol version allows it (RFC 9110 section 15.2).
    pub(super) async fn interim(&mut self, head: &ResponseHead) -> io::Result<()> {
        match self {
            Self::H1(h1) if h1.version == Version::Http11 => {
                let out = h1.output.buf();
                response_line(out, head.status, head.reason());
                to_client(out, head, Framing::Empty, false);
                out.extend_from_slice(b"\r\n");
                h1.output.flush().await
            }
            Self::H1(_) => Ok(()),
            Self::H2(stream) => {
                let mut response = http::Response::new(());
                *response.status_mut() = http::StatusCode::from_u16(head.status).map_err(io::Error::other)?;
                to_client(response.headers_mut(), head, Framing::Empty, false);
                stream.send_informational(response).map_err(io::Error::other)
            }
        }
    }

    /// Begins the final answer; its body goes to the writer. An HTTP/1 head is sent with the first of the body.
    pub(super) fn begin(
        self,
        head: &ResponseHead,
        verb: Verb,
        framing: Framing,
        mark: Mark<'_>,
    ) -> io::Result<BodyWriter<'c>> {
        match self {
            Self::H1(h1) => Ok(h1.begin(head, verb, framing, mark)),
            Self::H2(mut stream) => {
                let mut response = http::Response::new(());
                *response.status_mut() = http::StatusCode::from_u16(head.status).map_err(io::Error::other)?;
                let headers = response.headers_mut();
                let shows_mark = mark.lane.is_some();
                if let Some(map) = head.fields.take_map() {
                    *headers = *map;
                    in_place::to_client(headers, head, framing, shows_mark);
                } else {
                    headers.reserve(head.fields.len() + 2);
                    to_client(headers, head, framing, shows_mark);
                }
                add_date(headers, head);
                add_mark(headers, mark);
                let ended = framing == Framing::Empty;
                let stream = stream.send_response(response, ended).map_err(io::Error::other)?;
                let writer = h2::BodyWriter::new(stream, ended);
                // From HTTP/2 there may be trailers behind a length.
                Ok(BodyWriter::H2(match framing {
                    Framing::Length(length) if head.version != Version::H2 => writer.of_length(length),
                    _ => writer,
                }))
            }
        }
    }

    /// Answers with a failure: a small JSON body that names the reason and the request, and no address; to a gRPC
    /// client a status of its own protocol. An HTTP/1 connection is closed behind the client's faults of framing.
    pub(super) async fn fail(
        self,
        failure: Failure,
        request: &RequestHead,
        request_id: &str,
        mark: Mark<'_>,
    ) -> io::Result<u64> {
        soon(self.write_failure(failure, request, request_id, mark)).await
    }

    async fn write_failure(
        self,
        failure: Failure,
        request: &RequestHead,
        request_id: &str,
        mark: Mark<'_>,
    ) -> io::Result<u64> {
        if request.is_grpc() {
            return self.fail_grpc(failure, mark);
        }
        let body =
            format!("{{\"error\":\"{}\",\"message\":\"{failure}\",\"request_id\":\"{request_id}\"}}\n", failure.word());
        let mut head = ResponseHead::own(failure.status());
        head.fields.push(b"content-type", b"application/json");
        head.fields.push(b"content-length", itoa::Buffer::new().format(body.len()).as_bytes());
        head.fields.push(b"cache-control", b"no-store");
        if let Some(retry_after) = failure.retry_after() {
            head.fields.push(b"retry-after", itoa::Buffer::new().format(retry_after).as_bytes());
        }
        let has_body = request.verb != Verb::Head;
        let framing = if has_body { Framing::Length(body.len() as u64) } else { Framing::Empty };
        let mut writer = self.begin(&head, request.verb, framing, mark)?;
        if has_body {
            writer.data(body.as_bytes()).await?;
        }
        writer.end().await?;
        Ok(if has_body { body.len() as u64 } else { 0 })
    }

    /// Answers an OPTIONS that ends here: what the proxy itself allows, which is anything.
    pub(super) async fn options(self) -> io::Result<u64> {
        let mut head = ResponseHead::own(204);
        head.fields.push(b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        let mut writer = self.begin(&head, Verb::Options, Framing::Empty, Mark::default())?;
        soon(writer.end()).await.map(|()| 0)
    }

    fn fail_grpc(self, failure: Failure, mark: Mark<'_>) -> io::Result<u64> {
        let mut head = ResponseHead::own(200);
        head.fields.push(b"content-type", b"application/grpc");
        head.fields.push(b"grpc-status", failure.grpc_status().as_bytes());
        head.fields.push(b"grpc-message", failure.word().as_bytes());
        let mut writer = self.begin(&head, Verb::Other, Framing::Empty, mark)?;
        if let BodyWriter::H2(stream) = &mut writer {
            stream.end(None)?;
        }
        Ok(0)
    }

    /// Gives no answer: an HTTP/2 stream is reset; an HTTP/1 connection is, by its owner.
    pub(super) fn reset(self) {
        if let Self::H2(mut stream) = self {
            stream.send_reset(::h2::Reason::INTERNAL_ERROR);
        }
    }

    /// Ready when an HTTP/2 client has reset its stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::H1(_) => Poll::Pending,
            Self::H2(stream) => stream.poll_reset(cx).map(|_| ()),
        }
    }
}

impl<'c> H1Responder<'c> {
    fn begin(self, head: &ResponseHead, verb: Verb, framing: Framing, mark: Mark<'_>) -> BodyWriter<'c> {
        if self.guest.is_draining() {
            self.persistence.set(Persistence::Close);
        }
        let out = self.output.buf();
        response_line(out, head.status, head.reason());
        to_client(out, head, framing, mark.lane.is_some());
        add_date(out, head);
        add_mark(out, mark);
        // A body without a length needs chunks, which HTTP/1.0 does not know: there the close ends it.
        let framing = match framing {
            Framing::Chunked | Framing::UntilClose if self.version == Version::Http10 => Framing::UntilClose,
            Framing::Chunked | Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        match framing {
            Framing::Chunked => out.field(b"transfer-encoding", b"chunked"),
            Framing::UntilClose => self.persistence.set(Persistence::Close),
            // A stream that ended with its head has a length, which HTTP/1 must be told.
            Framing::Empty if head.version == Version::H2 && !head.is_bodiless(verb) && !has_length(head) => {
                out.field(b"content-length", b"0");
            }
            _ => {}
        }
        match (self.persistence.get(), self.version) {
            (Persistence::Close, _) => out.field(b"connection", b"close"),
            (Persistence::KeepAlive, Version::Http10) => out.field(b"connection", b"keep-alive"),
            _ => {}
        }
        out.extend_from_slice(b"\r\n");
        BodyWriter::H1(h1::BodyWriter::new(self.output, framing))
    }

    /// Answers 101 and gives the connection over to the tunnel.
    pub(super) fn switch(self, head: &ResponseHead, protocol: &[u8]) -> &'c mut Output {
        let out = self.output.buf();
        response_line(out, head.status, head.reason());
        to_client(out, head, Framing::Empty, false);
        out.field(b"connection", b"upgrade");
        out.field(b"upgrade", protocol);
        out.extend_from_slice(b"\r\n");
        self.persistence.set(Persistence::Close);
        self.output
    }
}

/// How long a client may leave an answer of our own untaken. It is a few hundred bytes: what holds it up is a client that
/// has long stopped reading, and would hold its connection for ever.
const OWN_ANSWER: Duration = Duration::from_secs(5);

async fn soon<T>(writing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(OWN_ANSWER, writing).await.map_err(io::Error::from)?
}

fn has_length(head: &ResponseHead) -> bool {
    head.fields.has(Known::ContentLength)
}

/// Says when an answer was made or came, where it does not say so itself (RFC 9110 section 6.6.1).
fn add_date(sink: &mut impl FieldSink, head: &ResponseHead) {
    thread_local! {
        /// The second that was written last, since 1970, and how.
        static WRITTEN: Cell<(u64, HttpDate)> = const { Cell::new((u64::MAX, [0; 29])) };
    }
    if head.fields.has(Known::Date) {
        return;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (second, mut date) = WRITTEN.get();
    if second != now {
        let Some(written) = http_date(now) else { return };
        date = written;
        WRITTEN.set((now, date));
    }
    sink.field(b"date", &date);
}

/// `Mon, 30 Nov 2026 10:11:12 GMT` (RFC 9110 section 5.6.7).
type HttpDate = [u8; 29];

/// A second since 1970; none beyond the year 9999.
fn http_date(second: u64) -> Option<HttpDate> {
    let at = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?.into_bytes().try_into().ok()
}

fn add_mark(sink: &mut impl FieldSink, mark: Mark<'_>) {
    if let Some(lane) = mark.lane {
        sink.field(b"x-gray-lane", lane.as_bytes());
    }
    if let Some((name, value)) = mark.cache {
        sink.field(name.as_bytes(), value.as_bytes());
    }
    if let Some(explain) = mark.explain {
        sink.field(b"x-gray-explain", explain.as_bytes());
        // It was told to one person.
        sink.field(b"cache-control", b"private");
    }
}
