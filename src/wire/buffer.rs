//! Buffered halves of a connection: what was read and not yet taken, what is to be written and not yet sent.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;

use super::{ReadHalf, Spares, WriteHalf};

/// Room made for one read of a head or a small body.
const READ_SMALL: usize = 8 * 1024;
/// Room made for one read once reads come back full: a large body is on its way.
const READ_LARGE: usize = 64 * 1024;
/// Small writes are gathered up to this many bytes; larger chunks are sent from where they lie.
pub(super) const GATHER: usize = 16 * 1024;
/// Buffers a worker keeps for connections that wake up.
const POOLED: usize = 256;

/// The reading side of a connection.
pub struct Input {
    io: ReadHalf,
    /// Bytes read and not yet consumed.
    pub buf: BytesMut,
    eof: bool,
    read_size: usize,
}

impl Input {
    /// A fresh input with nothing read.
    pub fn new(io: ReadHalf) -> Self {
        Self { io, buf: BytesMut::new(), eof: false, read_size: READ_SMALL }
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
        if self.buf.capacity() - self.buf.len() < READ_SMALL / 4 {
            self.buf.reserve(self.read_size);
        }
        let filled = std::task::ready!(poll_read_into(&mut self.io, cx, &mut self.buf))?;
        self.eof = filled == 0;
        // A read that filled what room there was means that more waits: the next one gets more room.
        self.read_size = if self.buf.len() == self.buf.capacity() { READ_LARGE } else { self.read_size };
        Poll::Ready(Ok(filled))
    }

    /// Takes `n` bytes off the front.
    pub fn consume(&mut self, n: usize) {
        self.buf.advance(n);
    }

    /// Whether the peer has ended its direction.
    pub fn is_eof(&self) -> bool {
        self.eof
    }

    /// Waits for bytes with no buffer held while nothing comes: an idle connection costs no buffer.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>, pool: &BufferPool) -> Poll<io::Result<usize>> {
        if self.io.poll_readable(cx).is_pending() {
            if self.buf.is_empty() && self.buf.capacity() > 0 {
                pool.give(std::mem::take(&mut self.buf));
                self.read_size = READ_SMALL;
            }
            return Poll::Pending;
        }
        if self.buf.capacity() == 0 {
            self.buf = pool.inputs.take().unwrap_or_default();
        }
        self.poll_fill(cx)
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
        (self.io, self.buf)
    }
}

fn poll_read_into(io: &mut ReadHalf, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
    use tokio::io::AsyncReadExt;
    // `read_buf` reads into spare room without clearing it first; its future holds nothing between polls.
    let mut read = std::pin::pin!(io.read_buf(buf));
    read.as_mut().poll(cx)
}

/// The writing side of a connection.
pub struct Output {
    io: WriteHalf,
    /// Bytes gathered and not yet sent.
    pub buf: Vec<u8>,
}

impl Output {
    /// A fresh output with nothing gathered.
    pub fn new(io: WriteHalf) -> Self {
        Self { io, buf: Vec::new() }
    }

    /// Sends everything gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write_past(&[]).await
    }

    /// Adds a chunk: a small one is gathered with what is there, a large one is sent at once behind it.
    pub async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.buf.len() + chunk.len() <= GATHER {
            self.buf.extend_from_slice(chunk);
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
        if self.buf.capacity() > 2 * GATHER {
            self.buf = Vec::new();
        }
        // TLS may hold what it took; for everybody else this is nothing.
        self.io.flush().await
    }

    /// Gives the buffer back where nothing is gathered: an idle connection costs no buffer.
    pub fn shed(&mut self) {
        if self.buf.is_empty() && self.buf.capacity() > 0 {
            self.buf = Vec::new();
        }
    }

    /// Lends a buffer for what is to be written soon.
    pub fn prepare(&mut self, pool: &BufferPool) {
        if self.buf.capacity() == 0 {
            self.buf = pool.outputs.take().unwrap_or_default();
        }
    }

    /// As [`Output::shed`], for others to use.
    pub fn give(&mut self, pool: &BufferPool) {
        if self.buf.is_empty() && self.buf.capacity() > 0 {
            pool.outputs.give(std::mem::take(&mut self.buf));
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

/// Buffers that a worker lends to connections while they have something to read or to write.
pub struct BufferPool {
    inputs: Spares<BytesMut>,
    outputs: Spares<Vec<u8>>,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self { inputs: Spares::new(POOLED), outputs: Spares::new(POOLED) }
    }
}

impl BufferPool {
    /// Lets go of buffers that nobody needed since this was called last.
    pub fn sweep(&self) {
        self.inputs.sweep();
        self.outputs.sweep();
    }

    fn give(&self, mut buf: BytesMut) {
        buf.clear();
        // An empty buffer's consumed front is room again after `reserve`, without a new allocation.
        buf.reserve(READ_SMALL / 2);
        if buf.capacity() <= 2 * READ_SMALL {
            self.inputs.give(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Socket;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn what_was_sent_before_a_write_was_given_up_is_not_sent_again() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut output = Output::new(Socket::Unix(ours).split().1);
        output.buf.extend_from_slice(b"head");
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
}
