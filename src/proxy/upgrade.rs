//! Tunnels: what follows a `101 Switching Protocols`, bytes that the proxy no longer reads as HTTP.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::timer::Timer;
use crate::wire::{Input, Output};

/// Bytes that went each way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tunnelled {
    pub(super) up: u64,
    pub(super) down: u64,
}

/// Both ends of a tunnel.
pub(super) struct Tunnel<'c> {
    pub(super) client_in: &'c mut Input,
    pub(super) client_out: &'c mut Output,
    pub(super) upstream_in: &'c mut Input,
    pub(super) upstream_out: &'c mut Output,
}

impl Tunnel<'_> {
    /// Carries bytes both ways until both have ended, one has failed, or nothing has moved for `idle`. An end on one
    /// side is passed on and the other way stays open (a TCP half-close).
    pub(super) async fn run(self, idle: Duration, timer: &mut Timer) -> Tunnelled {
        let due = Cell::new(Instant::now() + idle);
        let (up, down) = (Cell::new(0), Cell::new(0));
        let moved = || due.set(Instant::now() + idle);
        let both = async {
            let upward = carry(self.client_in, self.upstream_out, &up, &moved);
            let downward = carry(self.upstream_in, self.client_out, &down, &moved);
            tokio::try_join!(upward, downward)
        };
        match timer.race(&due, both).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a tunnel ended"),
            Err(_) => tracing::debug!("a tunnel was idle too long"),
        }
        Tunnelled { up: up.get(), down: down.get() }
    }
}

async fn carry(input: &mut Input, output: &mut Output, count: &Cell<u64>, moved: &impl Fn()) -> io::Result<()> {
    loop {
        let n = input.buf.len();
        output.write(&input.buf).await?;
        output.flush().await?;
        input.consume(n);
        count.set(count.get() + n as u64);
        if n > 0 {
            moved();
        }
        if input.fill().await? == 0 {
            return output.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Socket, h1::Connection};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn bytes_and_half_closes_pass_both_ways() {
        let (mut client, near) = UnixStream::pair().unwrap();
        let (mut upstream, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Connection::new(Socket::Unix(near)), Connection::new(Socket::Unix(far)));
        let tunnel = async {
            let tunnel = Tunnel {
                client_in: &mut near.input,
                client_out: &mut near.output,
                upstream_in: &mut far.input,
                upstream_out: &mut far.output,
            };
            tunnel.run(Duration::from_secs(60), &mut Timer::default()).await
        };
        let talk = async {
            client.write_all(b"ping").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            upstream.read_to_string(&mut heard).await.unwrap();
            upstream.write_all(b"pong!").await.unwrap();
            drop(upstream);
            client.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let (tunnelled, heard) = tokio::join!(tunnel, talk);
        assert_eq!((tunnelled, heard.as_str()), (Tunnelled { up: 4, down: 5 }, "pingpong!"));
    }
}
