//! HTTP messages as bytes: sockets, heads, framing and bodies, for both protocols.
//!
//! The door behind which the codecs stand. HTTP/1 is ours: `httparse` reads the head after a strict scan of the raw
//! bytes (so that what must be refused is seen before anything is believed), and a message is written from the same
//! flat [`Fields`] it was read into. HTTP/2 is the `h2` crate. Both give the same [`RequestHead`], [`ResponseHead`],
//! [`BodyReader`] and [`BodyWriter`], so routing, pools and drain know nothing of either.
//!
//! This room decides nothing and knows no configuration: limits come in as arguments.

mod fields;
mod head;
mod known;

mod proxy_header;

mod buffer;
mod frames;
mod outbox;
mod socket;
mod spare;
mod tls;
mod unread;

pub mod h1;
pub mod h2;

mod body;

mod probe;

pub use body::{BodyError, BodyReader, BodyWriter, Moved, PIECE, Part, PumpError, gather_whole, next_part, pump};
pub use buffer::{Input, Output, sweep_buffers};
pub use fields::{FieldSink, Fields, Passage, Span, detach};
pub use frames::{Flood, FrameLimits, FrameWatch, Metered};
pub use head::{RequestHead, ResponseHead, Verb, Version};
pub use known::Known;
pub use outbox::{Outbox, Rewound};
pub use probe::check_proxy_header;
pub use proxy_header::{ProxyHeaderError, ProxyOrigin, read_proxy_header};
pub use socket::{ReadHalf, Socket, WriteHalf};
pub use spare::Spares;
pub use tls::{TlsReader, TlsWriter};
pub use unread::Unread;
