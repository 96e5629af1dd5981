//! How the API server of Kubernetes is reached.

use super::KeyFiles;
use super::remote::Scope;
use crate::config::file::{FileKubernetes, FileKubernetesSource};
use crate::config::kubernetes::{KubernetesAccess, KubernetesPlan};
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::text::{At, Texts};

/// The access that is written, with every default left to the pod.
pub(super) fn access(
    written: Option<&FileKubernetes>,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> KubernetesAccess {
    let Some(written) = written else { return KubernetesAccess::default() };
    let mut file = |written: &Option<At<String>>, what: &str| {
        let written = written.as_ref()?;
        let path = readable(written, texts, findings)?;
        if let Err(error) = std::fs::File::open(&path) {
            let message = format!("{what} `{}`: {error}", path.display());
            match key_files {
                KeyFiles::MayBeAbsent => findings.warn(written.at, message),
                KeyFiles::Needed => findings.error(written.at, message),
            };
        }
        Some(path)
    };
    let (token, ca) = (file(&written.token_file, "token file"), file(&written.ca_file, "CA file"));
    let url = written.url.as_ref().and_then(|url| self::url(url, findings));
    let zone = written.zone.as_ref().map(|zone| {
        if zone.value.is_empty() || zone.value.len() > 63 {
            findings.error(zone.at, format!("`{}` is no name of a zone", zone.value));
        }
        zone.value.clone()
    });
    KubernetesAccess { url, token, ca, zone }
}

/// `http://HOST:PORT` or `https://HOST:PORT`, a path behind it allowed.
fn url(written: &At<String>, findings: &mut Findings) -> Option<String> {
    let text = written.value.trim().trim_end_matches('/');
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', '@', ' '])) {
        return Some(text.to_owned());
    }
    findings
        .error(written.at, format!("`{text}` is no URL of an API server"))
        .help("write `https://10.96.0.1:443`, or leave it out in a pod");
    None
}

/// Custom resources as a source.
pub(super) fn plan(written: &FileKubernetesSource, scope: &mut Scope<'_>) -> Option<KubernetesPlan> {
    let namespace = written.namespace.as_ref().map(|namespace| {
        if !is_label(&namespace.value) {
            scope.findings.error(namespace.at, format!("`{}` is no name of a namespace", namespace.value));
        }
        namespace.value.clone()
    });
    let Some(service) = scope.service else {
        scope
            .findings
            .error(written.at, "resources are taken by their service, and this configuration names none")
            .help("write `service: NAME` at the top of the file");
        return None;
    };
    Some(KubernetesPlan {
        access: scope.access.clone(),
        namespace,
        service: service.to_owned(),
        write_status: written.write_status.as_ref().is_some_and(|flag| flag.value),
    })
}

/// A DNS label (RFC 1123), the form of most names in a cluster.
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
