//! The access log in a file: turned over, opened anew, on a disk without room, and without what it is not to show.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Origin, Plan, Sidecar, eventually, graylane};

const FACTS: &str = "user_id: [{ header: x-user-id }, { path: user }]\nsku_id: [{ path: sku }]\n\
                     user_tier: [{ header: x-tier }]";

fn plan(origin: &Origin, more: &str) -> Plan {
    Plan::new()
        .facts(FACTS)
        .upstream("stable", origin.address())
        .upstream("gray", origin.address())
        .release("r", "level: permille\npermille: 500")
        .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r")
        .route("user", "/u/{user}/{sku}", "stable: stable, gray: gray", "release: r")
        .admin("insecure_changes: true")
        .more(more)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn wait_for(path: &Path, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines in {}", path.display()), || {
        let lines = lines(path);
        (lines.len() >= count).then_some(lines)
    })
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect()
}

fn ask(sidecar: &Sidecar, id: &str) {
    assert_eq!(sidecar.get("/", &format!("x-request-id: {id}\r\n")).status(), 200);
}

#[test]
fn a_file_is_put_aside_when_full_and_every_line_is_in_one_of_them() {
    let origin = Origin::lane("stable");
    let more = "access_log: all\naccess_log_file: { path: access.log, size: 128KiB, keep: 9 }";
    let mut sidecar = Sidecar::start(&plan(&origin, more));
    let path = sidecar.directory().join("access.log");
    let mut client = sidecar.client();
    let padding = "x".repeat(900);
    for number in 0..300 {
        client.get(&format!("/{padding}"), &format!("x-request-id: r{number}\r\n"));
    }
    sidecar.wait_for_metric("graylane_access_log_lines_total", &[("result", "written")], 300.0);
    sidecar.terminate();
    assert!(sidecar.wait().success());
    let mut all = Vec::new();
    let aside = (1..=9).rev().map(|number| path.with_file_name(format!("access.log.{number}")));
    let files: Vec<PathBuf> = aside.filter(|file| file.exists()).chain([path.clone()]).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 128 << 10, "{}", file.display());
        all.extend(lines(file));
    }
    let expected: Vec<String> = (0..300).map(|number| format!("r{number}")).collect();
    assert_eq!(ids(&all), expected);
    assert!(sidecar.access_log().is_empty(), "standard output gets nothing");
    let config = sidecar.config().display().to_string();
    let mut call: Vec<String> = ["replay", "--json", "--from", &config, "--to", &config].map(str::to_owned).into();
    call.extend(files.iter().map(|file| file.display().to_string()));
    let told = graylane(call);
    let report: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr))
    });
    assert_eq!((&report["seen"]["requests"], &report["unchanged"]), (&300.into(), &300.into()), "{report}");
}

#[test]
fn sigusr1_opens_a_moved_file_anew() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&origin, "access_log: all\naccess_log_file: { path: access.log }"));
    let path = sidecar.directory().join("access.log");
    let moved = sidecar.directory().join("moved.log");
    ask(&sidecar, "one");
    wait_for(&path, 1);
    fs::rename(&path, &moved).unwrap();
    ask(&sidecar, "two");
    assert_eq!(ids(&wait_for(&moved, 2)), ["one", "two"]);
    sidecar.signal("USR1");
    eventually("the signal to be seen", || sidecar.stderr().contains("SIGUSR1").then_some(()));
    // Lines go to the new file from the moment that the writer has looked.
    let number = eventually("the new file", || {
        ask(&sidecar, "three");
        lines(&path).first().cloned()
    });
    assert_eq!(number["request_id"], "three");
    assert_eq!(lines(&moved)[1]["request_id"], "two");
}

#[test]
fn another_file_is_taken_while_it_runs() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&origin, "access_log: all"));
    ask(&sidecar, "out");
    sidecar.wait_for_log(1);
    sidecar.reload(&plan(&origin, "access_log: all\naccess_log_file: { path: a.log }"));
    ask(&sidecar, "in-a");
    assert_eq!(ids(&wait_for(&sidecar.directory().join("a.log"), 1)), ["in-a"]);
    sidecar.reload(&plan(&origin, "access_log: all\naccess_log_file: { path: b.log }"));
    ask(&sidecar, "in-b");
    assert_eq!(ids(&wait_for(&sidecar.directory().join("b.log"), 1)), ["in-b"]);
    assert_eq!(sidecar.access_log().len(), 1);
}

#[test]
fn a_disk_without_room_costs_lines_and_no_request() {
    let origin = Origin::lane("stable");
    let mut sidecar = Sidecar::start(&plan(&origin, "access_log: all\naccess_log_file: { path: /dev/full }"));
    for lost in [20.0, 40.0, 60.0] {
        for _ in 0..20 {
            ask(&sidecar, "lost");
        }
        // Each lot is tried alone.
        sidecar.wait_for_metric("graylane_access_log_lines_total", &[("result", "dropped")], lost);
    }
    assert_eq!(sidecar.metric("graylane_access_log_lines_total", &[("result", "written")]), 0.0);
    // Once there is room again, that is said too.
    sidecar.reload(&plan(&origin, "access_log: all\naccess_log_file: { path: a.log }"));
    ask(&sidecar, "kept");
    assert_eq!(ids(&wait_for(&sidecar.directory().join("a.log"), 1)), ["kept"]);
    sidecar.terminate();
    assert!(sidecar.wait().success());
    let told = sidecar.stderr();
    assert_eq!(told.matches("access log cannot be written").count(), 1, "{told}");
    assert!(told.contains("access log is written again") && told.contains("\"dropped\":60"), "{told}");
}

