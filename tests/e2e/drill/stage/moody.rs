//! An origin whose mood can be switched while it serves: a service that turns bad, and heals.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a healthy answer takes.
const HEALTHY: Duration = Duration::from_millis(5);
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Every answer takes 5 ms.
    Healthy,
    /// 92 of 100 answers are 500.
    Errors,
    /// One answer of so many takes so long, the others are healthy.
    Tail { one_of: u64, takes: Duration },
    /// Every answer takes so long.
    Slow(Duration),
    /// No answer ever comes.
    Mute,
}

/// A service with a mood; it counts what reaches it on each of the two routes.
pub(crate) struct Moody {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    mood: Mutex<Mood>,
    /// By route: shielded, bare.
    seen: [AtomicU64; 2],
}

impl Moody {
    /// Serves on this runtime as long as that lives.
    pub(crate) fn start(runtime: &tokio::runtime::Runtime) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Healthy), seen: Default::default() });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn turn(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// How many requests came by each route so far.
    pub(crate) fn seen(&self) -> [u64; 2] {
        self.shared.seen.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut read = Vec::new();
    loop {
        // Only heads come: the drill sends nothing but GET.
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            match stream.read_buf(&mut read).await {
                Ok(1..) if read.len() <= MOST_HEAD_BYTES => continue,
                _ => return,
            }
        };
        let is_bare = read.starts_with(b"GET /off");
        read.drain(..end + 4);
        let number = shared.seen[usize::from(is_bare)].fetch_add(1, Ordering::Relaxed);
        let mood = *shared.mood.lock().unwrap();
        let (status, takes) = match mood {
            // 37 and 100 have no common divisor: exactly 92 of every 100, spread out.
            Mood::Errors if number * 37 % 100 < 92 => ("500 Oops", HEALTHY),
            Mood::Tail { one_of, takes } if number % one_of == one_of - 1 => ("200 OK", takes),
            Mood::Slow(takes) => ("200 OK", takes),
            Mood::Mute => {
                // The sidecar gives up in the end, and its connection with it.
                let _ = stream.read_buf(&mut read).await;
                return;
            }
            _ => ("200 OK", HEALTHY),
        };
        // The time that the answer takes.
        tokio::time::sleep(takes).await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
