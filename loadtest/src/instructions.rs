//! How many instructions deciding, recording and one proxied request take, counted by valgrind's callgrind, held against
//! a budget that is committed. Time drifts on a shared machine; instructions hardly do.
//!
//! Each count is a difference: the same program does a few and then many, so starting and ending cancel out. Of the
//! sidecar only the worker's thread counts, because the others work by the clock, which runs on while valgrind is slow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use crate::load::{http1, http2};
use crate::scenario::{Client, Contestant, FigureKind, OriginKind, Peer, Scenario, Shape};
use crate::stage::machine::{self, Cores};
use crate::stage::programs::{Programs, on_path};
use crate::stage::{Running, Stage};

/// What `graylane-counted` does, by name, with the few and the many.
const BENCHES: [(&str, u64, u64); 5] = [
    ("find", 1000, 11_000),
    ("decide", 1000, 11_000),
    ("decide-10000-routes", 1000, 11_000),
    ("decide-expression", 1000, 11_000),
    ("record", 1000, 11_000),
];
/// Requests through the sidecar, likewise.
const REQUESTS: [(&str, Client); 3] =
    [("request-http1", Client::Http1), ("request-http2", Client::Http2), ("request-grpc", Client::Grpc)];
const FEW: usize = 200;
const MANY: usize = 1200;

/// Where things are and what is allowed.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The binary of graylane, of the profile that the budget is for
    #[arg(long, env = "GRAYLANE", default_value = "target/counted/graylane")]
    graylane: PathBuf,
    /// The program that decides and records, of the same profile
    #[arg(long, default_value = "target/counted/graylane-counted")]
    counted: PathBuf,
    /// The budget: instructions by name
    #[arg(long, default_value = "loadtest/instructions.yaml")]
    budget: PathBuf,
    /// How much more than the budget is let pass, in percent
    #[arg(long, default_value_t = 5.0)]
    slack: f64,
    /// Write what was counted as the new budget
    #[arg(long)]
    write: bool,
    /// Count so often and tell the spread
    #[arg(long, default_value_t = 1)]
    repeat: usize,
}

type Counts = BTreeMap<String, u64>;

