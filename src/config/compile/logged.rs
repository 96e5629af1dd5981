//! What the access log holds beside its own fields, what it hides, and the file it goes to.

use std::path::Path;

use super::condition::unknown_key;
use crate::config::file::{AccessLogWord, FileConfig};
use crate::config::logged::{LogFile, REDACTABLE, Redaction};
use crate::config::problem::Findings;
use crate::config::settings::{FactSource, FactSources};
use crate::config::text::{At, Texts};
use crate::decide::{FactId, FactTable};

/// Most facts of a line, so that a line stays bounded.
const MOST: usize = 32;

/// Most files that are kept beside the one that is written.
const MOST_KEPT: u32 = 100;

/// The size of a file where none is set, in bytes.
const SIZE: u64 = 100 << 20;

/// The least size of a file: larger than whatever is written at once.
const LEAST_SIZE: u64 = 128 << 10;

/// Headers whose values open doors: a log is read by more people than a request.
const SECRETS: [&str; 4] = ["header:authorization", "header:proxy-authorization", "header:cookie", "header:x-api-key"];

/// The settings of the access log.
pub(super) struct Logged {
    pub(super) facts: Vec<FactId>,
    pub(super) file: Option<LogFile>,
    pub(super) redaction: Redaction,
}

/// Everything about it; `paths` are the patterns of the routes.
pub(super) fn logged<'p>(
    config: &FileConfig,
    paths: impl Iterator<Item = &'p str>,
    sources: &FactSources,
    table: &mut FactTable,
    (texts, findings): (&Texts, &mut Findings),
) -> Logged {
    let facts = facts(config.access_log_facts.as_deref(), table, findings);
    let parameters: Vec<&str> = paths.flat_map(parameters).collect();
    let redaction = redaction(config.access_log_redact.as_deref(), &facts, &parameters, (sources, table), findings);
    Logged { facts, redaction, file: file(config, texts, findings) }
}

/// The parameters of a pattern: `{name}`, and `{*name}` for the rest.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| Some(segment.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*')))
}

fn redaction(
    written: Option<&[At<String>]>,
    facts: &[FactId],
    parameters: &[&str],
    (sources, table): (&FactSources, &FactTable),
    findings: &mut Findings,
) -> Redaction {
    let mut redaction = Redaction { fields: Vec::new(), parameters: known_by(sources) };
    let named = || facts.iter().map(|fact| table.name(*fact));
    for name in written.into_iter().flatten() {
        // Header names have no case.
        let word = if name.value.starts_with("header:") { name.value.to_ascii_lowercase() } else { name.value.clone() };
        match word.strip_prefix("path:") {
            Some(parameter) if parameters.contains(&parameter) => redaction.parameters.push(parameter.into()),
            Some(parameter) => {
                let finding = findings.error(name.at, format!("no route has a path parameter `{parameter}`"));
                finding.suggest_or_list(parameter, parameters.iter().copied());
            }
            None if REDACTABLE.contains(&&*word) || named().any(|fact| fact == word) => {
                redaction.fields.push(word.into());
            }
            None => {
                let message = format!("the access log has nothing of the name `{}` that could be hidden", name.value);
                findings.error(name.at, message).suggest_or_list(&word, REDACTABLE.iter().copied().chain(named()));
            }
        }
    }
    redaction
}

/// The path parameters that users and devices are known by: ids leave the process as keyed hashes only.
fn known_by(sources: &FactSources) -> Vec<Box<str>> {
    let ids = sources.lists.iter().filter(|(fact, _)| matches!(*fact, FactId::USER_ID | FactId::DEVICE_ID));
    let parameter = |source: &FactSource| match source {
        FactSource::Path(name) => Some(name.as_str().into()),
        _ => None,
    };
    ids.flat_map(|(_, list)| list).filter_map(parameter).collect()
}

fn file(config: &FileConfig, texts: &Texts, findings: &mut Findings) -> Option<LogFile> {
    let written = config.access_log_file.as_ref()?;
    let name = written.path.as_ref()?;
    if name.value.trim().is_empty() {
        findings.error(name.at, "`path` of the access log is empty");
    }
    let path = texts.path_of(name);
    if path.is_dir() {
        findings.error(name.at, format!("`{}` is a folder, not a file", name.value)).help("name the file in it");
    } else if path.parent().is_some_and(|folder| folder != Path::new("") && !folder.exists()) {
        // Where it is checked may not be where it runs.
        let message = format!("the folder of `{}` is not there: without it lines are dropped", name.value);
        findings.warn(name.at, message);
    }
    if matches!(config.access_log.as_ref().map(|log| log.value), None | Some(AccessLogWord::Off)) {
        findings.warn(name.at, "nothing is written to it: `access_log` is off").help("write `access_log: all`");
    }
    if let Some(size) = written.size.as_ref().filter(|size| size.value.0 < LEAST_SIZE) {
        findings.error(size.at, "`size` of an access log is at least 128KiB");
    }
    if let Some(keep) = written.keep.as_ref().filter(|keep| keep.value > MOST_KEPT) {
        findings.error(keep.at, format!("`keep` is a number from 0 to {MOST_KEPT}, not {}", keep.value));
    }
    let size = written.size.as_ref().map_or(SIZE, |size| size.value.0);
    Some(LogFile { path, size, keep: written.keep.as_ref().map_or(5, |keep| keep.value) })
}

/// The facts named, each once.
fn facts(written: Option<&[At<String>]>, table: &mut FactTable, findings: &mut Findings) -> Vec<FactId> {
    let mut facts = Vec::new();
    for name in written.into_iter().flatten() {
        let fact = match table.resolve(name) {
            Ok(fact) => fact,
            Err(error) => {
                unknown_key(name, &error, table, findings);
                continue;
            }
        };
        let why = match fact {
            FactId::USER_ID | FactId::DEVICE_ID => "is logged as a keyed hash, never as it is",
            FactId::CLIENT_IP | FactId::SKU_ID | FactId::CATEGORY_ID | FactId::ORDER_AMOUNT => {
                "has a field of its own in every line"
            }
            _ if SECRETS.contains(&table.name(fact)) => "holds secrets, which do not belong in a log",
            _ if facts.len() == MOST => {
                findings.error(name.at, format!("more than {MOST} facts in the access log"));
                return facts;
            }
            _ => {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
                continue;
            }
        };
        findings.error(name.at, format!("`{}` {why}", name.value));
    }
    facts
}
