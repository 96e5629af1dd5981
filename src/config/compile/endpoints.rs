//! How an upstream's endpoints are watched and chosen among.

use std::net::IpAddr;
use std::time::Duration;

use super::process::{count, positive};
use crate::config::endpoints::{Ejection, EndpointPolicy, Health, Probe};
use crate::config::file::{FileEjection, FileHealth, FileUpstream};
use crate::config::problem::Findings;
use crate::config::settings::Endpoint;
use crate::config::text::At;
use crate::decide::Permille;

/// Most results in a row that anybody waits for.
const LONGEST_ROW: u32 = 1000;
/// Checks that follow each other faster are an attack.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The longest path, service or host of a check.
const LONGEST_TEXT: usize = 1024;

/// The policy of one upstream.
pub(super) fn policy(written: &FileUpstream, endpoints: &[Endpoint], findings: &mut Findings) -> EndpointPolicy {
    let default = EndpointPolicy::default();
    if let (Some(ejection), [only]) = (&written.ejection, endpoints)
        && is_one_address(only)
    {
        findings.warn(ejection.at, "the only endpoint of an upstream is never ejected");
    }
    EndpointPolicy {
        balance: written.balance.as_ref().map_or(default.balance, |word| word.value),
        health: written.health.as_ref().and_then(|written| health(written, findings)),
        ejection: written.ejection.as_ref().map(|written| ejection(written, findings)),
        slow_start: written
            .slow_start
            .as_ref()
            .map(|time| positive(Some(time), Duration::from_secs(1), "slow_start", findings)),
        panic: written.panic.as_ref().and_then(|share| Permille::new(share.value.0)).unwrap_or(default.panic),
    }
}

/// Whether nothing but this one address can come of it; a name may have several.
fn is_one_address(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Host { host, .. } => host.parse::<IpAddr>().is_ok(),
        Endpoint::Service { .. } => false,
        Endpoint::Unix(_) | Endpoint::Local => true,
    }
}

fn health(written: &FileHealth, findings: &mut Findings) -> Option<Health> {
    let default = Health::new(probe(written, findings)?);
    let interval = positive(written.interval.as_ref(), default.interval, "interval", findings);
    if let Some(at) = written.interval.as_ref().filter(|_| !interval.is_zero() && interval < SHORTEST_INTERVAL) {
        findings.error(at.at, "`interval` is at least 10ms");
    }
    let timeout = positive(written.timeout.as_ref(), default.timeout.min(interval), "timeout", findings);
    if let Some(at) = written.timeout.as_ref().filter(|_| timeout > interval) {
        findings.error(at.at, "`timeout` is longer than `interval`");
    }
    let host = written.host.as_ref();
    if let Some(host) = host.filter(|host| !is_authority(&host.value)) {
        findings.error(host.at, format!("`{}` is no host", host.value)).help("write `goods.internal` or `goods:80`");
    }
    if let (Some(host), Probe::Tcp) = (host, &default.probe) {
        findings.error(host.at, "a `tcp` check asks for no host");
    }
    Some(Health {
        host: host.map(|host| host.value.clone()),
        interval,
        timeout,
        healthy_after: row(written.healthy_after.as_ref(), "healthy_after", default.healthy_after, findings),
        unhealthy_after: row(written.unhealthy_after.as_ref(), "unhealthy_after", default.unhealthy_after, findings),
        ..default
    })
}

fn probe(written: &FileHealth, findings: &mut Findings) -> Option<Probe> {
    match (&written.http, &written.grpc, &written.tcp) {
        (Some(path), None, None) => {
            let visible = path.value.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
            if !path.value.starts_with('/') || !visible || path.value.len() > LONGEST_TEXT {
                findings
                    .error(path.at, format!("`{}` is no path of a check", path.value))
                    .help("a path starts with `/`, has no spaces, and other characters as `%E5`");
            }
            Some(Probe::Http(path.value.clone()))
        }
        (None, Some(service), None) => {
            let name = service.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
            if !name || service.value.len() > LONGEST_TEXT {
                findings
                    .error(service.at, format!("`{}` is no gRPC service", service.value))
                    .help("write `goods.Prices`, or `\"\"` for the server as a whole");
            }
            Some(Probe::Grpc(service.value.clone()))
        }
        (None, None, Some(tcp)) => {
            if !tcp.value {
                findings.error(tcp.at, "only `tcp: true` checks anything").help("leave `health` out for no checks");
            }
            Some(Probe::Tcp)
        }
        _ if written.flawed => None,
        _ => {
            findings.error(written.at, "`health` has one of `http`, `grpc`, `tcp`");
            None
        }
    }
}

/// A host with or without a port; what it is good for is the server's to say.
fn is_authority(text: &str) -> bool {
    let host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    !text.is_empty() && text.len() <= LONGEST_TEXT && text.bytes().all(host)
}

fn ejection(written: &FileEjection, findings: &mut Findings) -> Ejection {
    let default = Ejection::default();
    let base = positive(written.base.as_ref(), default.base, "base", findings);
    let max = positive(written.max.as_ref(), default.max.max(base), "max", findings);
    if let Some(time) = written.max.as_ref().filter(|time| !time.value.0.is_zero() && max < base) {
        findings.error(time.at, "`max` is shorter than `base`");
    }
    if let Some(share) = written.share.as_ref().filter(|share| share.value.0 == 0) {
        findings.error(share.at, "`share` of 0 would never eject").help("leave `ejection` out");
    }
    Ejection {
        failures: row(written.failures.as_ref(), "failures", default.failures, findings),
        base,
        max,
        share: written.share.as_ref().and_then(|share| Permille::new(share.value.0)).unwrap_or(default.share),
    }
}

fn row(written: Option<&At<u32>>, what: &str, default: u32, findings: &mut Findings) -> u32 {
    match written {
        Some(written) if count(written, what, LONGEST_ROW, findings).is_some() => written.value,
        _ => default,
    }
}
