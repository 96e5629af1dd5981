//! Where more of the configuration comes from.

mod centres;
mod etcd;
mod redis;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::process::{count, positive};
use super::{KeyFiles, kubernetes};
use crate::config::file::{Environment, FileBackoff, FileConfig, FileRemote, FileSourceBounds, FileTls};
use crate::config::kubernetes::KubernetesAccess;
use crate::config::problem::Findings;
use crate::config::reach::readable;
use crate::config::remote::{BackoffPlan, Login, SourceBounds, SourceKind, SourcePlan, TlsFiles};
use crate::config::text::{At, Span, Texts};
use crate::config::units::Size;

const TTL: Duration = Duration::from_secs(300);
const BACKOFF: BackoffPlan = BackoffPlan { first: Duration::from_millis(250), most: Duration::from_secs(30) };
const BOUNDS: SourceBounds = SourceBounds { documents: 20_000, document_bytes: 1 << 20, total_bytes: 64 << 20 };
/// Most sources of one configuration.
const MOST_SOURCES: usize = 32;
const MOST_DOCUMENTS: u32 = 1_000_000;
const MOST_BYTES: u64 = 1 << 30;
/// The longest pause between attempts that anybody means.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What compiling a source needs besides its mirror.
pub(super) struct Scope<'c> {
    pub(super) texts: &'c Texts,
    pub(super) findings: &'c mut Findings,
    pub(super) key_files: KeyFiles,
    /// The part of the store that is read.
    pub(super) namespace: Arc<str>,
    /// How the API server is reached.
    pub(super) access: &'c KubernetesAccess,
    /// The service of this sidecar.
    pub(super) service: Option<&'c str>,
}