#[test]
fn a_file_that_cannot_be_made_costs_lines_and_no_request() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&origin, "access_log: all\naccess_log_file: { path: not/there/access.log }"));
    ask(&sidecar, "lost");
    sidecar.wait_for_metric("graylane_access_log_lines_total", &[("result", "dropped")], 1.0);
    fs::create_dir_all(sidecar.directory().join("not/there")).unwrap();
    eventually("the file to be tried again", || {
        ask(&sidecar, "kept");
        lines(&sidecar.directory().join("not/there/access.log")).first().cloned()
    });
}

#[test]
fn what_is_not_to_be_shown_is_not_in_the_log() {
    let origin = Origin::lane("stable");
    let more = "access_log: all\naccess_log_facts: [user_tier, header:x-card]\n\
                access_log_redact: [client, host, \"header:X-Card\", \"path:sku\"]";
    let sidecar = Sidecar::start(&plan(&origin, more));
    let fields = "x-card: 4111-1111\r\nx-tier: VIP\r\n";
    assert_eq!(sidecar.get("/u/secret-user/secret-sku?card=4111-1111", fields).status(), 200);
    assert_eq!(sidecar.get("/u/other/%73ecret-sku", "").status(), 200);
    let log = sidecar.wait_for_log(2);
    let line = &log[0];
    assert_eq!(line["path"], "/u/{user}/{sku}");
    assert_eq!((&line["client"], &line["host"]), (&"…".into(), &"…".into()));
    assert_eq!(line["facts"], serde_json::json!({ "user_tier": "VIP", "header:x-card": "…" }));
    assert_eq!(log[1]["path"], "/u/{user}/{sku}");
    let text = serde_json::to_string(&log).unwrap();
    for secret in ["secret-user", "4111", "127.0.0.1", "shop.test"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn hostile_values_are_escaped_and_cut_in_the_log_and_absent_from_the_metrics() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&origin, "access_log: all\naccess_log_facts: [header:x-note]"));
    let script = "<script>alert(1)</script>\"},{\"lane\":\"forged\"";
    let long = format!("{script}\t\u{202e}{}", "é".repeat(2000));
    let mut client = sidecar.client();
    for value in [script, &long] {
        assert_eq!(client.get("/", &format!("x-user-id: {script}\r\nx-note: {value}\r\n")).status(), 200);
    }
    let log = sidecar.wait_for_log(2);
    assert_eq!(log[0]["facts"]["header:x-note"], script, "as text it is what was sent");
    let cut = log[1]["facts"]["header:x-note"].as_str().unwrap();
    assert!(cut.len() <= 256 + '…'.len_utf8() && cut.starts_with(script) && cut.ends_with('…'), "{cut}");
    for line in &log {
        assert_ne!(line["lane"], "forged");
        assert_eq!(line["user"].as_str().unwrap().len(), 32, "{line}");
    }
    assert!(!sidecar.admin_get("/metrics").text().contains("alert(1)"));
}

#[test]
fn failures_are_logged_whatever_the_share() {
    let origin = Origin::lane("stable");
    let broken = Origin::start(|visit| drop(visit.request()));
    let plan = Plan::new()
        .upstream("stable", origin.address())
        .upstream("broken", broken.address())
        .route("broken", "/broken", "stable: broken", "")
        .route("rest", "/{*rest}", "stable: stable", "")
        .more("access_log: 0%");
    let sidecar = Sidecar::start(&plan);
    let mut client = sidecar.client();
    (0..20).for_each(|_| assert_eq!(client.get("/", "").status(), 200));
    assert_eq!(sidecar.get("/broken", "").status(), 502);
    let log = sidecar.wait_for_log(1);
    assert_eq!((log.len(), &log[0]["status"], &log[0]["error"]), (1, &502.into(), &"upstream_reset".into()));
}

#[test]
fn the_trace_of_a_request_is_in_its_line() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&plan(&origin, "access_log: all"));
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    sidecar.get("/", &format!("traceparent: 00-{id}-00f067aa0ba902b7-01\r\n"));
    for wrong in [
        format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        format!("ff-{id}-00f067aa0ba902b7-01"),
        format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
        "<script>-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    ] {
        sidecar.get("/", &format!("traceparent: {wrong}\r\n"));
    }
    let log = sidecar.wait_for_log(5);
    assert_eq!(log[0]["trace_id"], id);
    log[1..].iter().for_each(|line| assert!(line.get("trace_id").is_none(), "{line}"));
}
