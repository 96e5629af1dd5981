//! `graylane diff A B`: what differs between two configurations, and whom it would move.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::check::BAD_CONFIGURATION;
use crate::change::{Became, Plan, Standing};
use crate::config::{self, KeyFiles, Loaded, Style};

/// The options of `graylane diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The configuration before: a file, or a directory of *.yaml
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The configuration after
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// The plan as JSON
    #[arg(long)]
    pub json: bool,
    /// End with 1 where something differs
    #[arg(long)]
    pub exit_code: bool,
}

/// Tells what differs on standard output: 0, or 1 with `--exit-code` where something does; 2 where a configuration is bad.
pub fn run(args: &DiffArgs) -> ExitCode {
    let load = |path: &PathBuf| -> Option<Loaded> {
        let loaded = config::load_with(std::slice::from_ref(path), KeyFiles::MayBeAbsent);
        loaded.map_err(|problems| anstream::eprintln!("{}", problems.render(Style::Coloured))).ok()
    };
    let (Some(before), Some(after)) = (load(&args.before), load(&args.after)) else {
        return ExitCode::from(BAD_CONFIGURATION);
    };
    let plan = Plan::between((&before).into(), (&after).into(), &Standing::default(), None);
    let text = if args.json { serde_json::to_string_pretty(&plan).unwrap_or_default() + "\n" } else { told(&plan) };
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _ = std::io::Write::write_all(&mut anstream::stdout().lock(), text.as_bytes());
    ExitCode::from(u8::from(args.exit_code && !plan.is_empty()))
}

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The plan for people, in colour; the stream drops the colour where it is no terminal.
fn told(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing differs\n".to_owned();
    }
    let mut out = String::new();
    for difference in &plan.differences {
        let (sign, colour) = match difference.became {
            Became::Added => ('+', GREEN),
            Became::Removed => ('-', RED),
            Became::Changed => ('~', YELLOW),
        };
        _ = writeln!(out, "{colour}{sign} {difference}{PLAIN}");
    }
    if plan.omitted > 0 {
        _ = writeln!(out, "  and {} more", plan.omitted);
    }
    _ = writeln!(out, "\n{BOLD}users{PLAIN}");
    if plan.effects.is_empty() {
        out.push_str("  nobody moves\n");
    }
    for effect in &plan.effects {
        _ = writeln!(out, "  {effect}");
    }
    if !plan.needs.is_empty() {
        _ = writeln!(out, "\n{BOLD}needs a confirmation where it is guarded{PLAIN}");
        for need in &plan.needs {
            _ = writeln!(out, "  {RED}{need}{PLAIN}");
        }
        _ = writeln!(out, "  from version {}: confirm: {}", plan.from, plan.digest);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(permille: u16) -> Loaded {
        let text = format!(
            "upstreams: {{ s: {{ endpoints: [127.0.0.1:1] }}, g: {{ endpoints: [127.0.0.1:2] }} }}\nreleases: {{ r: {{ \
             permille: {permille} }} }}\nroutes: [{{ name: a, match: {{ path: /a }}, lanes: {{ stable: s, gray: g }}, \
             release: r }}]\n"
        );
        config::load_text(Path::new("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent).unwrap()
    }

    #[test]
    fn a_plan_reads_as_lines() {
        let (before, after) = (of(50), of(300));
        let plan = Plan::between((&before).into(), (&after).into(), &Standing::default(), None);
        let plain: String = anstream::adapter::strip_str(&told(&plan)).to_string();
        let expected = format!(
            "~ releases.r.permille: 50 -> 300\n\nusers\n  release r: 250 of 1000 users to gray, 0 to stable\n  route a: 250 \
             of 1000 users to gray, 0 to stable\n\nneeds a confirmation where it is guarded\n  release `r` would move \
             up to 250 of 1000 users into gray\n  route `a` would move up to 250 of 1000 users into gray\n  from \
             version {}: confirm: {}\n",
            before.version, plan.digest
        );
        assert_eq!(plain, expected);
        let same = Plan::between((&before).into(), (&before).into(), &Standing::default(), None);
        assert_eq!(told(&same), "nothing differs\n");
    }
}
