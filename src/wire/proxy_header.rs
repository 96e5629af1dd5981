//! The header that a load balancer puts before a connection: the PROXY protocol, versions 1 and 2 (HAProxy,
//! `doc/proxy-protocol.txt`).
//!
//! ```text
//! version 1   PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n       at most 107 bytes
//! version 2   signature (12)  version, command (1)  family (1)  length (2)  addresses, then TLVs (length)
//! ```
//! Nothing is read beyond the header, because TLS may begin right behind it and takes the socket as it is. That, and being
//! strict, is why no crate does this: those at hand parse what was read already.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const START_OF_1: &[u8; 6] = b"PROXY ";
/// The longest header of version 1, with its line end.
const MOST_1: usize = 107;
/// Most bytes behind the fixed part of version 2; the specification wants 536 at least.
const MOST_2: usize = 4096;

/// Who is behind a connection, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyOrigin {
    /// This client.
    Client(SocketAddr),
    /// The load balancer itself, such as for a check.
    Own,
    /// Somebody of whom nothing is told.
    Unknown,
}

/// Why a header is none.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The peer left, or the connection failed.
    #[error("the connection ended in its PROXY header")]
    Closed(#[from] std::io::Error),
    /// There is none, or it is not well-formed.
    #[error("no PROXY header")]
    Malformed,
    /// It is longer than any that is useful.
    #[error("the PROXY header is too long")]
    TooLong,
}

/// Reads the header and not a byte more.
pub async fn read_proxy_header(stream: &mut TcpStream) -> Result<ProxyOrigin, ProxyHeaderError> {
    let mut start = [0; SIGNATURE.len()];
    let mut have = 0;
    // Whoever sends something else is not waited for.
    while have < start.len() {
        let read = stream.read(&mut start[have..]).await?;
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        have += read;
        let begun = &start[..have];
        if !SIGNATURE.starts_with(begun) && !START_OF_1.starts_with(&begun[..have.min(START_OF_1.len())]) {
            return Err(ProxyHeaderError::Malformed);
        }
    }
    if &start == SIGNATURE { version_2(stream).await } else { version_1(stream, &start).await }
}

async fn version_1(stream: &mut TcpStream, start: &[u8]) -> Result<ProxyOrigin, ProxyHeaderError> {
    let mut line = [0; MOST_1];
    line[..start.len()].copy_from_slice(start);
    let mut have = start.len();
    loop {
        if have == MOST_1 {
            return Err(ProxyHeaderError::TooLong);
        }
        let seen = stream.peek(&mut line[have..]).await?;
        let end = line[have..have + seen].iter().position(|byte| *byte == b'\n');
        let take = end.map_or(seen, |end| end + 1);
        if take == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        stream.read_exact(&mut line[have..have + take]).await?;
        have += take;
        if end.is_some() {
            return parse_1(&line[..have]).ok_or(ProxyHeaderError::Malformed);
        }
    }
}

fn parse_1(line: &[u8]) -> Option<ProxyOrigin> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?.strip_prefix("PROXY ")?;
    let mut words = text.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(ProxyOrigin::Unknown);
    }
    let (from, to) = (words.next()?, words.next()?);
    let (from_port, to_port) = (port(words.next()?)?, port(words.next()?)?);
    let (from, to): (IpAddr, IpAddr) = match family {
        "TCP4" => (from.parse::<Ipv4Addr>().ok()?.into(), to.parse::<Ipv4Addr>().ok()?.into()),
        "TCP6" => (from.parse::<Ipv6Addr>().ok()?.into(), to.parse::<Ipv6Addr>().ok()?.into()),
        _ => return None,
    };
    let _ = (to, to_port);
    words.next().is_none().then(|| ProxyOrigin::Client(SocketAddr::new(from, from_port)))
}

/// Digits without a zero before them.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

