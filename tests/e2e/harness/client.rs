//! A client that writes exact bytes and reads answers strictly.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::wire::{Framing, Head, Trailers, Wire, timed_out};

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Trailers,
    /// The interim answers (1xx) that came before.
    pub(crate) interim: Vec<Head>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.head.get(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The word of an answer of the sidecar's own: small JSON with the reason and the request's id.
    pub(crate) fn failure(&self) -> String {
        let kind = self.get("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{kind}");
        assert!(self.body.len() < 1024, "{}", self.text());
        let body = self.json();
        let id = body["request_id"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "no request id: {body}");
        let reason = body["error"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "no reason: {body}");
        reason.to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}: {}", self.head, self.text()))
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection ended before a head.
    Silent,
    /// The connection ended, or stopped being HTTP, within an answer.
    Cut { body: Vec<u8> },
}

/// One connection to the sidecar.
pub(crate) struct Client {
    wire: Wire,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::from(Self::socket(address))
    }

    /// From another address of the loopback network, so that the peer can be one that is not trusted.
    pub(crate) fn connect_from(source: &str, address: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let source: SocketAddr = format!("{source}:0").parse().expect("an address");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&source.into()).expect("loopback has 127.0.0.0/8");
        socket.connect_timeout(&address.into(), PATIENCE).expect("the sidecar accepts");
        Self::from(socket.into())
    }

    /// The system takes little for it that it has not read.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("less than the system's most");
        socket.connect_timeout(&address.into(), PATIENCE).expect("the sidecar accepts");
        Self::from(socket.into())
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).map(Self::from)
    }

    fn socket(address: SocketAddr) -> TcpStream {
        TcpStream::connect_timeout(&address, PATIENCE).expect("the sidecar accepts")
    }

    fn from(stream: TcpStream) -> Self {
        Self { wire: Wire::new(stream) }
    }

    /// One request on a connection of its own.
    pub(crate) fn once(address: SocketAddr, request: &str) -> Response {
        Self::connect(address).exchange(request.as_bytes())
    }

    /// `GET` with extra field lines (each ended by CRLF), on this connection.
    pub(crate) fn get(&mut self, target: &str, fields: &str) -> Response {
        self.exchange(format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n").as_bytes())
    }

    /// Sends and reads the whole answer, which must come.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Response {
        self.send(request);
        let method = request.split(|byte| *byte == b' ').next();
        let method = String::from_utf8_lossy(method.expect("split yields one part")).into_owned();
        self.answer_to(&method)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.wire.send(bytes).expect("the sidecar reads what is sent");
    }

    /// Sends where the sidecar may have closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// The whole answer to the request that was sent last.
    pub(crate) fn answer(&mut self) -> Response {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Response {
        self.try_answer(method).unwrap_or_else(|broken| panic!("no whole answer: {broken:?}"))
    }

    pub(crate) fn try_answer(&mut self, method: &str) -> Result<Response, Broken> {
        let (head, interim) = self.final_head()?;
        let mut body = Vec::new();
        let framing = match head.status() {
            101 => Framing::Length(0),
            _ => Framing::of_response(&head, method),
        };
        let read = self.wire.body(framing, &mut |piece| body.extend_from_slice(piece));
        match read {
            Ok(trailers) => Ok(Response { head, body, trailers, interim }),
            Err(error) if timed_out(&error) => panic!("the answer never ended: {head:?}"),
            Err(_) => Err(Broken::Cut { body }),
        }
    }

    /// The head of the answer alone, with its interim answers; the body stays on the wire.
    pub(crate) fn final_head(&mut self) -> Result<(Head, Vec<Head>), Broken> {
        let mut interim = Vec::new();
        loop {
            match self.wire.head() {
                Ok(Some(head)) if matches!(head.status(), 100 | 102..=199) => interim.push(head),
                Ok(Some(head)) => return Ok((head, interim)),
                Ok(None) => return Err(Broken::Silent),
                Err(error) if timed_out(&error) => panic!("no answer came within {PATIENCE:?}"),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(Broken::Silent);
                }
                Err(_) => {
                    return Err(Broken::Cut { body: Vec::new() });
                }
            }
        }
    }

    /// The next head, interim ones included.
    pub(crate) fn any_head(&mut self) -> Head {
        let head = self.wire.head().expect("a head comes");
        head.expect("the connection stays open")
    }

    /// Reads a body of the framing its head names without keeping it; the count of its bytes.
    pub(crate) fn drain_body(&mut self, head: &Head) -> u64 {
        let mut count = 0;
        let framing = Framing::of_response(head, "GET");
        self.wire
            .body(framing, &mut |piece| {
                count += u64::try_from(piece.len()).expect("usize fits in u64");
            })
            .expect("the body comes whole");
        count
    }

    /// Exactly so many raw bytes, as of a tunnel.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.wire.take(count).expect("the bytes come")
    }

    /// The same where the sidecar may have closed.
    pub(crate) fn try_take(&mut self, count: usize) -> Option<Vec<u8>> {
        self.wire.take(count).ok()
    }

    /// Whether nothing arrives for a while; for what must *not* happen, where there is no condition to wait for.
    pub(crate) fn stays_silent_for(&mut self, time: Duration) -> bool {
        self.wire.set_patience(time);
        let outcome = self.wire.take(1);
        self.wire.set_patience(PATIENCE);
        outcome.is_err_and(|error| timed_out(&error))
    }

    /// Whether nothing arrives for a moment; what does arrive is kept.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.wire.set_patience(time);
        let outcome = self.wire.fill();
        self.wire.set_patience(PATIENCE);
        outcome.is_err_and(|error| timed_out(&error))
    }

    /// Everything the sidecar still sends until it closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.wire.rest()
    }

    /// Asserts that the sidecar ends the connection without another byte.
    pub(crate) fn assert_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    pub(crate) fn finish(&self) {
        self.wire.finish();
    }
}
