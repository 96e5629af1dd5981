//! What concerns the process as a whole.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::file::tls::{FileListenerTls, FileProxyProtocol};
use crate::config::node::Node;
use crate::config::problem::Findings;
use crate::config::read::{Read, mirror, scalar, words};
use crate::config::text::At;
use crate::config::units::{Share, Size, Time, parse_share};

words! {
    /// Where the process runs.
    pub enum Environment("an environment") {
        /// Production.
        Prod = "prod",
        /// Before production.
        Staging = "staging",
        /// A developer's machine: unsigned overrides are accepted.
        Dev = "dev",
    }
}

words! {
    /// Whether the client sees the lane.
    pub(in crate::config) enum ResponseMarkWord("a response mark") {
        /// Not shown.
        Off = "off",
        /// Shown in the response header `x-gray-lane`.
        Header = "header",
    }
}

words! {
    /// What keeps shared caches from mixing lanes where the lane is shown.
    pub enum MarkCache("a way to keep shared caches apart") {
        /// `Vary` over the headers that decide.
        Vary = "vary",
        /// `Cache-Control: private`.
        Private = "private",
    }
}

words! {
    /// Who sees the path with dot segments and encoded unreserved characters resolved.
    pub enum Normalize("a way to normalise") {
        /// Routes match it; the upstream gets the original.
        Match = "match",
        /// The upstream gets it too.
        Forward = "forward",
    }
}

words! {
    /// An encoded character that is refused in a path unless it is allowed.
    pub enum EncodedWord("an encoded character") {
        /// `%2F`
        Slash = "slash",
        /// `%5C`
        Backslash = "backslash",
        /// `%00`
        Nul = "nul",
    }
}

words! {
    /// Which codes the region facts hold.
    pub(in crate::config) enum RegionCodes("a kind of region codes") {
        /// GB/T 2260: six digits; `33` and `3301` are completed, and the province follows from the city.
        Gbt2260 = "gbt2260",
        /// Codes of the user's own, taken as they are.
        Custom = "custom",
    }
}

/// `off`, `all`, or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum AccessLogWord {
    Off,
    All,
    Share(Share),
}

impl Read for AccessLogWord {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "`off`, `all` or a share such as `1%`", findings)?.text;
        match (text.as_str(), parse_share(text)) {
            ("off", _) => Some(AccessLogWord::Off),
            ("all", _) => Some(AccessLogWord::All),
            (_, Ok(share)) => Some(AccessLogWord::Share(Share(share))),
            (_, Err(message)) => {
                let numeric = text.starts_with(|c: char| c.is_ascii_digit());
                let message =
                    if numeric { message } else { format!("`{text}` is not `off`, `all` or a share such as `1%`") };
                findings.error(node.at, message).suggest(text, ["off", "all"]);
                None
            }
        }
    }
}

impl JsonSchema for AccessLogWord {
    fn schema_name() -> Cow<'static, str> {
        "AccessLog".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let share = generator.subschema_for::<Share>();
        json_schema!({ "anyOf": [{ "type": "string", "enum": ["off", "all"] }, share] })
    }
}

mirror! {
    /// An address that takes traffic.
    #[schemars(rename = "Listener")]
    struct FileListener("a listener") {
        /// IP address and port; port 0 takes a free one.
        #[schemars(extend("examples" = ["127.0.0.1:15080", "0.0.0.0:15080"]))]
        [required] bind: At<String>,
        /// TLS on this address. Default: none.
        tls: FileListenerTls,
        /// Connections begin with the PROXY protocol. Default: they do not.
        proxy_protocol: FileProxyProtocol,
    }
}

mirror! {
    /// The port for people and tools: health, metrics, the page, the API.
    #[schemars(rename = "Admin")]
    struct FileAdmin("`admin`") {
        /// IP address and port; port 0 takes a free one.
        #[schemars(extend("default" = "127.0.0.1:15090"))]
        bind: At<String>,
        /// Changing calls need no bearer token. Only where the port is on loopback.
        #[schemars(extend("default" = false))]
        insecure_changes: At<bool>,
        /// The file with the bearer token of changing calls.
        token_file: At<String>,
        /// Further tokens, each with what it is good for.
        tokens: Vec<FileAdminTokenFile>,
        /// Whether reading needs a token too; health never does.
        #[schemars(extend("default" = "open"))]
        reads: At<AdminReadsWord>,
    }
}

