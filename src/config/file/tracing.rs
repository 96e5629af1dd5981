//! What is told to OpenTelemetry.

use super::FileTls;
use crate::config::read::{mirror, words};
use crate::config::text::At;
use crate::config::units::{Fraction, Time};

mirror! {
    /// Traces and evaluation events, told by OTLP. Default: neither.
    #[schemars(rename = "Tracing")]
    struct FileTracing("`tracing`") {
        /// The base URL of the collector. Over HTTP, `/v1/traces` and `/v1/logs` are added to it.
        #[schemars(extend("examples" = ["http://127.0.0.1:4318"]))]
        [required] otlp: At<String>,
        /// What is spoken to it: protobuf over HTTP, or gRPC (usually on port 4317).
        #[schemars(extend("default" = "http"))]
        protocol: At<OtlpProtocol>,
        /// The share of the traces that begin here and are recorded. A trace that came with a request is recorded if its
        /// caller records it.
        #[schemars(extend("default" = "1%"))]
        sample: At<Fraction>,
        /// What becomes of the trace context of a peer that is not in `trust`.
        #[schemars(extend("default" = "restart"))]
        untrusted: At<UntrustedTrace>,
        /// The share of the decisions of releases that are told as `feature_flag.evaluation` events.
        #[schemars(extend("default" = "0%"))]
        evaluations: At<Fraction>,
        /// How such an event names the user or device that was hashed into a bucket.
        #[schemars(extend("default" = "hashed"))]
        context_id: At<ContextIdWord>,
        /// A file with header fields for the collector, each line `name: value`. It is read again for each batch.
        headers_file: At<String>,
        /// Whom an `https` URL believes.
        tls: FileTls,
        /// How long the collector may take over a batch.
        #[schemars(extend("default" = "10s"))]
        answer: At<Time>,
    }
}

words! {
    /// How OTLP is spoken.
    pub enum OtlpProtocol("a protocol of OTLP") {
        /// Protobuf over HTTP/1.1.
        Http = "http",
        /// gRPC.
        Grpc = "grpc",
    }
}

words! {
    /// What becomes of the trace context of a peer that is not trusted.
    pub enum UntrustedTrace("a way with untrusted trace contexts") {
        /// A new trace begins here. Where it is recorded, it links to the context that was sent.
        Restart = "restart",
        /// It is followed like that of a trusted peer.
        Follow = "follow",
    }
}

words! {
    /// How an evaluation event names its user.
    pub enum ContextIdWord("a way to name users") {
        /// By a keyed hash, as in the access log.
        Hashed = "hashed",
        /// As it is.
        Plain = "plain",
        /// Not at all.
        Absent = "absent",
    }
}
