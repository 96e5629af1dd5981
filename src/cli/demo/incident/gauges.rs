//! What the sidecar tells of itself on its admin port, read as anybody could read it; and what this process holds.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::super::traffic::Connection;
use super::act::{Act, Side};

/// How often it is read: no time that is told is more exact.
pub(super) const GLANCE: Duration = Duration::from_millis(40);
/// What opens a closed breaker.
const CAUSES: [&str; 4] = ["error_rate", "p99", "mean", "slow_calls"];

/// One reading of the metrics.
#[derive(Debug)]
pub(super) struct Gauges {
    text: String,
}

impl Gauges {
    pub(super) async fn read(admin: SocketAddr) -> anyhow::Result<Gauges> {
        let mut connection = Connection::open(admin).await.context("the admin port does not answer")?;
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
        let answer = connection.exchange(request.as_bytes()).await.context("the admin port does not answer")?;
        Ok(Gauges { text: String::from_utf8_lossy(&answer.body).into_owned() })
    }

    /// What opened the breaker over this lane of the act's route, if it has opened.
    pub(super) fn opened_by(&self, act: Act, side: Side, lane: &str) -> Option<&'static str> {
        let route = act.route(side);
        CAUSES.into_iter().find(|cause| {
            let labels = [("route", route.as_str()), ("lane", lane), ("to", "open"), ("cause", *cause)];
            self.sum("graylane_breaker_transitions_total", &labels) > 0.0
        })
    }

    /// How often the breaker over gray went to this state.
    pub(super) fn changes(&self, act: Act, side: Side, to: &str) -> f64 {
        let route = act.route(side);
        self.sum("graylane_breaker_transitions_total", &[("route", &route), ("lane", "gray"), ("to", to)])
    }

    pub(super) fn is_latched(&self, release: &str) -> bool {
        self.sum("graylane_release_latched", &[("release", release)]) > 0.0
    }

    /// Requests being served now.
    pub(super) fn under_way(&self) -> f64 {
        self.sum("graylane_inflight_requests", &[])
    }

    /// The sum of a metric's series that carry all these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = self.text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let carries = |shown: &str| labels.iter().all(|(key, value)| shown.contains(&format!("{key}=\"{value}\"")));
        series.filter(|(shown, _)| carries(shown)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }
}

/// What the sidecar says of gray against stable, in a line: its verdict with figures.
pub(super) async fn verdict(admin: SocketAddr, release: &str) -> anyhow::Result<Option<String>> {
    let mut connection = Connection::open(admin).await.context("the admin port does not answer")?;
    let request = format!("GET /api/v1/releases HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    let answer = connection.exchange(request.as_bytes()).await.context("the admin port does not answer")?;
    let shown: serde_json::Value = serde_json::from_slice(&answer.body).context("the admin port answers no JSON")?;
    let releases = shown["releases"].as_array().cloned().unwrap_or_default();
    let one = releases.iter().find(|one| one["name"] == release);
    Ok(one.and_then(|one| one["verdict"]["reason"].as_str()).map(str::to_owned))
}

/// What this process holds: the sidecar, both shops and the users together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// None where the system does not tell.
    pub(super) descriptors: Option<usize>,
    pub(super) resident_kib: Option<u64>,
}

impl Held {
    pub(super) fn now() -> Held {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Held {
            descriptors: std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
            resident_kib: resident.and_then(|text| text.split_whitespace().next()?.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let text = "\
# HELP graylane_breaker_transitions_total changes
graylane_breaker_transitions_total{route=\"tail-bare\",lane=\"gray\",to=\"open\",cause=\"p99\"} 1
graylane_breaker_transitions_total{route=\"tail-bare\",lane=\"gray\",to=\"open\",cause=\"trials_failed\"} 2
graylane_release_latched{release=\"pricing-v2\"} 0
graylane_inflight_requests{route=\"a\"} 3
graylane_inflight_requests{route=\"b\"} 4
"
        .to_owned();
        let gauges = Gauges { text };
        assert_eq!(gauges.opened_by(Act::Tail, Side::Bare, "gray"), Some("p99"));
        assert_eq!(gauges.opened_by(Act::Tail, Side::Shielded, "gray"), None);
        assert_eq!(gauges.changes(Act::Tail, Side::Bare, "open"), 3.0);
        assert_eq!(gauges.under_way(), 7.0);
        assert!(!gauges.is_latched("pricing-v2"));
    }
}
