//! The collector: how a batch is sent to it, and what its answer means.
//!
//! <https://opentelemetry.io/docs/specs/otlp/> says which answers ask for another attempt. A batch is tried a few times and
//! then dropped and counted; the next one waits until then, and the queue behind it is bounded.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::time::Instant;

use super::protobuf::{Read, bytes, message, read};
use super::resource::Resource;
use crate::config::{OtlpProtocol, TracingPlan};
use crate::outbound::{Answer, Bounds, CallError, Caller, Roots};
use crate::telemetry::{OtlpFate, OtlpSignal, Telemetry};

/// The pauses between the attempts for one batch.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];
/// A collector that asks for a longer pause gets this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Most bytes of an answer, of a message in it, and of the file with header fields.
const ANSWER: usize = 64 << 10;
const LONGEST_WHY: usize = 200;
const LONGEST_HEADERS: u64 = 64 << 10;
/// How often at most the process log hears that spans are lost.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// The conventions that the names of attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Where batches are sent.
pub(super) struct Collector {
    plan: TracingPlan,
    resource: Resource,
    telemetry: Arc<Telemetry>,
    /// None before the first call, and after one that failed: files for TLS may be others by then.
    caller: Option<Caller>,
    complained: Option<Instant>,
}

/// What an answer says of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It was taken, but for so many items.
    Taken { rejected: u64, why: String },
    /// It is worth another attempt, perhaps after this time.
    Again { after: Option<Duration>, why: String },
    /// It is lost.
    Lost(String),
}

impl Collector {
    pub(super) fn new(plan: TracingPlan, resource: Resource, telemetry: Arc<Telemetry>) -> Self {
        Self { plan, resource, telemetry, caller: None, complained: None }
    }

    /// Sends a batch, and counts what became of it.
    pub(super) async fn send(&mut self, signal: OtlpSignal, items: &[u8], count: u32) {
        let body = self.body(items);
        let mut pauses = PAUSES.iter();
        let verdict = loop {
            let verdict = self.attempt(signal, body.clone()).await;
            let Verdict::Again { after, why } = verdict else { break verdict };
            self.caller = None;
            let Some(pause) = pauses.next() else { break Verdict::Lost(why) };
            tokio::time::sleep(after.map_or_else(|| spread(*pause), |after| after.min(LONGEST_PAUSE))).await;
        };
        let all = u64::from(count);
        let (lost, fate, why) = match verdict {
            Verdict::Taken { rejected, why } => (rejected.min(all), OtlpFate::Rejected, why),
            Verdict::Again { why, .. } | Verdict::Lost(why) => (all, OtlpFate::Failed, why),
        };
        let series = self.telemetry.otlp();
        series.count(usize::MAX, signal, OtlpFate::Exported, all - lost);
        series.count(usize::MAX, signal, fate, lost);
        if lost > 0 {
            self.complain(signal, lost, &why);
        }
    }

