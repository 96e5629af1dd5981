//! The access log: one JSON object a line for each request, with the decision.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `time` | text | when the request began, RFC 3339 in UTC with milliseconds |
//! | `request_id` | text | the id that errors and the upstream carry too |
//! | `trace_id` | text | of the trace that goes on, else from `traceparent`, where the request had one |
//! | `client` | text | the client's address, behind trusted proxies |
//! | `protocol` | text | `HTTP/1.1`, `HTTP/2` |
//! | `method`, `host`, `path` | text | as asked; the path without its query, which often holds secrets |
//! | `user` | text | the user id as a keyed hash ([`UserHash`]); the id itself never leaves the process |
//! | `device` | text | the device id as a keyed hash, like `user` |
//! | `sku_id`, `category_id`, `order_amount` | text | these facts, where known |
//! | `facts` | object | the facts that `access_log_facts` names, where known |
//! | `absent` | list | the facts that the request did not have, of these and of those with a field of their own; one that nobody looked for is not among them |
//! | `route` | text | the route; absent where none matched |
//! | `lane`, `level`, `reason` | text | the decision, in the words of `explain` |
//! | `decided_reason` | text | the reason before a breaker or a missing lane replaced it; absent where nothing did |
//! | `release`, `bucket`, `salt` | text, number, text | the release, the user's bucket in it, and the salt it was made with |
//! | `key` | text | the fact that the bucket was made from: `user_id` or `device_id` |
//! | `ab_bucket`, `ab_salt` | number, text | the user's bucket in the experiment that the release names |
//! | `status` | number | the status code of the answer; 0 if the client left before there was one |
//! | `upstream` | text | the upstream that was asked |
//! | `duration_ms`, `upstream_ms` | number | whole request; until the upstream's response head |
//! | `bytes_in`, `bytes_out` | number | bytes of the bodies |
//! | `replayed` | true | sent once more on a fresh connection; absent otherwise |
//! | `shielded` | text | how the gray attempt failed that stable made good; absent otherwise |
//! | `fault` | text | the fault on purpose that the request met; absent otherwise |
//! | `fault_counts` | true | that fault counts against the release as if it were real; absent otherwise |
//! | `limited` | text | the lane that had no room for it: answered by stable instead, or with 429; absent otherwise |
//! | `error` | text | what went wrong, as in the error answer; absent otherwise |
//!
//! Absent means absent: no field is `null` or empty. Fields come in this order. A value is cut at a limit (with `…` at
//! its end; a value that `access_log_redact` hides is that mark alone), and whatever could fool a terminal or a log viewer (control characters, line separators, characters that
//! turn the direction of text) is escaped; so a line is bounded and a request cannot forge one.
//!
//! A worker encodes and hands over; one thread writes. The queue between them is bounded, and when it is full the line
//! is dropped and counted: a slow disk costs lines, never requests.

mod encode;
mod file;
mod outlet;
mod user;
mod writer;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::config::Redaction;
use crate::decide::{Bucket, Level, Permille, Reason};

pub use outlet::Sink;
pub use user::{HashedUser, KeyError, UserHash};
pub use writer::{AccessLog, WorkerLog};

/// Which requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// None.
    #[default]
    Off,
    /// Every one.
    All,
    /// This many in a thousand, and every one that failed.
    Share(Permille),
}

/// One line to be.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When the request began.
    pub time: SystemTime,
    /// What was asked.
    pub asked: Asked<'a>,
    /// Where it was sent, and why; `None` where no route matched.
    pub decided: Option<Decided<'a>>,
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// What of all this is not shown.
    pub redact: &'a Redaction,
}

/// What the client asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The 32 hex digits of `traceparent`.
    pub trace_id: Option<&'a str>,
    /// The client's address.
    pub client: IpAddr,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// The method.
    pub method: &'a str,
    /// The host as asked for.
    pub host: Option<&'a str>,
    /// The path as sent; a query behind it is cut off.
    pub path: &'a str,
    /// The facts worth a field.
    pub facts: LoggedFacts<'a>,
}

/// The facts that have a field of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedFacts<'a> {
    /// The raw user id; it is hashed on its way into the line.
    pub user_id: Option<&'a str>,
    /// The raw device id; hashed likewise.
    pub device_id: Option<&'a str>,
    /// The SKU.
    pub sku_id: Option<&'a str>,
    /// The category.
    pub category_id: Option<&'a str>,
    /// The amount of the order, as sent.
    pub order_amount: Option<&'a str>,
    /// Further facts that the configuration wants in the log, by name: those with a value.
    pub named: &'a [(&'a str, &'a str)],
    /// The names of all facts of these that were looked for and not there. One that is neither here nor has a value was never
    /// looked for.
    pub absent: &'a [&'a str],
}

/// The decision by its names.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The route.
    pub route: &'a str,
    /// The lane that served.
    pub lane: &'a str,
    /// The level that decided.
    pub level: Level,
    /// Why.
    pub reason: Reason,
    /// Why before a breaker or a missing lane changed the lane.
    pub decided_reason: Option<Reason>,
    /// The release, if the route has one.
    pub release: Option<&'a str>,
    /// The user's bucket in it.
    pub bucket: Option<Bucket>,
    /// The salt of the bucket.
    pub salt: Option<&'a str>,
    /// The fact that was hashed into the bucket.
    pub key: Option<&'a str>,
    /// The user's bucket in the release's experiment, and the experiment's salt.
    pub experiment: Option<(Bucket, &'a str)>,
}

/// What came of the request.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The status code; 0 if the client left first.
    pub status: u16,
    /// The upstream that was asked.
    pub upstream: Option<&'a str>,
    /// The whole request.
    pub duration: Duration,
    /// Until the upstream's response head.
    pub upstream_duration: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Sent once more on a fresh connection.
    pub replayed: bool,
    /// How gray failed, where stable answered in its place.
    pub shielded: Option<&'a str>,
    /// The fault on purpose that the request met, by its name.
    pub fault: Option<&'a str>,
    /// Whether that fault counts against the release as if it were real.
    pub fault_counts: bool,
    /// The lane that had no room for it.
    pub limited: Option<&'a str>,
    /// What went wrong, if anything.
    pub error: Option<&'a str>,
}
