//! Upstreams and breakers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::address;
use super::process::{count, positive};
use super::tls::{Ground, client};
use crate::config::file::{FileBreaker, FileUpstream, Protocol, StableOpen};
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::settings::{Breaker, Endpoint, Upstream};
use crate::config::text::Span;
use crate::config::text::{At, Texts};
use crate::config::tls::ClientTls;
use crate::config::units::{NAME_HELP, Share, is_name};
use crate::decide::Permille;

const IDLE: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 128;

/// Tells every name of a table that could not be a metric label or a part of a path.
pub(super) fn check_names<T>(table: Option<&Table<T>>, what: &str, findings: &mut Findings) {
    for (name, _) in table.iter().flat_map(|table| &table.entries) {
        if !is_name(&name.value) {
            findings.error(name.at, format!("`{}` is no name for {what}", name.value)).help(NAME_HELP);
        }
    }
}

/// Every upstream in the order written; one that could not be read keeps its place, so that indices hold.
pub(super) fn upstreams(
    table: Option<&Table<FileUpstream>>,
    local: bool,
    ground: Ground<'_>,
    findings: &mut Findings,
) -> Vec<Upstream> {
    check_names(table, "an upstream", findings);
    let entries = table.map(|table| table.entries.as_slice()).unwrap_or_default();
    let unread = FileUpstream::default();
    entries
        .iter()
        .map(|(name, written)| {
            let endpoints = match written {
                Some(written) => endpoints(name, written, local, ground.texts, findings),
                None => Vec::new(),
            };
            let written = written.as_ref().unwrap_or(&unread);
            Upstream {
                name: name.value.clone(),
                policy: super::endpoints::policy(written, &endpoints, findings),
                tls: tls_of(written, &endpoints, ground, findings),
                endpoints,
                protocol: written.protocol.as_ref().map_or(Protocol::Http1, |protocol| protocol.value),
                idle: positive(written.idle.as_ref(), IDLE, "idle", findings),
                max_idle: written.max_idle.as_ref().map_or(MAX_IDLE, |max_idle| max_idle.value as usize),
            }
        })
        .collect()
}

fn tls_of(
    written: &FileUpstream,
    endpoints: &[Endpoint],
    ground: Ground<'_>,
    findings: &mut Findings,
) -> Option<Arc<ClientTls>> {
    let tls = written.tls.as_ref()?;
    if endpoints.iter().any(|endpoint| !matches!(endpoint, Endpoint::Host { .. } | Endpoint::Service { .. })) {
        findings.error(tls.at, "`tls` is for endpoints `HOST:PORT` and `k8s:SERVICE.NAMESPACE:PORT` alone");
        return None;
    }
    client(tls, ground, findings).map(Arc::new)
}

fn endpoints(
    name: &At<String>,
    written: &FileUpstream,
    local: bool,
    texts: &Texts,
    findings: &mut Findings,
) -> Vec<Endpoint> {
    let Some(list) = &written.endpoints else { return Vec::new() };
    if list.0.is_empty() {
        findings.error(name.at, format!("upstream `{}` has no endpoints", name.value));
    }
    let (mut found, mut places) = (Vec::new(), HashMap::new());
    for text in &list.0 {
        let Some(endpoint) = address::endpoint(text, texts, findings) else { continue };
        if endpoint == Endpoint::Local && !local {
            findings
                .error(text.at, "endpoint `local` needs the address of the pod's own service")
                .help("add `local: 127.0.0.1:8080` at the top of the file");
        }
        if let Some(first) = places.insert(endpoint.clone(), text.at) {
            findings.error(text.at, format!("endpoint `{}` is named twice", text.value)).also(first, "first");
        }
        found.push(endpoint);
    }
    found
}

/// Every breaker in the order written.
pub(super) fn breakers(table: Option<&Table<FileBreaker>>, findings: &mut Findings) -> Vec<Breaker> {
    check_names(table, "a breaker", findings);
    let entries = table.map(|table| table.entries.as_slice()).unwrap_or_default();
    let unread = FileBreaker::default();
    entries.iter().map(|(name, written)| breaker(name, written.as_ref().unwrap_or(&unread), findings)).collect()
}

fn breaker(name: &At<String>, written: &FileBreaker, findings: &mut Findings) -> Breaker {
    let f = findings;
    let seconds = Duration::from_secs;
    let slow = Duration::from_millis(1200);
    let calls = |written: &Option<At<u32>>, what: &str, default: u32, f: &mut Findings| match written {
        None => default,
        Some(written) => count(written, what, 1_000_000, f).map_or(default, |_| written.value),
    };
    let breaker = Breaker {
        name: name.value.clone(),
        window: positive(written.window.as_ref(), seconds(60), "window", f),
        short_window: positive(written.short_window.as_ref(), seconds(10), "short_window", f),
        min_calls: calls(&written.min_calls, "min_calls", 50, f),
        min_calls_p99: calls(&written.min_calls_p99, "min_calls_p99", 200, f),
        error_rate: rate(written.error_rate.as_ref(), 50),
        p99: positive(written.p99.as_ref(), slow, "p99", f),
        mean: positive(written.mean.as_ref(), Duration::from_millis(800), "mean", f),
        slow_call: positive(written.slow_call.as_ref(), slow, "slow_call", f),
        slow_call_rate: rate(written.slow_call_rate.as_ref(), 300),
        open_for: positive(written.open_for.as_ref(), seconds(5), "open_for", f),
        max_open: positive(written.max_open.as_ref(), seconds(300), "max_open", f),
        trials: calls(&written.trials, "trials", 10, f),
        when_stable_opens: written.when_stable_opens.as_ref().map_or(StableOpen::FailFast, |word| word.value),
    };
    if let Err(error) = breaker.plan() {
        let text = error.to_string();
        let place = places(written).into_iter().find(|(word, _)| text.contains(&format!("`{word}`")));
        f.error(place.and_then(|(_, at)| at).unwrap_or(name.at), text);
    }
    breaker
}

/// Where each setting of a breaker stands, in the order in which a problem with several of them is pointed at.
fn places(written: &FileBreaker) -> [(&'static str, Option<Span>); 11] {
    fn at<T>(value: &Option<At<T>>) -> Option<Span> {
        value.as_ref().map(|value| value.at)
    }
    [
        ("short_window", at(&written.short_window)),
        ("window", at(&written.window)),
        ("max_open", at(&written.max_open).or(at(&written.open_for))),
        ("open_for", at(&written.open_for)),
        ("error_rate", at(&written.error_rate)),
        ("slow_call_rate", at(&written.slow_call_rate)),
        ("p99", at(&written.p99)),
        ("mean", at(&written.mean)),
        ("slow_call", at(&written.slow_call)),
        ("min_calls", at(&written.min_calls)),
        ("trials", at(&written.trials)),
    ]
}

fn rate(written: Option<&At<Share>>, default: u16) -> Permille {
    Permille::new(written.map_or(default, |share| share.value.0)).unwrap_or(Permille::ALL)
}
