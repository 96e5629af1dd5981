//! What the pod says of the sidecar beside it, put over what the configuration says for many pods.
//!
//! A configuration is shared by the pods of a service; which lane a pod is of, where its own service listens, and how long
//! it may take to end are the pod's. So that nobody has to write a configuration for each pod, these few values win.

use std::path::Path;

use super::file::{FileListener, FileSidecar, SIDECAR_API_VERSION, SIDECAR_KIND};
use super::gather::Gathered;
use super::problem::Findings;
use super::text::Texts;

/// The name by which problems call what stands in for a configuration.
const PASS_THROUGH: &str = "pass-through";

/// Takes a document of the kind; a second one is refused, and so is one from a source, which is not the pod.
pub(super) fn take(gathered: &mut Gathered, sidecar: FileSidecar, is_from_source: bool, findings: &mut Findings) {
    for (found, expected) in [(&sidecar.apiVersion, SIDECAR_API_VERSION), (&sidecar.kind, SIDECAR_KIND)] {
        if let Some(found) = found.as_ref().filter(|found| found.value != expected) {
            findings
                .error(found.at, format!("`{}` is not known here, only `{expected}` is", found.value))
                .suggest(found, [expected]);
        }
    }
    if is_from_source {
        findings
            .error(sidecar.at, "a `Sidecar` cannot come from a source: it is what the pod itself says")
            .help("write it into a file that the process is started with");
    } else if let Some(first) = &gathered.sidecar {
        findings.error(sidecar.at, "a pod says what its sidecar is once").also(first.at, "first");
    } else {
        gathered.sidecar = Some(sidecar);
    }
}

/// Puts what the pod says over the rest.
pub(super) fn apply(gathered: &mut Gathered, texts: &mut Texts, findings: &mut Findings) {
    let Some(spec) = gathered.sidecar.as_ref().and_then(|sidecar| sidecar.spec.clone()) else { return };
    let passes = spec.passThrough.as_ref().is_some_and(|passes| passes.value);
    if passes && !gathered.native && gathered.rules.is_empty() && !gathered.incomplete {
        let text = if spec.local.is_some() { EVERYTHING_TO_LOCAL } else { NOTHING };
        gathered.text(Path::new(PASS_THROUGH), text.as_bytes(), texts, findings);
    }
    let config = &mut gathered.config;
    if let Some(listen) = spec.listen {
        let listeners = config.listeners.get_or_insert_with(Vec::new);
        match listeners.first_mut() {
            Some(first) => first.bind = Some(listen),
            None => listeners.push(FileListener {
                at: listen.at,
                flawed: false,
                bind: Some(listen),
                tls: None,
                proxy_protocol: None,
            }),
        }
    }
    config.local = spec.local.or(config.local.take());
    config.lane = spec.lane.or(config.lane.take());
    config.workers = spec.workers.or(config.workers.take());
    config.drain = spec.drain.or(config.drain.take());
    config.drain_wait = spec.drainWait.or(config.drain_wait.take());
}

const EVERYTHING_TO_LOCAL: &str = "version: 1\nupstreams:\n  local: { endpoints: [local] }\nroutes:\n  - name: \
                                   all\n    match: { path: \"/{*rest}\" }\n    lanes: { stable: local }\n";

const NOTHING: &str = "version: 1\n";
