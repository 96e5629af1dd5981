//! Start lines, as they go out. Field lines are written by [`crate::wire::FieldSink`].

/// Whether a connection goes on after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Another request may follow.
    KeepAlive,
    /// The connection is closed behind the message.
    Close,
}

/// Writes a request line.
pub fn request_line(out: &mut Vec<u8>, method: &str, target: &str) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes a status line; an empty reason is replaced by the registered phrase, where there is one.
pub fn response_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    if reason.is_empty() {
        let phrase = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
        out.extend_from_slice(phrase.unwrap_or_default().as_bytes());
    } else {
        out.extend_from_slice(reason);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_a_phrase_keeps_its_space() {
        let mut out = Vec::new();
        response_line(&mut out, 299, b"");
        response_line(&mut out, 404, b"");
        response_line(&mut out, 200, b"Fine");
        assert_eq!(out, b"HTTP/1.1 299 \r\nHTTP/1.1 404 Not Found\r\nHTTP/1.1 200 Fine\r\n");
    }
}
