//! What concerns the process as a whole.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::tls::Ground;
use super::{KeyFiles, address, admin_access, listener};
use crate::config::client_limits::{H2Limits, Limits};
use crate::config::file::{
    AccessLogWord, EncodedWord, Environment, FileAdmin, FileConfig, FileLimits, MarkCache, Normalize, ResponseMarkWord,
};
use crate::config::listener::{Listener, TrustName};
use crate::config::outset::Outset;
use crate::config::problem::Findings;
use crate::config::remote::SourcePlan;
use crate::config::settings::{AccessLog, AdminChanges, Endpoint, ResponseMark};
use crate::config::text::{At, Texts};
use crate::config::units::{Size, Time};
use crate::decide::Permille;

/// The version of the form this program reads.
const VERSION: u32 = 1;
pub(super) const TRAFFIC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15080);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15090);
const SOURCES_WAIT: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(30);
const MOST_WORKERS: u32 = 1024;
/// Most header fields, and most streams of an HTTP/2 connection, that can be set.
const MOST_FIELDS: u32 = 10_000;

/// The part of the settings that no route or release touches.
pub(super) struct Process {
    pub(super) environment: Environment,
    pub(super) service: String,
    pub(super) local: Option<Endpoint>,
    pub(super) listeners: Vec<Listener>,
    pub(super) admin: SocketAddr,
    pub(super) admin_changes: AdminChanges,
    pub(super) admin_readers: Option<Vec<PathBuf>>,
    pub(super) trust: Vec<IpNet>,
    pub(super) trust_names: Vec<TrustName>,
    pub(super) workers: Option<NonZeroUsize>,
    pub(super) access_log: AccessLog,
    pub(super) response_mark: ResponseMark,
    pub(super) normalize: Normalize,
    pub(super) allow_encoded: Vec<EncodedWord>,
    pub(super) limits: Limits,
    pub(super) drain: Duration,
    pub(super) drain_wait: Option<Duration>,
    pub(super) sources_wait: Duration,
    pub(super) state_dir: Option<PathBuf>,
}

pub(super) fn process(config: &FileConfig, key_files: KeyFiles, texts: &Texts, findings: &mut Findings) -> Process {
    if let Some(version) = config.version.as_ref().filter(|version| version.value != VERSION) {
        findings
            .error(version.at, format!("version {} is not known; this program reads version {VERSION}", version.value));
    }
    let admin = admin(config.admin.as_ref(), findings);
    let environment = environment(config);
    let ground = Ground { environment, key_files, texts };
    let listeners = listener::listeners(config, admin, ground, findings);
    let (trust, trust_names) = listener::trust(config, findings);
    let (admin_changes, admin_readers) = admin_access::access(config.admin.as_ref(), admin, key_files, texts, findings);
    Process {
        environment,
        service: config.service.as_ref().map(|service| service.value.0.clone()).unwrap_or_default(),
        local: local(config, texts, findings),
        listeners,
        admin,
        admin_changes,
        admin_readers,
        trust,
        trust_names,
        workers: workers(config, findings),
        access_log: match config.access_log.as_ref().map(|log| log.value) {
            None | Some(AccessLogWord::Off) => AccessLog::Off,
            Some(AccessLogWord::All) => AccessLog::All,
            Some(AccessLogWord::Share(share)) => Permille::new(share.0).map_or(AccessLog::Off, AccessLog::Share),
        },
        response_mark: response_mark(config, findings),
        normalize: config.normalize.as_ref().map_or(Normalize::Match, |normalize| normalize.value),
        allow_encoded: config.allow_encoded.iter().flatten().map(|word| word.value).collect(),
        limits: limits(config.limits.as_ref(), findings),
        drain: time(config.drain.as_ref(), DRAIN),
        drain_wait: config.drain_wait.as_ref().map(|wait| wait.value.0),
        sources_wait: positive(config.sources_wait.as_ref(), SOURCES_WAIT, "sources_wait", findings),
        state_dir: state_dir(config, texts),
    }
}

fn environment(config: &FileConfig) -> Environment {
    config.environment.as_ref().map_or(Environment::Prod, |environment| environment.value)
}

/// What has to be known before sources are asked.
pub(super) fn outset(config: &FileConfig, sources: Vec<SourcePlan>, texts: &Texts, findings: &mut Findings) -> Outset {
    Outset {
        sources,
        sources_wait: positive(config.sources_wait.as_ref(), SOURCES_WAIT, "sources_wait", findings),
        workers: workers(config, findings),
        state_dir: state_dir(config, texts),
    }
}

fn workers(config: &FileConfig, findings: &mut Findings) -> Option<NonZeroUsize> {
    let written = config.workers.as_ref()?;
    count(written, "workers", MOST_WORKERS, findings).and_then(NonZeroUsize::new)
}

fn state_dir(config: &FileConfig, texts: &Texts) -> Option<PathBuf> {
    config.state.as_ref().and_then(|state| state.dir.as_ref()).map(|dir| texts.path_of(dir))
}

/// A duration, or its default.
pub(super) fn time(written: Option<&At<Time>>, default: Duration) -> Duration {
    written.map_or(default, |time| time.value.0)
}

