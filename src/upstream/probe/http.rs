//! A check by HTTP/1.1.

use super::{ProbeError, Question, USER_AGENT, passes};
use crate::wire::h1::{Connection, HeadScan, Limits, request_line};
use crate::wire::{FieldSink, ResponseHead, Socket};

/// What is read of an answer; its body is left where it is.
const LIMITS: Limits = Limits { head_bytes: 16 * 1024, fields: 64, uri_bytes: 0 };
/// Interim answers that are read over.
const MOST_INTERIM: usize = 8;

pub(super) async fn check(socket: Socket, path: &str, question: &Question) -> Result<(), ProbeError> {
    let Connection { mut input, mut output } = Connection::new(socket);
    let out = output.buf();
    request_line(out, "GET", path);
    out.field(b"host", question.authority.as_bytes());
    out.field(b"user-agent", USER_AGENT.as_bytes());
    out.field(b"connection", b"close");
    out.extend_from_slice(b"\r\n");
    output.flush().await?;
    let mut head = ResponseHead::default();
    for _ in 0..MOST_INTERIM {
        let mut scan = HeadScan::default();
        let end = loop {
            if let Some(end) = scan.response(&input.buf, &LIMITS, &mut head).map_err(|_| ProbeError::Malformed)? {
                break end;
            }
            if input.fill().await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        };
        input.consume(end);
        if head.status >= 200 {
            break;
        }
    }
    passes(head.status)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::upstream::Dialect;

    /// What a check says of an answer, and what it asked.
    async fn ask(answer: &'static [u8]) -> (Result<(), ProbeError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(answer).await.unwrap();
            String::from_utf8(seen).unwrap()
        };
        let question = Question {
            authority: "goods.test".into(),
            scheme: "http",
            dialect: Dialect::Http1,
            timeout: Duration::from_secs(5),
        };
        let checking = async {
            let socket = Socket::Tcp(TcpStream::connect(address).await.unwrap());
            check(socket, "/healthz?deep=1", &question).await
        };
        tokio::join!(checking, origin)
    }

    #[tokio::test]
    async fn a_check_asks_for_its_path_and_host() {
        let (result, seen) = ask(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(result.is_ok());
        assert!(seen.starts_with("GET /healthz?deep=1 HTTP/1.1\r\nhost: goods.test\r\n"), "{seen}");
        assert!(seen.contains("connection: close\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn only_a_success_passes() {
        let whole = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        assert!(ask(whole).await.0.is_ok(), "the body need not come");
        assert!(matches!(ask(b"HTTP/1.1 503 Busy\r\n\r\n").await.0, Err(ProbeError::Status(503))));
        assert!(matches!(ask(b"HTTP/1.1 302 Found\r\n\r\n").await.0, Err(ProbeError::Status(302))));
        assert!(matches!(ask(b"SSH-2.0\r\n\r\n").await.0, Err(ProbeError::Malformed)));
        assert!(matches!(ask(b"HTTP/1.1 200").await.0, Err(ProbeError::Io(_))));
    }
}
