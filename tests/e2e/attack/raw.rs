//! HTTP/2 as bytes, and an attack with somebody else looking on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::{Client, PATIENCE, Sidecar, eventually};

pub(super) use crate::harness::frames::*;

/// The header block of `GET /` or `POST /` by static entries (RFC 7541 appendix A) and a short authority.
pub(super) fn block(method: &str) -> Vec<u8> {
    let method = if method == "POST" { 0x83 } else { 0x82 };
    [&[method, 0x86, 0x84, 0x01, 9][..], b"shop.test"].concat()
}

/// The whole head of a `GET /` that opens this stream.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block("GET"))
}

/// What the sidecar said on a connection until it ended.
#[derive(Debug, Default, Clone)]
pub(super) struct Heard {
    /// Kind, flags, stream and the first bytes of each frame.
    pub(super) frames: Vec<(u8, u8, u32, Vec<u8>)>,
}

impl Heard {
    /// The reason of the last GOAWAY.
    pub(super) fn goaway(&self) -> Option<u32> {
        let last = self.frames.iter().rfind(|(kind, ..)| *kind == GOAWAY)?;
        last.3.get(4..8).map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")))
    }

    /// Streams that were reset, with the reason.
    pub(super) fn resets(&self) -> Vec<(u32, u32)> {
        let reason = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
        let resets = self.frames.iter().filter(|(kind, ..)| *kind == RST_STREAM);
        resets.map(|(_, _, stream, payload)| (*stream, reason(payload))).collect()
    }
}

/// A connection of raw frames; everything that comes is read by a thread.
pub(super) struct Raw {
    socket: TcpStream,
    heard: Arc<Mutex<Heard>>,
    reader: JoinHandle<()>,
}

impl Raw {
    /// Sends the preface and these settings (id, value).
    pub(super) fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE).expect("it accepts");
        socket.set_write_timeout(Some(PATIENCE)).expect("a time-out over zero");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out over zero");
        socket.set_nodelay(true).expect("a socket takes options");
        let pairs: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        let greeting = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &pairs)].concat();
        socket.write_all(&greeting).expect("it is taken");
        let mut reading = socket.try_clone().expect("a socket can be shared");
        let heard = Arc::<Mutex<Heard>>::default();
        let noted = heard.clone();
        let reader = thread::spawn(move || {
            while let Some(one) = read_frame(&mut reading) {
                noted.lock().expect("nobody panics in the lock").frames.push(one);
            }
        });
        Self { socket, heard, reader }
    }

    /// Whether the sidecar still takes it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        match self.socket.write_all(bytes) {
            Ok(()) => !self.reader.is_finished(),
            Err(error) => {
                let stuck = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                assert!(!stuck, "the sidecar neither reads nor ends the connection");
                false
            }
        }
    }

    /// Sends what `next` gives until the sidecar ends the connection, which has to come.
    pub(super) fn until_ended(mut self, mut next: impl FnMut(u32) -> Vec<u8>) -> Heard {
        let start = Instant::now();
        let mut turn = 0;
        while self.send(&next(turn)) {
            turn += 1;
            assert!(start.elapsed() < PATIENCE, "{turn} times, and the sidecar went on");
        }
        self.heard()
    }

    /// Waits until the sidecar ends the connection.
    pub(super) fn heard(self) -> Heard {
        self.reader.join().expect("the reader does not panic");
        let heard = self.heard.lock().expect("nobody panics in the lock");
        heard.clone()
    }

    /// What the sidecar said so far.
    pub(super) fn heard_so_far(&self) -> Heard {
        self.heard.lock().expect("nobody panics in the lock").clone()
    }

    /// Leaves once what was heard is enough.
    pub(super) fn leave_after(self, what: &str, enough: impl Fn(&Heard) -> bool) -> Heard {
        eventually(what, || enough(&self.heard.lock().expect("nobody panics in the lock")).then_some(()));
        let _ = self.socket.shutdown(Shutdown::Both);
        self.heard()
    }
}

fn read_frame(socket: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
    socket.read_exact(&mut payload).ok()?;
    payload.truncate(64);
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// The promise: the process stays below this during every attack.
const LIMIT_KIB: u64 = 96 * 1024;
/// Who is slower than this with a request of its own is late by no fault of the sidecar's: half of the shortest limit.
const OWN_DELAY: Duration = Duration::from_millis(250);
/// How long an attack is repeated at least, so that there is a time during which others are served.
const AT_LEAST: Duration = Duration::from_millis(700);

/// Attacks again and again for a moment, while somebody else asks on connections of their own and has to be served.
/// Prints a row of the attack table: what was done, how often, what it came to, the memory peak, the service to others.
pub(super) fn attacked(sidecar: &Sidecar, what: &str, attack: impl Fn() -> String) {
    let (stop, served, slowest) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let address = sidecar.traffic();
    let other = {
        let (stop, served, slowest) = (stop.clone(), served.clone(), slowest.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                let mut client = Client::connect(address);
                let asked = client.try_send(b"GET /other HTTP/1.1\r\nHost: shop.test\r\n\r\n");
                let asking = start.elapsed();
                let answer = asked.map_err(|error| format!("{error}"));
                let answer = answer.and_then(|()| client.try_answer("GET").map_err(|broken| format!("{broken:?}")));
                if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                    let took = u64::try_from(start.elapsed().as_micros()).expect("a short time");
                    slowest.fetch_max(took, Ordering::Relaxed);
                    served.fetch_add(1, Ordering::Relaxed);
                } else {
                    // A busy machine may keep this thread itself from asking within the limits of the test.
                    assert!(asking > OWN_DELAY, "somebody else is not served: {answer:?}");
                }
                // The visitor's pace.
                thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let start = Instant::now();
    let (mut times, mut outcome) = (0, String::new());
    while times == 0 || start.elapsed() < AT_LEAST {
        outcome = attack();
        times += 1;
    }
    stop.store(true, Ordering::Relaxed);
    other.join().expect("somebody else was served");
    let (served, slowest) = (served.load(Ordering::Relaxed), slowest.load(Ordering::Relaxed) as f64 / 1000.0);
    let peak = sidecar.memory_kib("VmHWM:");
    // The runner may have begun a line.
    println!(
        "\n| {what} | {times} | {outcome} | {:.1} MiB | {served} requests, all 200, slowest {slowest:.0} ms |",
        peak as f64 / 1024.0
    );
    assert!(served > 0, "nobody else was served");
    assert!(peak < LIMIT_KIB, "the process grew to {peak} KiB");
}

/// That connections were closed for this reason, and for how many; waits for the first.
pub(super) fn closed_for(sidecar: &Sidecar, reasons: &[&str]) -> String {
    let count = |reason: &&str| sidecar.metric("graylane_connections_closed_total", &[("reason", reason)]);
    let found = eventually(&format!("a connection closed for one of {reasons:?}"), || {
        reasons.iter().find(|reason| count(reason) > 0.0)
    });
    format!("ended: `{found}`")
}
