//! `graylane run`: the sidecar.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::app::log::{self, Format};
use crate::app::{Sidecar, StartError, wait_for_stop};
use crate::config::Style;

/// The options of `graylane run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A configuration file, or a directory of *.yaml; may be given several times. Read again when it changes, on SIGHUP,
    /// and on POST /api/flags/sync of the admin port
    #[arg(long, value_name = "PATH", env = "GRAYLANE_CONFIG", required = true, value_delimiter = ',')]
    pub config: Vec<PathBuf>,
    /// Least severity of the process's own log on standard error: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", env = "GRAYLANE_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Form of the process's own log
    #[arg(long, value_name = "FORM", env = "GRAYLANE_LOG_FORMAT", value_enum, default_value_t = LogForm::Json)]
    pub log_format: LogForm,
}

/// The form of the process's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogForm {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// Exit 2 for a bad configuration, before anything is started.
const BAD_CONFIGURATION: u8 = 2;

/// Runs the sidecar until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// Whatever keeps it from starting: exit 1.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let format = match args.log_format {
        LogForm::Json => Format::Json,
        LogForm::Text => Format::Text,
    };
    log::init(&args.log_level, format).context("cannot start the log")?;
    let sidecar = match Sidecar::start(args.config.clone()) {
        Err(StartError::Refused(problems)) => {
            anstream::eprintln!("{}", problems.render(Style::Coloured));
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
        started => started?,
    };
    let version = sidecar.version();
    tracing::info!(traffic = ?sidecar.traffic(), admin = %sidecar.admin(), version, "ready");
    let signal = wait_for_stop().context("cannot wait for signals")?;
    tracing::info!(signal, "draining");
    let cut = sidecar.drain();
    if cut > 0 {
        tracing::warn!(connections = cut, "cut off: they took longer than the drain allows");
    }
    tracing::info!("drained");
    Ok(ExitCode::SUCCESS)
}
