//! Entries for fuzzing: bytes in, nothing out; a panic, a stall or two readings of the same bytes are wrong.

use super::chunked::{Chunked, Step};
use super::parse::{parse_request, parse_response, request_at_once, response_at_once};
use super::{HeadError, HeadScan, Limits, request_framing};
use crate::wire::{FieldSink, Fields, Passage, RequestHead, ResponseHead};

const LIMITS: Limits = Limits { head_bytes: 4096, uri_bytes: 1024, fields: 32 };

/// Reads bytes as the head of a request, at once and byte by byte, and panics where the two differ.
pub fn check_head(bytes: &[u8]) {
    let whole = HeadScan::default().advance(bytes, &LIMITS);
    check_at_once(bytes, whole);
    let mut scan = HeadScan::default();
    let drip = (1..=bytes.len()).map(|n| scan.advance(&bytes[..n], &LIMITS)).find(|found| *found != Ok(None));
    let Ok(Some(end)) = whole else {
        // Which limit is met first may depend on how bytes arrive; that nothing is let through may not.
        assert!(!matches!(drip, Some(Ok(Some(_)))), "a head that arrives slowly is let through");
        return;
    };
    if drip == Some(Err(HeadError::URI_TOO_LONG)) {
        // The CR of a start line of the greatest length is counted while its LF is not there.
        return;
    }
    assert_eq!(drip, Some(Ok(Some(end))), "a head ends elsewhere if it arrives slowly");
    let mut head = RequestHead::default();
    if parse_request(&bytes[..end], &LIMITS, &mut head).is_ok() {
        let framed = request_framing(&head);
        assert!(!head.method().is_empty());
        let target = head.target().bytes().all(|byte| byte > b' ' && byte != 0x7f);
        assert!(target, "a target that another reader would end earlier: {:?}, {framed:?}", head.target());
        check_passing(&head.fields);
    }
}

/// Lines that are copied together are written as each of them alone would be, whichever go on.
fn check_passing(fields: &Fields) {
    for stays in 0..3 {
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        let lines = fields.iter().enumerate().filter(|(at, _)| at % 3 != stays);
        lines.for_each(|(_, (_, name, value))| alone.field(name, value));
        let mut numbers = 0..;
        together.lines(fields, |_, _| Passage::if_it(numbers.next().is_some_and(|at| at % 3 != stays)));
        assert_eq!(together.escape_ascii().to_string(), alone.escape_ascii().to_string());
    }
}

/// What is read in one pass is what the two passes read.
fn check_at_once(bytes: &[u8], found: Result<Option<usize>, HeadError>) {
    let (mut once, mut twice) = (RequestHead::default(), RequestHead::default());
    let Some(end) = request_at_once(bytes, &LIMITS, &mut once) else { return };
    assert_eq!(found, Ok(Some(end)), "one pass lets a head through that two do not");
    assert_eq!(parse_request(&bytes[..end], &LIMITS, &mut twice), Ok(()));
    let told = |head: &RequestHead| {
        let own = |text: &str| text.to_owned();
        let query = head.query().map(own);
        (
            head.version,
            own(head.method()),
            own(head.target()),
            own(head.path()),
            query,
            head.authority().map(<[u8]>::to_vec),
        )
    };
    assert_eq!(told(&once), told(&twice));
    assert!(once.fields.iter().eq(twice.fields.iter()), "one pass reads other fields than two");
}

/// Reads bytes as the head of a request and of an answer as a connection does: what is there at each of several reads. Panics
/// where that differs from reading them when all are there.
pub fn check_arrival(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let piece = usize::from(*size).max(1);
    let reads = || (1..).map(|read| (read * piece).min(bytes.len())).take(bytes.len().div_ceil(piece));
    let (mut whole, mut pieces) = (RequestHead::default(), RequestHead::default());
    let at_once = HeadScan::default().request(bytes, &LIMITS, &mut whole);
    let mut scan = HeadScan::default();
    let in_pieces =
        reads().map(|read| scan.request(&bytes[..read], &LIMITS, &mut pieces)).find(|read| *read != Ok(None));
    if let Some(Ok(Some(end))) = in_pieces {
        assert_eq!(at_once, Ok(Some(end)), "a request that comes in pieces is let through");
        assert_eq!((whole.target(), whole.method()), (pieces.target(), pieces.method()));
        assert!(whole.fields.iter().eq(pieces.fields.iter()), "a request that comes in pieces has other fields");
    }
    let (mut whole, mut pieces) = (ResponseHead::default(), ResponseHead::default());
    let at_once = HeadScan::default().response(bytes, &LIMITS, &mut whole);
    let mut scan = HeadScan::default();
    let in_pieces =
        reads().map(|read| scan.response(&bytes[..read], &LIMITS, &mut pieces)).find(|read| *read != Ok(None));
    if let Some(Ok(Some(end))) = in_pieces {
        assert_eq!(at_once, Ok(Some(end)), "an answer that comes in pieces is let through");
        assert_eq!((whole.status, whole.reason()), (pieces.status, pieces.reason()));
        assert!(whole.fields.iter().eq(pieces.fields.iter()), "an answer that comes in pieces has other fields");
    }
}

