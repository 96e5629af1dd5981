//! Where a body ends (RFC 9112 section 6.3), with everything two readers could take differently refused.

use crate::wire::{Fields, Known, RequestHead, ResponseHead, Verb, Version};

use super::HeadError;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks, then perhaps trailers.
    Chunked,
    /// All bytes until the connection closes; responses only.
    UntilClose,
}

/// The framing of a request.
pub fn request_framing(head: &RequestHead) -> Result<Framing, HeadError> {
    let fields = &head.fields;
    let has_length = fields.has(Known::ContentLength);
    if fields.has(Known::TransferEncoding) {
        if has_length {
            return Err(HeadError::TWO_FRAMINGS);
        }
        if head.version == Version::Http10 {
            return Err(HeadError::TRANSFER_ENCODING);
        }
        only_chunked(fields)?;
        return Ok(Framing::Chunked);
    }
    if has_length {
        return Ok(match content_length(fields)? {
            0 => Framing::Empty,
            n => Framing::Length(n),
        });
    }
    Ok(Framing::Empty)
}

/// The framing of a final response to a request with this method.
pub fn response_framing(head: &ResponseHead, verb: Verb) -> Result<Framing, HeadError> {
    let fields = &head.fields;
    if head.is_bodiless(verb) {
        // It tells the length of another answer, and is passed on.
        if fields.has(Known::ContentLength) && head.status != 204 {
            content_length(fields)?;
        }
        return Ok(Framing::Empty);
    }
    if fields.has(Known::TransferEncoding) {
        // A length beside it is dropped and the connection not used again: it is the server that is confused.
        only_chunked(fields)?;
        return Ok(Framing::Chunked);
    }
    if fields.has(Known::ContentLength) {
        return Ok(match content_length(fields)? {
            0 => Framing::Empty,
            n => Framing::Length(n),
        });
    }
    Ok(Framing::UntilClose)
}

fn only_chunked(fields: &Fields) -> Result<(), HeadError> {
    let mut codings = fields.all(Known::TransferEncoding);
    match (codings.next(), codings.next()) {
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(HeadError::TRANSFER_ENCODING),
    }
}

/// One line of digits only; a list is refused even where its members agree.
pub(in crate::wire) fn content_length(fields: &Fields) -> Result<u64, HeadError> {
    let mut lengths = fields.all(Known::ContentLength);
    match (lengths.next(), lengths.next()) {
        (Some(digits), None) if !digits.is_empty() => number(digits).ok_or(HeadError::CONTENT_LENGTH),
        _ => Err(HeadError::CONTENT_LENGTH),
    }
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, &str)], expected: Result<Framing, HeadError>) {
        let mut head = RequestHead::default();
        for (name, value) in lines {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(request_framing(&head), expected, "{lines:?}");
    }

    #[test]
    fn one_framing_or_none() {
        check(&[], Ok(Framing::Empty));
        check(&[("Content-Length", "0")], Ok(Framing::Empty));
        check(&[("content-length", "12")], Ok(Framing::Length(12)));
        check(&[("Transfer-Encoding", "Chunked")], Ok(Framing::Chunked));
    }

    #[test]
    fn lengths_that_readers_may_take_differently_are_refused() {
        for bad in ["+1", "-1", "1, 1", "1,2", "", " ", "0x10", "1 1", "99999999999999999999", "1\u{b}"] {
            check(&[("content-length", bad)], Err(HeadError::CONTENT_LENGTH));
        }
        check(&[("content-length", "1"), ("content-length", "1")], Err(HeadError::CONTENT_LENGTH));
    }

    #[test]
    fn codings_other_than_one_chunked_are_refused() {
        for bad in [
            "gzip, chunked",
            "chunked, chunked",
            "chunked, identity",
            "identity",
            "xchunked",
            "chunked;q=1",
            "\u{b}chunked",
        ] {
            check(&[("transfer-encoding", bad)], Err(HeadError::TRANSFER_ENCODING));
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        check(&twice, Err(HeadError::TRANSFER_ENCODING));
        check(&[("transfer-encoding", "chunked"), ("content-length", "3")], Err(HeadError::TWO_FRAMINGS));
    }

    #[test]
    fn http_1_0_has_no_transfer_coding() {
        let mut head = RequestHead::default();
        head.version = Version::Http10;
        head.fields.push(b"transfer-encoding", b"chunked");
        assert_eq!(request_framing(&head), Err(HeadError::TRANSFER_ENCODING));
    }

    #[test]
    fn responses_without_a_body_have_none_whatever_they_say() {
        for status in [204, 304] {
            let mut head = ResponseHead::own(status);
            head.fields.push(b"content-length", b"10");
            assert_eq!(response_framing(&head, Verb::Get), Ok(Framing::Empty));
        }
        let mut head = ResponseHead::own(200);
        assert_eq!(response_framing(&head, Verb::Get), Ok(Framing::UntilClose));
        head.fields.push(b"content-length", b"10");
        assert_eq!(response_framing(&head, Verb::Head), Ok(Framing::Empty));
        assert_eq!(response_framing(&head, Verb::Get), Ok(Framing::Length(10)));
    }

    #[test]
    fn a_length_that_is_passed_on_is_one_even_where_no_body_is() {
        for (status, verb, expected) in [
            (200, Verb::Head, Err(HeadError::CONTENT_LENGTH)),
            (304, Verb::Get, Err(HeadError::CONTENT_LENGTH)),
            // Here it ends.
            (204, Verb::Get, Ok(Framing::Empty)),
        ] {
            for bad in ["-4x", "4, 5", ""] {
                let mut head = ResponseHead::own(status);
                head.fields.push(b"content-length", bad.as_bytes());
                assert_eq!(response_framing(&head, verb), expected, "{status} {bad:?}");
            }
        }
    }
}
