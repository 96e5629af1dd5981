//! Bodies over an HTTP/1 connection.

use std::io;
use std::task::{Context, Poll};

use super::chunked::{Chunked, Step, read_trailers};
use super::{Framing, HeadError, Limits};
use crate::wire::body::{BodyError, Part};
use crate::wire::fields::FieldSink;
use crate::wire::{Fields, Input, Output};

/// Reads one body off a connection, never a byte further.
pub struct BodyReader<'c> {
    input: &'c mut Input,
    left: Left,
    /// Bytes of the last part given out, taken off the buffer at the next call.
    given: usize,
}

enum Left {
    Nothing,
    Length(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

impl<'c> BodyReader<'c> {
    /// The body behind a head that was just consumed. Bytes that came with the head and break the framing are an
    /// error here, before anything is done with the request.
    pub fn new(input: &'c mut Input, framing: Framing, limits: &Limits) -> Result<Self, HeadError> {
        let left = match framing {
            Framing::Empty => Left::Nothing,
            Framing::Length(n) => Left::Length(n),
            Framing::UntilClose => Left::UntilClose,
            Framing::Chunked => {
                let chunked = Chunked::new(limits);
                chunked.check_ahead(&input.buf)?;
                Left::Chunked(Box::new(chunked))
            }
        };
        Ok(Self { input, left, given: 0 })
    }

    /// Whether the whole body was given out.
    pub fn is_done(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    /// The length still to come, where the head gave it.
    pub fn known_length(&self) -> Option<u64> {
        match self.left {
            Left::Nothing => Some(0),
            Left::Length(n) => Some(n),
            _ => None,
        }
    }

    /// The next part; `None` is the end.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, BodyError> {
        self.input.consume(std::mem::take(&mut self.given));
        let data = loop {
            let buffered = self.input.buf.len();
            match &mut self.left {
                Left::Nothing => return Ok(None),
                Left::Length(left) if buffered > 0 => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(buffered);
                    *left -= n as u64;
                    if *left == 0 {
                        self.left = Left::Nothing;
                    }
                    break n;
                }
                Left::UntilClose if buffered > 0 => break buffered,
                Left::Chunked(chunked) => match chunked.step(&self.input.buf).map_err(BodyError::Framing)? {
                    Step::Data(n) => break n,
                    Step::Skip(n) => {
                        self.input.consume(n);
                        continue;
                    }
                    Step::End(n) => {
                        let trailers = read_trailers(&self.input.buf[..n]).map_err(BodyError::Framing)?;
                        self.input.consume(n);
                        self.left = Left::Nothing;
                        return Ok(trailers.map(Part::Trailers));
                    }
                    Step::More => {}
                },
                _ => {}
            }
            if self.input.fill().await.map_err(BodyError::Io)? == 0 {
                return match self.left {
                    Left::UntilClose => {
                        self.left = Left::Nothing;
                        Ok(None)
                    }
                    _ => Err(BodyError::Incomplete),
                };
            }
        };
        self.given = data;
        Ok(Some(Part::Data(&self.input.buf[..data])))
    }

    /// What is left of a body whose length is known, where all of it is at hand.
    pub(in crate::wire) fn rest_at_hand(&mut self) -> Option<&[u8]> {
        self.input.consume(std::mem::take(&mut self.given));
        let length = usize::try_from(self.known_length()?).ok()?;
        self.input.buf.get(..length)
    }

    /// Takes what is left of a body whose length is known; all of it must be at hand.
    pub(in crate::wire) fn end(&mut self) {
        if let Left::Length(length) = std::mem::replace(&mut self.left, Left::Nothing) {
            self.input.consume(usize::try_from(length).expect("it is at hand"));
        }
    }

    /// After the body: ready when the peer has gone away. Bytes that come meanwhile are the next request and stay.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.input.consume(std::mem::take(&mut self.given));
        while self.input.buf.len() < MOST_AHEAD {
            match self.input.poll_ahead(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(n)) if n > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        // So much pipelined ahead: whether the peer is there shows when its answers are written.
        Poll::Pending
    }

    /// The connection's input, for a tunnel behind an empty body.
    pub fn input(&mut self) -> &mut Input {
        self.input.consume(std::mem::take(&mut self.given));
        self.input
    }
}

impl Drop for BodyReader<'_> {
    /// What was given out is body whatever became of it: left in the buffer, it would be read as the next message.
    fn drop(&mut self) {
        self.input.consume(self.given);
    }
}

/// Bytes of later requests that are read while an earlier one is served.
const MOST_AHEAD: usize = 16 * 1024;

/// Writes one body onto a connection.
pub struct BodyWriter<'c> {
    output: &'c mut Output,
    framing: Framing,
}

impl<'c> BodyWriter<'c> {
    /// Behind a head that stands in `output`'s buffer.
    pub fn new(output: &'c mut Output, framing: Framing) -> Self {
        Self { output, framing }
    }

    /// Writes some data; small pieces may stay gathered until [`BodyWriter::flush`].
    pub async fn data(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.framing {
            Framing::UntilClose => self.output.write(chunk).await,
            Framing::Length(left) if *left >= chunk.len() as u64 => {
                *left -= chunk.len() as u64;
                self.output.write(chunk).await
            }
            Framing::Chunked => {
                write_size(self.output.buf(), chunk.len());
                self.output.write(chunk).await?;
                self.output.write(b"\r\n").await
            }
            _ if chunk.is_empty() => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more body than its length said")),
        }
    }

