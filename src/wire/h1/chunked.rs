//! The chunked transfer coding (RFC 9112 section 7.1), read strictly.
//!
//! ```text
//!   Size --CR LF--> Data --all read--> DataEnd --CR LF--> Size
//!     |                                                     (advance, in this order)
//!     '-- size 0 --CR LF--> Trailers --empty line--> Done
//! ```

use crate::wire::Fields;

use super::{HeadError, Limits};

/// The longest chunk-size line, extensions included; extensions are read over and dropped.
const LONGEST_SIZE_LINE: usize = 256;
/// How much framing a body may have beyond what its chunks explain: 16 bytes each, and two for each byte of data.
const MOST_EXCESS: u64 = 16 * 1024;
/// The most trailer fields.
const MOST_TRAILERS: usize = 64;

/// How far a chunked body has been read.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    state: State,
    trailer_bytes: usize,
    /// Bytes of framing so far that are not explained. Extensions are dropped, so a body of them alone is work for nothing
    /// (CVE-2023-39326).
    excess: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: more bytes are needed behind those there.
    More,
    /// So many bytes are framing: drop them and go on.
    Skip(usize),
    /// So many bytes are data.
    Data(usize),
    /// So many bytes are the trailer section, its empty line included; the body is over.
    End(usize),
}

impl Chunked {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { state: State::Size, trailer_bytes: limits.head_bytes, excess: 0 }
    }

    /// Looks at the unread bytes.
    pub(super) fn step(&mut self, buf: &[u8]) -> Result<Step, HeadError> {
        match self.state {
            State::Size => self.size_line(buf),
            State::Data(left) => {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                if n == 0 {
                    return Ok(Step::More);
                }
                let left = left - n as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                Ok(Step::Data(n))
            }
            State::DataEnd => match buf {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::More),
                _ => Err(HeadError::CHUNK),
            },
            State::Trailers => self.trailer_section(buf),
            State::Done => Ok(Step::End(0)),
        }
    }

    /// Whether bytes that stand in the buffer already break the framing; reads nothing.
    pub(super) fn check_ahead(&self, mut buf: &[u8]) -> Result<(), HeadError> {
        let mut ahead = self.clone();
        loop {
            match ahead.step(buf)? {
                Step::More => return Ok(()),
                Step::Skip(n) | Step::Data(n) => buf = &buf[n..],
                Step::End(n) => return read_trailers(&buf[..n]).map(|_| ()),
            }
        }
    }

    fn size_line(&mut self, buf: &[u8]) -> Result<Step, HeadError> {
        let digits = buf.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > 16 || (digits == 0 && !buf.is_empty()) {
            return Err(HeadError::CHUNK);
        }
        // An extension begins with `;` at once: white space before it is allowed by the grammar, sent by nobody,
        // and read differently by many.
        match &buf[digits..] {
            [] => return Ok(Step::More),
            [b';' | b'\r', ..] => {}
            _ => return Err(HeadError::CHUNK),
        }
        let Some(lf) = memchr::memchr(b'\n', buf) else {
            let odd_cr = memchr::memchr(b'\r', buf).is_some_and(|cr| cr + 1 != buf.len());
            return if odd_cr || buf.len() > LONGEST_SIZE_LINE { Err(HeadError::CHUNK) } else { Ok(Step::More) };
        };
        let extensions = &buf[digits..lf.saturating_sub(1)];
        if buf[lf - 1] != b'\r' || lf > LONGEST_SIZE_LINE || !are_extensions(extensions) {
            return Err(HeadError::CHUNK);
        }
        let text = std::str::from_utf8(&buf[..digits]).map_err(|_| HeadError::CHUNK)?;
        let size = u64::from_str_radix(text, 16).map_err(|_| HeadError::CHUNK)?;
        self.excess = (self.excess + lf as u64).saturating_sub(size.saturating_mul(2).saturating_add(16));
        if self.excess > MOST_EXCESS {
            return Err(HeadError::CHUNK);
        }
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        Ok(Step::Skip(lf + 1))
    }

    fn trailer_section(&mut self, buf: &[u8]) -> Result<Step, HeadError> {
        let end = match buf {
            [] | [b'\r'] => return Ok(Step::More),
            [b'\r', b'\n', ..] => 2,
            _ => match memchr::memmem::find(buf, b"\r\n\r\n") {
                Some(at) if at <= self.trailer_bytes => at + 4,
                None if buf.len() < self.trailer_bytes + 4 => return Ok(Step::More),
                _ => return Err(HeadError::CHUNK),
            },
        };
        self.state = State::Done;
        Ok(Step::End(end))
    }
}

/// Whether bytes are `*( ";" BWS name [ BWS "=" BWS value ] )` (RFC 9112 section 7.1.1). Nobody needs extensions, but whoever stands
/// before us may have read them: what is not of the grammar is where readers differ (`5;` and a line end, a quote left open).
fn are_extensions(mut bytes: &[u8]) -> bool {
    while let [b';', rest @ ..] = bytes {
        let Some(rest) = past_token(past_blanks(rest)) else { return false };
        bytes = match past_blanks(rest) {
            [b'=', value @ ..] => match past_value(past_blanks(value)) {
                Some(rest) => past_blanks(rest),
                None => return false,
            },
            rest => rest,
        };
    }
    bytes.is_empty()
}