/// The sources in the order of the file, which is that in which they are merged.
pub(super) fn sources(
    config: &FileConfig,
    access: &KubernetesAccess,
    environment: Environment,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> Vec<SourcePlan> {
    let written = config.sources.as_deref().unwrap_or_default();
    let service = config.service.as_ref().map(|service| service.value.0.as_str());
    if let Some(beyond) = written.get(MOST_SOURCES) {
        findings.error(beyond.at, format!("more than {MOST_SOURCES} sources"));
    }
    let mut names: HashMap<&str, Span> = HashMap::new();
    let mut plans = Vec::new();
    for remote in written.iter().take(MOST_SOURCES) {
        if let Some(name) = &remote.name
            && let Some(first) = names.insert(&name.value.0, name.at)
        {
            findings.error(name.at, format!("source `{}` is defined twice", name.value.0)).also(first, "first");
        }
        let namespace = remote.namespace.as_ref().map_or(environment.as_str(), |written| &written.value.0);
        let mut scope =
            Scope { texts, findings: &mut *findings, key_files, namespace: namespace.into(), access, service };
        plans.extend(source(remote, &mut scope));
    }
    plans
}

fn source(remote: &FileRemote, scope: &mut Scope<'_>) -> Option<SourcePlan> {
    let ttl = positive(remote.ttl.as_ref(), TTL, "ttl", scope.findings);
    let backoff = backoff(remote.backoff.as_ref(), scope.findings);
    let bounds = bounds(remote.bounds.as_ref(), scope.findings);
    let kinds: [(&str, Option<Span>, Option<SourceKind>); 6] = [
        (
            "redis",
            remote.redis.as_ref().map(|kind| kind.at),
            remote.redis.as_ref().and_then(|kind| redis::plan(kind, scope)).map(SourceKind::Redis),
        ),
        (
            "etcd",
            remote.etcd.as_ref().map(|kind| kind.at),
            remote.etcd.as_ref().and_then(|kind| etcd::plan(kind, scope)).map(SourceKind::Etcd),
        ),
        (
            "centre",
            remote.centre.as_ref().map(|kind| kind.at),
            remote.centre.as_ref().and_then(|kind| centres::centre(kind, scope)).map(SourceKind::Centre),
        ),
        (
            "nacos",
            remote.nacos.as_ref().map(|kind| kind.at),
            remote.nacos.as_ref().and_then(|kind| centres::nacos(kind, scope)).map(SourceKind::Nacos),
        ),
        (
            "apollo",
            remote.apollo.as_ref().map(|kind| kind.at),
            remote.apollo.as_ref().and_then(|kind| centres::apollo(kind, scope)).map(SourceKind::Apollo),
        ),
        (
            "kubernetes",
            remote.kubernetes.as_ref().map(|kind| kind.at),
            remote.kubernetes.as_ref().and_then(|kind| kubernetes::plan(kind, scope)).map(SourceKind::Kubernetes),
        ),
    ];
    let words: Vec<&str> = kinds.iter().map(|(word, ..)| *word).collect();
    let mut given = kinds.into_iter().filter_map(|(word, at, kind)| at.map(|at| (word, at, kind)));
    let Some((first, _, kind)) = given.next() else {
        if !remote.flawed {
            let said = scope.findings.error(remote.at, "this source does not say where it is");
            said.help(format!("give one of: {}", words.join(", ")));
        }
        return None;
    };
    if let Some((second, at, _)) = given.next() {
        scope.findings.error(at, format!("a source is one place, and this one is `{first}` and `{second}`"));
    }
    let name = remote.name.as_ref()?.value.0.as_str().into();
    Some(SourcePlan { name, namespace: scope.namespace.clone(), ttl, backoff, bounds, kind: kind? })
}

fn backoff(written: Option<&FileBackoff>, findings: &mut Findings) -> BackoffPlan {
    let Some(written) = written else { return BACKOFF };
    let first = positive(written.first.as_ref(), BACKOFF.first, "first", findings);
    let most = positive(written.most.as_ref(), BACKOFF.most.max(first), "most", findings);
    if most < first {
        findings.error(written.at, "the longest pause is shorter than the first one");
    }
    if let Some(long) = written.most.as_ref().filter(|time| time.value.0 > LONGEST_PAUSE) {
        findings.error(long.at, "`most` is at most 1h");
    }
    BackoffPlan { first, most }
}

fn bounds(written: Option<&FileSourceBounds>, findings: &mut Findings) -> SourceBounds {
    let Some(written) = written else { return BOUNDS };
    let mut bytes = |size: &Option<At<Size>>, what: &str, default: usize| {
        let Some(size) = size else { return default };
        if size.value.0 == 0 || size.value.0 > MOST_BYTES {
            findings.error(size.at, format!("`{what}` is from 1B to {}GiB", MOST_BYTES >> 30));
        }
        usize::try_from(size.value.0).unwrap_or(default)
    };
    SourceBounds {
        document_bytes: bytes(&written.document, "document", BOUNDS.document_bytes),
        total_bytes: bytes(&written.total, "total", BOUNDS.total_bytes),
        documents: written
            .documents
            .as_ref()
            .and_then(|most| count(most, "documents", MOST_DOCUMENTS, findings))
            .unwrap_or(BOUNDS.documents),
    }
}

/// Who we are to a server.
pub(super) fn login(user: Option<&At<String>>, password: Option<&At<String>>, scope: &mut Scope<'_>) -> Login {
    let password = password.map(|written| present(written, "password file", scope));
    Login { user: user.map(|user| user.value.clone()), password }
}

/// Whom TLS believes.
pub(super) fn tls(written: Option<&FileTls>, scope: &mut Scope<'_>) -> TlsFiles {
    let Some(written) = written else { return TlsFiles::default() };
    let ca = written.ca_file.as_ref().map(|file| present(file, "CA file", scope));
    let identity = match (&written.certificate_file, &written.key_file) {
        (Some(chain), Some(key)) => Some((present(chain, "certificate file", scope), present(key, "key file", scope))),
        (None, None) => None,
        (Some(alone), None) | (None, Some(alone)) => {
            scope.findings.error(alone.at, "`certificate_file` and `key_file` belong together");
            None
        }
    };
    TlsFiles { ca, identity }
}

/// The path of a file that has to be readable. What is in it is read again whenever it is needed.
pub(super) fn present(written: &At<String>, what: &str, scope: &mut Scope<'_>) -> PathBuf {
    let Some(path) = readable(written, scope.texts, scope.findings) else { return scope.texts.path_of(written) };
    if let Err(error) = std::fs::File::open(&path) {
        let shown = path.display();
        if error.kind() == std::io::ErrorKind::NotFound && scope.key_files == KeyFiles::MayBeAbsent {
            scope.findings.warn(written.at, format!("{what} `{shown}` is not here; `run` needs it"));
        } else {
            scope.findings.error(written.at, format!("{what} `{shown}`: {error}"));
        }
    }
    path
}
