//! A TLS connection in two halves. Both belong to one task or take turns, so nobody ever waits for the lock; it stands there
//! because the control runtime moves its checks between threads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// The stream that both halves drive.
type Shared = Arc<Mutex<TlsStream<TcpStream>>>;

/// A panic under the lock ends the connection's task, so nobody meets what it left.
fn lock(shared: &Shared) -> MutexGuard<'_, TlsStream<TcpStream>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both halves of a connection.
pub(super) fn split(stream: TlsStream<TcpStream>) -> (TlsReader, TlsWriter) {
    let shared = Arc::new(Mutex::new(stream));
    (TlsReader(shared.clone()), TlsWriter(Some(shared)))
}

/// The half that is read. An end that the peer did not announce (`close_notify`) is an error: what came may be cut.
pub struct TlsReader(Shared);

impl TlsReader {
    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut *lock(&self.0)).poll_read(&mut cx, &mut buf) {
            Poll::Ready(read) => read.map(|()| buf.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Records without content, such as session tickets, are taken here and wake nobody.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(cx, buf)
    }
}

/// The half that is written. Dropped, it tells the peer that this was the end.
pub struct TlsWriter(Option<Shared>);

impl TlsWriter {
    /// Lets go of the connection without a word; it is reset when the other half goes too.
    pub(super) fn reset_on_close(mut self) {
        if let Some(shared) = self.0.take() {
            // Fails only where the connection is gone already.
            let _ = lock(&shared).get_ref().0.set_zero_linger();
        }
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &self.0 {
            Some(shared) => act(Pin::new(&mut *lock(shared))),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf))
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, bufs))
    }

    /// Written bytes may still wait to be sent: a record is taken as a whole or not at all.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl Drop for TlsWriter {
    fn drop(&mut self) {
        // As far as it goes without waiting: a peer that takes nothing sees an end that was not announced.
        let _ = self.poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}
