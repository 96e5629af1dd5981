//! Bytes to file mirror to runtime settings.
//!
//! Files are read into a tree in which every value knows its place (`node`), walked into the mirror of what users
//! write (`file`, by `read`), merged, and compiled into [`Settings`] (`compile`). Each step tells everything it finds
//! wrong and goes on, so that one [`load`] tells every [`Problem`] of every file. Nothing of it runs, listens or
//! connects: a configuration that loads is only known to be good.

mod nearest;
mod problem;
mod text;

mod disk;
mod gather;
mod node;

mod file;
mod merge;
mod reach;
mod read;
mod units;

mod admin_token;
mod beside;
mod centres;
mod client_limits;
mod compile;
mod definition;
mod endpoints;
mod fault;
mod geoip;
mod gray_release;
mod guard;
mod jwt;
mod kubernetes;
mod lane_limits;
mod listener;
mod logged;
mod lookup;
mod outset;
mod probe;
mod products;
mod remote;
mod rendered;
mod rollback;
mod settings;
mod tls;
mod tracing;
mod watched;
mod written;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use admin_token::{AdminToken, AdminTokenError};
pub use centres::{ApolloPlan, CentrePlan, NacosPlan};
pub use client_limits::{H2Limits, Limits};
pub use compile::KeyFiles;
pub use definition::{ResourceCondition, ResourceStatus, custom_resource_definitions};
pub use disk::{Digest, KeyFile, ReadFiles};
pub use endpoints::{Ejection, EndpointPolicy, Health, Probe};
pub use fault::{Crowded, FaultPlan, parse_fault};
pub use file::{
    AmountUnit, Balance, ContextIdWord, EncodedWord, Environment, MarkCache, Normalize, OtlpProtocol, OverLimit,
    Protocol, ShieldWord, StableOpen, UntrustedTrace, schema,
};
pub use geoip::{GeoipData, GeoipPath, GeoipPlan, province};
pub use guard::Guard;
pub use jwt::{JWT_ALGORITHMS, JwtPlan, KeySet, TokenPlace, VerifyKey};
pub use kubernetes::{KubernetesAccess, KubernetesPlan};
pub use lane_limits::{AdaptiveBounds, LaneLimits, Overload, RateLimit};
pub use listener::{Listener, TrustName};
pub use logged::{LogFile, REDACTABLE, Redaction};
pub use lookup::{KeyPart, KeyTemplate, LookupPlan, LookupStore};
pub use outset::{Outset, outset};
pub use probe::{check_bytes, check_expression};
pub use problem::{Problem, Problems, Severity, Style};
pub use products::ProductsPlan;
pub use reach::Reach;
pub use remote::{
    BackoffPlan, EtcdPlan, Login, RedisAddress, RedisPlan, RedisPush, SourceBounds, SourceKind, SourcePlan, TlsFiles,
};
pub use rendered::{RENDERED_FILE, RENDERED_MAP, judge_resources};
pub use rollback::{RollbackFigure, RollbackPlan};
pub use settings::{
    AccessLog, AdminChanges, Breaker, Endpoint, FactSource, FactSources, ResponseMark, RoutePlan, Settings, Shield,
    Timeouts, Upstream, UpstreamIndex,
};
pub use tls::{ClientTls, ServerTls};
pub use tracing::TracingPlan;
pub use units::parse_time;
pub use watched::{Looked, Watched};
pub use written::{Written, written};

use compile::Key;
use gather::{Gathered, gather, gather_text};
use problem::Findings;
use text::{At, Span, Texts};

/// A configuration that is good, with everything that is known of where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What the process runs by.
    pub settings: Settings,
    /// What somebody should know, in the order of the files.
    pub warnings: Vec<Problem>,
    /// Names the configuration: equal texts and keys have equal versions.
    pub version: String,
    /// Names the contents of the key files: equal keys have equal names.
    pub keys: String,
    /// The files, in the order they were read.
    pub sources: Vec<Source>,
    /// The key files that went into the settings.
    pub key_files: Vec<KeyFile>,
    /// Every file that the texts name and that was read, key files too.
    pub named: Vec<PathBuf>,
}

/// One file as it was read, or a text from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its path as named: what problems call it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Reads files and folders of `*.yaml` as one configuration that is to run.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Problems> {
    load_with(paths, KeyFiles::Needed)
}

