//! HTTP/1.1 over kept connections. Requests are bytes made beforehand; of answers the head is read by `httparse` and the
//! body counted.

use std::fmt::Write as _;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::socket::{Stream, connect};
use super::{Answer, LoadError, Prepared, Turn};
use crate::stage::Target;
use crate::visitors::{Lane, Visitor};

/// The longest head that is waited for, in bytes.
const HEAD: usize = 64 << 10;
/// How much of a large body is read or written at a time, in bytes.
const PIECE: usize = 256 << 10;

/// The bytes of a visitor's request.
pub fn request(visitor: &Visitor) -> Vec<u8> {
    let mut text = format!("GET {} HTTP/1.1\r\nhost: goods.shop\r\n", visitor.path);
    for (name, value) in &visitor.headers {
        write!(text, "{name}: {value}\r\n").expect("a text grows");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// A kept connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    filled: usize,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Connection").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// Where the target does not take it.
    pub async fn open(target: &Target) -> Result<Self, LoadError> {
        let stream = connect(target.address, target.tls.as_ref()).await?;
        // Most of ten thousand quiet connections never need more.
        Ok(Self { stream, buffer: vec![0; 2048], filled: 0 })
    }

    /// Sends one visitor and reads the answer.
    ///
    /// # Errors
    /// Where the answer is not what was asked for.
    pub async fn exchange(&mut self, prepared: &Prepared, at: usize) -> Result<Answer, LoadError> {
        self.stream.write_all(&prepared.http1[at]).await?;
        self.stream.flush().await?;
        let answer = self.answer().await?;
        match answer.body == prepared.body {
            true => Ok(answer),
            false => Err(LoadError::Length { got: answer.body, wanted: prepared.body }),
        }
    }

    /// Sends a body of zeros up and reads the answer.
    ///
    /// # Errors
    /// Where the answer is not what was asked for.
    pub async fn upload(&mut self, path: &str, length: u64) -> Result<Answer, LoadError> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: goods.shop\r\nx-user-id: user-1\r\ncontent-length: {length}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        let piece = vec![0; PIECE];
        let mut left = length;
        while left > 0 {
            let next = left.min(PIECE as u64);
            self.stream.write_all(&piece[..usize::try_from(next).expect("a piece fits")]).await?;
            left -= next;
        }
        self.stream.flush().await?;
        self.answer().await
    }

    /// Sends a request and reads the answer, whatever its length.
    ///
    /// # Errors
    /// Where the answer is not what was asked for.
    pub async fn download(&mut self, visitor: &Visitor) -> Result<Answer, LoadError> {
        self.stream.write_all(&request(visitor)).await?;
        self.stream.flush().await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer, LoadError> {
        let head = loop {
            if self.filled > 0
                && let Some(head) = Head::parse(&self.buffer[..self.filled])?
            {
                break head;
            }
            self.fill().await?;
        };
        if head.status != 200 {
            return Err(LoadError::Status(head.status));
        }
        let mut left = (head.length + head.body).saturating_sub(self.filled as u64);
        if head.length + head.body < self.filled as u64 {
            return Err(LoadError::Form("more bytes than the answer has"));
        }
        self.filled = 0;
        if left > self.buffer.len() as u64 && self.buffer.len() < PIECE {
            self.buffer.resize(PIECE, 0);
        }
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.stream.read(&mut self.buffer[..most]).await? {
                0 => return Err(LoadError::Form("the body ended early")),
                read => left -= read as u64,
            }
        }
        Ok(Answer { lane: head.lane, body: head.body })
    }

    async fn fill(&mut self) -> Result<(), LoadError> {
        if self.filled == self.buffer.len() {
            if self.filled >= HEAD {
                return Err(LoadError::Form("a head without end"));
            }
            self.buffer.resize(self.filled * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => Err(LoadError::Form("the connection was closed before an answer")),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

struct Head {
    length: u64,
    status: u16,
    body: u64,
    lane: Option<Lane>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, LoadError> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(bytes).map_err(|_| LoadError::Form("a head that cannot be read"))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let mut head = Self { length: length as u64, status: response.code.unwrap_or(0), body: 0, lane: None };
        let mut told = false;
        for field in response.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let number = std::str::from_utf8(field.value).ok().and_then(|text| text.parse().ok());
                head.body = number.ok_or(LoadError::Form("a content-length that is no number"))?;
                told = true;
            } else if field.name.eq_ignore_ascii_case("x-lane") {
                head.lane = lane(field.value);
            }
        }
        match told {
            true => Ok(Some(head)),
            false => Err(LoadError::Form("no content-length")),
        }
    }
}

/// The lane an origin says it is.
pub fn lane(value: &[u8]) -> Option<Lane> {
    [Lane::Stable, Lane::Gray].into_iter().find(|lane| lane.name().as_bytes() == value)
}

/// Works off requests of a turn until it ends. A connection that failed is replaced.
pub async fn work(mut connection: Connection, target: Rc<Target>, turn: Rc<Turn>) {
    while let Some(due) = turn.next().await {
        let at = turn.visitor();
        let answer = connection.exchange(turn.prepared(), at).await;
        let failed = answer.is_err();
        turn.count(due, at, answer);
        if failed {
            match Connection::open(&target).await {
                Ok(fresh) => connection = fresh,
                Err(problem) => {
                    turn.give_up(problem);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nX-Lane: gray\r\nContent-Length: 3\r\n\r\nabc";
        assert!(Head::parse(&text[..30]).unwrap().is_none());
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.length, head.status, head.body, head.lane), (52, 200, 3, Some(Lane::Gray)));
    }

    #[test]
    fn an_answer_without_length_is_no_answer() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_carries_all_of_the_visitor() {
        let headers = vec![("x-user-id".to_owned(), "u".to_owned()), ("x-region".to_owned(), "cn-hz".to_owned())];
        let visitor = Visitor { path: "/a".to_owned(), headers, lane: Lane::Stable };
        let text = String::from_utf8(request(&visitor)).unwrap();
        assert_eq!(text, "GET /a HTTP/1.1\r\nhost: goods.shop\r\nx-user-id: u\r\nx-region: cn-hz\r\n\r\n");
    }
}
