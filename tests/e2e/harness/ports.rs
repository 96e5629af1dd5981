//! Ports that no other test gets, in this process or in another.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range the kernel takes for outgoing connections, so that none of those can collide.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A reserved loopback port on which nothing listens yet.
///
/// The reservation is a UDP socket on the same number: the sidecar listens with `SO_REUSEPORT`, so a second sidecar on the
/// same TCP port would not be refused but silently share the traffic; the UDP socket makes the number exclusive among tests
/// while leaving the TCP port free.
pub(crate) struct Port {
    number: u16,
    _reservation: UdpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let start = std::process::id().wrapping_mul(131);
        for _ in 0..RANGE.len() {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = RANGE.start + start.wrapping_add(step) % (RANGE.end - RANGE.start);
            let number = u16::try_from(number).expect("the range is below 65536");
            let Ok(reservation) = UdpSocket::bind(("127.0.0.1", number)) else {
                continue;
            };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _reservation: reservation };
            }
        }
        panic!("no free port between {} and {}", RANGE.start, RANGE.end);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}
