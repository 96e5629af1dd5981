//! HTTP/2 (RFC 9113) by the `h2` crate: heads to and from the flat form, bodies with flow control.

mod heads;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

pub use heads::{flatten_request, flatten_response};

use super::body::{BodyError, Part};
use super::{FieldSink, Fields, FrameLimits, FrameWatch, Input, Metered, Outbox, Output, Rewound, Socket, detach};

/// What a connection allows its peer; bounds on the memory one peer can take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Streams at once.
    pub streams: u32,
    /// Bytes in flight of one stream.
    pub stream_window: u32,
    /// Bytes in flight of the whole connection.
    pub connection_window: u32,
    /// Bytes of a header list.
    pub head_bytes: u32,
}

/// Bytes of an answer that a stream may have in the codec: one part of it. A peer that opens wide windows and reads nothing
/// (CVE-2019-9517) makes us hold so much for each of its streams, and one part more.
const ANSWER_BUFFER: usize = 64 * 1024;

/// Bytes of a body that were passed on and may wait for more before the peer is told: each telling takes the codec's lock.
/// Nobody owes anything who waits for more.
const OWED: usize = 4 * 1024;
/// Bytes of a request that go to the codec without asking it for room: so many we may hold for each stream of an upstream that
/// opens no window. A client is asked for room for every byte of its answer, because whoever opens no window is late.
const UNASKED: usize = 4 * 1024;

/// A connection that serves.
pub type Server = h2::server::Connection<Metered, Bytes>;
/// Requests on a connection that asks.
pub type Client = h2::client::SendRequest<Bytes>;
/// A connection that asks; it works only while it is awaited.
pub struct ClientConnection {
    codec: h2::client::Connection<Rewound, Bytes>,
    outbox: Outbox,
}

impl Future for ClientConnection {
    type Output = Result<(), h2::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.codec).poll(cx);
        // Once, for all the frames that the codec had.
        let _ = this.outbox.poll_send(cx);
        done
    }
}

/// Begins to serve on a connection whose first bytes may have been read already. What its peer's frames come to is told
/// by the watch; what is written stays in the outbox until it is sent.
pub async fn serve(
    input: Input,
    output: Output,
    limits: &Limits,
    frames: FrameLimits,
) -> Result<(Server, Rc<FrameWatch>, Outbox), h2::Error> {
    let (rewound, outbox) = Rewound::new(input, output);
    let (metered, watch) = Metered::new(rewound, frames);
    let server = h2::server::Builder::new()
        .max_concurrent_streams(limits.streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.head_bytes)
        .max_send_buffer_size(ANSWER_BUFFER)
        // The watch counts these before the codec does; its own bound would forbid what `h2_resets_per_second` allows.
        .max_pending_accept_reset_streams(frames.resets_at_once())
        // Resets that a peer makes us send by breaking its streams (CVE-2025-8671).
        .max_local_error_reset_streams(Some(frames.resets as usize))
        .handshake(metered)
        .await?;
    Ok((server, watch, outbox))
}

/// Begins to ask on a fresh connection that a worker keeps.
pub async fn connect(input: Input, output: Output, limits: &Limits) -> Result<(Client, ClientConnection), h2::Error> {
    let (rewound, outbox) = Rewound::new(input, output);
    let (client, codec) = asking(limits).handshake(rewound).await?;
    Ok((client, ClientConnection { codec, outbox }))
}

/// Begins to ask on a connection of its own, on whatever thread: what is written goes out at once.
pub async fn connect_once(
    socket: Socket,
    limits: &Limits,
) -> Result<(Client, impl Future<Output = Result<(), h2::Error>> + Send), h2::Error> {
    let (read, write) = socket.split();
    asking(limits).handshake(tokio::io::join(read, write)).await
}

fn asking(limits: &Limits) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.head_bytes)
        .max_send_buffer_size(limits.stream_window as usize);
    builder
}

/// Reads the body of a stream.
pub struct BodyReader {
    stream: RecvStream,
    length: Option<u64>,
    state: Reading,
    /// Bytes that were passed on and that the peer has not been told of yet.
    owed: usize,
}

#[derive(PartialEq, Eq)]
enum Reading {
    Data,
    Trailers,
    Done,
}

impl BodyReader {
    /// The body behind a head; `length` is its `Content-Length`.
    pub fn new(stream: RecvStream, length: Option<u64>) -> Self {
        let state = if stream.is_end_stream() { Reading::Done } else { Reading::Data };
        Self { stream, length, state, owed: 0 }
    }