    fn complain(&mut self, signal: OtlpSignal, lost: u64, why: &str) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_EVERY) {
            self.complained = Some(Instant::now());
            let what = signal.as_str();
            tracing::warn!(collector = self.plan.otlp, what, lost, "the collector did not take everything: {why}");
        }
    }

    /// An `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`: they have the same form. In gRPC with its frame.
    fn body(&self, items: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(items.len() + 1024);
        if self.plan.protocol == OtlpProtocol::Grpc {
            out.extend_from_slice(&[0; 5]);
        }
        message(&mut out, 1, |out| {
            message(out, 1, |out| self.resource.write(out));
            message(out, 2, |out| {
                message(out, 1, |out| {
                    bytes(out, 1, b"graylane");
                    bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                out.extend_from_slice(items);
                bytes(out, 3, SCHEMA.as_bytes());
            });
            bytes(out, 3, SCHEMA.as_bytes());
        });
        if self.plan.protocol == OtlpProtocol::Grpc {
            let length = u32::try_from(out.len() - 5).unwrap_or(u32::MAX);
            out[1..5].copy_from_slice(&length.to_be_bytes());
        }
        out.into()
    }

    async fn attempt(&mut self, signal: OtlpSignal, body: Bytes) -> Verdict {
        let bounds = Bounds { within: self.plan.answer, bytes: ANSWER };
        let (caller, request) = match self.caller().and_then(|caller| Ok((caller, self.request(signal, body)?))) {
            Ok(call) => call,
            Err(why) => return Verdict::Lost(why),
        };
        match caller.call(request, bounds).await {
            Ok(answer) if self.plan.protocol == OtlpProtocol::Grpc => of_grpc(&answer),
            Ok(answer) => of_http(&answer),
            Err(error @ CallError::TooLarge(_)) => Verdict::Lost(error.to_string()),
            Err(error) => Verdict::Again { after: None, why: error.to_string() },
        }
    }

    fn caller(&mut self) -> Result<Caller, String> {
        if let Some(caller) = &self.caller {
            return Ok(caller.clone());
        }
        let roots = Roots { ca: self.plan.tls.ca.clone(), identity: self.plan.tls.identity.clone() };
        let made = match self.plan.protocol {
            OtlpProtocol::Http => Caller::new(&roots),
            OtlpProtocol::Grpc => Caller::over_h2(&roots),
        };
        let caller = made.map_err(|error| error.to_string())?;
        Ok(self.caller.insert(caller).clone())
    }

    fn request(&self, signal: OtlpSignal, body: Bytes) -> Result<Request<Bytes>, String> {
        let (path, kind) = match (self.plan.protocol, signal) {
            (OtlpProtocol::Http, OtlpSignal::Spans) => ("/v1/traces", "application/x-protobuf"),
            (OtlpProtocol::Http, OtlpSignal::Events) => ("/v1/logs", "application/x-protobuf"),
            (OtlpProtocol::Grpc, OtlpSignal::Spans) => {
                ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", "application/grpc")
            }
            (OtlpProtocol::Grpc, OtlpSignal::Events) => {
                ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "application/grpc")
            }
        };
        let request = Request::post(format!("{}{path}", self.plan.otlp));
        let mut request = request.body(body).map_err(|error| error.to_string())?;
        let fields = request.headers_mut();
        if let Some(file) = &self.plan.headers_file {
            *fields = header_fields(file)?;
        }
        fields.insert("content-type", HeaderValue::from_static(kind));
        fields.insert("user-agent", HeaderValue::from_static(concat!("graylane/", env!("CARGO_PKG_VERSION"))));
        if self.plan.protocol == OtlpProtocol::Grpc {
            fields.insert("te", HeaderValue::from_static("trailers"));
        }
        Ok(request)
    }
}

/// The lines `name: value` of a file as it is now; empty ones and those that begin with `#` aside.
fn header_fields(file: &std::path::Path) -> Result<HeaderMap, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let length = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
    if length > LONGEST_HEADERS {
        return Err(failed(&"too long"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let mut fields = HeaderMap::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is a secret, and is not told.
        let wrong = || failed(&format!("line {} is no `name: value`", at + 1));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        fields.append(name, value);
    }
    Ok(fields)
}

fn of_http(answer: &Answer) -> Verdict {
    match answer.status {
        200..=299 => of_message(&answer.body),
        429 | 502..=504 => {
            let after = answer.fields.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Verdict::Again { after: after.map(Duration::from_secs), why: format!("it answered {}", answer.status) }
        }
        status => Verdict::Lost(format!("it answered {status}")),
    }
}

fn of_grpc(answer: &Answer) -> Verdict {
    if answer.status != 200 {
        return of_http(answer);
    }
    let status = answer.trailers.get("grpc-status").or(answer.fields.get("grpc-status"));
    let Some(status) = status.and_then(|status| status.to_str().ok()?.parse::<u8>().ok()) else {
        return Verdict::Lost("it answered without a status of gRPC".to_owned());
    };
    match status {
        // One message, not compressed.
        0 => match answer.body.split_at_checked(5) {
            Some((&[0, a, b, c, d], rest)) if u32::from_be_bytes([a, b, c, d]) as usize == rest.len() => {
                of_message(rest)
            }
            _ => Verdict::Lost("its answer is no message of gRPC".to_owned()),
        },
        // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        1 | 4 | 8 | 10 | 11 | 14 | 15 => {
            Verdict::Again { after: None, why: format!("it answered with status {status} of gRPC") }
        }
        status => Verdict::Lost(format!("it answered with status {status} of gRPC")),
    }
}

