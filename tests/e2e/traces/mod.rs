//! What is told to OpenTelemetry, to a collector that reads it by OpenTelemetry's own definitions.

mod collectors;
mod contexts;
mod events;
mod spans;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::harness::{Origin, Plan};

/// The metric of what became of spans and events.
const ITEMS: &str = "graylane_otlp_items_total";

/// Everything to one lane, told to the collector of `section`.
fn plan(origin: &Origin, section: &str) -> Plan {
    changeable(origin).more(section)
}

/// Everything to one lane, and nothing is told. The configuration may be read again by a call.
fn changeable(origin: &Origin) -> Plan {
    Plan::to(origin.address()).admin("insecure_changes: true")
}

/// The server's span and the clients' of one request, in the order in which they began.
fn sides(spans: &[Span]) -> (&Span, Vec<&Span>) {
    let (servers, clients): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.kind == SpanKind::Server as i32);
    assert_eq!(servers.len(), 1, "{spans:#?}");
    assert!(clients.iter().all(|span| span.kind == SpanKind::Client as i32));
    (servers[0], clients)
}
