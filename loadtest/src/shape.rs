//! What is spoken, how large configuration and load are, and which part of that is varied.

use serde::{Deserialize, Serialize};

/// Protocols, sizes of the configuration and of the load. What a file leaves out is the plain job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// What clients speak.
    pub client: Client,
    /// What origins listen on.
    pub upstream: Upstream,
    /// Whether clients come by TLS 1.3.
    pub tls: bool,
    /// Client connections.
    pub connections: usize,
    /// Requests at a time on each connection (HTTP/2).
    pub streams: usize,
    /// Header fields of a request besides the usual ones.
    pub headers: usize,
    /// Bytes of an answer's body.
    pub body: usize,
    /// Routes; requests are spread over all.
    pub routes: usize,
    /// Conditions of the release, all of which hold.
    pub rules: usize,
    /// Lanes of the route.
    pub lanes: usize,
    /// Endpoints of each upstream.
    pub endpoints: usize,
    /// Worker threads; each further one gets one more core.
    pub workers: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            client: Client::Http1,
            upstream: Upstream::Tcp,
            tls: false,
            connections: 64,
            streams: 1,
            headers: 0,
            body: SMALL_BODY,
            routes: 1,
            rules: 0,
            lanes: 2,
            endpoints: 1,
            workers: 1,
        }
    }
}

/// The body of the usual answer, in bytes.
pub const SMALL_BODY: usize = 600;

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// HTTP/1.1 with kept connections; HTTP/1.1 to the origin.
    Http1,
    /// HTTP/2 (prior knowledge, or ALPN with TLS); HTTP/1.1 to the origin.
    Http2,
    /// gRPC, unary; HTTP/2 to the origin.
    Grpc,
}

/// What origins listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    /// A loopback port.
    Tcp,
    /// A Unix socket.
    Unix,
}

/// One part of the shape and the values it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// Which part.
    pub what: Part,
    /// Its values.
    pub values: Vec<usize>,
}

/// A part of a [`Shape`] that can be varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields of the shape have the same names and say it")]
pub enum Part {
    Connections,
    Headers,
    Body,
    Routes,
    Rules,
    Lanes,
    Endpoints,
    Workers,
}

impl Part {
    /// The word of tables and plots.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::Routes => "routes",
            Self::Rules => "rules",
            Self::Lanes => "lanes",
            Self::Endpoints => "endpoints",
            Self::Workers => "workers",
        }
    }

    /// The shape with this part at a value.
    pub fn of(self, shape: &Shape, value: usize) -> Shape {
        let mut shape = shape.clone();
        *match self {
            Self::Connections => &mut shape.connections,
            Self::Headers => &mut shape.headers,
            Self::Body => &mut shape.body,
            Self::Routes => &mut shape.routes,
            Self::Rules => &mut shape.rules,
            Self::Lanes => &mut shape.lanes,
            Self::Endpoints => &mut shape.endpoints,
            Self::Workers => &mut shape.workers,
        } = value;
        shape
    }
}