    /// The next part; `None` is the end. Data must be [`BodyReader::release`]d once it was passed on.
    pub async fn next(&mut self) -> Result<Option<Part<'static>>, BodyError> {
        if self.state == Reading::Data {
            match poll_fn(|cx| self.poll_data(cx)).await {
                Some(Ok(data)) => {
                    if self.stream.is_end_stream() {
                        self.state = Reading::Done;
                    }
                    return Ok(Some(Part::Owned(data)));
                }
                Some(Err(error)) => return Err(BodyError::Stream(error)),
                None => self.state = Reading::Trailers,
            }
        }
        if self.state == Reading::Trailers {
            self.state = Reading::Done;
            if let Some(mut map) = self.stream.trailers().await.map_err(BodyError::Stream)? {
                heads::tidy(&mut map);
                let mut fields = Fields::default();
                fields.lay_out(map);
                return Ok(Some(Part::Trailers(fields)));
            }
        }
        Ok(None)
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ::h2::Error>>> {
        let data = self.stream.poll_data(cx);
        if data.is_pending() {
            self.settle();
        }
        data
    }

    /// Lets the peer send as many bytes again: at once if they are many, else with those that follow, and before more is
    /// waited for. A stream that ends settles what is left by itself.
    pub fn release(&mut self, bytes: u64) {
        self.owed += bytes as usize;
        if self.owed >= OWED {
            self.settle();
        }
    }

    /// Lets the peer send again what was passed on.
    pub fn settle(&mut self) {
        if self.owed > 0 {
            // Fails only where the stream is closed: then there is nothing to let.
            let _ = self.stream.flow_control().release_capacity(std::mem::take(&mut self.owed));
        }
    }

    /// Whether the whole body was given out.
    pub fn is_done(&self) -> bool {
        self.state == Reading::Done
    }

    /// The length the head gave.
    pub fn known_length(&self) -> Option<u64> {
        if self.is_done() { Some(0) } else { self.length }
    }
}

/// Writes the body of a stream.
pub struct BodyWriter {
    stream: SendStream<Bytes>,
    ended: bool,
    /// What is still to come, where it is known: then the end goes out with the last of it.
    left: Option<u64>,
    /// What may be sent without asking for room.
    unasked: usize,
    most_unasked: usize,
}

impl BodyWriter {
    /// Behind a head; `ended` where the head ended the stream.
    pub fn new(stream: SendStream<Bytes>, ended: bool) -> Self {
        Self { stream, ended, left: None, unasked: 0, most_unasked: 0 }
    }

    /// The first of it goes without asking for room.
    #[must_use]
    pub fn to_upstream(mut self) -> Self {
        (self.unasked, self.most_unasked) = (UNASKED, UNASKED);
        self
    }

    /// So many bytes are the last, and no trailers follow.
    pub fn ends_after(&mut self, bytes: u64) {
        self.left = Some(bytes);
    }

    /// The body has so many bytes, and no trailers.
    #[must_use]
    pub fn of_length(mut self, length: u64) -> Self {
        self.left = Some(length);
        self
    }

    /// Sends data as the peer's window allows.
    pub async fn data(&mut self, mut data: Bytes) -> io::Result<()> {
        while !data.is_empty() {
            let room = self.room(data.len()).await?;
            self.send(data.split_to(room))?;
        }
        Ok(())
    }

    /// The same of data that lies in somebody else's buffer: a copy is made of what there is room for, and no sooner, because a peer
    /// that opens no window would have us hold everything twice.
    pub async fn copied(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let (now, later) = data.split_at(self.room(data.len()).await?);
            self.send(Bytes::copy_from_slice(now))?;
            data = later;
        }
        Ok(())
    }

    fn send(&mut self, data: Bytes) -> io::Result<()> {
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        self.ended = self.left == Some(0);
        self.stream.send_data(data, self.ended).map_err(io::Error::other)
    }

    /// Waits until some bytes can be sent, and says how many, up to `wanted`.
    async fn room(&mut self, wanted: usize) -> io::Result<usize> {
        if let Some(left) = self.unasked.checked_sub(wanted) {
            self.unasked = left;
            return Ok(wanted);
        }
        loop {
            self.stream.reserve_capacity(wanted);
            let room = match poll_fn(|cx| self.stream.poll_capacity(cx)).await {
                Some(room) => room.map_err(io::Error::other)?,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            if room > 0 {
                // It is beyond all that was sent before, so the peer's window has room for that.
                self.unasked = self.most_unasked;
                return Ok(room.min(wanted));
            }
        }
    }

    /// Ends the stream.
    pub fn end(&mut self, trailers: Option<&Fields>) -> io::Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let Some(fields) = trailers else {
            return self.stream.send_data(Bytes::new(), true).map_err(io::Error::other);
        };
        let map = match fields.take_map() {
            Some(mut map) => {
                map.values_mut().for_each(detach);
                *map
            }
            None => {
                let mut map = http::HeaderMap::with_capacity(fields.len());
                fields.iter().for_each(|(_, name, value)| map.field(name, value));
                map
            }
        };
        self.stream.send_trailers(map).map_err(io::Error::other)
    }

    /// Breaks the stream off, unless it has ended.
    pub fn reset(&mut self, reason: Reason) {
        if !self.ended {
            self.ended = true;
            self.stream.send_reset(reason);
        }
    }

    /// Ready when the peer has reset the stream or its connection is gone.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended {
            return Poll::Pending;
        }
        self.stream.poll_reset(cx).map(|_| ())
    }
}