/// An `ExportTraceServiceResponse` or an `ExportLogsServiceResponse`: a batch may be taken in part. What is neither was
/// said by somebody else than a collector.
fn of_message(message: &[u8]) -> Verdict {
    let (mut rejected, mut why, mut inner) = (0, String::new(), Ok(()));
    let outer = read(message, |field, value| {
        let (1, Read::Bytes(part)) = (field, value) else { return };
        inner = read(part, |field, value| match (field, value) {
            (1, Read::Number(count)) => rejected = count,
            (2, Read::Bytes(text)) => why = String::from_utf8_lossy(text).chars().take(LONGEST_WHY).collect(),
            _ => {}
        });
    });
    match outer.and(inner) {
        Ok(()) => Verdict::Taken { rejected, why },
        Err(garbled) => Verdict::Lost(format!("its answer cannot be understood: {garbled}")),
    }
}

/// Between a half and the whole of a pause by chance: many sidecars send to one collector.
fn spread(whole: Duration) -> Duration {
    let share = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    whole.div_f64(2.0) + whole.mul_f64(share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message as _;

    fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer { status, fields: HeaderMap::new(), body: body.into(), trailers: HeaderMap::new() }
    }

    fn partial(rejected: i64) -> Vec<u8> {
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "too old".to_owned() };
        ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    fn taken(rejected: u64, why: &str) -> Verdict {
        Verdict::Taken { rejected, why: why.to_owned() }
    }

    #[test]
    fn answers_over_http_are_told_apart() {
        assert_eq!(of_http(&answer(200, "")), taken(0, ""));
        assert_eq!(of_http(&answer(200, partial(3))), taken(3, "too old"));
        for garbage in ["<html>hello</html>", "\u{1}\u{2}", "OK"] {
            assert!(matches!(of_http(&answer(200, garbage)), Verdict::Lost(_)), "{garbage}");
        }
        for status in [429, 502, 503, 504] {
            assert!(matches!(of_http(&answer(status, "")), Verdict::Again { after: None, .. }), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert!(matches!(of_http(&answer(status, "")), Verdict::Lost(_)), "{status}");
        }
        let mut busy = answer(503, "");
        busy.fields.insert("retry-after", "7".parse().unwrap());
        let why = "it answered 503".to_owned();
        assert_eq!(of_http(&busy), Verdict::Again { after: Some(Duration::from_secs(7)), why });
    }

    #[test]
    fn answers_over_grpc_are_told_apart() {
        let framed = |message: Vec<u8>| [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
        let with = |status: &str, body: Vec<u8>| {
            let mut answer = answer(200, body);
            answer.trailers.insert("grpc-status", status.parse().unwrap());
            answer
        };
        assert_eq!(of_grpc(&with("0", framed(Vec::new()))), taken(0, ""));
        assert_eq!(of_grpc(&with("0", framed(partial(2)))), taken(2, "too old"));
        assert!(matches!(of_grpc(&with("0", b"hello".to_vec())), Verdict::Lost(_)));
        assert!(matches!(of_grpc(&with("14", Vec::new())), Verdict::Again { .. }));
        for status in ["3", "12", "16", "nonsense"] {
            assert!(matches!(of_grpc(&with(status, Vec::new())), Verdict::Lost(_)), "{status}");
        }
        assert!(matches!(of_grpc(&answer(200, "")), Verdict::Lost(_)), "no status at all");
        assert!(matches!(of_grpc(&answer(503, "")), Verdict::Again { .. }));
        let mut only_trailers = answer(200, "");
        only_trailers.fields.insert("grpc-status", "8".parse().unwrap());
        assert!(matches!(of_grpc(&only_trailers), Verdict::Again { .. }));
    }

    #[test]
    fn the_file_of_header_fields_is_read_line_by_line_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "# for the collector\n\napi-key: s3cret\nAuthorization: Bearer a:b\n").unwrap();
        let fields = header_fields(&file).unwrap();
        assert_eq!(
            (&fields["api-key"], &fields["authorization"]),
            (&"s3cret".parse().unwrap(), &"Bearer a:b".parse().unwrap())
        );
        std::fs::write(&file, "api-key: s3cret\ns3cret without a name\n").unwrap();
        let why = header_fields(&file).unwrap_err();
        assert!(why.ends_with("line 2 is no `name: value`") && !why.contains("s3cret"), "{why}");
        assert!(header_fields(&folder.path().join("absent")).is_err());
    }
}
