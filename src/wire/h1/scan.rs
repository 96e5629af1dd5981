//! Finding the end of a head, line by line, refusing what no line may hold.
//!
//! Each byte is looked at once however slowly a head arrives, so a sender of single bytes cannot make the proxy read
//! the same kilobytes again and again.

use super::parse::{LINE_BESIDE_URI, parse_request, parse_response, request_at_once, response_at_once};
use super::{HeadError, Limits};
use crate::wire::{RequestHead, ResponseHead};

/// How far a head has been looked at.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadScan {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl HeadScan {
    /// Whether nothing has been looked at.
    pub fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Looks at what is new in `buf`, and reads the head of a request where it is there as a whole; says where it ends. Most
    /// heads come in one piece, and are read in one pass.
    pub fn request(&mut self, buf: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<Option<usize>, HeadError> {
        if self.is_fresh()
            && let Some(end) = request_at_once(buf, limits, head)
        {
            return Ok(Some(end));
        }
        let Some(end) = self.advance(buf, limits)? else { return Ok(None) };
        parse_request(&buf[..end], limits, head).map(|()| Some(end))
    }

    /// As [`HeadScan::request`], of a response.
    pub fn response(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        head: &mut ResponseHead,
    ) -> Result<Option<usize>, HeadError> {
        if self.is_fresh()
            && let Some(end) = response_at_once(buf, limits, head)
        {
            return Ok(Some(end));
        }
        let Some(end) = self.advance(buf, limits)? else { return Ok(None) };
        parse_response(&buf[..end], limits, head).map(|()| Some(end))
    }

    /// Looks at what is new in `buf`, which starts with the start line. `Some(n)`: the head is the first `n` bytes,
    /// the empty line included. Every line ends in CR LF (RFC 9112 section 2.2 allows a bare LF; it is refused here).
    pub fn advance(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        for at in memchr::memchr_iter(b'\n', &buf[self.scanned..]) {
            let lf = self.scanned + at;
            if lf == 0 || buf[lf - 1] != b'\r' || lf == self.line_start {
                return Err(HeadError::BARE_LF);
            }
            let line = lf - 1 - self.line_start;
            if lf >= limits.head_bytes {
                return Err(HeadError::HEAD_TOO_LARGE);
            }
            if line == 0 {
                return Ok(Some(lf + 1));
            }
            limits.check_line(self.lines, line)?;
            self.lines += 1;
            self.line_start = lf + 1;
            if self.lines > limits.fields + 1 {
                return Err(HeadError::TOO_MANY_FIELDS);
            }
        }
        self.scanned = buf.len();
        limits.check_line(self.lines, buf.len().saturating_sub(self.line_start))?;
        if buf.len() > limits.head_bytes {
            return Err(HeadError::HEAD_TOO_LARGE);
        }
        Ok(None)
    }
}

impl Limits {
    fn check_line(&self, line: usize, length: usize) -> Result<(), HeadError> {
        if line == 0 && length > self.uri_bytes + LINE_BESIDE_URI { Err(HeadError::URI_TOO_LONG) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 200, fields: 3, uri_bytes: 20 };

    fn check(bytes: &[u8], expected: Result<Option<usize>, HeadError>) {
        let whole = HeadScan::default().advance(bytes, &LIMITS);
        assert_eq!(whole, expected, "{:?}", String::from_utf8_lossy(bytes));
        let mut scan = HeadScan::default();
        let mut last = Ok(None);
        for end in 1..=bytes.len() {
            last = scan.advance(&bytes[..end], &LIMITS);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(last, expected, "byte by byte: {:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        check(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", Ok(Some(27)));
        check(b"GET / HTTP/1.1\r\nhost: a\r\n", Ok(None));
    }

    #[test]
    fn a_bare_lf_is_refused_wherever_it_stands() {
        check(b"GET / HTTP/1.1\nhost: a\r\n\r\n", Err(HeadError::BARE_LF));
        check(b"GET / HTTP/1.1\r\nhost: a\n\r\n", Err(HeadError::BARE_LF));
        check(b"GET / HTTP/1.1\r\nhost: a\r\n\n", Err(HeadError::BARE_LF));
        check(b"\n", Err(HeadError::BARE_LF));
    }

    #[test]
    fn limits_hold_before_the_head_is_whole() {
        check(b"a: b\r\na: b\r\na: b\r\na: b\r\na: b\r\n", Err(HeadError::TOO_MANY_FIELDS));
        let long = [b"GET /".as_slice(), &[b'a'; 100]].concat();
        check(&long, Err(HeadError::URI_TOO_LONG));
        let large = [b"GET / HTTP/1.1\r\na: ".as_slice(), &[b'a'; 300]].concat();
        check(&large, Err(HeadError::HEAD_TOO_LARGE));
        let whole = [&large, b"\r\n\r\n".as_slice()].concat();
        assert_eq!(HeadScan::default().advance(&whole, &LIMITS), Err(HeadError::HEAD_TOO_LARGE));
    }
}