async fn version_2(stream: &mut TcpStream) -> Result<ProxyOrigin, ProxyHeaderError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, length @ ..] = fixed;
    let length = usize::from(u16::from_be_bytes(length));
    if command >> 4 != 2 {
        return Err(ProxyHeaderError::Malformed);
    }
    if length > MOST_2 {
        return Err(ProxyHeaderError::TooLong);
    }
    let mut rest = [0; MOST_2];
    let rest = &mut rest[..length];
    stream.read_exact(rest).await?;
    parse_2(command, family, rest).ok_or(ProxyHeaderError::Malformed)
}

/// Addresses come first; what follows them (TLVs) is passed over.
fn parse_2(command: u8, family: u8, rest: &[u8]) -> Option<ProxyOrigin> {
    match command & 0x0f {
        0 => return Some(ProxyOrigin::Own),
        1 => {}
        _ => return None,
    }
    let client = |ip: IpAddr, ports: &[u8]| {
        let port = u16::from_be_bytes([*ports.first()?, *ports.get(1)?]);
        Some(ProxyOrigin::Client(SocketAddr::new(ip, port)))
    };
    match family {
        0x11 => client(Ipv4Addr::from(<[u8; 4]>::try_from(rest.get(..4)?).ok()?).into(), rest.get(8..12)?),
        0x21 => client(Ipv6Addr::from(<[u8; 16]>::try_from(rest.get(..16)?).ok()?).into(), rest.get(32..36)?),
        // A Unix socket has no address for us.
        0x31 => rest.get(..216).map(|_| ProxyOrigin::Unknown),
        0x00 => Some(ProxyOrigin::Unknown),
        // What came by datagrams does not come here by a stream.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        let expected = expected.map(|client| ProxyOrigin::Client(client.parse().unwrap()));
        assert_eq!(parse_1(line.as_bytes()), expected, "{line:?}");
    }

    #[test]
    fn version_1_is_read_strictly() {
        check("PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n", Some("203.0.113.7:56324"));
        check("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", Some("[2001:db8::7]:1"));
        for bad in [
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443 1\r\n",
            "PROXY TCP4 203.0.113.7  10.0.0.1 56324 443\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443 \r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 056324 443\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
            "PROXY TCP4 203.0.113.256 10.0.0.1 1 443\r\n",
            "PROXY TCP4 ::1 ::1 1 443\r\n",
            "PROXY TCP6 10.0.0.1 10.0.0.1 1 443\r\n",
            "PROXY UDP4 10.0.0.1 10.0.0.1 1 443\r\n",
            "PROXY \r\n",
            "proxy TCP4 203.0.113.7 10.0.0.1 56324 443\r\n",
        ] {
            check(bad, None);
        }
        let unknown = ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f::1 ffff::2 65535 65535\r\n"];
        assert!(unknown.iter().all(|line| parse_1(line.as_bytes()) == Some(ProxyOrigin::Unknown)));
    }

    #[test]
    fn version_2_reads_addresses_and_passes_over_the_rest() {
        let mut four = vec![203, 0, 113, 7, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb];
        let client = Some(ProxyOrigin::Client("203.0.113.7:56324".parse().unwrap()));
        assert_eq!(parse_2(0x21, 0x11, &four), client);
        assert_eq!(parse_2(0x21, 0x11, &four[..11]), None);
        four.extend([4, 0, 1, 9]);
        assert_eq!(parse_2(0x21, 0x11, &four), client);
        assert_eq!(parse_2(0x20, 0x00, &[]), Some(ProxyOrigin::Own));
        assert_eq!(parse_2(0x20, 0x11, &four), Some(ProxyOrigin::Own));
        assert_eq!(parse_2(0x21, 0x00, &[]), Some(ProxyOrigin::Unknown));
        assert_eq!(parse_2(0x21, 0x12, &four), None);
        assert_eq!(parse_2(0x22, 0x11, &four), None);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_balancer_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_1(&bytes);
            let (command, family) = (bytes.first().copied().unwrap_or(0x21), bytes.get(1).copied().unwrap_or(0x11));
            parse_2(command, family, &bytes);
        }
    }
}
