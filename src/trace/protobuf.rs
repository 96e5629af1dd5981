//! The few forms of protobuf that OTLP takes (<https://protobuf.dev/programming-guides/encoding/>).
//!
//! A worker writes a span straight into the bytes that go out, in one pass and with one allocation. Message structs of a
//! crate would want a string for each key and value first, twenty a span. What is written here is read in the tests by
//! the code that others generate from OpenTelemetry's own definitions.

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Number(i64),
    Flag(bool),
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn tag(out: &mut Vec<u8>, field: u64, form: u64) {
    varint(out, field << 3 | form);
}

pub(super) fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    tag(out, field, VARINT);
    varint(out, number);
}

pub(super) fn fixed64(out: &mut Vec<u8>, field: u64, number: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn fixed32(out: &mut Vec<u8>, field: u64, number: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    tag(out, field, BYTES);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A message within a message. Its length stands before it and is known behind it: one byte is kept for it, and the
/// message moves up where that is not enough.
pub(super) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    let start = out.len() + 1;
    out.push(0);
    write(out);
    let mut length = out.len() - start;
    let places = (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize;
    if places > 1 {
        out.resize(out.len() + places - 1, 0);
        out.copy_within(start..start + length, start + places - 1);
    }
    for place in &mut out[start - 1..start + places - 1] {
        *place = length as u8 | 0x80;
        length >>= 7;
    }
    out[start + places - 2] &= 0x7f;
}

/// A `KeyValue`.
pub(super) fn attribute(out: &mut Vec<u8>, field: u64, key: &str, value: Value<'_>) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, |out| match value {
            Value::Text(text) => bytes(out, 1, text.as_bytes()),
            Value::Flag(flag) => number(out, 2, u64::from(flag)),
            Value::Number(value) => number(out, 3, value as u64),
        });
    });
}

/// One field of a message as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    /// A form that nobody here asks for.
    Other,
}

/// These bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no protobuf")]
pub(super) struct Garbled;

/// Calls `each` with every field of a message, by its number.
pub(super) fn read<'m>(mut message: &'m [u8], mut each: impl FnMut(u64, Read<'m>)) -> Result<(), Garbled> {
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let value = match tag & 7 {
            VARINT => Read::Number(take_varint(&mut message)?),
            BYTES => {
                let length = usize::try_from(take_varint(&mut message)?).map_err(|_| Garbled)?;
                Read::Bytes(take(&mut message, length)?)
            }
            FIXED64 => take(&mut message, 8).map(|_| Read::Other)?,
            FIXED32 => take(&mut message, 4).map(|_| Read::Other)?,
            _ => return Err(Garbled),
        };
        if tag >> 3 == 0 {
            return Err(Garbled);
        }
        each(tag >> 3, value);
    }
    Ok(())
}

fn take<'m>(message: &mut &'m [u8], length: usize) -> Result<&'m [u8], Garbled> {
    let (taken, rest) = message.split_at_checked(length).ok_or(Garbled)?;
    *message = rest;
    Ok(taken)
}

fn take_varint(message: &mut &[u8]) -> Result<u64, Garbled> {
    let mut number = 0;
    for place in 0..10 {
        let byte = take(message, 1)?[0];
        number |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or_default();
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    proptest! {
        #[test]
        fn others_read_what_is_written(key: String, text: String, value: i64, flag: bool) {
            use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
            let wanted = [any_value::Value::StringValue(text.clone()), any_value::Value::IntValue(value), any_value::Value::BoolValue(flag)];
            for (written, wanted) in [Value::Text(&text), Value::Number(value), Value::Flag(flag)].into_iter().zip(wanted) {
                let mut out = Vec::new();
                attribute(&mut out, 1, &key, written);
                // The attribute is the one field of a message; the same bytes are a `Resource`.
                let read = opentelemetry_proto::tonic::resource::v1::Resource::decode(&out[..]).unwrap();
                let expected = KeyValue { key: key.clone(), value: Some(AnyValue { value: Some(wanted) }), ..KeyValue::default() };
                prop_assert_eq!(read.attributes, vec![expected]);
            }
        }

        #[test]
        fn what_was_written_is_read_back(first: u64, text: Vec<u8>, large in 0usize..40_000) {
            let mut out = Vec::new();
            number(&mut out, 1, first);
            message(&mut out, 2, |out| bytes(out, 5, &vec![7; large]));
            fixed64(&mut out, 3, first);
            fixed32(&mut out, 4, 9);
            bytes(&mut out, 5, &text);
            let mut found = Vec::new();
            read(&out, |field, value| found.push((field, value))).unwrap();
            prop_assert_eq!(found[0], (1, Read::Number(first)));
            prop_assert_eq!((found[2], found[3]), ((3, Read::Other), (4, Read::Other)));
            prop_assert_eq!(found[4], (5, Read::Bytes(&text[..])));
            let Read::Bytes(inner) = found[1].1 else { panic!("a message is bytes") };
            let mut length = 0;
            read(inner, |_, value| if let Read::Bytes(bytes) = value { length = bytes.len() }).unwrap();
            prop_assert_eq!(length, large);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, |_, _| {});
        }
    }

    #[test]
    fn garbage_is_told_from_messages() {
        for garbage in
            [&b"<html>"[..], b"\x0a\xff", b"\x00\x01", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"]
        {
            assert_eq!(read(garbage, |_, _| {}), Err(Garbled), "{garbage:?}");
        }
        assert_eq!(read(b"", |_, _| {}), Ok(()));
    }
}
