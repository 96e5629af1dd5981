//! A connection as the HTTP/2 codec sees it: it reads from the socket, and writes into an outbox.
//!
//! The codec flushes whenever it has a frame that is not small, so each answer would be a system call of its own. Here what it
//! writes is gathered, and whoever drives the connection sends it once the codec has nothing more to say for now.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::GATHER;
use super::{Input, Output, ReadHalf, WriteHalf};

/// What a codec wrote and the system has not taken yet. Clones are the same outbox.
#[derive(Clone)]
pub struct Outbox {
    sending: Rc<RefCell<Sending>>,
}

struct Sending {
    io: WriteHalf,
    /// Gathered; what stands before `sent` is gone already.
    buf: Vec<u8>,
    sent: usize,
    /// The socket may hold what it took (TLS does).
    is_held: bool,
    failed: Option<io::ErrorKind>,
}

impl Outbox {
    fn new(io: WriteHalf) -> Self {
        let sending = Sending { io, buf: Vec::new(), sent: 0, is_held: false, failed: None };
        Self { sending: Rc::new(RefCell::new(sending)) }
    }

    /// Sends what is gathered. To be called whenever the codec was polled; the task is woken when more can be sent. An error
    /// is told to the codec too, which is woken to hear it.
    pub fn poll_send(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sending = self.sending.borrow_mut();
        match ready!(sending.poll_send(cx)) {
            Ok(()) => {}
            Err(error) if sending.failed.is_none() => {
                sending.failed = Some(error.kind());
                sending.clear();
                cx.waker().wake_by_ref();
            }
            Err(_) => {}
        }
        Poll::Ready(())
    }

    /// Makes the coming close a reset where the peer has not taken what was gathered: it does not read, and the system would keep
    /// what it holds for it for as long as the peer likes.
    pub fn reset_if_stuck(&self) {
        let mut sending = self.sending.borrow_mut();
        if sending.is_held || !sending.buf.is_empty() {
            sending.io.reset_on_close();
        }
    }

    /// Gives the buffer back where nothing is gathered: a quiet connection costs none.
    pub fn shed(&self) {
        let mut sending = self.sending.borrow_mut();
        if sending.buf.is_empty() && sending.buf.capacity() > 0 {
            sending.buf = Vec::new();
        }
    }
}

impl Sending {
    fn clear(&mut self) {
        self.buf.clear();
        self.sent = 0;
    }

    /// Takes note of bytes that the system took; how many of them had not been gathered.
    fn took(&mut self, bytes: usize) -> io::Result<usize> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.is_held = true;
        let gathered = bytes.min(self.buf.len() - self.sent);
        self.sent += gathered;
        if self.sent == self.buf.len() {
            self.clear();
        }
        Ok(bytes - gathered)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buf.is_empty() {
            let taken = ready!(Pin::new(&mut self.io).poll_write(cx, &self.buf[self.sent..]))?;
            self.took(taken)?;
        }
        if self.is_held {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_held = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Gathers, or sends at once what is too much to gather, behind what is.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.sent >= GATHER {
            // A slow peer takes it in pieces; what it has taken is not kept.
            self.buf.drain(..self.sent);
            self.sent = 0;
        }
        loop {
            if self.buf.len() - self.sent + buf.len() <= GATHER {
                self.buf.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            let both = [IoSlice::new(&self.buf[self.sent..]), IoSlice::new(buf)];
            let taken = if self.buf.is_empty() {
                ready!(Pin::new(&mut self.io).poll_write(cx, buf))?
            } else {
                ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &both))?
            };
            let past = self.took(taken)?;
            if past > 0 {
                return Poll::Ready(Ok(past));
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// A socket whose first bytes were read already, whole again for the HTTP/2 codec.
pub struct Rewound {
    read: ReadHalf,
    first: BytesMut,
    outbox: Outbox,
}

impl Rewound {
    pub(super) fn new(input: Input, output: Output) -> (Self, Outbox) {
        let (read, first) = input.into_parts();
        let outbox = Outbox::new(output.into_io());
        (Self { read, first, outbox: outbox.clone() }, outbox)
    }
}

impl AsyncRead for Rewound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.read).poll_read(cx, buf);
        }
        let n = this.first.len().min(buf.remaining());
        buf.put_slice(&this.first[..n]);
        this.first.advance(n);
        if this.first.is_empty() {
            this.first = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// No vectored writes: the codec would hand over each body of 256 bytes with its frame. As it is, it puts what is below 1 KiB
/// behind the frames that it has already, and hands over all of them at once.
impl AsyncWrite for Rewound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.outbox.sending.borrow_mut().poll_write(cx, buf)
    }

