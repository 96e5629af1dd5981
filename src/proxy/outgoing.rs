//! The head of a request as an upstream gets it.

use std::borrow::Cow;

use http::uri::{Authority, PathAndQuery, Scheme};

use super::attempt::{Call, Failed};
use super::body::{RequestBody, unless_gone};
use super::failure::Failure;
use super::fields::{in_place, to_upstream};
use super::record::Record;
use super::respond::Responder;
use super::snapshot::{Snapshot, Target};
use super::timer::{Clock, Late, Timer};
use crate::config::{Normalize, Protocol};
use crate::decide::NormalPath;
use crate::upstream::{ConnectError, Dialect, H1Lease, Lease, LeaseError};
use crate::wire::h1::{self, Framing, request_line};
use crate::wire::{FieldSink, Known, RequestHead, Version};

/// What is spoken to the upstream.
pub(super) fn dialect(target: Target, call: &Call<'_>) -> Dialect {
    match target.protocol {
        Protocol::H2 if call.told.upgrade.is_none() => Dialect::H2,
        Protocol::Same if call.head.version == Version::H2 => Dialect::H2,
        _ => Dialect::Http1,
    }
}

/// What it means for a request that there is no connection.
fn lease_failure(error: LeaseError, clock: &Clock) -> Failure {
    match error {
        LeaseError::Connect(ConnectError::TimedOut) if clock.is_over() => Failure::RequestLate,
        LeaseError::NoEndpoint => Failure::NoEndpoint,
        LeaseError::Connect(ConnectError::Refused(_) | ConnectError::Tls(_)) => Failure::Connect,
        LeaseError::Connect(ConnectError::TimedOut) => Failure::ConnectLate,
    }
}

/// Waits for a connection, no longer than the exchange may last and only while the client is there. Most requests find
/// one that waits for them, so this stands on the heap.
pub(super) async fn leased(
    opening: impl Future<Output = Result<Lease, LeaseError>>,
    body: &mut RequestBody<'_>,
    responder: &mut Option<Responder<'_>>,
    timer: &mut Timer,
    clock: &Clock,
) -> Result<Lease, Failure> {
    let opening = unless_gone(body, responder, Box::pin(opening));
    let opened = timer.race(|| clock.last(), opening).await;
    opened.map_err(|Late| Failure::RequestLate)??.map_err(|error| lease_failure(error, clock))
}

/// How the body goes up: a length where there is one, else chunks.
pub(super) fn upstream_framing(call: &Call<'_>) -> Framing {
    match call.framing {
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    }
}

/// Bytes that our own fields usually add to a head.
const OWN_FIELDS: usize = 512;
/// Lines that they usually are.
const OWN_LINES: usize = 8;

/// The head of an HTTP/1 request, into the buffer of the connection.
pub(super) fn write_head(call: &Call<'_>, lease: &mut H1Lease, framing: Framing, record: &mut Record) {
    let head = call.head;
    let authority = match head.authority().filter(|host| !host.is_empty()) {
        Some(authority) => Cow::Borrowed(authority),
        None => Cow::Owned(lease.authority().into_bytes()),
    };
    let out = &mut lease.connection.output.buf;
    out.clear();
    out.reserve(head.fields.size() + OWN_FIELDS);
    request_line(out, head.method(), call.target);
    out.field(b"host", &authority);
    record.stripped = to_upstream(out, head, &call.told, record.trace.passing(), call.untrusted);
    record.trace.write(out);
    match framing {
        Framing::Length(n) => out.field(b"content-length", itoa::Buffer::new().format(n).as_bytes()),
        Framing::Chunked => out.field(b"transfer-encoding", b"chunked"),
        // A method that usually has a body says that this one has none, as the client did.
        _ if head.fields.has(Known::ContentLength) => out.field(b"content-length", b"0"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// The head of an HTTP/2 request.
pub(super) fn h2_request(call: &Call<'_>, scheme: &str, record: &mut Record) -> Result<http::Request<()>, Failed> {
    let head = call.head;
    let authority = head.authority().filter(|host| !host.is_empty()).unwrap_or(b"localhost");
    // HTTP/1 lets some characters pass in a target that the `http` crate does not.
    let target = Failure::Refused(h1::HeadError::TARGET);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if scheme == "https" { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(authority).map_err(|_| target)?);
    parts.path_and_query = Some(PathAndQuery::try_from(call.target).map_err(|_| target)?);
    let mut request = http::Request::new(());
    *request.uri_mut() = http::Uri::from_parts(parts).map_err(|_| target)?;
    *request.method_mut() = http::Method::from_bytes(head.method().as_bytes()).map_err(|_| Failure::BadAnswer)?;
    *request.version_mut() = http::Version::HTTP_2;
    let fields = request.headers_mut();
    let passing = record.trace.passing();
    if let Some(map) = head.fields.take_map() {
        *fields = *map;
        record.stripped = in_place::to_upstream(fields, head, &call.told, passing, call.untrusted);
    } else {
        fields.reserve(head.fields.len() + OWN_LINES);
        record.stripped = to_upstream(fields, head, &call.told, passing, call.untrusted);
        // The one use of TE that HTTP/2 knows; gRPC servers insist on it.
        if head.fields.all(Known::Te).any(|te| te.eq_ignore_ascii_case(b"trailers")) {
            fields.field(b"te", b"trailers");
        }
    }
    record.trace.write(fields);
    if let Framing::Length(n) = call.framing {
        fields.field(b"content-length", itoa::Buffer::new().format(n).as_bytes());
    }
    Ok(request)
}

/// The target as the upstream gets it: as sent, unless the normal form is to be forwarded.
pub(super) fn target_for<'t>(snapshot: &Snapshot, head: &'t RequestHead, path: &NormalPath<'_>) -> Cow<'t, str> {
    if snapshot.settings.normalize == Normalize::Match || path.is_unchanged() {
        return Cow::Borrowed(head.target());
    }
    Cow::Owned(match head.query() {
        Some(query) => format!("{}?{query}", path.as_str()),
        None => path.as_str().to_owned(),
    })
}
