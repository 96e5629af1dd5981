//! The limit: a process that only copies bytes between two sockets, with the system calls that any proxy needs for a
//! request (wait, read, write, wait, read, write). It reads no HTTP, chooses nothing, counts nothing, and each client
//! connection has an upstream connection of its own. What a proxy costs beyond this is its own doing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, connect, listen, recv, send,
    socket_with,
};

/// How much is copied at a time, in bytes.
const PIECE: usize = 64 << 10;
/// Most events that are taken at a time.
const EVENTS: usize = 256;
/// The number of the listener among events.
const LISTENER: u64 = u64::MAX;

/// One direction's source and where its bytes go: the pair's other end has the neighbouring number.
struct Pairs {
    ends: Vec<Option<OwnedFd>>,
    free: Vec<usize>,
}

/// Copies between clients of one address and connections to another, until the process ends.
///
/// # Errors
/// Where the address cannot be taken, or waiting fails.
pub fn run(from: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let listener = plain_socket(from, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    rustix::net::sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &from)?;
    listen(&listener, 4096)?;
    let waiter = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&waiter, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut pairs = Pairs { ends: Vec::new(), free: Vec::new() };
    let mut events = Vec::with_capacity(EVENTS);
    let mut piece = vec![0; PIECE];
    loop {
        match epoll::wait(&waiter, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(problem) => return Err(problem.into()),
        }
        for event in events.drain(..) {
            let number = event.data.u64();
            if number == LISTENER {
                // A client that is already gone again is none.
                let _ = pairs.open(&listener, to, &waiter);
            } else {
                let number = usize::try_from(number).expect("a number of ours");
                if !pairs.copy(number, &mut piece) {
                    pairs.close(number);
                }
            }
        }
    }
}

fn plain_socket(of: SocketAddr, flags: SocketFlags) -> io::Result<OwnedFd> {
    let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

impl Pairs {
    fn open(&mut self, listener: &OwnedFd, to: SocketAddr, waiter: &OwnedFd) -> io::Result<()> {
        let client = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        set_tcp_nodelay(&client, true)?;
        // Connecting to loopback does not wait for anybody, so it may block.
        let upstream = plain_socket(to, SocketFlags::CLOEXEC)?;
        connect(&upstream, &to)?;
        set_tcp_nodelay(&upstream, true)?;
        rustix::io::ioctl_fionbio(&upstream, true)?;
        let first = self.free.pop().unwrap_or(self.ends.len());
        if first == self.ends.len() {
            self.ends.push(None);
            self.ends.push(None);
        }
        for (number, end) in [(first, client), (first + 1, upstream)] {
            epoll::add(waiter, end.as_fd(), EventData::new_u64(number as u64), EventFlags::IN | EventFlags::RDHUP)?;
            self.ends[number] = Some(end);
        }
        Ok(())
    }

    /// Copies what came at one end to the other; whether the pair is still good. Readiness is told again while something
    /// is left, so one read is enough.
    fn copy(&self, number: usize, piece: &mut [u8]) -> bool {
        let (Some(from), Some(to)) = (&self.ends[number], &self.ends[number ^ 1]) else { return true };
        let read = match recv(from, &mut *piece, RecvFlags::empty()) {
            Ok((_, 0)) => return false,
            Ok((_, read)) => read,
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        };
        let mut left = &piece[..read];
        while !left.is_empty() {
            match send(to, left, SendFlags::NOSIGNAL) {
                Ok(sent) => left = &left[sent..],
                Err(Errno::INTR) => {}
                // Whoever does not read is waited for: with small messages this does not happen.
                Err(Errno::AGAIN) => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
        true
    }

    fn close(&mut self, number: usize) {
        let first = number & !1;
        self.ends[first] = None;
        self.ends[first + 1] = None;
        self.free.push(first);
    }
}
