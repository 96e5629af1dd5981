//! Telling a supervisor how far the process is, as `sd_notify(3)` has it: one datagram to the socket that `NOTIFY_SOCKET`
//! names. It is a line of text, so no crate does it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Traffic is accepted.
    Ready,
    /// The process drains and will end.
    Stopping,
}

impl Standing {
    fn line(self) -> &'static str {
        match self {
            Self::Ready => "READY=1\n",
            Self::Stopping => "STOPPING=1\n",
        }
    }
}

/// Tells the supervisor, if there is one that wants to know.
///
/// # Errors
///
/// When its socket cannot be written to; nothing else comes of that.
pub fn tell_supervisor(standing: Standing) -> io::Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return Ok(()) };
    tell(&socket, standing)
}

fn tell(socket: &OsStr, standing: Standing) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        // The abstract namespace of Linux.
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // Whoever does not read must not hold us up.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(standing.line().as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut line = [0; 64];
        let length = socket.recv(&mut line).unwrap();
        String::from_utf8(line[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        tell(path.as_os_str(), Standing::Ready).unwrap();
        assert_eq!(heard(&socket), "READY=1\n");
        let name = format!("graylane-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        tell(OsStr::new(&format!("@{name}")), Standing::Stopping).unwrap();
        assert_eq!(heard(&socket), "STOPPING=1\n");
    }

    #[test]
    fn nobody_there_is_an_error_and_no_wait() {
        assert!(tell(OsStr::new("/nowhere/notify"), Standing::Ready).is_err());
    }
}
