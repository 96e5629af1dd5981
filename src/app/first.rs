//! The first configuration: the files, with what the sources hold that they name, or held when it was last good.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::ledger::Places;
use super::sidecar::StartError;
use super::supply::Supply;
use crate::config::{self, Digest, Loaded, Outset, ReadFiles, Source};
use crate::source::{self, Held, LastGood, Sources};
use crate::telemetry::Telemetry;

/// A configuration that is to run, with what was started to find it.
pub(super) struct First {
    pub(super) loaded: Loaded,
    /// Of the files that were read.
    pub(super) digest: Digest,
    /// Which of its texts come from which source.
    pub(super) places: Places,
    /// How many workers there are to be.
    pub(super) workers: usize,
    pub(super) control: Runtime,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) supply: Supply,
}

impl First {
    /// Reads the files, and waits for the sources that they name.
    pub(super) fn find(files: Vec<PathBuf>) -> Result<Self, StartError> {
        let read = ReadFiles::of(&files);
        let outset = config::outset(&read).map_err(StartError::Refused)?;
        // Where they name none, nothing is started before the files are good.
        let alone = match outset.sources.is_empty() {
            true => Some(config::load_documents(&read, &[]).map_err(StartError::Refused)?),
            false => None,
        };
        let workers = outset.workers.map_or_else(available_workers, NonZeroUsize::get);
        let telemetry = Arc::new(Telemetry::new(workers));
        let control = control_runtime().map_err(StartError::system("the control threads"))?;
        let mut sources = {
            let _inside = control.enter();
            Sources::start(&outset.sources, &telemetry)
        };
        let last_good = outset.state_dir.as_deref().map(|dir| Arc::new(LastGood::new(dir, telemetry.clone())));
        let (loaded, held) = match alone {
            Some(loaded) => (loaded, Some(Held::default())),
            None => control.block_on(from_sources(&read, &mut sources, &outset, last_good.as_deref()))?,
        };
        let places = Places::named(&loaded.sources, outset.sources.iter().map(|plan| &plan.name), &files);
        let accepted = held.map(|held| (held, loaded.version.clone()));
        let mut supply = Supply::new(files, sources, outset, last_good, accepted);
        control.block_on(supply.begin());
        Ok(Self { loaded, digest: read.digest(), places, workers, control, telemetry, supply })
    }
}

/// The files with what the sources hold. Where that is refused, it is what they held when it was last good, and nothing of
/// what they hold now is in force.
async fn from_sources(
    read: &ReadFiles,
    sources: &mut Sources,
    outset: &Outset,
    last_good: Option<&LastGood>,
) -> Result<(Loaded, Option<Held>), StartError> {
    source::first(sources, outset.sources_wait, last_good).await?;
    let held = sources.held();
    let problems = match config::load_documents(read, &held.texts()) {
        Ok(loaded) => return Ok((loaded, Some(held))),
        Err(problems) => problems,
    };
    let Some(loaded) = as_kept(read, outset, last_good) else { return Err(StartError::Refused(problems)) };
    let problem = problems.iter().next().map(ToString::to_string);
    tracing::error!(
        version = loaded.version,
        problem,
        "STALE: what the sources hold is refused; the last good configuration is in force"
    );
    Ok((loaded, None))
}

/// The files with what the sources held when it was last good, if that is good still.
fn as_kept(read: &ReadFiles, outset: &Outset, last_good: Option<&LastGood>) -> Option<Loaded> {
    // A broken one was told when the sources were waited for.
    let kept = last_good?.load().ok()??;
    let of = |name: &str| kept.sources.iter().find(|(there, _)| there == name).map(|(_, documents)| documents);
    let mut texts: Vec<Source> = Vec::new();
    for plan in &outset.sources {
        texts.extend(of(&plan.name)?.texts.iter().cloned());
    }
    config::load_documents(read, &texts).ok()
}

fn control_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("control").enable_all().build()
}

fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
