//! What the spans of a request say.

use std::net::IpAddr;

use super::Attempt;
use crate::decide::LaneId;
use crate::proxy::failure::Failure;
use crate::proxy::record::Record;
use crate::proxy::snapshot::Snapshot;
use crate::proxy::{Request, Routed};
use crate::trace::{Attributes, Passing};
use crate::upstream::Address;
use crate::wire::{RequestHead, Version};

/// Methods that stand in spans as they are; a client's own words would be names without end.
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
/// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's fault, by the conventions for
/// gRPC.
const GRPC_FAULTS: [u16; 6] = [2, 4, 12, 13, 14, 15];

/// A request that is over.
pub(super) struct Over<'o, 'r, 'c> {
    pub(super) snapshot: &'o Snapshot,
    pub(super) request: &'o Request<'r, 'c>,
    pub(super) routed: Option<&'o Routed<'r>>,
    pub(super) record: &'o Record,
}

impl Over<'_, '_, '_> {
    /// Whether the server failed, and the word for what went wrong. A client that left is nobody's failure.
    pub(super) fn error(&self) -> (bool, Option<String>) {
        let Record { failure, status, grpc_status, is_broken, .. } = self.record;
        match (failure, grpc_status) {
            (Some(Failure::ClientGone), _) => (false, Some(Failure::ClientGone.word().to_owned())),
            (Some(failure), _) if failure.status() >= 500 || *is_broken => (true, Some(failure.word().to_owned())),
            (None, Some(grpc)) if GRPC_FAULTS.contains(grpc) => (true, Some(grpc.to_string())),
            _ if *status >= 500 => (true, Some(status.to_string())),
            _ => (false, None),
        }
    }

    pub(super) fn route_path(&self) -> Option<&str> {
        let routed = self.routed?;
        Some(&self.snapshot.settings.program.route(routed.route).path)
    }

    pub(super) fn server(&self, attributes: &mut Attributes<'_>, error: Option<&str>) {
        let (request, record) = (self.request, self.record);
        let head = request.head;
        request_method(attributes, head);
        attributes.sent("url.path", head.path());
        attributes.text("url.scheme", request.peer.scheme.as_str());
        if let Some((host, port)) = head.authority().and_then(|authority| host_and_port(authority)) {
            attributes.sent("server.address", host);
            if let Some(port) = port {
                attributes.number("server.port", port.into());
            }
        }
        if let Some(path) = self.route_path() {
            attributes.text("http.route", path);
        }
        attributes.text("network.protocol.version", version(head.version));
        attributes.text("network.peer.address", &request.peer.text);
        if record.status > 0 && record.failure != Some(Failure::ClientGone) {
            attributes.number("http.response.status_code", record.status.into());
        }
        if let Some(error) = error {
            attributes.text("error.type", error);
        }
        if let Some(grpc) = record.grpc_status {
            attributes.number("rpc.grpc.status_code", grpc.into());
        }
        if let Some(id) = &record.id {
            attributes.sent("graylane.request_id", id);
        }
        if let Some(routed) = self.routed {
            self.decision(attributes, routed);
        }
        if let Some(shielded) = record.shielded {
            attributes.text("graylane.shielded", shielded.word());
        }
        if let Some(fault) = &record.fault {
            attributes.text("graylane.fault", &fault.plan.name);
        }
    }

    fn decision(&self, attributes: &mut Attributes<'_>, routed: &Routed<'_>) {
        let (program, decision) = (&self.snapshot.settings.program, &routed.decision);
        attributes.text("graylane.route", &program.route(routed.route).name);
        attributes.text("graylane.lane", program.lanes().name(routed.lane));
        attributes.text("graylane.level", decision.level.as_str());
        attributes.text("graylane.reason", decision.reason.as_str());
        if decision.decided.reason != decision.reason {
            attributes.text("graylane.decided_reason", decision.decided.reason.as_str());
        }
        if let Some(release) = decision.release {
            attributes.text("graylane.release", &program.release(release).name);
        }
        if let Some(bucket) = decision.bucket {
            attributes.number("graylane.bucket", bucket.get().into());
        }
    }

    pub(super) fn client(&self, attributes: &mut Attributes<'_>, attempt: &Attempt, at: usize, error: Option<&str>) {
        let head = self.request.head;
        let upstream = &self.snapshot.directory.upstreams()[attempt.upstream].spec;
        request_method(attributes, head);
        if let Some((address, spoken)) = &attempt.reached {
            let scheme = if upstream.tls.is_some() { "https" } else { "http" };
            let path = head.path();
            match address {
                Address::Tcp(address) => {
                    attributes.sent("url.full", &format!("{scheme}://{address}{path}"));
                    attributes.text("server.address", &address.ip().to_string());
                    attributes.number("server.port", address.port().into());
                }
                Address::Unix(socket) => {
                    attributes.sent("url.full", &format!("{scheme}://localhost{path}"));
                    attributes.text("server.address", &socket.to_string_lossy());
                    attributes.text("network.transport", "unix");
                }
            }
            attributes.text("network.protocol.version", version(*spoken));
        }
        if attempt.status > 0 {
            attributes.number("http.response.status_code", attempt.status.into());
        }
        if let Some(grpc) = attempt.grpc_status {
            attributes.number("rpc.grpc.status_code", grpc.into());
        }
        if let Some(error) = error {
            attributes.text("error.type", error);
        }
        if at > 0 {
            attributes.number("http.request.resend_count", at as i64);
        }
        attributes.text("graylane.upstream", &upstream.name);
        attributes.text("graylane.lane", self.lane_of(attempt));
    }

    /// The lane that an attempt was for: the one that answered, or the one decided before the shield.
    fn lane_of(&self, attempt: &Attempt) -> &str {
        let lanes = self.snapshot.settings.program.lanes();
        let Some(routed) = self.routed else { return lanes.name(LaneId::STABLE) };
        let answered = attempt.upstream == routed.target.upstream;
        lanes.name(if answered { routed.lane } else { routed.decision.lane })
    }
}

pub(super) fn method(head: &RequestHead) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == head.method())
}

fn request_method(attributes: &mut Attributes<'_>, head: &RequestHead) {
    attributes.text("http.request.method", method(head).unwrap_or("_OTHER"));
    if method(head).is_none() {
        attributes.sent("http.request.method_original", head.method());
    }
}

/// As the conventions write it.
fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::H2 => "2",
    }
}

/// The host of an authority, without the brackets of IPv6, and the port it names.
fn host_and_port(authority: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(authority).ok().filter(|text| !text.is_empty())?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some((bare.filter(|host| host.parse::<IpAddr>().is_ok()).unwrap_or(host), port))
}

/// The `tracestate` that goes on with a trace that is followed; several lines are one list, of which the first counts here.
pub(super) fn trace_state(head: &RequestHead, passing: Passing) -> &str {
    if passing == Passing::Restarted {
        return "";
    }
    head.fields.named(b"tracestate").next().and_then(|state| std::str::from_utf8(state).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_authority_stands_without_its_port() {
        let check = |authority: &str, expected: Option<(&str, Option<u16>)>| {
            assert_eq!(host_and_port(authority.as_bytes()), expected, "{authority}");
        };
        check("shop.test", Some(("shop.test", None)));
        check("shop.test:8080", Some(("shop.test", Some(8080))));
        check("10.0.0.1:80", Some(("10.0.0.1", Some(80))));
        check("[::1]:80", Some(("::1", Some(80))));
        check("[::1]", Some(("::1", None)));
        check("shop.test:99999", Some(("shop.test", None)));
        check("", None);
    }
}
