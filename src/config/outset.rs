//! What the files alone say of where the rest of the configuration comes from.
//!
//! A route of a file may well name an upstream that only a source knows, so nothing else of the files is judged before
//! everything is there.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::beside;
use super::compile::{self, KeyFiles};
use super::disk::ReadFiles;
use super::file::FileConfig;
use super::gather::gather;
use super::problem::{Findings, Problems};
use super::remote::SourcePlan;
use super::text::{Span, Texts};

/// Where more of the configuration comes from, and what has to be known before it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outset {
    /// The sources in the order in which they are merged.
    pub sources: Vec<SourcePlan>,
    /// How long a start waits for the first answer of every source.
    pub sources_wait: Duration,
    /// Worker threads; `None` means the cores the process may use.
    pub workers: Option<NonZeroUsize>,
    /// The folder for what survives the process.
    pub state_dir: Option<PathBuf>,
}

/// Reads that much of the files. Files that name sources, and hold what no configuration holds, are refused; where they
/// name none, nothing is missing, and whoever loads them tells every problem.
pub fn outset(files: &ReadFiles) -> Result<Outset, Problems> {
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let mut gathered = gather(files, &mut texts, &mut findings);
    beside::apply(&mut gathered, &mut texts, &mut findings);
    let outset = compile::outset(&gathered.config, KeyFiles::Needed, &texts, &mut findings);
    if gathered.config.sources.is_none() {
        return Ok(outset);
    }
    findings.resolve(&texts).map(|_| outset)
}

/// Refuses what a document of a source cannot say, because it is needed before any source is asked.
pub(super) fn refuse_in_documents(config: &FileConfig, findings: &mut Findings) {
    let of_list = config.sources.as_ref().map(|list| list.first().map_or(config.at, |source| source.at));
    let said: [(&str, Option<Span>); 6] = [
        ("sources", of_list),
        ("sources_wait", config.sources_wait.as_ref().map(|wait| wait.at)),
        ("environment", config.environment.as_ref().map(|environment| environment.at)),
        ("workers", config.workers.as_ref().map(|workers| workers.at)),
        ("kubernetes", config.kubernetes.as_ref().map(|kubernetes| kubernetes.at)),
        ("state", config.state.as_ref().map(|state| state.at)),
    ];
    for (name, at) in said.into_iter().filter_map(|(name, at)| at.map(|at| (name, at))) {
        findings
            .error(at, format!("`{name}` cannot come from a source: it is needed before any source is asked"))
            .help("write it into a file that the process is started with");
    }
}
