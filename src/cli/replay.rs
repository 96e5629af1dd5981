//! `graylane replay`: an access log against two configurations.

mod table;

use std::fs::File;
use std::io::{self, IsTerminal, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::check::BAD_CONFIGURATION;
use crate::config::{self, KeyFiles, Loaded, Settings, Style};
use crate::replay::{Fields, Format, Input, Plan, Report, run};

/// How a log is written, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// graylane's own access log
    Graylane,
    /// nginx's combined form, with further fields behind it or not
    Combined,
    /// JSON lines of any other program, by a map of fields
    Json,
}

/// The options of `graylane replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReplayArgs {
    /// The configuration that is: a file, or a directory of *.yaml
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The configuration that is to be
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    /// Access logs, gzip or not; `-` is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// How the logs are written
    #[arg(long, value_enum, default_value = "graylane")]
    format: Form,
    /// Where a log has a part of the request or a fact, as user_id=remote_user; may be repeated
    #[arg(long = "field", value_name = "PART=FIELD", value_parser = pair)]
    field: Vec<(String, String)>,
    /// A YAML file with such pairs
    #[arg(long, value_name = "FILE")]
    fields: Option<PathBuf>,
    /// The host of every request, where the log holds none
    #[arg(long)]
    host: Option<String>,
    /// Threads that decide; default all cores
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

/// Replays and prints the report: 0 when every log was read to its end, 1 when one was not or no line was a request, 2 where a
/// configuration is bad.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let (Some(from), Some(to)) = (load(&args.from), load(&args.to)) else {
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    };
    let format = match args.format {
        Form::Graylane => Format::Graylane,
        Form::Combined => Format::Combined,
        Form::Json => Format::Json,
    };
    let fields = fields(args, format)?;
    known_facts(&fields, [&from.settings, &to.settings])?;
    let threads = args.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let plan =
        Plan { from: &from.settings, to: &to.settings, format, fields: &fields, host: args.host.as_deref(), threads };
    let (inputs, bytes) = inputs(&args.logs)?;
    let bar = bar(bytes);
    let report = run(&plan, inputs, &|done| bar.set_position(done));
    bar.finish_and_clear();
    let text = if args.json {
        serde_json::to_string_pretty(&report).context("the report is no JSON")? + "\n"
    } else {
        table::render(&report)
    };
    // Whoever closed the pipe has read enough.
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(ended(&report, args.format))
}

fn ended(report: &Report, form: Form) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    if report.seen.requests == 0 && report.unreadable > 0 {
        // Nothing would change, says the report, and means nothing.
        let hint = match form {
            Form::Graylane => ": `--format combined` reads nginx's form, `--format json` JSON lines of other programs",
            Form::Combined | Form::Json => "; see `--format` and `--field`",
        };
        anstream::eprintln!("graylane: no line is a request{hint}");
        code = ExitCode::FAILURE;
    }
    for input in &report.inputs {
        if let Some(problem) = &input.problem {
            anstream::eprintln!("graylane: {} could not be read to its end: {problem}", input.name);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn load(path: &Path) -> Option<Loaded> {
    config::load_with(&[path.to_owned()], KeyFiles::MayBeAbsent)
        .inspect_err(|problems| anstream::eprintln!("{}", problems.render(Style::Coloured)))
        .ok()
}

fn fields(args: &ReplayArgs, format: Format) -> anyhow::Result<Fields> {
    let mut pairs = args.field.clone();
    if let Some(path) = &args.fields {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let map: std::collections::BTreeMap<String, String> =
            serde_yaml::from_str(&text).with_context(|| format!("{} is no map of fields", path.display()))?;
        pairs.extend(map);
    }
    Ok(Fields::new(format, &pairs)?)
}

/// A fact that neither configuration has is a slip of the pen, and would look like one that no request has.
fn known_facts(fields: &Fields, sides: [&Settings; 2]) -> anyhow::Result<()> {
    for name in fields.facts() {
        if sides.iter().all(|settings| settings.program.facts().id(name).is_none()) {
            let names = sides.iter().flat_map(|settings| settings.program.facts().names());
            match crate::decide::nearest(name, names) {
                Some(near) => bail!("`{name}` is a fact of neither configuration; did you mean `{near}`?"),
                None => bail!("`{name}` is a fact of neither configuration"),
            }
        }
    }
    Ok(())
}

/// The logs, and their length where all of them have one.
fn inputs(logs: &[PathBuf]) -> anyhow::Result<(Vec<Input>, Option<u64>)> {
    let mut inputs = Vec::new();
    let mut bytes = Some(0);
    for path in logs {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            inputs.push(Input { name, reader: Box::new(io::stdin().lock()) });
            bytes = None;
            continue;
        }
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        let length = file.metadata().ok().filter(|about| about.is_file()).map(|about| about.len());
        bytes = bytes.zip(length).map(|(sum, length)| sum + length);
        inputs.push(Input { name, reader: Box::new(file) });
    }
    Ok((inputs, bytes))
}

/// Shown on a terminal only.
fn bar(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    match bytes {
        Some(bytes) => {
            let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
            ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        }
        None => {
            let style = ProgressStyle::with_template("{spinner} {bytes}, {bytes_per_sec}");
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((part, field)) if !part.is_empty() && !field.is_empty() => Ok((part.to_owned(), field.to_owned())),
        _ => Err("write PART=FIELD, such as user_id=remote_user".to_owned()),
    }
}
