//! Routes and breakers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::composite::FileStrategies;
use super::limit::FileLaneLimits;
use crate::config::node::{Kind, Node};
use crate::config::problem::Findings;
use crate::config::read::{OneOrMany, Read, Table, mirror, words};
use crate::config::text::At;
use crate::config::units::{Name, Share, Size, Time};

mirror! {
    /// An HTTP match with its lanes, release, breaker and timeouts.
    #[schemars(rename = "Route")]
    struct FileRoute("a route") {
        /// The route's name, in metrics and explanations.
        [required] name: At<Name>,
        /// Which requests it takes.
        [required] r#match: FileMatch,
        /// The upstream of each lane; `stable` is always one of them.
        #[schemars(extend("examples" = [{ "stable": "goods-stable", "gray": "goods-gray" }]))]
        [required] lanes: Table<At<String>>,
        /// The release that decides; without one every request goes to stable.
        release: At<String>,
        /// The breaker over each lane.
        breaker: At<String>,
        /// How long each part of a request may take.
        timeouts: FileTimeouts,
        /// Failed gray attempts are tried again on stable.
        shield: FileShield,
        /// What each lane may be sent.
        #[schemars(extend("examples" = [{ "gray": { "concurrency": 50, "over": "stable" } }]))]
        limits: Table<FileLaneLimits>,
        /// How requests that the release does not take are spread over further lanes.
        strategies: FileStrategies,
    }
}

mirror! {
    /// Which requests a route takes: all that is written must hold.
    #[schemars(rename = "Match")]
    struct FileMatch("`match`") {
        /// A host, without port; `*.example.com` takes every host below it.
        host: At<String>,
        /// Several hosts.
        hosts: Vec<At<String>>,
        /// A path: `{name}` takes one segment, `{*rest}` at the end takes the rest, `/` included.
        #[schemars(extend("default" = "/{*rest}", "examples" = ["/api/v1/sku/{sku_id}", "/{*rest}"]))]
        path: At<String>,
        /// Methods; default all.
        #[schemars(extend("examples" = [["GET", "HEAD"]]))]
        methods: OneOrMany<At<String>>,
        /// Headers: a text is the exact value.
        headers: Table<FileHeaderMatch>,
    }
}

/// `x-beta: "1"` or `x-beta: { prefix: v2 }`.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct FileHeaderMatch(pub(in crate::config) FileHeaderForm);

mirror! {
    /// How a header's value is matched: one of these.
    #[schemars(rename = "HeaderForm")]
    struct FileHeaderForm("a header match") {
        /// The value is this.
        exact: At<String>,
        /// The value starts with this.
        prefix: At<String>,
        /// The value matches this regular expression (linear time), anywhere unless it is anchored.
        regex: At<String>,
        /// The header is there, whatever its value.
        present: At<bool>,
    }
}

impl Read for FileHeaderMatch {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if matches!(node.kind, Kind::Map(_)) {
            return FileHeaderForm::read(node, findings).map(FileHeaderMatch);
        }
        let exact = At::<String>::read(node, findings)?;
        Some(FileHeaderMatch(FileHeaderForm { exact: Some(exact), at: node.at, ..FileHeaderForm::default() }))
    }
}

impl JsonSchema for FileHeaderMatch {
    fn schema_name() -> Cow<'static, str> {
        "HeaderMatch".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let form = generator.subschema_for::<FileHeaderForm>();
        json_schema!({ "anyOf": [{ "type": "string" }, form] })
    }
}

mirror! {
    /// How long each part of a request may take.
    #[schemars(rename = "Timeouts")]
    struct FileTimeouts("`timeouts`") {
        /// To connect to an endpoint.
        #[schemars(extend("default" = "1s"))]
        connect: At<Time>,
        /// From the end of the request to the head of the response.
        #[schemars(extend("default" = "15s"))]
        first_byte: At<Time>,
        /// The whole request. Default none: a stream may be long, and `idle` ends one that stands still.
        request: At<Time>,
        /// Without a byte in either direction, upgraded connections included.
        #[schemars(extend("default" = "60s"))]
        idle: At<Time>,
        /// The upstream is told how much of `request` is left although the caller set no deadline, in
        /// `x-request-timeout-ms`, for gRPC in `grpc-timeout`.
        #[schemars(extend("default" = false))]
        pass_on: At<bool>,
    }
}

