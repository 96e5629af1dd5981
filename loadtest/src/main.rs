//! `graylane-loadtest`: measures graylane beside its peers. See docs/performance.md.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::measure::{Bench, turns};
use loadtest::origin::{self, Speaks};
use loadtest::report::result::{Results, Row, ScenarioResult};
use loadtest::report::{markdown, plot, table};
use loadtest::scenario::{self, Peer, Scenario};
use loadtest::stage::machine::{self, Cores, Machine};
use loadtest::stage::programs::Programs;
use loadtest::stage::ready::checkout;
use loadtest::{copy, instructions};
use tokio::signal::unix::{SignalKind, signal};

/// Measures graylane beside its peers.
#[derive(Debug, Parser)]
#[command(name = "graylane-loadtest", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios; tables here, JSON and plots in a folder
    Run(RunArguments),
    /// Name the scenarios
    List,
    /// Write the figures of a result into a document, between its marks, with plots beside it
    Document {
        /// A result of `run`
        result: PathBuf,
        /// The document
        #[arg(default_value = "docs/performance.md")]
        document: PathBuf,
    },
    /// Count instructions of deciding, recording and a request, and hold them against the budget
    Instructions(instructions::Arguments),
    /// Be an origin (started by `run`)
    #[command(hide = true)]
    Origin {
        #[arg(long)]
        stable: Vec<SocketAddr>,
        #[arg(long)]
        gray: Vec<SocketAddr>,
        #[arg(long)]
        speaks: Speaks,
    },
    /// Copy bytes from clients of one address to another (started by `run`)
    #[command(hide = true)]
    Copy { from: SocketAddr, to: SocketAddr },
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The scenarios, by name; all where none is named
    scenarios: Vec<String>,
    /// Only these proxies
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The binary of graylane
    #[arg(long, env = "GRAYLANE", default_value = "target/release/graylane")]
    graylane: PathBuf,
    /// How often each takes its turn, whatever the scenario says
    #[arg(long)]
    rounds: Option<usize>,
    /// The length of a turn in seconds, whatever the scenario says
    #[arg(long)]
    seconds: Option<f64>,
    /// About two minutes for all: two rounds of half a second, and one where a part is varied
    #[arg(long)]
    quick: bool,
    /// Where JSON and plots go
    #[arg(long, default_value = "target/loadtest")]
    out: PathBuf,
    /// Also write the figures into this document, with plots beside it
    #[arg(long)]
    document: Option<PathBuf>,
}

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("graylane-loadtest: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> anyhow::Result<ExitCode> {
    machine::open_many_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Run(asked) => runtime.block_on(run(&asked)),
        Command::List => {
            for scenario in scenario::load_all(&scenarios())? {
                println!("{:20} {}", scenario.name, scenario.title);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Document { result, document } => {
            let text = fs::read_to_string(&result).with_context(|| format!("cannot read {}", result.display()))?;
            write_document(&document, &serde_json::from_str(&text)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Instructions(asked) => runtime.block_on(instructions::run(&asked, &checkout())),
        Command::Origin { stable, gray, speaks } => {
            runtime
                .block_on(async { io::Result::Ok(origin::serve(&stable, &gray, speaks).await?.join_all().await) })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Copy { from, to } => {
            copy::run(from, to)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn scenarios() -> PathBuf {
    checkout().join("loadtest/scenarios")
}

async fn run(asked: &RunArguments) -> anyhow::Result<ExitCode> {
    let chosen = scenario::chosen(scenario::load_all(&scenarios())?, &asked.scenarios)?;
    let chosen: Vec<Scenario> = chosen.into_iter().map(|scenario| adapted(scenario, asked)).collect();
    let graylane = asked.graylane.canonicalize().unwrap_or_else(|_| asked.graylane.clone());
    let programs = Programs::new(checkout(), graylane);
    let cores = Cores::of_this_process()?;
    // Before hours of work: is everybody there?
    for peer in chosen.iter().flat_map(|scenario| &scenario.peers) {
        programs.of(*peer)?;
    }
    machine::pin(cores.load())?;
    let mut results = Results {
        when: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        command: words(),
        machine: Machine::this(&cores),
        versions: versions(&programs, &chosen),
        scenarios: Vec::new(),
    };
    let progress = ProgressBar::new(chosen.iter().map(turns).sum());
    let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} {msg}")?;
    progress.set_style(style);
    let bench = Bench { programs: &programs, cores: &cores, progress: &progress };
    let mut terminate = signal(SignalKind::terminate())?;
    for scenario in &chosen {
        // What is dropped ends its processes.
        let result = tokio::select! {
            result = bench.measure(scenario) => result.with_context(|| format!("scenario {}", scenario.name))?,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("told to end"),
        };
        progress.suspend(|| println!("{}", table::text(&result)));
        results.scenarios.push(result);
        keep(&asked.out, &results)?;
    }
    progress.finish_and_clear();
    if let Some(document) = &asked.document {
        write_document(document, &results)?;
    }
    Ok(verdict(&results.scenarios))
}

/// A scenario with what the command line says.
fn adapted(mut scenario: Scenario, asked: &RunArguments) -> Scenario {
    if asked.quick {
        scenario.rounds = scenario.rounds.min(if scenario.vary.is_some() { 1 } else { 2 });
        scenario.seconds = scenario.seconds.min(0.5);
    }
    scenario.rounds = asked.rounds.unwrap_or(scenario.rounds).max(1);
    scenario.seconds = asked.seconds.unwrap_or(scenario.seconds);
    if !asked.only.is_empty() {
        scenario.peers.retain(|peer| asked.only.iter().any(|name| name == peer.name()));
    }
    scenario
}

/// The command as a reader can give it.
fn words() -> String {
    let mut words = std::env::args();
    words.next();
    format!("graylane-loadtest {}", words.collect::<Vec<_>>().join(" "))
}

fn versions(programs: &Programs, chosen: &[Scenario]) -> BTreeMap<String, String> {
    let peers = chosen.iter().flat_map(|scenario| &scenario.peers);
    let peers: std::collections::BTreeSet<Peer> = peers.copied().collect();
    peers.into_iter().filter_map(|peer| Some((peer.name().to_owned(), programs.version(peer)?))).collect()
}

/// Writes what there is so far, so that an interruption loses little.
fn keep(folder: &Path, results: &Results) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("result.json"), serde_json::to_string_pretty(results)?)?;
    if let Some(latest) = results.scenarios.last() {
        plot::draw(latest, folder)?;
    }
    Ok(())
}

fn write_document(document: &Path, results: &Results) -> anyhow::Result<()> {
    let name = document.file_stem().context("the document has no name")?.to_string_lossy().into_owned();
    let plots = document.with_extension("");
    fs::create_dir_all(&plots)?;
    for result in &results.scenarios {
        plot::draw(result, &plots)?;
    }
    Ok(markdown::write_into(document, results, &name)?)
}

/// Whether every answer was right. Aims that are missed are told, not failed: that is what a measurement is for.
fn verdict(results: &[ScenarioResult]) -> ExitCode {
    let rows = results.iter().flat_map(|result| &result.rows);
    match rows.filter(|row| row.peer == Peer::Graylane).all(Row::is_clean) {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("graylane-loadtest: graylane gave wrong answers or none; its figures are no result");
            ExitCode::FAILURE
        }
    }
}
