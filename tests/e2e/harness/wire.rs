//! HTTP/1.1 as bytes: a strict reader that both ends of the tests share.
//!
//! It has no relation to the proxy's own codec on purpose: a mistake in one must not hide in the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// A message head as it stood on the wire, names in the case they had.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The one value of a field; fails the test when it is repeated.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() < 2, "{name} stands {} times: {self:?}", all.len());
        all.pop()
    }

    /// Every value of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let same = |field: &&(String, Vec<u8>)| field.0.eq_ignore_ascii_case(name);
        let text = |field: &(String, Vec<u8>)| String::from_utf8_lossy(&field.1).into_owned();
        self.fields.iter().filter(same).map(text).collect()
    }

    /// The field name in the case it was sent in.
    pub(crate) fn spelling(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|f| f.0.eq_ignore_ascii_case(name))?;
        Some(&found.0)
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().expect("split yields one part")
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).expect("a request line")
    }

    pub(crate) fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1).expect("a status line");
        code.parse().expect("a status code is a number")
    }

    fn parse(raw: &[u8]) -> io::Result<Self> {
        let lines = raw.strip_suffix(b"\n").expect("a head ends in a line end");
        let mut lines = lines
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").ok_or_else(|| bad("a line ends in a bare LF")));
        let start = lines.next().ok_or_else(|| bad("no start line"))??;
        let start = String::from_utf8(start.to_vec()).map_err(|_| bad("start line is no text"))?;
        let mut fields = Vec::new();
        for line in lines {
            let line = line?;
            let colon = line.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or_else(|| bad("a field without a colon"))?;
            let name = String::from_utf8(line[..colon].to_vec()).map_err(|_| bad("field name"))?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(bad("a field name with white space"));
            }
            fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Self { start, fields })
    }
}

/// How long a body is, by the head that stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    pub(crate) fn of_request(head: &Head) -> Self {
        Self::of(head).unwrap_or(Self::Length(0))
    }

    pub(crate) fn of_response(head: &Head, method: &str) -> Self {
        let bodiless = matches!(head.status(), 100..=199 | 204 | 304);
        match Self::of(head) {
            _ if bodiless || method == "HEAD" => Self::Length(0),
            Some(framing) => framing,
            None => Self::UntilClose,
        }
    }

    fn of(head: &Head) -> Option<Self> {
        if let Some(coding) = head.get("transfer-encoding") {
            assert_eq!(coding.to_ascii_lowercase(), "chunked", "{head:?}");
            assert_eq!(head.get("content-length"), None, "both framings: {head:?}");
            return Some(Self::Chunked);
        }
        let length = head.get("content-length")?;
        Some(Self::Length(length.parse().expect("a plain length")))
    }
}

/// Trailer fields, as sent.
pub(crate) type Trailers = Vec<(String, Vec<u8>)>;

/// One connection with what was read from it and not yet taken.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket takes options");
        let wire = Self { stream, buffer: Vec::new() };
        wire.set_patience(PATIENCE);
        wire
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        let stream = &self.stream;
        stream.set_read_timeout(Some(patience)).expect("a time-out over zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out over zero");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// From now on sending fails once the peer takes nothing for so long.
    pub(crate) fn set_patience_to_send(&self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).expect("a time-out above zero");
    }

    /// Ends our direction only.
    pub(crate) fn finish(&self) {
        // The peer may be gone already; then there is nothing left to end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once, for all clones of the socket.
    pub(crate) fn hang_up(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(super) fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// Waits for `count` bytes and takes them.
    pub(crate) fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// The next head, or `None` where the peer ended the connection instead of beginning one.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let raw: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Head::parse(&raw[..end + 2]).map(Some);
            }
            if self.fill()? == 0 {
                let clean = self.buffer.is_empty();
                return if clean { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads a body, giving each piece to `sink`, so that a large one need not be kept.
    pub(crate) fn body(&mut self, framing: Framing, sink: &mut dyn FnMut(&[u8])) -> io::Result<Trailers> {
        match framing {
            Framing::Length(length) => self.pour(length, sink).map(|()| Vec::new()),
            Framing::Chunked => self.chunks(sink),
            Framing::UntilClose => {
                sink(&self.buffer);
                self.buffer.clear();
                while self.fill()? > 0 {
                    sink(&self.buffer);
                    self.buffer.clear();
                }
                Ok(Vec::new())
            }
        }
    }

    fn pour(&mut self, mut left: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let whole = u64::try_from(self.buffer.len()).expect("usize fits in u64");
            let count = usize::try_from(left.min(whole)).expect("no more than the buffer");
            sink(&self.buffer[..count]);
            self.buffer.drain(..count);
            left -= u64::try_from(count).expect("usize fits in u64");
        }
        Ok(())
    }

    fn chunks(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<Trailers> {
        loop {
            let line = self.line()?;
            let size = line.split(';').next().expect("split yields one part");
            let size = u64::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            if size == 0 {
                break;
            }
            self.pour(size, sink)?;
            if self.take(2)? != b"\r\n" {
                return Err(bad("no CRLF behind a chunk"));
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(trailers);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("trailer field"))?;
            trailers.push((name.to_owned(), value.trim().as_bytes().to_vec()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| bad("line is no text"));
            }
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Everything up to the end of the connection; a reset counts as an end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if timed_out(&error) => {
                    panic!("the peer keeps the connection open: {:?}", self.buffer)
                }
                Err(_) => break,
            }
        }
        std::mem::take(&mut self.buffer)
    }
}

/// Whether a read gave up waiting, in either of the two words systems have for it.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
