//! Bounds on what clients may send, how slowly, and over how many connections.

use std::time::Duration;

/// Bounds on what a client may send, and how slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest header section, in bytes.
    pub header_bytes: usize,
    /// Most header fields.
    pub header_count: usize,
    /// Longest request target, in bytes.
    pub uri_bytes: usize,
    /// How long a client may take over the header section.
    pub header_time: Duration,
    /// How long a client may pause within a body.
    pub body_idle: Duration,
    /// Bytes a second that a body has to come with on the whole, besides one `body_idle`; 0: it may drip.
    pub body_bytes_per_second: u32,
    /// How long a client connection may stay without a request.
    pub idle: Duration,
    /// Most client connections at a time, over all workers.
    pub connections: usize,
    /// Of these, most from one address that is not trusted; an IPv6 peer is its /64 network.
    pub connections_per_peer: usize,
    /// What one HTTP/2 connection may do.
    pub h2: H2Limits,
    /// How long a client may take before its first request: over the PROXY protocol and the TLS handshake.
    pub handshake_time: Duration,
    /// Most connections of a worker that are that far.
    pub handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_bytes: 64 << 10,
            header_count: 128,
            uri_bytes: 8 << 10,
            header_time: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_bytes_per_second: 100,
            idle: Duration::from_secs(75),
            connections: 32_768,
            connections_per_peer: 4096,
            h2: H2Limits::default(),
            handshake_time: Duration::from_secs(10),
            handshakes: 1000,
        }
    }
}

/// Bounds on what one HTTP/2 connection of a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H2Limits {
    /// Streams at a time.
    pub streams: u32,
    /// Streams that it resets over its life, as long as they are over half of all.
    pub resets: u32,
    /// Streams that it resets each second, besides a quarter of those it opens.
    pub resets_per_second: u32,
    /// Frames each second that carry nothing of a request, besides those that its requests and answers explain.
    pub control_frames_per_second: u32,
}

impl Default for H2Limits {
    fn default() -> Self {
        H2Limits { streams: 128, resets: 1000, resets_per_second: 100, control_frames_per_second: 1000 }
    }
}