mirror! {
    /// A token of the admin port.
    #[schemars(rename = "AdminToken")]
    struct FileAdminTokenFile("a token") {
        /// The file that holds it.
        [required] file: At<String>,
        /// What it is good for.
        [required] role: At<AdminRole>,
    }
}

words! {
    /// What a token of the admin port is good for.
    pub(in crate::config) enum AdminRole("a role") {
        /// Reading.
        Read = "read",
        /// Changing, and reading.
        Change = "change",
    }
}

words! {
    /// Who may read through the admin port.
    pub(in crate::config) enum AdminReadsWord("a way to read") {
        /// Everybody who reaches it.
        Open = "open",
        /// Whoever shows a token.
        Token = "token",
    }
}

mirror! {
    /// What survives the process.
    #[schemars(rename = "State")]
    struct FileState("`state`") {
        /// The folder for latches and the last good configuration.
        [required] dir: At<String>,
    }
}

mirror! {
    /// Bounds on what a client may send, and how slowly.
    #[schemars(rename = "Limits")]
    struct FileLimits("`limits`") {
        /// Longest header section; more is answered with 431.
        #[schemars(extend("default" = "64KiB"))]
        header_bytes: At<Size>,
        /// Most header fields; more is answered with 431.
        #[schemars(extend("default" = 128, "minimum" = 1, "maximum" = 10000))]
        header_count: At<u32>,
        /// Longest request target; more is answered with 414.
        #[schemars(extend("default" = "8KiB"))]
        uri_bytes: At<Size>,
        /// How long a client may take over the header section.
        #[schemars(extend("default" = "10s"))]
        header_time: At<Time>,
        /// How long a client may pause within a body.
        #[schemars(extend("default" = "30s"))]
        body_idle: At<Time>,
        /// Bytes a second that a client's body has to come with on the whole: the time that it is waited for may be one
        /// `body_idle`, and a second more for so many bytes. 0 is off. It is not asked of gRPC.
        #[schemars(extend("default" = 100, "minimum" = 0, "maximum" = 1000000))]
        body_bytes_per_second: At<u32>,
        /// How long a client connection may stay without a request.
        #[schemars(extend("default" = "75s"))]
        idle: At<Time>,
        /// Most client connections at a time; more are closed at once.
        #[schemars(extend("default" = 32768, "minimum" = 1, "maximum" = 1000000))]
        connections: At<u32>,
        /// Of these, most from one address that is not in `trust`; an IPv6 peer is its /64 network.
        #[schemars(extend("default" = 4096, "minimum" = 1, "maximum" = 1000000))]
        connections_per_peer: At<u32>,
        /// HTTP/2: most streams at a time on a connection.
        #[schemars(extend("default" = 128, "minimum" = 1, "maximum" = 10000))]
        h2_streams: At<u32>,
        /// HTTP/2: a connection that has reset more streams, and more than half of its streams, is ended.
        #[schemars(extend("default" = 1000, "minimum" = 1, "maximum" = 1000000))]
        h2_resets: At<u32>,
        /// HTTP/2: a connection that resets more streams a second, besides a quarter of those it opens, is ended. Twice
        /// as many may come at once.
        #[schemars(extend("default" = 100, "minimum" = 1, "maximum" = 1000000))]
        h2_resets_per_second: At<u32>,
        /// HTTP/2: a connection is ended that sends more frames a second which carry nothing (pings, settings, empty
        /// frames, windows of a few bytes) and which its requests do not explain. Ten times as many may come at once.
        #[schemars(extend("default" = 1000, "minimum" = 1, "maximum" = 1000000))]
        h2_control_frames_per_second: At<u32>,
        /// How long a client may take before its first request, over the PROXY protocol and the TLS handshake.
        #[schemars(extend("default" = "10s"))]
        handshake_time: At<Time>,
        /// Most connections of a worker that are that far; more are closed.
        #[schemars(extend("default" = 1000))]
        handshakes: At<u32>,
    }
}
