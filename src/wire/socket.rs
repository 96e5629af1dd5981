//! One byte stream, TCP, TLS or Unix, in two halves so that both directions can be driven at once by one task.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_rustls::TlsStream;

use super::tls::{self, TlsReader, TlsWriter};

/// A connected socket, not yet split.
pub enum Socket {
    /// TCP
    Tcp(TcpStream),
    /// Unix domain
    Unix(UnixStream),
    /// TLS over TCP, after its handshake
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// The two halves; each ends its direction when dropped.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
            Self::Tls(stream) => {
                let (read, write) = tls::split(*stream);
                (ReadHalf::Tls(read), WriteHalf::Tls(write))
            }
        }
    }
}

/// The half that is read.
pub enum ReadHalf {
    /// TCP
    Tcp(tcp::OwnedReadHalf),
    /// Unix domain
    Unix(unix::OwnedReadHalf),
    /// TLS over TCP
    Tls(TlsReader),
}

impl ReadHalf {
    /// Waits until there is something to read, without a buffer at hand.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(cx),
            Self::Unix(half) => half.as_ref().poll_read_ready(cx),
            Self::Tls(half) => half.poll_readable(cx),
        }
    }

    /// Reads what is there without waiting; costs no system call while the reactor has reported nothing.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_read(buf),
            Self::Unix(half) => half.try_read(buf),
            Self::Tls(half) => half.try_read(buf),
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Self::Unix(half) => Pin::new(half).poll_read(cx, buf),
            Self::Tls(half) => half.poll_read(cx, buf),
        }
    }
}

/// The half that is written.
pub enum WriteHalf {
    /// TCP
    Tcp(tcp::OwnedWriteHalf),
    /// Unix domain
    Unix(unix::OwnedWriteHalf),
    /// TLS over TCP
    Tls(TlsWriter),
    /// Given up
    Closed,
}

impl WriteHalf {
    /// Makes the coming close a reset, and writes nothing more. A Unix socket has none: there the peer sees an end.
    pub fn reset_on_close(&mut self) {
        if matches!(self, Self::Unix(_)) {
            return;
        }
        match std::mem::replace(self, Self::Closed) {
            Self::Tcp(half) => {
                // Fails only where the connection is gone already.
                let _ = half.as_ref().set_zero_linger();
                // Dropped, it would end its direction in order first.
                half.forget();
            }
            Self::Tls(half) => half.reset_on_close(),
            Self::Unix(_) | Self::Closed => {}
        }
    }
}

impl WriteHalf {
    /// Ends the connection so that the peer sees it reset, once the other half is dropped too. A Unix socket knows no
    /// reset and is closed.
    pub fn reset(self) {
        match self {
            Self::Tcp(half) => {
                // Where it cannot be set the connection has failed already.
                let _ = socket2::SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO));
                // Dropping the half would end the stream in order first.
                half.forget();
            }
            Self::Tls(half) => half.reset_on_close(),
            Self::Unix(_) | Self::Closed => {}
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write(cx, buf),
            Self::Unix(half) => Pin::new(half).poll_write(cx, buf),
            Self::Tls(half) => half.poll_write(cx, buf),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write_vectored(cx, bufs),
            Self::Unix(half) => Pin::new(half).poll_write_vectored(cx, bufs),
            Self::Tls(half) => half.poll_write_vectored(cx, bufs),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(half) => half.poll_flush(cx),
            // What the system took is on its way.
            Self::Tcp(_) | Self::Unix(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Self::Unix(half) => Pin::new(half).poll_shutdown(cx),
            Self::Tls(half) => half.poll_shutdown(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}
