//! Buffered halves of a connection: what was read and not yet taken, what is to be written and not yet sent.
//!
//! A connection has a buffer only while there are bytes to be put into it. One that waits, for the next request or for an
//! upstream's answer, has given its buffer back to the thread, and what comes next finds it there: so however many
//! connections a worker has, it works in a few buffers that the processor has at hand.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use super::unread::Unread;
use super::{ReadHalf, Spares, WriteHalf};

/// Room made for one read of a head or a small body.
const READ_SMALL: usize = 8 * 1024;
/// Room made for a read after one that came back full.
const READ_MIDDLING: usize = 32 * 1024;
/// Room made for one read at most. Twice as much would save another tenth of the time of a large body and cost each slow
/// reader of one twice the memory.
const READ_LARGE: usize = 128 * 1024;
/// Small writes are gathered up to this many bytes; larger chunks are sent from where they lie.
pub(super) const GATHER: usize = 16 * 1024;
/// Room in a buffer for writing: a head and a small body.
const WRITE_SMALL: usize = 2 * 1024;
/// Buffers of each kind that a thread keeps.
const SPARE: usize = 256;
/// Buffers for large bodies that a thread keeps.
const SPARE_LARGE: usize = 4;

thread_local! {
    /// Buffers that nobody of this thread needs at the moment.
    static BUFFERS: Buffers = const {
        Buffers {
            inputs: Spares::new(SPARE),
            large_inputs: Spares::of_large(SPARE_LARGE),
            outputs: Spares::new(SPARE),
            is_swept: Cell::new(false),
        }
    };
}

struct Buffers {
    inputs: Spares<Vec<u8>>,
    large_inputs: Spares<Vec<u8>>,
    outputs: Spares<Vec<u8>>,
    /// Whether somebody sees to it that what is not needed is let go. Where nobody does, nothing is kept.
    is_swept: Cell<bool>,
}

/// Lets go of buffers that nobody of this thread needed since this was called last. Called about once a second.
pub fn sweep_buffers() {
    BUFFERS.with(|buffers| {
        buffers.is_swept.set(true);
        buffers.inputs.sweep();
        buffers.large_inputs.sweep();
        buffers.outputs.sweep();
    });
}

fn take(kind: impl FnOnce(&Buffers) -> &Spares<Vec<u8>>) -> Option<Vec<u8>> {
    BUFFERS.with(|buffers| kind(buffers).take())
}

fn give(kind: impl FnOnce(&Buffers) -> &Spares<Vec<u8>>, buffer: Vec<u8>) {
    BUFFERS.with(|buffers| {
        if buffers.is_swept.get() {
            kind(buffers).give(buffer);
        }
    });
}

/// How much is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// [`READ_SMALL`].
    Small,
    /// [`READ_MIDDLING`].
    Middling,
    /// [`READ_LARGE`].
    Large,
}

impl Reach {
    /// After a read that came back full: a large body is on its way.
    const fn further(self) -> Self {
        match self {
            Self::Small => Self::Middling,
            Self::Middling | Self::Large => Self::Large,
        }
    }
}

/// The reading side of a connection.
pub struct Input {
    io: ReadHalf,
    /// Bytes read and not yet consumed.
    pub buf: Unread,
    eof: bool,
    /// Room made for one read; more while a large body is on its way.
    reach: Reach,
}

impl Input {
    /// A fresh input with nothing read.
    pub fn new(io: ReadHalf) -> Self {
        Self { io, buf: Unread::default(), eof: false, reach: Reach::Small }
    }