fn past_value(bytes: &[u8]) -> Option<&[u8]> {
    let [b'"', text @ ..] = bytes else { return past_token(bytes) };
    let mut at = 0;
    loop {
        at += match text.get(at..)? {
            [b'"', rest @ ..] => return Some(rest),
            // A quoted pair.
            [b'\\', b'\t' | b' '..=b'~' | 0x80.., ..] => 2,
            [b'\t' | b' '..=b'~' | 0x80.., ..] => 1,
            _ => return None,
        };
    }
}

fn past_blanks(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &bytes[length..]
}

fn past_token(bytes: &[u8]) -> Option<&[u8]> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let length = bytes.iter().take_while(|b| is_part(b)).count();
    (length > 0).then(|| &bytes[length..])
}

/// Reads a trailer section; `None` where it is empty.
pub(super) fn read_trailers(raw: &[u8]) -> Result<Option<Fields>, HeadError> {
    if raw.len() <= 2 {
        return Ok(None);
    }
    let bare = memchr::memchr_iter(b'\n', raw).any(|lf| lf == 0 || raw[lf - 1] != b'\r');
    let mut room = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    match httparse::parse_headers(raw, &mut room) {
        Ok(httparse::Status::Complete((_, lines))) if !bare => {
            let mut fields = Fields::default();
            lines.iter().for_each(|line| fields.push(line.name.as_bytes(), line.value));
            Ok(Some(fields))
        }
        _ => Err(HeadError::CHUNK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 100, fields: 8, uri_bytes: 100 };

    /// Reads a whole body given in pieces of `piece` bytes: its data and how many bytes it took.
    fn read(raw: &[u8], piece: usize) -> Result<(Vec<u8>, usize), HeadError> {
        let (mut chunked, mut data) = (Chunked::new(&LIMITS), Vec::new());
        let (mut at, mut end) = (0, 0);
        loop {
            match chunked.step(&raw[at..end])? {
                Step::More if end == raw.len() => return Ok((data, usize::MAX)),
                Step::More => end = (end + piece).min(raw.len()),
                Step::Skip(n) => at += n,
                Step::Data(n) => {
                    data.extend_from_slice(&raw[at..at + n]);
                    at += n;
                }
                Step::End(n) => {
                    read_trailers(&raw[at..at + n])?;
                    return Ok((data, at + n));
                }
            }
        }
    }

    fn check(raw: &str, expected: Result<(&str, usize), HeadError>) {
        let expected = expected.map(|(data, n)| (data.as_bytes().to_vec(), n));
        for piece in [1, 2, 7, 1000] {
            assert_eq!(read(raw.as_bytes(), piece), expected, "{raw:?} in pieces of {piece}");
        }
        let ahead = Chunked::new(&LIMITS).check_ahead(raw.as_bytes());
        assert_eq!(ahead.is_err(), expected.is_err(), "ahead: {raw:?}");
    }

    #[test]
    fn data_is_found_however_it_is_cut() {
        check("5\r\nhello\r\n0\r\n\r\nGET", Ok(("hello", 15)));
        check("5;ext=\"a b\"\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n", Ok(("hello!", 37)));
        check("1; a ; b = c;d=\"\\\";\"\t\r\n!\r\n0;e\r\n\r\n", Ok(("!", 33)));
        check("00005\r\nhello\r\n0\r\n\r\n", Ok(("hello", 19)));
        check("5\r\nhel", Ok(("hel", usize::MAX)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for raw in [
            "x\r\n",
            "-1\r\n",
            "+5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n",
            "5;a\0\r\nhello\r\n",
            "5;\r\nhello\r\n",
            "5;;a\r\nhello\r\n",
            "5;a=\r\nhello\r\n",
            "5;=b\r\nhello\r\n",
            "5;a=\"b\r\nhello\r\n",
            "5;a=\"b\\\"\r\nhello\r\n",
            "5;a=\"b\"c\r\nhello\r\n",
            "5;a[\r\nhello\r\n",
            "5;a b\r\nhello\r\n",
            "5;\u{c}a\r\nhello\r\n",
            "5;a\r\r\nhello\r\n",
            "5a b\r\nhello\r\n",
            "ffffffffffffffff1\r\n",
            "\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n b\r\n\r\n",
            "0\r\nA: b\nC: d\r\n\r\n",
        ] {
            check(raw, Err(HeadError::CHUNK));
        }
    }

    #[test]
    fn bodies_that_are_mostly_extensions_are_refused() {
        let chunk = format!("1;{}\r\nx\r\n", "a".repeat(200));
        let body = |count: usize| format!("{}0\r\n\r\n", chunk.repeat(count));
        let data = "x".repeat(80);
        check(&body(80), Ok((&data, body(80).len())));
        check(&body(100), Err(HeadError::CHUNK));
        let fair = format!("64;{}\r\n{}\r\n", "a".repeat(200), "x".repeat(100)).repeat(1000);
        check(&format!("{fair}0\r\n\r\n"), Ok((&"x".repeat(100_000), fair.len() + 5)));
        let tiny = "1\r\nx\r\n".repeat(50_000);
        check(&format!("{tiny}0\r\n\r\n"), Ok((&"x".repeat(50_000), tiny.len() + 5)));
    }

    #[test]
    fn long_extensions_and_trailers_are_refused() {
        check(&format!("5;{}\r\nhello\r\n", "a".repeat(300)), Err(HeadError::CHUNK));
        check(&format!("0\r\nA: {}", "a".repeat(300)), Err(HeadError::CHUNK));
        check(&format!("0\r\nA: {}\r\n\r\n", "a".repeat(300)), Err(HeadError::CHUNK));
    }
}