/// Reads bytes as the head of an answer, in one pass and in two, and panics where the two differ.
pub fn check_answer(bytes: &[u8]) {
    let (mut once, mut twice) = (ResponseHead::default(), ResponseHead::default());
    let Some(end) = response_at_once(bytes, &LIMITS, &mut once) else { return };
    let found = HeadScan::default().advance(bytes, &LIMITS);
    assert_eq!(found, Ok(Some(end)), "one pass lets an answer through that two do not");
    assert_eq!(parse_response(&bytes[..end], &LIMITS, &mut twice), Ok(()));
    assert_eq!((once.status, once.version, once.reason()), (twice.status, twice.version, twice.reason()));
    assert!(once.fields.iter().eq(twice.fields.iter()), "one pass reads other fields than two");
    check_passing(&once.fields);
}

/// Reads bytes as a chunked body, at once and in pieces of the first byte's size, and panics where the data differ.
pub fn check_chunked(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    let pieces = read(bytes, usize::from(*size).max(1));
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces, "the data differ if they arrive in pieces"),
        (Ok((_, true)), Err(_)) | (Err(_), Ok((_, true))) => panic!("{whole:?} at once, {pieces:?} in pieces"),
        _ => {}
    }
}

/// The data, and whether the body is over.
fn read(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), HeadError> {
    let mut reader = Chunked::new(&LIMITS);
    let (mut data, mut buf, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        let used = match reader.step(&buf)? {
            Step::End(_) => return Ok((data, true)),
            Step::More if at == bytes.len() => return Ok((data, false)),
            Step::More => {
                let next = (at + piece).min(bytes.len());
                buf.extend_from_slice(&bytes[at..next]);
                at = next;
                0
            }
            Step::Skip(n) => n,
            Step::Data(n) => {
                data.extend_from_slice(&buf[..n]);
                n
            }
        };
        buf.drain(..used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What parsers of heads and chunks trip over, in any order.
    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            &b"GET / HTTP/1.1\r\n"[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 404\r\n",
            b"Host: a\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 3\r\n",
            b" ",
            b"\t",
            b"\0",
            b"0",
            b"3",
            b"5;x=y",
            b"ffffffffffffffff",
            b"abc",
            b"X: y\r\n",
            b":",
            b"-1",
            b"+3",
            b"0x3",
            b"\x80",
        ]);
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn heads_and_chunks_are_read_the_same_however_they_arrive(bytes in words(), size in 0..40_u8) {
            check_arrival(&[&[size], &bytes[..]].concat());
            check_head(&bytes);
            check_answer(&bytes);
            check_arrival(&bytes);
            check_chunked(&bytes);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            check_head(&bytes);
            check_answer(&bytes);
            check_arrival(&bytes);
            check_chunked(&bytes);
        }
    }

    #[test]
    fn an_ordinary_head_is_read_in_one_pass_with_whatever_follows_it() {
        let request = b"GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nGET /";
        assert_eq!(request_at_once(request, &LIMITS, &mut RequestHead::default()), Some(36));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(response_at_once(answer, &LIMITS, &mut ResponseHead::default()), Some(38));
        for odd in [
            "\nHTTP/1.1 200 OK\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\n\r\n",
            "HTTP/1.1 200 OK\r\n\n",
        ] {
            assert_eq!(response_at_once(odd.as_bytes(), &LIMITS, &mut ResponseHead::default()), None, "{odd:?}");
        }
        for odd in [
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(request_at_once(odd.as_bytes(), &LIMITS, &mut RequestHead::default()), None, "{odd:?}");
        }
    }

    #[test]
    fn every_byte_in_every_place_of_a_head_is_read_or_refused() {
        let head = b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\n";
        let body = b"\x013\r\nabc\r\n0\r\nX: y\r\n\r\n";
        for byte in 0..=255 {
            let all = [(&head[..], check_head as fn(&[u8])), (answer, check_answer), (body, check_chunked)];
            for (good, check) in all {
                for place in 0..good.len() {
                    let mut bytes = good.to_vec();
                    bytes[place] = byte;
                    check(&bytes);
                }
            }
        }
    }
}
