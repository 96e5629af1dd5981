//! A check by the gRPC health protocol, version 1 (grpc/grpc `doc/health-checking.md`):
//!
//! ```proto
//! message HealthCheckRequest { string service = 1; }
//! message HealthCheckResponse {
//!   enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
//!   ServingStatus status = 1;
//! }
//! service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
//! ```
//! Two fields are written and read by hand: a protobuf library and its compiler would be larger than this room.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};

use super::h2::{Answer, Ask, ask, uri};
use super::{ProbeError, Question, USER_AGENT};
use crate::wire::Socket;

const METHOD: &str = "/grpc.health.v1.Health/Check";
const SERVING: u64 = 1;
/// Protobuf keys: the field's number and its wire type (encoding, "Message Structure").
const SERVICE_KEY: u8 = 1 << 3 | 2;
const STATUS_FIELD: u64 = 1;

pub(super) async fn check(socket: Socket, service: &str, question: &Question) -> Result<(), ProbeError> {
    let request = Request::post(uri(question, METHOD)?)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{}m", question.timeout.as_millis().clamp(1, 99_999_999)))
        .header("user-agent", USER_AGENT)
        .body(())
        .map_err(|_| ProbeError::Malformed)?;
    judge(&ask(socket, request, Ask::Call(framed(service))).await?)
}

/// The request message behind its prefix: not compressed, and its length.
fn framed(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(SERVICE_KEY);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(&message);
    framed.freeze()
}

fn judge(answer: &Answer) -> Result<(), ProbeError> {
    if answer.status != 200 {
        return Err(ProbeError::Status(answer.status));
    }
    // Trailers, or the head where it is all there is ("Trailers-Only").
    let status = |fields: &HeaderMap| Some(String::from_utf8_lossy(fields.get("grpc-status")?.as_bytes()).into_owned());
    match answer.trailers.as_ref().and_then(status).or_else(|| status(&answer.fields)) {
        Some(code) if code == "0" => {}
        Some(code) => return Err(ProbeError::Grpc(code)),
        None => return Err(ProbeError::Malformed),
    }
    match serving_status(&answer.body).ok_or(ProbeError::Malformed)? {
        SERVING => Ok(()),
        other => Err(ProbeError::NotServing(other)),
    }
}

/// The status of a framed `HealthCheckResponse`; `None` where it is none. A field that is absent is 0, the last of
/// several counts, and unknown ones are passed over, as protobuf has it.
fn serving_status(framed: &[u8]) -> Option<u64> {
    let (prefix, rest) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize;
    if prefix[0] != 0 {
        return None;
    }
    let (mut message, mut status) = (rest.get(..length)?, 0);
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                status = if key >> 3 == STATUS_FIELD { value } else { status };
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_request_names_the_service() {
        assert_eq!(&framed("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&framed("a.B")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = framed(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    }

    #[track_caller]
    fn check_status(message: &[u8], expected: Option<u64>) {
        let mut framed = vec![0, 0, 0, 0, message.len() as u8];
        framed.extend_from_slice(message);
        assert_eq!(serving_status(&framed), expected, "{message:?}");
    }

    #[test]
    fn the_status_is_read_as_protobuf_has_it() {
        check_status(&[], Some(0));
        check_status(&[0x08, 1], Some(1));
        check_status(&[0x08, 2, 0x08, 1], Some(1));
        check_status(&[0x12, 2, 9, 9, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 0x81, 1], Some(129));
        check_status(&[0x08], None);
        check_status(&[0x0b], None);
        check_status(&[0x12, 9, 1], None);
        assert_eq!(serving_status(&[1, 0, 0, 0, 0]), None, "nobody asked for compression");
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8]), None, "it is cut");
    }

    fn answer(status: u16, head: Option<&'static str>, trailer: Option<&'static str>, body: &[u8]) -> Answer {
        let fields = |code: &'static str| {
            let mut map = HeaderMap::new();
            map.insert("grpc-status", http::HeaderValue::from_static(code));
            map
        };
        let (fields, trailers) = (head.map(fields).unwrap_or_default(), trailer.map(fields));
        Answer { status, fields, body: Bytes::copy_from_slice(body), trailers }
    }

    #[test]
    fn only_serving_with_status_0_passes() {
        let serving = [0, 0, 0, 0, 2, 8, 1];
        assert!(judge(&answer(200, None, Some("0"), &serving)).is_ok());
        assert!(matches!(judge(&answer(503, None, Some("0"), &serving)), Err(ProbeError::Status(503))));
        assert!(matches!(judge(&answer(200, Some("5"), None, &[])), Err(ProbeError::Grpc(code)) if code == "5"));
        assert!(matches!(judge(&answer(200, None, Some("14"), &serving)), Err(ProbeError::Grpc(_))));
        assert!(matches!(judge(&answer(200, None, None, &serving)), Err(ProbeError::Malformed)));
        let not = [0, 0, 0, 0, 2, 8, 2];
        assert!(matches!(judge(&answer(200, None, Some("0"), &not)), Err(ProbeError::NotServing(2))));
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_server_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            serving_status(&bytes);
        }

        #[test]
        fn varints_come_back(value: u64) {
            let mut bytes = BytesMut::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(take_varint(&mut &bytes[..]), Some(value));
        }
    }
}