/// Reads files and folders of `*.yaml` as one configuration.
pub fn load_with(paths: &[PathBuf], key_files: KeyFiles) -> Result<Loaded, Problems> {
    rendered::forgiving(&ReadFiles::of(paths), |files| {
        let (mut texts, mut findings) = (Texts::default(), Findings::default());
        let gathered = gather(files, &mut texts, &mut findings);
        finish(gathered, key_files, texts, findings)
    })
}

/// Takes files that were read, and then the documents of sources in their order, as one configuration that is to run.
pub fn load_documents(files: &ReadFiles, more: &[Source]) -> Result<Loaded, Problems> {
    rendered::forgiving(files, |files| {
        let (mut texts, mut findings) = (Texts::default(), Findings::default());
        let mut gathered = gather(files, &mut texts, &mut findings);
        gathered.add_documents(more, &mut texts, &mut findings);
        finish(gathered, KeyFiles::Needed, texts, findings)
    })
}

/// Takes texts that were read before, those of files and those of sources, as one configuration that is to run.
pub fn load_texts(sources: &[Source]) -> Result<Loaded, Problems> {
    load_texts_with(sources, KeyFiles::Needed)
}

/// Takes one text that somebody asks about: relative paths in it start from this path, and no file beyond `reach` is opened.
pub fn load_asked(body: &Source, reach: Reach) -> Result<Loaded, Problems> {
    let (mut texts, mut findings) = (Texts::within(reach), Findings::default());
    let mut gathered = gather(&ReadFiles::of(&[]), &mut texts, &mut findings);
    gathered.add(std::slice::from_ref(body), &mut texts, &mut findings);
    finish(gathered, KeyFiles::Needed, texts, findings)
}

/// The same as [`load_texts`], for a configuration that may be checked where its key files are not.
pub fn load_texts_with(sources: &[Source], key_files: KeyFiles) -> Result<Loaded, Problems> {
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let mut gathered = gather(&ReadFiles::of(&[]), &mut texts, &mut findings);
    gathered.add(sources, &mut texts, &mut findings);
    finish(gathered, key_files, texts, findings)
}

/// Reads one text as if it were the file of this path: relative paths in it start from there.
pub fn load_text(path: &Path, text: &[u8], key_files: KeyFiles) -> Result<Loaded, Problems> {
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let gathered = gather_text(path, text, &mut texts, &mut findings);
    finish(gathered, key_files, texts, findings)
}

fn finish(
    mut gathered: Gathered,
    key_files: KeyFiles,
    mut texts: Texts,
    mut findings: Findings,
) -> Result<Loaded, Problems> {
    if texts.iter().next().is_none() {
        let source = texts.add(Path::new("-"), String::new());
        findings.error(Span::start_of(source), "no configuration is named");
    }
    rendered::keep_own(&mut gathered, &texts);
    beside::apply(&mut gathered, &mut texts, &mut findings);
    gray_release::adopt(&mut gathered, &mut findings);
    // What a broken file would have defined is not known, and every use of it would look like a problem.
    let compiled =
        if gathered.incomplete { None } else { compile::compile(&gathered, key_files, &texts, &mut findings) };
    let Some((settings, keys)) = compiled else {
        if !findings.refused() {
            findings.error(Span::default(), "this configuration could not be compiled");
        }
        return Err(refusal(findings, &texts));
    };
    let (version, digest) = (version(&texts, &keys), digest(keys.iter().map(|key| &*key.bytes)));
    let named = findings.take_files();
    let warnings = findings.resolve(&texts)?;
    let sources = texts.iter().map(|text| Source { path: text.path.clone(), text: text.text.clone() }).collect();
    let key_files = keys.into_iter().map(|key| KeyFile::new(key.path, &key.bytes)).collect();
    Ok(Loaded { settings, warnings, version, keys: digest, sources, key_files, named })
}

fn refusal(findings: Findings, texts: &Texts) -> Problems {
    match findings.resolve(texts) {
        Err(problems) => problems,
        Ok(_) => Problems::default(),
    }
}

/// Twelve hexadecimal digits of a SHA-256 over every text and key, each with its length.
fn version(texts: &Texts, keys: &[Key]) -> String {
    digest(texts.iter().map(|text| text.text.as_bytes()).chain(keys.iter().map(|key| &*key.bytes)))
}

fn digest<'p>(parts: impl Iterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
