//! HTTP/1.0 and HTTP/1.1 (RFC 9112).
//!
//! A head is found and checked by [`scan`] on the raw bytes, read by `httparse` (in the same pass where it came in one piece),
//! and its framing decided by [`framing`]. Nothing is repaired: what the RFC lets a recipient tolerate but attackers use to make two readers
//! disagree (bare LF, two framings, list lengths, obsolete folding) is refused before routing.

mod body;
mod chunked;
mod encode;
mod framing;
mod parse;
mod probe;
mod scan;

pub use body::{BodyReader, BodyWriter};
pub use encode::{Persistence, request_line, response_line};
pub(super) use framing::content_length;
pub use framing::{Framing, request_framing, response_framing};
pub(super) use parse::is_authority;
pub use parse::{HeadError, Limits};
pub use probe::{check_answer, check_arrival, check_chunked, check_head};
pub use scan::HeadScan;

use super::{Input, Output, Socket};

/// One HTTP/1 connection, either side's.
pub struct Connection {
    /// What comes in.
    pub input: Input,
    /// What goes out.
    pub output: Output,
}

impl Connection {
    /// Over a fresh socket.
    pub fn new(socket: Socket) -> Self {
        let (read, write) = socket.split();
        Self { input: Input::new(read), output: Output::new(write) }
    }

    /// Gives back the buffers in which nothing is: an idle connection costs none.
    pub fn rest(&mut self) {
        self.input.rest();
    }

    /// Whether it is between two messages: nothing waits to be read or sent.
    pub fn is_between(&self) -> bool {
        self.input.buf.is_empty() && self.output.is_empty()
    }

    /// Ends it so that the peer sees it reset.
    pub fn reset(self) {
        self.output.into_io().reset();
    }
}

/// The first bytes of a connection in HTTP/2 with prior knowledge (RFC 9113 section 3.4).
pub const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