/// Counts everything and holds it against the budget; failure where something takes more.
///
/// # Errors
/// Where something cannot be built, run or read.
pub async fn run(asked: &Arguments, root: &Path) -> anyhow::Result<ExitCode> {
    let budget = root.join(&asked.budget);
    // Before anything is pinned, because whoever is pinned knows one core.
    let cores = Cores::of_this_process()?;
    machine::pin(cores.load())?;
    let found = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    let (graylane, counted) = (found(&asked.graylane)?, found(&asked.counted)?);
    let mut all: Vec<Counts> = Vec::new();
    for _ in 0..asked.repeat.max(1) {
        all.push(count_all(&graylane, &counted, root, &cores).await?);
    }
    if asked.write {
        write_budget(&budget, &all[0])?;
    }
    let text = fs::read_to_string(&budget).with_context(|| format!("cannot read {}", budget.display()))?;
    let allowed: Counts = serde_yaml::from_str(&text).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let told = judge(&all, &allowed, asked.slack);
    print!("{}", told.text);
    Ok(if told.kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn count_all(graylane: &Path, counted: &Path, root: &Path, cores: &Cores) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for (name, few, many) in BENCHES {
        let (less, more) = (bench(counted, name, few)?, bench(counted, name, many)?);
        counts.insert(name.to_owned(), more.saturating_sub(less) / (many - few));
    }
    let programs = |out: &Path| -> anyhow::Result<Programs> {
        let mut before = vec![on_path("valgrind")?.into_os_string()];
        before.extend(callgrind(out, "yes").map(Into::into));
        Ok(Programs::new(root.to_owned(), graylane.to_owned()).under(before))
    };
    for (name, client) in REQUESTS {
        let less = requests(&programs, cores, client, FEW).await?;
        let more = requests(&programs, cores, client, MANY).await?;
        // The thread that the requests made grow most is the worker.
        let grown = more.iter().map(|(thread, count)| count.saturating_sub(less.get(thread).copied().unwrap_or(0)));
        counts.insert(name.to_owned(), grown.max().unwrap_or(0) / (MANY - FEW) as u64);
    }
    Ok(counts)
}

struct Told {
    text: String,
    kept: bool,
}

/// A line for each name: what the last count gave, the budget, and the spread over all counts.
fn judge(all: &[Counts], allowed: &Counts, slack: f64) -> Told {
    let mut told = Told { text: String::new(), kept: true };
    let Some(last) = all.last() else { return told };
    for (name, count) in last {
        let ours: Vec<u64> = all.iter().filter_map(|counts| counts.get(name).copied()).collect();
        let (least, most) = (ours.iter().min().unwrap_or(count), ours.iter().max().unwrap_or(count));
        let spread = 100.0 * (most - least) as f64 / (*least).max(1) as f64;
        let Some(budget) = allowed.get(name) else {
            told.text += &format!("{name:22} {count:>8} has no budget; `--write` gives it one\n");
            told.kept = false;
            continue;
        };
        let beyond = 100.0 * (*count as f64 - *budget as f64) / (*budget).max(1) as f64;
        let word = match beyond {
            over if over > slack => "TOO MANY",
            under if under < -slack => "fewer; `--write` keeps that",
            _ => "kept",
        };
        told.kept &= beyond <= slack;
        told.text += &format!(
            "{name:22} {count:>8} of {budget:>8} instructions ({beyond:+.1} %, spread {spread:.2} %) {word}\n"
        );
    }
    told
}

fn write_budget(path: &Path, counts: &Counts) -> anyhow::Result<()> {
    let mut text = String::from(
        "# Instructions of one decision, one record and one proxied request in a build of the profile `counted`, by callgrind.\n# \
         `make instructions` holds a build against this, with 5 % slack; `make instructions-budget` writes it anew.\n",
    );
    counts.iter().for_each(|(name, count)| text += &format!("{name}: {count}\n"));
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Instructions of the whole program.
fn bench(counted: &Path, name: &str, times: u64) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind");
    let mut command = Command::new(on_path("valgrind")?);
    command.args(callgrind(&out, "no")).arg(counted).arg(name).arg(times.to_string());
    let ran = command.output().context("cannot run valgrind")?;
    if !ran.status.success() {
        bail!("{} {name} failed: {}", counted.display(), String::from_utf8_lossy(&ran.stderr));
    }
    threads(&out)?.into_values().next().context("callgrind told nothing")
}

/// Instructions of each thread of a sidecar that served so many requests, one after the other on one connection.
async fn requests(
    programs: &dyn Fn(&Path) -> anyhow::Result<Programs>,
    cores: &Cores,
    client: Client,
    times: usize,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind");
    let shape = Shape { client, connections: 1, ..Shape::default() };
    let mut stage = Stage::set(&scenario(shape.clone()), &programs(&out)?, cores).await?;
    let running = stage.start(&Contestant { peer: Peer::Graylane, shape, value: None }).await?;
    send(&running, times).await?;
    // The counts are written when the process ends.
    drop(running);
    threads(&out)
}

async fn send(running: &Running, times: usize) -> anyhow::Result<()> {
    let at = |number: usize| number % running.prepared.len();
    match running.target.client {
        Client::Http1 => {
            let mut connection = http1::Connection::open(&running.target).await?;
            for number in 0..times {
                connection.exchange(&running.prepared, at(number)).await?;
            }
        }
        Client::Http2 | Client::Grpc => {
            let mut connection = http2::Connection::open(&running.target).await?;
            for number in 0..times {
                connection.exchange(&running.prepared, at(number)).await?;
            }
        }
    }
    Ok(())
}

fn scenario(shape: Shape) -> Scenario {
    Scenario {
        name: "instructions".to_owned(),
        title: String::new(),
        figure: FigureKind::Cpu,
        peers: vec![Peer::Graylane],
        shape,
        vary: None,
        state: None,
        origin: OriginKind::Own,
        rounds: 1,
        seconds: 1.0,
        aims: vec![],
    }
}

fn callgrind(out: &Path, separate_threads: &str) -> [String; 3] {
    let out = format!("--callgrind-out-file={}", out.display());
    ["--tool=callgrind".to_owned(), out, format!("--separate-threads={separate_threads}")]
}

/// Instructions by thread, of the files that callgrind wrote beside one name.
fn threads(out: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let folder = out.parent().context("a file is in a folder")?;
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        if let Some(total) = total(&text) {
            counts.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), total);
        }
    }
    match counts.is_empty() {
        true => bail!("callgrind wrote nothing into {}", folder.display()),
        false => Ok(counts),
    }
}

/// `totals:` (or `summary:`) of a file of callgrind.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    line?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(count: u64) -> Counts {
        Counts::from([("decide".to_owned(), count)])
    }

    #[track_caller]
    fn check(count: u64, budget: u64, kept: bool, word: &str) {
        let told = judge(&[counts(count)], &counts(budget), 5.0);
        assert_eq!(told.kept, kept, "{}", told.text);
        assert!(told.text.contains(word), "{}", told.text);
    }

    #[test]
    fn five_percent_more_pass_and_six_do_not() {
        check(1000, 1000, true, "kept");
        check(1050, 1000, true, "kept");
        check(1060, 1000, false, "TOO MANY");
        check(900, 1000, true, "fewer");
    }

    #[test]
    fn what_has_no_budget_is_not_kept() {
        assert!(!judge(&[counts(1)], &Counts::new(), 5.0).kept);
    }

    #[test]
    fn the_spread_is_told_over_all_counts() {
        let told = judge(&[counts(1000), counts(1020), counts(1010)], &counts(1000), 5.0);
        assert!(told.text.contains("spread 2.00 %"), "{}", told.text);
    }

    #[test]
    fn totals_are_found() {
        assert_eq!(total("version: 1\nfn=(1)\n1 2\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("nothing"), None);
    }
}
