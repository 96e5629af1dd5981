//! One byte stream, TCP, TLS or Unix, in two halves so that both directions can be driven at once by one task.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Interest, ReadBuf};
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
    /// Waits until there is something to read, without a buffer at hand. What there is behind TLS is known only to who reads.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(cx),
            Self::Unix(half) => half.as_ref().poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads once, behind what stands in the buffer, no more than it has room for; `0` is the end of the stream.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => poll_recv(half.as_ref(), cx, buf),
            Self::Unix(half) => poll_recv(half.as_ref(), cx, buf),
            // `read_buf` reads into spare room without clearing it first; its future holds nothing between polls.
            Self::Tls(_) => pin!(self.read_buf(buf)).poll(cx),
        }
    }

    /// As [`ReadHalf::poll_recv`] where the reactor has just reported something; `None` where it has to be asked.
    pub fn recv_now(&mut self, buf: &mut Vec<u8>) -> Option<io::Result<usize>> {
        match self {
            Self::Tcp(half) => recv_now(half.as_ref(), buf),
            Self::Unix(half) => recv_now(half.as_ref(), buf),
            Self::Tls(_) => None,
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
            Self::Tcp(half) => poll_send(half.as_ref(), cx, buf),
            Self::Unix(half) => poll_send(half.as_ref(), cx, buf),
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

/// A socket as the reactor knows it.
///
/// Bytes are moved by system calls of `rustix`, not by those of the standard library: in a process of several threads each of the
/// latter pays for being a point where POSIX threads may be cancelled.
trait Watched: AsFd {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Runs `act` where the reactor has reported `interest`. What would block is not tried again before it reports anew.
    fn attempt(&self, interest: Interest, act: impl FnOnce() -> io::Result<()>) -> io::Result<()>;
}

macro_rules! watched {
    ($stream:ty) => {
        impl Watched for $stream {
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn attempt(&self, interest: Interest, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
                self.try_io(interest, act)
            }
        }
    };
}

watched!(TcpStream);
watched!(UnixStream);

fn poll_recv(socket: &impl Watched, cx: &mut Context<'_>, buf: &mut Vec<u8>) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_readable(cx))?;
        if let Some(moved) = recv_now(socket, buf) {
            return Poll::Ready(moved);
        }
    }
}

fn recv_now(socket: &impl Watched, buf: &mut Vec<u8>) -> Option<io::Result<usize>> {
    let room = buf.capacity() - buf.len();
    moved(socket, Interest::READABLE, room, || Ok(recv(socket, spare_capacity(buf), RecvFlags::empty())?.1))
}

fn poll_send(socket: &impl Watched, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_writable(cx))?;
        // A peer that is gone is an error here, not a signal.
        let sent = || Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
        if let Some(moved) = moved(socket, Interest::WRITABLE, bytes.len(), sent) {
            return Poll::Ready(moved);
        }
    }
}

