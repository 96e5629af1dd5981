//! The tool as it is run, with what needs no program of others: our own origin and the copier.
#![allow(clippy::unwrap_used, reason = "a test's functions may fail by panicking wherever they stand")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::report::result::Results;
use loadtest::stage::machine::tree;
use rustix::process::{Pid, Signal, kill_process};

const TOOL: &str = env!("CARGO_BIN_EXE_graylane-loadtest");

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn results(folder: &Path) -> Results {
    serde_json::from_str(&fs::read_to_string(folder.join("result.json")).unwrap()).unwrap()
}

#[test]
fn a_scenario_gives_a_table_json_a_plot_and_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let (out, document) = (folder.path().join("out"), folder.path().join("page.md"));
    fs::write(&document, "# Page\n<!-- figures: written by graylane-loadtest -->\n<!-- figures: end -->\n").unwrap();
    let arguments = ["run", "grpc", "--only", "copy,origin", "--rounds", "2", "--seconds", "0.3"];
    let mut command = tool(&arguments);
    command.arg("--out").arg(&out).arg("--document").arg(&document);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("copy") && table.contains("cpu, us/request"), "{table}");

    let results = results(&out);
    let rows = &results.scenarios[0].rows;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(row.is_clean(), "{row:?}");
        assert_eq!(row.figures[0].rounds.len(), 2);
        assert!(row.median("rate").unwrap() > 10.0, "{row:?}");
    }
    // The kernel counts in ticks of 10 ms, and in so short a turn copying may take less.
    assert!(rows.iter().any(|row| row.median("cpu").unwrap() > 0.0), "{rows:?}");
    assert!(fs::read_to_string(out.join("grpc.svg")).unwrap().contains("copy"));
    assert!(fs::read_to_string(&document).unwrap().contains("### grpc"));
    assert!(folder.path().join("page/grpc.svg").exists());
}

fn gone(process: u32) -> bool {
    match fs::read_to_string(format!("/proc/{process}/stat")) {
        Err(_) => true,
        Ok(stat) => stat.contains(") Z "),
    }
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupt_ends_everything_that_was_started() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = tool(&["run", "grpc", "--only", "copy", "--rounds", "1", "--seconds", "600"]);
        let mut running = command.arg("--out").arg(folder.path()).spawn().unwrap();
        // The tool, the origin and the copier.
        wait_until("nothing was started", || tree(running.id()).len() == 3);
        let all = tree(running.id());
        kill_process(Pid::from_raw(running.id().try_into().unwrap()).unwrap(), signal).unwrap();
        assert!(!running.wait().unwrap().success());
        wait_until("something outlived the tool", || all.iter().all(|process| gone(*process)));
    }
}

#[test]
fn what_does_not_exist_is_told_before_anything_starts() {
    let check = |arguments: &[&str], wanted: &str| {
        let output = tool(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(wanted), "{told}");
    };
    check(&["run", "nothing"], "no scenario is called `nothing`");
    check(&["run", "start", "--only", "graylane", "--graylane", "/nowhere/graylane"], "/nowhere/graylane is missing");
}
