//! What the gateway answers: protobuf as JSON, in which 64-bit numbers are texts, bytes are base64, and what is zero is
//! left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de::Error};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default, rename = "cluster_id", deserialize_with = "number")]
    pub(super) cluster: u64,
    #[serde(default, deserialize_with = "number")]
    pub(super) revision: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pair {
    #[serde(default, deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    #[serde(default, rename = "mod_revision", deserialize_with = "number")]
    pub(super) revision: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RangeAnswer {
    pub(super) header: Header,
    #[serde(default, rename = "kvs")]
    pub(super) pairs: Vec<Pair>,
    #[serde(default)]
    pub(super) more: bool,
    #[serde(default, deserialize_with = "number")]
    pub(super) count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "kv")]
    pub(super) pair: Pair,
}

impl Event {
    /// `PUT` is zero and left out.
    pub(super) fn is_deletion(&self) -> bool {
        self.kind == "DELETE"
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct WatchAnswer {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) created: bool,
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default, deserialize_with = "number")]
    compact_revision: u64,
    #[serde(default)]
    pub(super) events: Vec<Event>,
}

impl WatchAnswer {
    /// The revision from which to watch is gone.
    pub(super) fn is_compacted(&self) -> bool {
        self.compact_revision > 0
    }
}

/// One line of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) result: Option<WatchAnswer>,
    pub(super) error: Option<Fault>,
}

/// Why a call was refused.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fault {
    /// The gRPC status code.
    #[serde(default, alias = "grpc_code")]
    pub(super) code: u32,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    error: String,
}

impl Fault {
    pub(super) fn text(&self) -> &str {
        if self.message.is_empty() { &self.error } else { &self.message }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) token: String,
}

/// Bytes as the gateway takes them.
pub(super) fn key_text(key: &[u8]) -> String {
    STANDARD.encode(key)
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(u64),
    }
    match Written::deserialize(from)? {
        Written::Text(text) => text.parse().map_err(D::Error::custom),
        Written::Number(number) => Ok(number),
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}