/// A duration that has to be longer than nothing, or its default.
pub(super) fn positive(written: Option<&At<Time>>, default: Duration, what: &str, findings: &mut Findings) -> Duration {
    if let Some(time) = written.filter(|time| time.value.0.is_zero()) {
        findings.error(time.at, format!("`{what}` cannot be 0"));
    }
    time(written, default)
}

/// A count from 1 to `most`.
pub(super) fn count(written: &At<u32>, what: &str, most: u32, findings: &mut Findings) -> Option<usize> {
    if written.value == 0 || written.value > most {
        findings.error(written.at, format!("`{what}` is a number from 1 to {most}, not {}", written.value));
        return None;
    }
    usize::try_from(written.value).ok()
}

fn admin(written: Option<&FileAdmin>, findings: &mut Findings) -> SocketAddr {
    written.and_then(|admin| admin.bind.as_ref()).and_then(|bind| address::bind(bind, findings)).unwrap_or(ADMIN)
}

fn local(config: &FileConfig, texts: &Texts, findings: &mut Findings) -> Option<Endpoint> {
    let written = config.local.as_ref()?;
    match address::endpoint(written, texts, findings)? {
        Endpoint::Local => {
            findings
                .error(written.at, "`local` names the pod's own service by its address")
                .help("write `127.0.0.1:8080` or `unix:/path`");
            None
        }
        Endpoint::Service { .. } => {
            findings
                .error(written.at, "`local` is one address, not a service")
                .help("write `127.0.0.1:8080` or `unix:/path`");
            None
        }
        endpoint => Some(endpoint),
    }
}

fn response_mark(config: &FileConfig, findings: &mut Findings) -> ResponseMark {
    let cache = config.response_mark_cache.as_ref();
    match config.response_mark.as_ref().map(|mark| mark.value) {
        Some(ResponseMarkWord::Header) => ResponseMark::Header(cache.map_or(MarkCache::Private, |cache| cache.value)),
        _ => {
            if let Some(cache) = cache {
                findings.warn(cache.at, "`response_mark_cache` means nothing without `response_mark: header`");
            }
            ResponseMark::Off
        }
    }
}

fn limits(written: Option<&FileLimits>, findings: &mut Findings) -> Limits {
    let default = Limits::default();
    let Some(limits) = written else { return default };
    let mut bytes = |size: &Option<At<Size>>, what: &str, default: usize| match size {
        None => default,
        Some(size) => {
            const LEAST: u64 = 256;
            const MOST: u64 = 16 << 20;
            if !(LEAST..=MOST).contains(&size.value.0) {
                findings.error(size.at, format!("`{what}` is from {LEAST}B to {}MiB", MOST >> 20));
            }
            usize::try_from(size.value.0).unwrap_or(default)
        }
    };
    let header_bytes = bytes(&limits.header_bytes, "header_bytes", default.header_bytes);
    let uri_bytes = bytes(&limits.uri_bytes, "uri_bytes", default.uri_bytes);
    let mut number = |written: &Option<At<u32>>, what: &str, most: u32, default: usize| {
        written.as_ref().and_then(|written| count(written, what, most, findings)).unwrap_or(default)
    };
    const MANY: u32 = 1_000_000;
    let header_count = number(&limits.header_count, "header_count", MOST_FIELDS, default.header_count);
    let connections = number(&limits.connections, "connections", MANY, default.connections);
    let connections_per_peer =
        number(&limits.connections_per_peer, "connections_per_peer", MANY, default.connections_per_peer);
    let handshakes = number(&limits.handshakes, "handshakes", MANY, default.handshakes);
    let mut frames = |written: &Option<At<u32>>, what: &str, most: u32, default: u32| {
        number(written, what, most, default as usize).try_into().unwrap_or(default)
    };
    let h2 = H2Limits {
        streams: frames(&limits.h2_streams, "h2_streams", MOST_FIELDS, default.h2.streams),
        resets: frames(&limits.h2_resets, "h2_resets", MANY, default.h2.resets),
        resets_per_second: frames(
            &limits.h2_resets_per_second,
            "h2_resets_per_second",
            MANY,
            default.h2.resets_per_second,
        ),
        control_frames_per_second: frames(
            &limits.h2_control_frames_per_second,
            "h2_control_frames_per_second",
            MANY,
            default.h2.control_frames_per_second,
        ),
    };
    let pace = &limits.body_bytes_per_second;
    let body_bytes_per_second = match pace.as_ref().map(|pace| pace.value) {
        Some(0) => 0,
        _ => frames(pace, "body_bytes_per_second", MANY, default.body_bytes_per_second),
    };
    Limits {
        header_bytes,
        body_bytes_per_second,
        uri_bytes,
        header_count,
        connections,
        connections_per_peer,
        h2,
        handshakes,
        header_time: positive(limits.header_time.as_ref(), default.header_time, "header_time", findings),
        body_idle: positive(limits.body_idle.as_ref(), default.body_idle, "body_idle", findings),
        idle: positive(limits.idle.as_ref(), default.idle, "idle", findings),
        handshake_time: positive(limits.handshake_time.as_ref(), default.handshake_time, "handshake_time", findings),
    }
}
