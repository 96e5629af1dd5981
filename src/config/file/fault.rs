//! Faults on purpose.

use std::borrow::Cow;
use std::time::SystemTime;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::{Kind, Node};
use crate::config::problem::Findings;
use crate::config::read::{Read, mirror, scalar};
use crate::config::text::At;
use crate::config::units::{Name, PermilleNumber, Share, Size, Time};

mirror! {
    /// A fault on purpose, for drills: on a share of a lane's requests, until it expires. One of `delay`, `abort`, `reset`
    /// and `slow_body`.
    #[schemars(rename = "Fault")]
    struct FileFault("a fault") {
        /// The fault's name, in logs and metrics.
        [required] name: At<Name>,
        /// The route whose requests meet it.
        route: At<String>,
        /// Several routes.
        routes: Vec<At<String>>,
        /// The lane whose requests meet it.
        [required] lane: At<String>,
        /// How many in a thousand of these requests meet it; or `share`.
        permille: At<PermilleNumber>,
        /// Which share of these requests meets it; or `permille`.
        share: At<Share>,
        /// The request goes up later: always by the same time, or by one drawn from a distribution.
        delay: FileDelay,
        /// The request does not go up; this status is the answer.
        #[schemars(extend("minimum" = 400, "maximum" = 599))]
        abort: At<u32>,
        /// The request does not go up; the client's connection (HTTP/1) or stream (HTTP/2) is reset.
        #[schemars(extend("const" = true))]
        reset: At<bool>,
        /// The answer's body comes down with at most so many bytes a second.
        #[schemars(extend("examples" = ["1KiB"]))]
        slow_body: At<Size>,
        /// When it ends by itself, as RFC 3339 writes it; at most 24 hours ahead of the time it is loaded.
        [required] expires: At<Moment>,
        /// It counts against the release and its breaker like a fault that is real.
        #[schemars(extend("default" = false))]
        count: At<bool>,
    }
}

/// `delay: 300ms` or `delay: { p99: 2.8s, median: 40ms }`.
#[derive(Debug, Clone)]
pub(in crate::config) enum FileDelay {
    Fixed(At<Time>),
    Drawn(FileDelayForm),
}

mirror! {
    /// Delays drawn from a log-normal distribution.
    #[schemars(rename = "DelayForm")]
    struct FileDelayForm("a drawn delay") {
        /// One delay in a hundred is longer; none is longer than ten times this.
        [required] p99: At<Time>,
        /// Half of the delays are longer. Default: a tenth of the P99.
        median: At<Time>,
    }
}

impl Read for FileDelay {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if matches!(node.kind, Kind::Map(_)) {
            return FileDelayForm::read(node, findings).map(FileDelay::Drawn);
        }
        At::<Time>::read(node, findings).map(FileDelay::Fixed)
    }
}

impl JsonSchema for FileDelay {
    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (fixed, drawn) = (generator.subschema_for::<Time>(), generator.subschema_for::<FileDelayForm>());
        json_schema!({ "anyOf": [fixed, drawn] })
    }
}

/// An instant with its offset from UTC, such as `2026-03-01T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Moment(pub(in crate::config) SystemTime);

impl Read for Moment {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "an instant such as `2026-03-01T12:00:00Z`", findings)?.text;
        match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Some(Moment(instant.into())),
            Err(_) => {
                findings
                    .error(node.at, format!("`{text}` is no instant"))
                    .help("write date, time and offset as in `2026-03-01T12:00:00Z` or `2026-03-01T20:00:00+08:00`");
                None
            }
        }
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "An instant as RFC 3339 writes it." })
    }
}