    /// What is gathered is sent by whoever drives the connection.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outbox.sending.borrow().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sending = self.outbox.sending.borrow_mut();
        sending.check()?;
        ready!(sending.poll_send(cx))?;
        Pin::new(&mut sending.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Socket;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    fn pair() -> (Rewound, Outbox, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (read, write) = Socket::Unix(ours).split();
        let (rewound, outbox) = Rewound::new(Input::new(read), Output::new(write));
        (rewound, outbox, theirs)
    }

    async fn received(theirs: &mut UnixStream, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let n = theirs.read(&mut bytes).await.unwrap();
        bytes.truncate(n);
        bytes
    }

    #[tokio::test]
    async fn small_writes_go_out_together_when_they_are_sent() {
        let (mut rewound, outbox, mut theirs) = pair();
        for part in [&b"one "[..], b"two ", b"three"] {
            rewound.write_all(part).await.unwrap();
            rewound.flush().await.unwrap();
        }
        let mut early = [0; 1];
        assert!(theirs.try_read(&mut early).is_err(), "nothing is sent before it is asked for");
        poll_fn(|cx| outbox.poll_send(cx)).await;
        assert_eq!(received(&mut theirs, 100).await, b"one two three");
        outbox.shed();
        assert_eq!(outbox.sending.borrow().buf.capacity(), 0);
    }

    #[tokio::test]
    async fn what_is_too_much_to_gather_goes_behind_what_is_gathered() {
        let (mut rewound, outbox, mut theirs) = pair();
        let large: Vec<u8> = (0..400_000_u32).map(|n| n as u8).collect();
        let reading = async {
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).await.map(|_| bytes)
        };
        let writing = async {
            rewound.write_all(b"head").await.unwrap();
            rewound.write_all(&large).await.unwrap();
            rewound.write_all(b"tail").await.unwrap();
            rewound.shutdown().await.unwrap();
            drop((rewound, outbox));
        };
        let (bytes, ()) = tokio::join!(reading, writing);
        assert!(bytes.unwrap() == [b"head", &large[..], b"tail"].concat());
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_holds_the_codec_up_after_what_may_be_gathered() {
        let (mut rewound, outbox, mut theirs) = pair();
        let mut written = 0;
        poll_fn(|cx| {
            while let Poll::Ready(n) = Pin::new(&mut rewound).poll_write(cx, &[7; 1000]) {
                written += n.unwrap();
                if outbox.poll_send(cx).is_pending() && written > 100_000_000 {
                    panic!("it takes everything");
                }
            }
            Poll::Ready(())
        })
        .await;
        assert!(outbox.sending.borrow().buf.len() <= 2 * GATHER);
        let reading = async {
            let mut bytes = 0;
            while bytes < written {
                bytes += received(&mut theirs, 65536).await.len();
            }
        };
        tokio::join!(reading, poll_fn(|cx| outbox.poll_send(cx)));
    }

    #[tokio::test]
    async fn the_codec_hears_of_a_send_that_failed() {
        let (mut rewound, outbox, theirs) = pair();
        drop(theirs);
        rewound.write_all(b"to nobody").await.unwrap();
        poll_fn(|cx| outbox.poll_send(cx)).await;
        assert_eq!(rewound.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(rewound.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
