//! An HTTP/1.1 origin that does what a test tells it, byte by byte, and records what reached it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::wire::{Framing, Head, Trailers, Wire};

/// One request as the origin received it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Trailers,
}

#[derive(Default)]
struct State {
    requests: Vec<Received>,
    connections: usize,
    closed: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

impl Shared {
    fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.state.lock().expect("no script panics in the lock"));
        self.changed.notify_all();
    }
}

/// A listening origin; ends with the test.
pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// One connection in the hands of a script.
pub(crate) struct Visit {
    pub(crate) wire: Wire,
    connection: usize,
    shared: Arc<Shared>,
}

impl Origin {
    /// Runs `script` once for each connection, each on a thread of its own.
    pub(crate) fn start(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = listen();
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let script = Arc::new(script);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if accepting.stopping.load(Ordering::Acquire) {
                    return;
                }
                let stream = stream.expect("accepting on loopback");
                accepting.change(|state| state.connections += 1);
                let (script, shared) = (Arc::clone(&script), Arc::clone(&accepting));
                thread::spawn(move || {
                    let mut visit = Visit { wire: Wire::new(stream), connection, shared };
                    script(&mut visit);
                });
            }
        });
        Self { address, shared }
    }

    /// Answers every request with what `reply` makes of it, on kept-alive connections.
    pub(crate) fn answering(reply: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |visit| {
            while let Some(received) = visit.request() {
                if visit.wire.send(&reply(&received)).is_err() {
                    return;
                }
            }
        })
    }

    /// An ordinary service that names its lane in `x-lane` and in a JSON body.
    pub(crate) fn lane(name: &'static str) -> Self {
        Self::answering(move |_| {
            let body = format!("{{\"lane\":\"{name}\"}}");
            answer("200 OK", &format!("X-Lane: {name}\r\nContent-Type: application/json\r\n"), body.as_bytes())
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    /// Waits until at least `count` requests came, then gives all.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait(&format!("{count} requests"), |state| state.requests.len() >= count);
        self.requests()
    }

    /// The one request that came; fails when there are more or fewer.
    pub(crate) fn only(&self) -> Received {
        let mut requests = self.wait_for(1);
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The request that came last.
    pub(crate) fn last(&self) -> Received {
        self.wait_for(1).pop().expect("one at least")
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    /// Waits until `count` connections ended (their scripts returned).
    pub(crate) fn wait_closed(&self, count: usize) {
        self.wait(&format!("{count} ended connections"), |state| state.closed >= count);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().expect("no script panics in the lock")
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, |state| !done(state))
            .expect("no script panics in the lock");
        assert!(!timeout.timed_out(), "the origin waited in vain for {what}; it saw {:?}", state.requests);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the accepting thread so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

/// Listens with room for every crowd of the tests: beyond the queue of `TcpListener::bind`, 128, a system lets a connection
/// wait for a second.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("loopback has free ports");
    socket.listen(4096).expect("a bound socket");
    socket.into()
}

impl Visit {
    /// The next whole request, recorded; `None` when the peer closes or breaks off.
    pub(crate) fn request(&mut self) -> Option<Received> {
        let head = self.wire.head().ok().flatten()?;
        self.rest_of(head)
    }

    /// The next head alone; the body stays on the wire. Not recorded.
    pub(crate) fn head(&mut self) -> Option<Head> {
        self.wire.head().ok().flatten()
    }

    /// The body to a head; together they are recorded as a request.
    pub(crate) fn rest_of(&mut self, head: Head) -> Option<Received> {
        let mut body = Vec::new();
        let trailers = self
            .wire
            .body(Framing::of_request(&head), &mut |piece| {
                body.extend_from_slice(piece);
            })
            .ok()?;
        let received = Received { head, body, trailers };
        self.record(received.clone());
        Some(received)
    }

    /// Records a request of which only the head was read.
    pub(crate) fn note(&self, head: &Head) {
        self.record(Received { head: head.clone(), body: Vec::new(), trailers: Vec::new() });
    }

    /// Counts a body without keeping it.
    pub(crate) fn drain_body(&mut self, head: &Head) -> Option<u64> {
        let mut count = 0;
        self.wire
            .body(Framing::of_request(head), &mut |piece| {
                count += u64::try_from(piece.len()).expect("usize fits in u64");
            })
            .ok()?;
        Some(count)
    }

    /// Sends; the peer may be gone, which a script takes as its end.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.wire.send(bytes.as_ref()).ok()
    }

    /// Which connection this is, counted from 0.
    pub(crate) fn connection(&self) -> usize {
        self.connection
    }

    /// Waits until the peer closes.
    pub(crate) fn wait_for_close(&mut self) {
        self.wire.rest();
    }

    fn record(&self, received: Received) {
        self.shared.change(|state| state.requests.push(received));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed += 1);
    }
}

/// A complete answer with a length. `fields` are whole lines, each ended by CRLF.
pub(crate) fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
