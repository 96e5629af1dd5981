//! Tunnels: what follows a `101 Switching Protocols`, bytes that the proxy no longer reads as HTTP.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::gray_drain::{self, Ended, GrayDrain};
use super::timer::Timer;
use crate::wire::{Input, Output, PIECE};

/// How long the ends of a tunnel that is closed may take to be written.
const CLOSE: Duration = Duration::from_secs(1);

/// Bytes that went each way, and whether the tunnel ended because its release was taken back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tunnelled {
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) drained: bool,
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
    /// side is passed on and the other way stays open (a TCP half-close). Ended by `drain`, both sides see an end, not a
    /// reset; what is spoken in the tunnel is not known, so nothing is said in it.
    pub(super) async fn run(self, idle: Duration, timer: &mut Timer, drain: Option<&GrayDrain>) -> Tunnelled {
        let due = Cell::new(Instant::now() + idle);
        let (up, down) = (Cell::new(0), Cell::new(0));
        let moved = || due.set(Instant::now() + idle);
        let both = async {
            let upward = carry(self.client_in, self.upstream_out, &up, &moved);
            let downward = carry(self.upstream_in, self.client_out, &down, &moved);
            tokio::try_join!(upward, downward)
        };
        let ended = gray_drain::race(timer, || due.get(), drain, both).await;
        let drained = ended.as_ref().is_err_and(|ended| *ended == Ended::Drained);
        match ended {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a tunnel ended"),
            Err(Ended::Late) => {
                tracing::debug!("a tunnel was idle too long");
                // What came for the client has not gone on: it does not read, and the system must not keep the rest for it.
                if !self.upstream_in.buf.is_empty() {
                    self.client_out.reset_on_close();
                }
            }
            Err(Ended::Drained) => {
                let closing = async { tokio::join!(self.client_out.shutdown(), self.upstream_out.shutdown()) };
                // Whoever takes nothing is not waited for.
                let _ = tokio::time::timeout(CLOSE, closing).await;
            }
        }
        Tunnelled { up: up.get(), down: down.get(), drained }
    }
}

async fn carry(input: &mut Input, output: &mut Output, count: &Cell<u64>, moved: &impl Fn()) -> io::Result<()> {
    // The head of the answer.
    output.flush().await?;
    loop {
        while !input.buf.is_empty() {
            let n = input.buf.len().min(PIECE);
            output.write(&input.buf[..n]).await?;
            output.flush().await?;
            input.consume(n);
            count.set(count.get() + n as u64);
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
            tunnel.run(Duration::from_secs(60), &mut Timer::default(), None).await
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
        assert_eq!((tunnelled, heard.as_str()), (Tunnelled { up: 4, down: 5, drained: false }, "pingpong!"));
    }
}
