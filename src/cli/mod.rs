//! The command line: words to [`crate::app`] and to the tools that need no running sidecar.

pub mod audit;
pub mod check;
pub mod crds;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod inject;
pub mod inject_webhook;
pub mod leave;
mod manifests;
pub mod replay;
pub mod run;
pub mod schema;
pub mod token;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app::{Inherited, Leave, Sidecar, StartError};
use crate::config::{self, KeyFiles, Style};
use crate::extract::{Extractor, allow_encoded};

/// A sidecar reverse proxy that makes gray (canary) releases of commodity services safe.
#[derive(Debug, Parser)]
#[command(name = "graylane", version, about, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it: a stable and a gray shop, the sidecar before them, and what to try
    Demo(demo::DemoArgs),
    /// Run the sidecar
    Run(run::RunArgs),
    /// Check configurations: every problem, with its place
    Check {
        /// Files, or directories of *.yaml, read as one configuration
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Problems as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Compare two configurations: what differs, and whom that would move
    Diff(diff::DiffArgs),
    /// Work with an audit trail
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Explain the decision for one request
    Explain(ExplainArgs),
    /// Replay an access log against two configurations: what would change lane
    Replay(replay::ReplayArgs),
    /// Put the sidecar into manifests
    Inject(inject::InjectArgs),
    /// Put the sidecar into the pods of a cluster: the webhook that its API server asks
    InjectWebhook(inject_webhook::WebhookArgs),
    /// Find what is wrong with the injection of a namespace, or of manifests, and how it is mended
    Doctor(doctor::DoctorArgs),
    /// Tell the sidecar of this pod that the pod is about to end: not ready, connections end in order, new ones are served
    Leave(leave::LeaveArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the CustomResourceDefinitions for Kubernetes, as YAML
    Crds(crds::CrdsArgs),
    /// Make a signed override
    Token(TokenArgs),
}

#[derive(Debug, clap::Args)]
struct ExplainArgs {
    /// The configuration: a file, or a directory of *.yaml
    #[arg(long, value_name = "PATH", env = "GRAYLANE_CONFIG", required = true, value_delimiter = ',')]
    config: Vec<PathBuf>,
    /// The method, such as GET
    method: String,
    /// The URL, or only its path
    url: String,
    /// A header, as 'name: value'
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    headers: Vec<OsString>,
    /// The body
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    body: Option<String>,
    /// The address of the peer; without one, a trusted peer speaks
    #[arg(long, value_name = "IP")]
    client_ip: Option<String>,
    /// The reasoning as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct TokenArgs {
    /// The file with the key: its bytes less one trailing newline, at least 32
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The release it is for
    #[arg(long)]
    release: String,
    /// The service it is for, as `service` in the configuration; without one, every service that has the key
    #[arg(long)]
    service: Option<String>,
    /// The lane it chooses: gray or stable; may be left out with --explain
    #[arg(long, required_unless_present = "explain", default_value = "", hide_default_value = true)]
    lane: String,
    /// Answers tell its bearer how their lane was decided, in the header x-gray-explain
    #[arg(long)]
    explain: bool,
    /// Who it is made for; shown in logs
    #[arg(long)]
    subject: String,
    /// How long it counts, such as 1h
    #[arg(long, value_parser = duration)]
    ttl: Duration,
}

/// Runs the command line and says how the process ends: 0 good, 1 failure, 2 bad configuration or usage.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(args) => demo::run(&args, start_for_demo),
        Command::Run(args) => run::run(&args),
        Command::Check { paths, json } => {
            Ok(check::check(&paths, if json { check::Format::Json } else { check::Format::Text }))
        }
        Command::Diff(args) => Ok(diff::run(&args)),
        Command::Audit(command) => Ok(audit::run(&command)),
        Command::Explain(args) => explain(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Inject(args) => inject::run(&args),
        Command::InjectWebhook(args) => inject_webhook::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Leave(args) => leave::run(&args),
        Command::Schema => Ok(schema::schema()),
        Command::Crds(args) => crds::run(&args),
        Command::Token(args) => token(&args),
    };
    done.unwrap_or_else(|error| {
        anstream::eprintln!("graylane: {error:#}");
        ExitCode::FAILURE
    })
}

fn start_for_demo(folder: &Path) -> anyhow::Result<demo::Running> {
    let sidecar = match Sidecar::start(vec![folder.to_owned()], Inherited::default()) {
        Err(StartError::Refused(problems)) => anyhow::bail!("{}", problems.render(Style::Plain)),
        started => started?,
    };
    let traffic = *sidecar.traffic().first().context("the demo has a listener")?;
    let admin = sidecar.admin();
    Ok(demo::Running { traffic, admin, stop: Box::new(move || _ = sidecar.drain(Leave::AtOnce)) })
}

fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load_with(&args.config, KeyFiles::MayBeAbsent) {
        Ok(loaded) => loaded,
        Err(problems) => {
            anstream::eprintln!("{}", problems.render(Style::Coloured));
            return Ok(ExitCode::from(check::BAD_CONFIGURATION));
        }
    };
    let settings = &loaded.settings;
    let asked = explain::Asked {
        method: &args.method,
        url: &args.url,
        headers: &args.headers,
        body: args.body.as_deref(),
        client_ip: args.client_ip.as_deref(),
    };
    let form = if args.json { explain::Form::Json } else { explain::Form::Text };
    let extractor = Extractor::of(settings);
    let mut reasoning = explain::answer(&settings.program, &extractor, allow_encoded(settings), &asked, now_unix())?;
    reasoning.upstream = settings.upstream_of(&reasoning.route, &reasoning.lane).map(str::to_owned);
    let answer = explain::written(&reasoning, form);
    // Whoever closed the pipe has read enough.
    let _ = write!(anstream::stdout().lock(), "{answer}");
    Ok(ExitCode::SUCCESS)
}

fn token(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let TokenArgs { release, service, lane, subject, ttl, explain, .. } = args;
    let wish = token::Wish { release, service: service.as_deref(), lane, subject, ttl: *ttl, explain: *explain };
    let token = token::mint(&args.key_file, &wish, now_unix())?;
    writeln!(std::io::stdout().lock(), "{token}").context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn now_unix() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A duration as configurations write it.
fn duration(text: &str) -> Result<Duration, String> {
    config::parse_time(text)
}
