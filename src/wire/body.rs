//! Bodies of either protocol behind one face, and the pump between two of them.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use super::{Fields, h1, h2};
use bytes::Bytes;

/// A piece of a body.
pub enum Part<'b> {
    /// Data that lies in a connection's buffer until the next call.
    Data(&'b [u8]),
    /// Data with an owner of its own, as HTTP/2 gives it.
    Owned(Bytes),
    /// The trailer section; nothing follows.
    Trailers(Fields),
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The connection or stream ended before the body did.
    #[error("the body ended early")]
    Incomplete,
    /// The framing is broken.
    #[error("the framing is broken: {0}")]
    Framing(#[source] h1::HeadError),
    /// The HTTP/2 stream failed.
    #[error("the stream failed")]
    Stream(#[source] ::h2::Error),
}

/// Reads a body.
pub enum BodyReader<'c> {
    /// Off an HTTP/1 connection.
    H1(h1::BodyReader<'c>),
    /// Off an HTTP/2 stream.
    H2(h2::BodyReader),
}

impl BodyReader<'_> {
    /// The next part; `None` is the end.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, BodyError> {
        match self {
            Self::H1(body) => body.next().await,
            Self::H2(body) => body.next().await,
        }
    }

    /// Whether the whole body was given out.
    pub fn is_done(&self) -> bool {
        match self {
            Self::H1(body) => body.is_done(),
            Self::H2(body) => body.is_done(),
        }
    }

    /// The length still to come, where the head gave it.
    pub fn known_length(&self) -> Option<u64> {
        match self {
            Self::H1(body) => body.known_length(),
            Self::H2(body) => body.known_length(),
        }
    }

    /// After the body: ready when an HTTP/1 peer has gone away. An HTTP/2 peer's going shows on the sending side.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::H1(body) => body.poll_gone(cx),
            Self::H2(body) => {
                // The stream may go on for long without it.
                body.settle();
                Poll::Pending
            }
        }
    }
}

/// Writes a body.
pub enum BodyWriter<'c> {
    /// Onto an HTTP/1 connection.
    H1(h1::BodyWriter<'c>),
    /// Onto an HTTP/2 stream.
    H2(h2::BodyWriter),
}

impl BodyWriter<'_> {
    /// Writes one part; returns how many bytes of it the source may let its peer send again.
    pub async fn part(&mut self, part: Part<'_>) -> io::Result<u64> {
        match (self, part) {
            (Self::H1(body), Part::Data(data)) => body.data(data).await.map(|()| data.len() as u64),
            (Self::H1(body), Part::Owned(data)) => body.data(&data).await.map(|()| data.len() as u64),
            (Self::H1(body), Part::Trailers(fields)) => body.end(Some(&fields)).await.map(|()| 0),
            (Self::H2(body), Part::Data(data)) => body.copied(data).await.map(|()| data.len() as u64),
            (Self::H2(body), Part::Owned(data)) => {
                let length = data.len() as u64;
                body.data(data).await.map(|()| length)
            }
            (Self::H2(body), Part::Trailers(fields)) => body.end(Some(&fields)).map(|()| 0),
        }
    }

    /// Writes some data.
    pub async fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.part(Part::Data(data)).await.map(|_| ())
    }

    /// So many bytes are the last: HTTP/2 can say so with them.
    pub fn ends_after(&mut self, bytes: u64) {
        if let Self::H2(body) = self {
            body.ends_after(bytes);
        }
    }

    /// Sends what was gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::H1(body) => body.flush().await,
            Self::H2(_) => Ok(()),
        }
    }

    /// Ends the body without trailers and sends everything.
    pub async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::H1(body) => body.end(None).await,
            Self::H2(body) => body.end(None),
        }
    }

    /// Breaks the body off, so that the peer cannot take it for whole: what was gathered of it is sent, and then an
    /// HTTP/2 stream is reset; an HTTP/1 connection is closed by its owner.
    pub async fn abort(&mut self) {
        match self {
            Self::H1(body) => body.abort().await,
            Self::H2(body) => body.reset(::h2::Reason::INTERNAL_ERROR),
        }
    }

    /// Ready when an HTTP/2 peer has reset the stream.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::H1(_) => Poll::Pending,
            Self::H2(body) => body.poll_reset(cx),
        }
    }
}