    /// Gathers what is left of the body, if this is all of it and there is room; says how many bytes it was. Otherwise nothing was
    /// done.
    pub(in crate::wire) fn gather_rest(&mut self, rest: &[u8]) -> Option<u64> {
        let length = rest.len() as u64;
        let is_all = match self.framing {
            Framing::Length(left) => left == length,
            Framing::Empty => length == 0,
            Framing::Chunked | Framing::UntilClose => false,
        };
        if !is_all || !self.output.has_room_for(rest.len()) {
            return None;
        }
        self.output.buf().extend_from_slice(rest);
        self.framing = Framing::Empty;
        Some(length)
    }

    /// Breaks the body off: what was gathered is sent. Where only the close tells the end, the connection is made to end
    /// in an error, so that the body cannot be taken for whole.
    pub async fn abort(&mut self) {
        // Whether the peer still takes it makes no difference any more.
        _ = self.output.flush().await;
        if self.framing == Framing::UntilClose {
            self.output.reset_on_close();
        }
    }

    /// Sends what was gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.output.flush().await
    }

    /// Ends the body and sends everything. Trailers go out only where chunks do.
    pub async fn end(&mut self, trailers: Option<&Fields>) -> io::Result<()> {
        match self.framing {
            Framing::Chunked => {
                let out = self.output.buf();
                out.extend_from_slice(b"0\r\n");
                for (_, name, value) in trailers.iter().flat_map(|fields| fields.iter()) {
                    out.field(name, value);
                }
                out.extend_from_slice(b"\r\n");
            }
            Framing::Length(left) if left > 0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "less body than its length said"));
            }
            _ => {}
        }
        self.framing = Framing::Empty;
        self.output.flush().await
    }

    /// The connection's output again, for a tunnel.
    pub fn into_output(self) -> &'c mut Output {
        self.output
    }
}

fn write_size(out: &mut Vec<u8>, size: usize) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = write!(out, "{size:x}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Socket;
    use crate::wire::h1::Connection;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const LIMITS: Limits = Limits { head_bytes: 1000, fields: 8, uri_bytes: 100 };

    async fn read_all(raw: &[u8], framing: Framing) -> Result<(Vec<u8>, Vec<u8>), BodyError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(raw).await.unwrap();
        drop(theirs);
        let mut connection = Connection::new(Socket::Unix(ours));
        let mut body = BodyReader::new(&mut connection.input, framing, &LIMITS).unwrap();
        let mut data = Vec::new();
        while let Some(part) = body.next().await? {
            if let Part::Data(chunk) = part {
                data.extend_from_slice(chunk);
            }
        }
        drop(body);
        connection.input.fill().await.unwrap();
        Ok((data, connection.input.buf.to_vec()))
    }

    #[tokio::test]
    async fn a_body_ends_where_its_framing_says() {
        let (data, rest) = read_all(b"helloGET /", Framing::Length(5)).await.unwrap();
        assert_eq!((&data[..], &rest[..]), (&b"hello"[..], &b"GET /"[..]));
        let (data, rest) = read_all(b"5\r\nhello\r\n0\r\n\r\nGET /", Framing::Chunked).await.unwrap();
        assert_eq!((&data[..], &rest[..]), (&b"hello"[..], &b"GET /"[..]));
        let (data, _) = read_all(b"hello", Framing::UntilClose).await.unwrap();
        assert_eq!(data, b"hello");
    }

    #[tokio::test]
    async fn a_part_that_nobody_passed_on_is_not_left_behind() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"helloGET /").await.unwrap();
        let mut connection = Connection::new(Socket::Unix(ours));
        let mut body = BodyReader::new(&mut connection.input, Framing::Length(5), &LIMITS).unwrap();
        assert!(matches!(body.next().await, Ok(Some(Part::Data(b"hello")))));
        assert!(body.is_done());
        drop(body);
        assert_eq!(&connection.input.buf[..], b"GET /");
    }

    #[tokio::test]
    async fn a_body_cut_short_is_an_error() {
        assert!(matches!(read_all(b"hel", Framing::Length(5)).await, Err(BodyError::Incomplete)));
        assert!(matches!(read_all(b"5\r\nhello\r\n0\r\n", Framing::Chunked).await, Err(BodyError::Incomplete)));
    }

    #[tokio::test]
    async fn a_small_body_that_is_at_hand_is_moved_at_once_and_others_are_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"helloGET /").await.unwrap();
        let mut from = Connection::new(Socket::Unix(ours));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut to = Connection::new(Socket::Unix(ours));
        from.input.fill().await.unwrap();
        let mut check = |framing, into, moved: Option<u64>| {
            let mut reader = crate::wire::BodyReader::H1(BodyReader::new(&mut from.input, framing, &LIMITS).unwrap());
            let mut writer = crate::wire::BodyWriter::H1(BodyWriter::new(&mut to.output, into));
            assert_eq!(crate::wire::gather_whole(&mut reader, &mut writer), moved, "{framing:?}");
            assert_eq!(reader.is_done(), moved.is_some());
        };
        check(Framing::Length(11), Framing::Length(11), None);
        check(Framing::UntilClose, Framing::Chunked, None);
        check(Framing::Length(5), Framing::Chunked, None);
        check(Framing::Empty, Framing::Empty, Some(0));
        check(Framing::Length(5), Framing::Length(5), Some(5));
        assert_eq!((&from.input.buf[..], &to.output.buf()[..]), (&b"GET /"[..], &b"hello"[..]));
    }

    #[tokio::test]
    async fn chunks_and_trailers_are_written_as_they_must_be() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(Socket::Unix(ours));
        let mut body = BodyWriter::new(&mut connection.output, Framing::Chunked);
        body.data(b"hello").await.unwrap();
        let mut trailers = Fields::default();
        trailers.push(b"grpc-status", b"0");
        body.end(Some(&trailers)).await.unwrap();
        drop(connection);
        let mut raw = String::new();
        theirs.read_to_string(&mut raw).await.unwrap();
        assert_eq!(raw, "5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n");
    }
}