impl Drop for BodyWriter {
    /// A body that is dropped before its end must not look like one that ended: the peer is told.
    fn drop(&mut self) {
        self.reset(Reason::CANCEL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{BodyReader as AnyReader, BodyWriter as AnyWriter, pump};
    use tokio::io::duplex;
    use tokio::task::{LocalSet, spawn_local};

    /// Both ends of one stream whose head was sent: what a client has of it, and what a server has.
    struct Ends {
        up: SendStream<Bytes>,
        response: h2::client::ResponseFuture,
        request: RecvStream,
        down: SendStream<Bytes>,
    }

    /// A stream over memory; `window` is what either side may send before it is taken.
    async fn stream(window: u32) -> Ends {
        let (client_side, server_side) = duplex(1 << 20);
        let opening = async {
            let (mut client, driver) =
                h2::client::Builder::new().initial_window_size(window).handshake(client_side).await.unwrap();
            spawn_local(driver);
            let request = http::Request::post("http://shop/").body(()).unwrap();
            poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
            client.send_request(request, false).unwrap()
        };
        let taking = async {
            let handshake = h2::server::Builder::new().initial_window_size(window).handshake(server_side);
            let mut server = handshake.await.unwrap();
            let accepted = server.accept().await.unwrap().unwrap();
            spawn_local(async move { while server.accept().await.is_some() {} });
            accepted
        };
        let ((response, up), (request, mut answer)) = tokio::join!(opening, taking);
        let down = answer.send_response(http::Response::new(()), false).unwrap();
        Ends { up, response, request: request.into_body(), down }
    }

    #[tokio::test]
    async fn the_last_data_of_a_body_ends_the_stream_it_goes_to() {
        let echo = async {
            let Ends { mut up, response, request, down } = stream(65_535).await;
            up.send_data(Bytes::from_static(b"all of it"), true).unwrap();
            let mut source = AnyReader::H2(BodyReader::new(request, None));
            let mut sink = AnyWriter::H2(BodyWriter::new(down, false));
            pump(&mut source, &mut sink, |_| {}).await.unwrap();
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "all of it");
            assert!(body.is_end_stream(), "no empty frame follows");
        };
        LocalSet::new().run_until(echo).await;
    }

    #[tokio::test]
    async fn a_peer_is_told_what_was_passed_on_before_more_of_it_is_waited_for() {
        const ALL: usize = 100_000;
        let upload = async {
            // Less than what may be owed. A client that lets go of all of a stream gives it up, so it keeps what it has.
            let Ends { up, response: _response, request, down: _down } = stream(4000).await;
            let sending = async {
                let mut writer = BodyWriter::new(up, false);
                writer.data(Bytes::from(vec![7; ALL])).await.unwrap();
                writer.end(None).unwrap();
                writer
            };
            let reading = async {
                let (mut reader, mut read) = (BodyReader::new(request, None), 0);
                while let Some(Part::Owned(data)) = reader.next().await.unwrap() {
                    read += data.len();
                    reader.release(data.len() as u64);
                }
                read
            };
            assert_eq!(tokio::join!(sending, reading).1, ALL);
        };
        LocalSet::new().run_until(tokio::time::timeout(std::time::Duration::from_secs(60), upload)).await.unwrap();
    }

    #[tokio::test]
    async fn an_upstream_that_opens_no_window_holds_up_all_but_the_first_bytes() {
        let shut = async {
            let mut ends = stream(0).await;
            let first = Bytes::from(vec![7; UNASKED]);
            let mut upstream = BodyWriter::new(ends.up, false).to_upstream();
            upstream.data(first).await.unwrap();
            let mut client = BodyWriter::new(ends.down, false);
            for more in [upstream.data(Bytes::from_static(b"more")).now().await, client.copied(b"first").now().await] {
                assert!(more.is_pending());
            }
            assert!(poll_fn(|cx| Poll::Ready(ends.request.poll_data(cx))).await.is_pending());
        };
        LocalSet::new().run_until(shut).await;
    }

    trait Now: Future + Sized {
        /// What one look at it gives.
        async fn now(self) -> Poll<Self::Output> {
            let mut this = std::pin::pin!(self);
            poll_fn(|cx| Poll::Ready(this.as_mut().poll(cx))).await
        }
    }

    impl<F: Future> Now for F {}
}