/// Which side of a pump broke.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// The side that is read.
    #[error("reading the body failed")]
    Source(#[source] BodyError),
    /// The side that is written.
    #[error("writing the body failed")]
    Sink(#[source] io::Error),
}

/// Bytes that a receiver has to take within the time that it is waited for.
pub const PIECE: usize = 64 * 1024;

/// Moves a body from one side to the other with back-pressure: nothing is read before the last part was taken, and
/// nothing is held back while the source has nothing more. `moved` is told of each part before it goes on, may change
/// trailers, and is told when the source is waited for: so whoever keeps time knows which side is slow.
pub async fn pump(
    source: &mut BodyReader<'_>,
    sink: &mut BodyWriter<'_>,
    mut moved: impl FnMut(Moved<'_>),
) -> Result<(), PumpError> {
    loop {
        let taken = match next_part(source, sink, &mut moved).await? {
            None => {
                moved(Moved::End);
                return sink.end().await.map_err(PumpError::Sink);
            }
            Some(Part::Trailers(mut fields)) => {
                moved(Moved::Trailers(&mut fields));
                return sink.part(Part::Trailers(fields)).await.map(|_| ()).map_err(PumpError::Sink);
            }
            Some(Part::Data(data)) => {
                // However much was read at once, whoever takes it shows after each piece that he goes on.
                for piece in data.chunks(PIECE) {
                    moved(Moved::Data(piece));
                    sink.part(Part::Data(piece)).await.map_err(PumpError::Sink)?;
                }
                0
            }
            Some(Part::Owned(data)) => {
                moved(Moved::Data(&data));
                if source.is_done() {
                    sink.ends_after(data.len() as u64);
                }
                sink.part(Part::Owned(data)).await.map_err(PumpError::Sink)?
            }
        };
        if let BodyReader::H2(body) = source {
            body.release(taken);
        }
    }
}

/// Moves what is left of a body into what the writer gathers, where it is at hand as a whole and small: then only the end is
/// to be written. Says how many bytes it was; `None` where nothing was moved.
pub fn gather_whole(source: &mut BodyReader<'_>, sink: &mut BodyWriter<'_>) -> Option<u64> {
    match (source, sink) {
        (BodyReader::H1(source), BodyWriter::H1(sink)) => {
            let length = sink.gather_rest(source.rest_at_hand()?)?;
            source.end();
            Some(length)
        }
        _ => None,
    }
}

/// The next part; while there is none, what was gathered is sent and the receiver is watched.
pub async fn next_part<'s>(
    source: &'s mut BodyReader<'_>,
    sink: &mut BodyWriter<'_>,
    moved: &mut impl FnMut(Moved<'_>),
) -> Result<Option<Part<'s>>, PumpError> {
    let mut next = pin!(source.next());
    if let Poll::Ready(part) = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await {
        return part.map_err(PumpError::Source);
    }
    sink.flush().await.map_err(PumpError::Sink)?;
    moved(Moved::Dry);
    poll_fn(|cx| {
        if sink.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(PumpError::Sink(io::ErrorKind::ConnectionReset.into())));
        }
        next.as_mut().poll(cx).map_err(PumpError::Source)
    })
    .await
}

/// What a pump has in hand.
pub enum Moved<'p> {
    /// Data on its way.
    Data(&'p [u8]),
    /// Trailers on their way.
    Trailers(&'p mut Fields),
    /// Nothing more for now: all there was has been passed on, and the source is waited for.
    Dry,
    /// The end, on its way without trailers.
    End,
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;
    use crate::wire::Socket;
    use crate::wire::h1::{self, Framing};

    #[tokio::test]
    async fn whoever_takes_a_large_body_shows_after_each_piece_that_he_goes_on() {
        const LENGTH: usize = 1 << 20;
        let limits = h1::Limits { head_bytes: 1000, fields: 8, uri_bytes: 100 };
        let ((mut client, near), (far, mut service)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let mut from = h1::Connection::new(Socket::Unix(near));
        let mut to = h1::Connection::new(Socket::Unix(far));
        let framing = Framing::Length(LENGTH as u64);
        let mut source = BodyReader::H1(h1::BodyReader::new(&mut from.input, framing, &limits).unwrap());
        let mut sink = BodyWriter::H1(h1::BodyWriter::new(&mut to.output, framing));
        let mut pieces = Vec::new();
        let moving = pump(&mut source, &mut sink, |moved| {
            if let Moved::Data(piece) = moved {
                pieces.push(piece.len());
            }
        });
        let sent = vec![7; LENGTH];
        let mut taken = vec![0; LENGTH];
        let (moved, sending, taking) = tokio::join!(moving, client.write_all(&sent), service.read_exact(&mut taken));
        moved.unwrap();
        sending.unwrap();
        taking.unwrap();
        assert!(taken == sent);
        assert_eq!(pieces.iter().sum::<usize>(), LENGTH);
        assert!(pieces.iter().all(|piece| *piece <= PIECE), "{pieces:?}");
    }
}