mirror! {
    /// Failed gray attempts are tried again on stable, where that is safe.
    #[schemars(rename = "Shield")]
    struct FileShield("`shield`") {
        /// What counts as failed: `connect`, `reset`, and statuses from 400 to 599. 504 includes our own time-out.
        #[schemars(extend("default" = ["connect", "reset", 500, 502, 503, 504]))]
        on: Vec<At<ShieldWord>>,
        /// The largest body that is kept for a second attempt.
        #[schemars(extend("default" = "64KiB"))]
        max_body: At<Size>,
        /// Second attempts, as a share of the requests.
        #[schemars(extend("default" = "20%"))]
        budget: At<Share>,
        /// Both lanes share one idempotency store, so a POST may be tried again too.
        #[schemars(extend("default" = false))]
        shared_idempotency: At<bool>,
    }
}

/// `connect`, `reset` or a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShieldWord {
    /// No connection could be made.
    Connect,
    /// The connection broke before a response.
    Reset,
    /// A status of the response.
    Status(u16),
}

impl Read for ShieldWord {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = String::read(node, findings)?;
        match (text.as_str(), text.parse::<u16>()) {
            ("connect", _) => Some(ShieldWord::Connect),
            ("reset", _) => Some(ShieldWord::Reset),
            (_, Ok(status)) if (400..600).contains(&status) => Some(ShieldWord::Status(status)),
            _ => {
                let message = format!("`{text}` is not `connect`, `reset` or a status from 400 to 599");
                findings.error(node.at, message).suggest(&text, ["connect", "reset"]);
                None
            }
        }
    }
}

impl JsonSchema for ShieldWord {
    fn schema_name() -> Cow<'static, str> {
        "ShieldOn".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "enum": ["connect", "reset"] }, { "type": "integer", "minimum": 400, "maximum": 599 }] })
    }
}

mirror! {
    /// When a lane is taken out: any one of the figures is enough.
    #[schemars(rename = "Breaker")]
    struct FileBreaker("a breaker") {
        /// The sliding window.
        #[schemars(extend("default" = "60s"))]
        window: At<Time>,
        /// The short window, that also trips.
        #[schemars(extend("default" = "10s"))]
        short_window: At<Time>,
        /// Fewest calls in the window before it is judged.
        #[schemars(extend("default" = 50))]
        min_calls: At<u32>,
        /// Fewest calls before the P99 is judged: below 200 one slow call would decide.
        #[schemars(extend("default" = 200))]
        min_calls_p99: At<u32>,
        /// Opens at this share of failures.
        #[schemars(extend("default" = "5%"))]
        error_rate: At<Share>,
        /// Opens above this P99.
        #[schemars(extend("default" = "1.2s"))]
        p99: At<Time>,
        /// Opens above this mean.
        #[schemars(extend("default" = "800ms"))]
        mean: At<Time>,
        /// A call longer than this is slow.
        #[schemars(extend("default" = "1.2s"))]
        slow_call: At<Time>,
        /// Opens at this share of slow calls.
        #[schemars(extend("default" = "30%"))]
        slow_call_rate: At<Share>,
        /// How long it stays open the first time; doubled each time after.
        #[schemars(extend("default" = "5s"))]
        open_for: At<Time>,
        /// The longest it stays open.
        #[schemars(extend("default" = "5m"))]
        max_open: At<Time>,
        /// Calls that are let through half-open.
        #[schemars(extend("default" = 10))]
        trials: At<u32>,
        /// What happens where stable's breaker is open: `fail_fast` answers 503 with `Retry-After`, `pass` lets through.
        #[schemars(extend("default" = "fail_fast"))]
        when_stable_opens: At<StableOpen>,
    }
}

words! {
    /// What happens where stable's breaker is open.
    pub enum StableOpen("an answer to an open stable lane") {
        /// 503 with `Retry-After`.
        FailFast = "fail_fast",
        /// Requests pass all the same.
        Pass = "pass",
    }
}