    /// Reads once, whatever is there; `0` is the end of the stream.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// As [`Input::fill`], for callers that poll several things.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.eof {
            return Poll::Ready(Ok(0));
        }
        if self.buf.is_empty() {
            let Poll::Ready(ready) = self.io.poll_readable(cx) else { return self.wait() };
            ready?;
            if !self.buf.has_memory() {
                self.buf = Unread::of_memory(take(self.kind()).unwrap_or_default());
            }
            // That there is something to read is known, so it is not asked again.
            let (least, more) = self.read_sizes();
            if let Some(filled) = self.io.recv_now(self.buf.room(least, more)) {
                return Poll::Ready(filled.inspect(|filled| self.filled(*filled)));
            }
        }
        let (least, more) = self.read_sizes();
        match self.io.poll_recv(cx, self.buf.room(least, more)) {
            Poll::Ready(filled) => Poll::Ready(filled.inspect(|filled| self.filled(*filled))),
            Poll::Pending => self.wait(),
        }
    }

    /// Nothing is there to be read. If a large body is on its way, the next read will have as much room.
    fn wait(&mut self) -> Poll<io::Result<usize>> {
        let reach = self.reach;
        self.rest();
        self.reach = reach;
        Poll::Pending
    }

    /// The thread's buffers of the size that the next read is to have.
    fn kind(&self) -> fn(&Buffers) -> &Spares<Vec<u8>> {
        if self.reach == Reach::Large { |buffers| &buffers.large_inputs } else { |buffers| &buffers.inputs }
    }

    fn filled(&mut self, bytes: usize) {
        self.eof = bytes == 0;
        // A read that filled what room there was means that more waits: the next one gets more room.
        if self.buf.is_full() {
            self.reach = self.reach.further();
        } else if bytes < READ_SMALL {
            // It ended, or comes in drips.
            self.reach = Reach::Small;
        }
    }

    /// The room that a read has at least, and the room that is made where it has not.
    fn read_sizes(&self) -> (usize, usize) {
        match self.reach {
            Reach::Small => (READ_SMALL / 4, READ_SMALL),
            Reach::Middling => (READ_MIDDLING / 2, READ_MIDDLING),
            Reach::Large => (READ_LARGE / 2, READ_LARGE),
        }
    }

    /// Takes `n` bytes off the front.
    pub fn consume(&mut self, n: usize) {
        self.buf.consume(n);
    }

    /// Whether the peer has ended its direction.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// As [`Input::poll_fill`], where what comes next is another message: a little is read, however large the last one was.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.reach != Reach::Small {
            self.rest();
        }
        self.poll_fill(cx)
    }

    /// Gives the buffer back where nothing is in it; the next read is a small one again.
    pub fn rest(&mut self) {
        self.reach = Reach::Small;
        if !self.buf.is_empty() || !self.buf.has_memory() {
            return;
        }
        let memory = std::mem::take(&mut self.buf).into_memory();
        if memory.capacity() <= 2 * READ_SMALL {
            give(|buffers| &buffers.inputs, memory);
        } else if (READ_LARGE..2 * READ_LARGE).contains(&memory.capacity()) {
            give(|buffers| &buffers.large_inputs, memory);
        }
    }

    /// Whether an idle connection is still good: nothing has come from the peer, neither bytes nor an end.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        self.buf.is_empty()
            && !self.eof
            && matches!(self.io.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The socket half and the bytes read too far, for another codec.
    pub fn into_parts(self) -> (ReadHalf, BytesMut) {
        (self.io, BytesMut::from(&self.buf[..]))
    }
}

/// The writing side of a connection.
pub struct Output {
    io: WriteHalf,
    buf: Vec<u8>,
}

impl Output {
    /// A fresh output with nothing gathered.
    pub fn new(io: WriteHalf) -> Self {
        Self { io, buf: Vec::new() }
    }

    /// Bytes gathered and not yet sent, to add to.
    pub fn buf(&mut self) -> &mut Vec<u8> {
        if self.buf.capacity() == 0 {
            self.buf = take(|buffers| &buffers.outputs).unwrap_or_else(|| Vec::with_capacity(WRITE_SMALL));
        }
        &mut self.buf
    }

