//! `graylane run`: the sidecar.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::app::log::{self, Format};
use crate::app::{Asked, Handing, Inherited, Leave, Sidecar, Signals, Standing, StartError};
use crate::app::{tell_predecessor, tell_supervisor};
use crate::config::Style;

/// The options of `graylane run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A configuration file, or a directory of *.yaml; may be given several times. Read again when it changes, on SIGHUP,
    /// and on POST /api/flags/sync of the admin port
    #[arg(long, value_name = "PATH", env = "GRAYLANE_CONFIG", required = true, value_delimiter = ',')]
    pub config: Vec<PathBuf>,
    /// Least severity of the process's own log on standard error: error, warn, info, debug, trace
    /// (a release build says no more by trace than by debug)
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

/// Runs the sidecar until SIGTERM or SIGINT, or until SIGUSR2 had another process take over; then drains it. A second
/// signal to end cuts the drain off; one that comes before the start is over ends it there.
///
/// # Errors
/// Whatever keeps it from starting: exit 1.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    // Before there are threads.
    let inherited = Inherited::from_environment()?;
    // As it was called: a link that leads to another program by then is followed anew.
    let program = PathBuf::from(std::env::args_os().next().context("cannot tell which program this is")?);
    let format = match args.log_format {
        LogForm::Json => Format::Json,
        LogForm::Text => Format::Text,
    };
    log::init(&args.log_level, format).context("cannot start the log")?;
    // Before the first request is taken: whoever has an answer may ask us to end.
    let mut signals = Signals::listen().context("cannot wait for signals")?;
    let files = args.config.clone();
    let starting = signals.unless_stopped(move || Sidecar::start(files, inherited));
    let sidecar = match starting.context("cannot start a thread")? {
        Err(signal) => {
            tracing::info!(signal, "asked to end before the start was over; nothing was accepted");
            say(Standing::Stopping);
            return Ok(ExitCode::SUCCESS);
        }
        Ok(Err(StartError::Refused(problems))) => {
            anstream::eprintln!("{}", problems.render(Style::Coloured));
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
        Ok(started) => started?,
    };
    let version = sidecar.version();
    tracing::info!(traffic = ?sidecar.traffic(), admin = %sidecar.admin(), version, "ready");
    if let Err(error) = tell_predecessor() {
        tracing::warn!(%error, "the process before this one is gone");
    }
    say(Standing::Ready);
    let leave = until_leaving(&sidecar, &mut signals, &program);
    if leave != Leave::HandedOver {
        say(Standing::Stopping);
    }
    let cutter = sidecar.cutter();
    std::thread::spawn(move || {
        while !matches!(signals.wait(), Asked::Stop(_)) {}
        tracing::warn!("asked to end a second time: what is under way is cut off");
        cutter.cut();
    });
    let cut = sidecar.drain(leave);
    if cut > 0 {
        tracing::warn!(connections = cut, "cut off: they took longer than the drain allows");
    }
    tracing::info!("drained");
    Ok(ExitCode::SUCCESS)
}

/// Tells whoever started the process, where that is a supervisor.
fn say(standing: Standing) {
    if let Err(error) = tell_supervisor(standing) {
        tracing::warn!(%error, ?standing, "the supervisor cannot be told");
    }
}

/// Blocks until the sidecar is to be drained; says how.
fn until_leaving(sidecar: &Sidecar, signals: &mut Signals, program: &Path) -> Leave {
    loop {
        let asked = signals.wait();
        let signal = match asked {
            Asked::Stop(signal) => signal,
            Asked::HandOver => match hand_over(sidecar, signals, program) {
                Some(leave) => return leave,
                None => continue,
            },
        };
        tracing::info!(signal, "draining");
        return Leave::WhenNoticed;
    }
}

/// Has another process take over; nothing where that failed, and this one goes on.
fn hand_over(sidecar: &Sidecar, signals: &mut Signals, program: &Path) -> Option<Leave> {
    tracing::info!(program = %program.display(), "SIGUSR2: another process is to take over");
    let begun = Handing::begin(sidecar, program);
    let ended = begun.and_then(|handing| {
        let pid = handing.id();
        Ok((pid, signals.until_ready(handing)?))
    });
    match ended {
        Ok((pid, None)) => {
            tracing::info!(pid, "handed over; draining");
            Some(Leave::HandedOver)
        }
        Ok((_, Some(asked))) => {
            tracing::info!(?asked, "draining; nothing was handed over");
            Some(Leave::WhenNoticed)
        }
        Err(error) => {
            tracing::error!(%error, "nothing was handed over; this process goes on");
            None
        }
    }
}
