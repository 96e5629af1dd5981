//! What is told to OpenTelemetry, and to whom.

use std::path::PathBuf;
use std::time::Duration;

use super::file::{ContextIdWord, OtlpProtocol, UntrustedTrace};
use super::remote::TlsFiles;

/// Traces and evaluation events, ready to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct TracingPlan {
    /// The base URL of the collector, `http` or `https`, without a slash at the end.
    pub otlp: String,
    /// What is spoken to it.
    pub protocol: OtlpProtocol,
    /// The share of traces that begin here and are recorded, from 0 to 1.
    pub sample: f64,
    /// What becomes of the trace context of a peer that is not trusted.
    pub untrusted: UntrustedTrace,
    /// The share of decisions that are told as evaluation events, from 0 to 1.
    pub evaluations: f64,
    /// How an evaluation event names its user.
    pub context_id: ContextIdWord,
    /// The file with further header fields for the collector, each line `name: value`.
    pub headers_file: Option<PathBuf>,
    /// Whom `https` believes.
    pub tls: TlsFiles,
    /// How long the collector may take over one batch.
    pub answer: Duration,
}