/// Moves up to `most` bytes by one system call; `None` where it would have blocked. Fewer than `most` means that there were no
/// more, or no room for more: the reactor need not be told so by another call.
fn moved(
    socket: &impl Watched,
    interest: Interest,
    most: usize,
    act: impl FnOnce() -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut count = 0;
    let tried = socket.attempt(interest, || {
        count = act()?;
        if (1..most).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match tried {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => (count > 0).then_some(Ok(count)),
        tried => Some(tried.map(|()| count)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Both ends of a connection over TCP, and of one over a Unix socket.
    async fn pairs() -> [(Socket, Socket); 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (unix, other) = UnixStream::pair().unwrap();
        [(Socket::Tcp(ours.unwrap().0), Socket::Tcp(theirs.unwrap())), (Socket::Unix(unix), Socket::Unix(other))]
    }

    async fn receive(half: &mut ReadHalf, room: usize) -> io::Result<Vec<u8>> {
        let mut buf = Vec::with_capacity(room);
        let count = poll_fn(|cx| half.poll_recv(cx, &mut buf)).await?;
        assert_eq!(buf.len(), count);
        Ok(buf)
    }

    async fn is_waiting(half: &mut ReadHalf) -> bool {
        poll_fn(|cx| Poll::Ready(half.poll_readable(cx).is_pending())).await
    }

    #[tokio::test]
    async fn a_read_that_fills_its_room_leaves_what_is_behind_it() {
        for (ours, theirs) in pairs().await {
            let ((mut read, _write), (_, mut sender)) = (ours.split(), theirs.split());
            sender.write_all(b"abcdef").await.unwrap();
            assert_eq!(receive(&mut read, 4).await.unwrap(), b"abcd");
            assert_eq!(receive(&mut read, 4).await.unwrap(), b"ef");
            assert!(is_waiting(&mut read).await, "a short read has taken all there was");
            // Just full: whether there is more is not known, and asked.
            sender.write_all(b"gh").await.unwrap();
            assert_eq!(receive(&mut read, 2).await.unwrap(), b"gh");
            let mut buf = Vec::with_capacity(2);
            assert!(poll_fn(|cx| Poll::Ready(read.poll_recv(cx, &mut buf).is_pending())).await);
            sender.write_all(b"i").await.unwrap();
            assert_eq!(receive(&mut read, 2).await.unwrap(), b"i", "who waits is woken");
        }
    }

    #[tokio::test]
    async fn an_end_that_came_with_the_last_bytes_is_seen_behind_a_short_read() {
        for (ours, theirs) in pairs().await {
            let ((mut read, _write), (_, mut sender)) = (ours.split(), theirs.split());
            sender.write_all(b"last").await.unwrap();
            sender.shutdown().await.unwrap();
            // The end is there before anything is read.
            while !matches!(read.try_read(&mut []), Ok(0)) {
                tokio::task::yield_now().await;
            }
            assert_eq!(receive(&mut read, 100).await.unwrap(), b"last");
            assert_eq!(receive(&mut read, 100).await.unwrap(), b"");
            assert_eq!(receive(&mut read, 100).await.unwrap(), b"", "and again");
        }
    }

    #[tokio::test]
    async fn what_a_full_socket_did_not_take_is_sent_when_there_is_room() {
        for (ours, theirs) in pairs().await {
            let ((_read, mut write), (mut taker, _)) = (ours.split(), theirs.split());
            let all: Vec<u8> = (0..8 << 20).map(|n| (n % 251) as u8).collect();
            let sending = async {
                write.write_all(&all).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let taking = async {
                let mut taken = Vec::new();
                loop {
                    let piece = receive(&mut taker, 100_000).await.unwrap();
                    if piece.is_empty() {
                        return taken;
                    }
                    taken.extend(piece);
                }
            };
            let ((), taken) = tokio::join!(sending, taking);
            assert!(taken == all);
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        for (ours, theirs) in pairs().await {
            let (_read, mut write) = ours.split();
            drop(theirs);
            let failed = loop {
                // What the kernel takes before it hears of the end is no error yet.
                if let Err(error) = write.write_all(b"into nothing").await {
                    break error.kind();
                }
                tokio::task::yield_now().await;
            };
            assert!(matches!(failed, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{failed:?}");
        }
    }

    #[tokio::test]
    async fn readiness_that_was_none_is_waited_for_again() {
        for (ours, theirs) in pairs().await {
            let ((mut read, _write), (_, mut sender)) = (ours.split(), theirs.split());
            sender.write_all(b"a").await.unwrap();
            poll_fn(|cx| read.poll_readable(cx)).await.unwrap();
            // Somebody else has taken it meanwhile, so the report was of nothing.
            assert_eq!(take_behind_its_back(&read), 1);
            let mut buf = Vec::with_capacity(10);
            assert!(read.recv_now(&mut buf).is_none());
            assert!(is_waiting(&mut read).await);
            sender.write_all(b"b").await.unwrap();
            assert_eq!(receive(&mut read, 10).await.unwrap(), b"b");
        }
    }

    /// Reads by the descriptor, of which the reactor hears nothing.
    fn take_behind_its_back(half: &ReadHalf) -> usize {
        let mut buf = [0; 10];
        let taken = match half {
            ReadHalf::Tcp(half) => rustix::io::read(half.as_ref(), &mut buf),
            ReadHalf::Unix(half) => rustix::io::read(half.as_ref(), &mut buf),
            ReadHalf::Tls(_) => unreachable!("of the pairs none is TLS"),
        };
        taken.unwrap()
    }
}