    /// Whether so many bytes more can be gathered.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.buf.len() + bytes <= GATHER
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Sends everything gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write_past(&[]).await
    }

    /// Adds a chunk: a small one is gathered with what is there, a large one is sent at once behind it.
    pub async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.has_room_for(chunk.len()) {
            self.buf().extend_from_slice(chunk);
            return Ok(());
        }
        self.write_past(chunk).await
    }

    async fn write_past(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while !self.buf.is_empty() || !chunk.is_empty() {
            let io = &mut self.io;
            let written = if chunk.is_empty() {
                io.write(&self.buf).await?
            } else if self.buf.is_empty() {
                io.write(chunk).await?
            } else {
                io.write_vectored(&[IoSlice::new(&self.buf), IoSlice::new(chunk)]).await?
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            // What is sent leaves the buffer at once: this may be given up at any wait, and flushed again later.
            let gathered = written.min(self.buf.len());
            self.buf.drain(..gathered);
            chunk = &chunk[written - gathered..];
        }
        self.rest();
        // TLS may hold what it took; for everybody else this is nothing.
        self.io.flush().await
    }

    /// Gives the buffer back; nothing is in it.
    fn rest(&mut self) {
        let buf = std::mem::take(&mut self.buf);
        if (1..=2 * GATHER).contains(&buf.capacity()) {
            give(|buffers| &buffers.outputs, buf);
        }
    }

    /// Ends this direction after everything gathered is sent.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.io.shutdown().await
    }

    /// Makes the coming close a reset.
    pub fn reset_on_close(&mut self) {
        self.io.reset_on_close();
    }

    /// The socket half, for another codec.
    pub fn into_io(self) -> WriteHalf {
        self.io
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Socket;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn what_was_sent_before_a_write_was_given_up_is_not_sent_again() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut output = Output::new(Socket::Unix(ours).split().1);
        output.buf().extend_from_slice(b"head");
        {
            let large = vec![b'x'; 1024 * 1024];
            let mut stuck = std::pin::pin!(output.write(&large));
            assert!(poll_fn(|cx| Poll::Ready(stuck.as_mut().poll(cx))).await.is_pending());
        }
        let flushing = async {
            output.flush().await.unwrap();
            drop(output);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(flushing, theirs.read_to_end(&mut received));
        read.unwrap();
        assert!(received.starts_with(b"headx"));
        assert!(received[4..].iter().all(|byte| *byte == b'x'), "the head came twice");
    }

    #[tokio::test]
    async fn once_a_read_comes_back_full_the_next_has_more_room() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut input = Input::new(Socket::Unix(ours).split().0);
        let sending = theirs.write_all(&[7; 100_000]);
        let reading = async {
            assert_eq!(input.fill().await.unwrap(), READ_SMALL);
            input.consume(READ_SMALL);
            assert_eq!(input.fill().await.unwrap(), READ_MIDDLING);
            // Between two messages it is small again.
            input.consume(input.buf.len());
            input.rest();
            assert_eq!(input.fill().await.unwrap(), READ_SMALL);
            while input.buf.len() < 20_000 {
                input.fill().await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(sending, reading);
        drop(input);
        _ = sent;
    }

    #[tokio::test]
    async fn after_a_burst_what_waits_holds_nothing_and_a_drip_is_read_in_little_room() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut input = Input::new(Socket::Unix(ours).split().0);
        theirs.write_all(&[7; 100_000]).await.unwrap();
        for expected in [READ_SMALL, READ_MIDDLING, 100_000 - READ_SMALL - READ_MIDDLING] {
            assert_eq!(input.fill().await.unwrap(), expected);
            input.consume(expected);
        }
        assert!(is_waiting(&mut input).await);
        assert!(!input.buf.has_memory());
        // More of the same has as much room at once, and after that comes a drip.
        theirs.write_all(&[7; 60_000]).await.unwrap();
        assert_eq!(input.fill().await.unwrap(), 60_000);
        input.consume(60_000);
        for drip in [100, 200] {
            theirs.write_all(&vec![7; drip]).await.unwrap();
            assert_eq!(input.fill().await.unwrap(), drip);
            input.consume(drip);
            assert!(is_waiting(&mut input).await);
        }
        theirs.write_all(&[7; 60_000]).await.unwrap();
        assert_eq!(input.fill().await.unwrap(), READ_SMALL);
    }

    #[tokio::test]
    async fn behind_a_large_body_only_a_little_is_read_ahead() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut input = Input::new(Socket::Unix(ours).split().0);
        theirs.write_all(&[7; 100_000]).await.unwrap();
        assert_eq!(input.fill().await.unwrap(), READ_SMALL);
        input.consume(READ_SMALL);
        let ahead = poll_fn(|cx| input.poll_ahead(cx)).await.unwrap();
        assert_eq!(ahead, READ_SMALL);
    }

    #[tokio::test]
    async fn what_one_connection_read_no_other_sees() {
        sweep_buffers();
        let pair = || async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(b"secret").await.unwrap();
            (Input::new(Socket::Unix(ours).split().0), theirs)
        };
        let (mut one, _one) = pair().await;
        let (mut other, _other) = pair().await;
        one.fill().await.unwrap();
        // A part that was not taken keeps the buffer.
        one.consume(5);
        one.rest();
        assert_eq!(&one.buf[..], b"t");
        let place = one.buf.as_ptr() as usize - 5;
        one.consume(1);
        one.rest();
        other.fill().await.unwrap();
        assert_eq!(other.buf.as_ptr() as usize, place, "the buffer goes on");
        assert_eq!(&other.buf[..], b"secret");
        other.consume(6);
        assert!(other.buf.is_empty());
    }

    async fn is_waiting(input: &mut Input) -> bool {
        poll_fn(|cx| Poll::Ready(input.poll_fill(cx).is_pending())).await
    }

    #[tokio::test]
    async fn what_waits_holds_no_buffer() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut input = Input::new(Socket::Unix(ours).split().0);
        sweep_buffers();
        assert!(is_waiting(&mut input).await);
        assert!(!input.buf.has_memory());
        theirs.write_all(b"head").await.unwrap();
        input.fill().await.unwrap();
        input.consume(4);
        assert!(input.buf.has_memory());
        assert!(is_waiting(&mut input).await);
        assert!(!input.buf.has_memory());
        assert_eq!(take(|buffers| &buffers.inputs).map(|memory| memory.capacity()), Some(READ_SMALL));
    }
}
