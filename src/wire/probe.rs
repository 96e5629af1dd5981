//! An entry for fuzzing: what begins a connection, over a real socket, because what is left on it matters most.

use std::net::Ipv4Addr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::{ProxyOrigin, read_proxy_header};

/// A header is read in no time; who waits longer waits for something that never comes.
const STALL: Duration = Duration::from_secs(5);

thread_local! {
    static GROUND: (Runtime, TcpListener) = ground();
}

/// Reads bytes as a connection that begins with the PROXY protocol, at once and in two pieces cut where the first byte
/// says, and panics where the two differ, or where the header is not exactly what is taken off the connection.
pub fn check_proxy_header(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = arrive(bytes, bytes.len());
    let pieces = arrive(bytes, usize::from(*cut) % (bytes.len() + 1));
    assert_eq!(whole, pieces, "it is read otherwise if it arrives in pieces");
    let Ok((_, left)) = whole else { return };
    let (header, behind) = bytes.split_at(bytes.len() - left.len());
    assert_eq!(behind, left, "what stands behind the header is not left as it was");
    let is_line = header.starts_with(b"PROXY ") && header.ends_with(b"\r\n") && header.len() <= 107;
    let is_binary = header.starts_with(b"\r\n\r\n\0\r\nQUIT\n")
        && header.len() == 16 + usize::from(u16::from_be_bytes([header[14], header[15]]));
    assert!(is_line || is_binary, "{header:?} is no header");
}

/// What is read, and what is left behind it.
fn arrive(bytes: &[u8], first: usize) -> Result<(ProxyOrigin, Vec<u8>), String> {
    GROUND.with(|(runtime, listener)| {
        runtime.block_on(async {
            let (mut theirs, mut ours) = pair(listener).await;
            theirs.write_all(&bytes[..first]).await.expect("loopback takes a little");
            let reading = async {
                let origin = read_proxy_header(&mut ours).await.map_err(|error| error.to_string())?;
                let mut left = Vec::new();
                ours.read_to_end(&mut left).await.map_err(|error| error.to_string())?;
                Ok((origin, left))
            };
            // The reader has its turn first, so that it has to wait in the middle.
            let sending = async {
                // It may have refused the beginning already.
                _ = theirs.write_all(&bytes[first..]).await;
                _ = theirs.shutdown().await;
            };
            let both = async { tokio::join!(biased; reading, sending).0 };
            tokio::time::timeout(STALL, both).await.expect("a header is read, or refused, at once")
        })
    })
}

fn ground() -> (Runtime, TcpListener) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("loopback has free ports");
    (runtime, listener)
}

async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().expect("a bound socket");
    let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (theirs, ours) = (theirs.expect("it listens"), ours.expect("somebody connects").0);
    // Thousands a second would use up all ports if each end were waited for.
    for stream in [&theirs, &ours] {
        SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket takes options");
    }
    (theirs, ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What parsers of such headers trip over, in any order.
    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            &b"PROXY "[..],
            b"TCP4 ",
            b"TCP6 ",
            b"UNKNOWN",
            b"203.0.113.7 ",
            b"2001:db8::7 ",
            b"1 ",
            b"443",
            b"\r\n",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"\x21\x11\0\x0c",
            b"\x20\0\0\0",
            b"\x21\x21\0\x24",
            b"\x21\x11\xff\xff",
            b"\xcb\0\x71\x07\x0a\0\0\x01\xdc\x04\x01\xbb",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0",
            b" ",
        ]);
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn a_header_is_taken_off_its_connection_to_the_byte_however_it_arrives(cut in any::<u8>(), bytes in words()) {
            check_proxy_header(&[&[cut][..], &bytes].concat());
        }
    }

    #[test]
    fn good_headers_are_read_wherever_they_are_cut() {
        let line = &b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\nGET /"[..];
        let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\xdc\x04\x01\xbbGET /";
        for good in [line, binary] {
            for cut in 0..=u8::try_from(good.len()).unwrap() {
                let (origin, left) = arrive(good, usize::from(cut)).unwrap();
                assert_eq!(origin, ProxyOrigin::Client("203.0.113.7:56324".parse().unwrap()));
                assert_eq!(left, b"GET /");
                check_proxy_header(&[&[cut][..], good].concat());
            }
        }
    }
}
