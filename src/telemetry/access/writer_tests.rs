use std::io::Write;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::SystemTime;

use super::super::{Asked, LoggedFacts, Outcome};
use super::*;
use crate::config::{LogFile, Redaction};
use crate::decide::Permille;

static SHOWN: Redaction = Redaction::NONE;

fn entry(request_id: &str) -> Entry<'_> {
    Entry {
        time: SystemTime::UNIX_EPOCH,
        asked: Asked {
            request_id,
            trace_id: None,
            client: IpAddr::from([127, 0, 0, 1]),
            protocol: "HTTP/1.1",
            method: "GET",
            host: None,
            path: "/",
            facts: LoggedFacts::default(),
        },
        decided: None,
        outcome: Outcome {
            status: 200,
            upstream: None,
            duration: Duration::ZERO,
            upstream_duration: None,
            bytes_in: 0,
            bytes_out: 0,
            replayed: false,
            shielded: None,
            fault: None,
            fault_counts: false,
            limited: None,
            error: None,
        },
        redact: &SHOWN,
    }
}

/// A sink that the test can read.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink that waits at every write until the test lets it go on.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(sink: Sink, sampling: Sampling) -> (AccessLog, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::new(2));
    let log = AccessLog::start(sink, sampling, UserHash::random().unwrap(), telemetry.clone()).unwrap();
    (log, telemetry)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn every_line_of_every_worker_arrives_whole() {
    let kept = Kept::default();
    let (log, telemetry) = start(Sink::Writer(Box::new(kept.clone())), Sampling::All);
    thread::scope(|scope| {
        for worker in 0..2 {
            let log = log.worker(worker);
            scope.spawn(move || {
                (0..500).for_each(|line| log.write(&entry(&format!("w{worker}-{line}"))));
            });
        }
    });
    assert!(log.flush(LONG));
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let ids: std::collections::BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["request_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert_eq!(telemetry.totals().lines_sum(LineFate::Written), 1000);
    assert_eq!(telemetry.totals().lines_sum(LineFate::Dropped), 0);
}

#[test]
fn a_stuck_sink_costs_lines_and_no_time() {
    let (release, stuck) = sync_channel(0);
    let (log, telemetry) = start(Sink::Writer(Box::new(Stuck(stuck))), Sampling::All);
    let worker = log.worker(0);
    let extra = 100_u64;
    // More than the queue and whatever the writer may have taken out of it.
    let sent = 3 * QUEUE as u64 + extra;
    (0..sent).for_each(|_| worker.write(&entry("x")));
    let dropped = telemetry.totals().lines_sum(LineFate::Dropped);
    assert!(dropped >= extra, "{dropped}");
    assert!(!log.flush(Duration::from_millis(50)), "a stuck sink is not flushed");
    drop(release);
    assert!(log.flush(LONG));
    let totals = telemetry.totals();
    assert_eq!(totals.lines_sum(LineFate::Written) + totals.lines_sum(LineFate::Dropped), sent);
}

#[test]
fn a_broken_sink_is_counted() {
    let (log, telemetry) = start(Sink::Writer(Box::new(Broken)), Sampling::All);
    log.worker(0).write(&entry("x"));
    assert!(log.flush(LONG));
    assert_eq!(telemetry.totals().lines_sum(LineFate::Dropped), 1);
}

#[test]
fn a_share_is_kept_and_errors_always_are() {
    let (log, _) = start(Sink::Writer(Box::new(io::sink())), Sampling::Share(Permille::new(50).unwrap()));
    let worker = log.worker(0);
    let ids: Vec<String> = (0..20_000).map(|id| format!("request-{id}")).collect();
    let share = ids.iter().filter(|id| worker.wants(id, false)).count();
    // 1000 expected, standard deviation 31.
    assert!((850..1150).contains(&share), "{share}");
    assert!(ids.iter().all(|id| worker.wants(id, true)));
    log.sample(Sampling::Share(Permille::new(0).unwrap()));
    assert!(ids.iter().all(|id| !worker.wants(id, false) && worker.wants(id, true)));
}

#[test]
fn off_is_off_and_all_is_all() {
    let (log, _) = start(Sink::Writer(Box::new(io::sink())), Sampling::Off);
    let worker = log.worker(0);
    assert!(!worker.wants("a", false) && !worker.wants("a", true));
    log.sample(Sampling::All);
    assert!(worker.wants("a", false) && worker.wants("a", true));
}

fn file(path: &std::path::Path) -> Sink {
    Sink::File(LogFile { path: path.to_owned(), size: 128 << 10, keep: 3 })
}

#[test]
fn a_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    for id in ["first", "second"] {
        let (log, _) = start(file(&path), Sampling::All);
        log.worker(0).write(&entry(id));
        assert!(log.flush(LONG));
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("first") && text.contains("second") && text.lines().count() == 2, "{text}");
}

#[test]
fn a_file_is_opened_anew_when_asked_and_another_sink_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (log, _) = start(file(&path), Sampling::All);
    let write = |id| {
        log.worker(0).write(&entry(id));
        assert!(log.flush(LONG));
    };
    write("one");
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    write("two");
    log.reopen();
    assert!(log.flush(LONG));
    write("three");
    let kept = Kept::default();
    log.turn_to(Sink::Writer(Box::new(kept.clone())));
    assert!(log.flush(LONG));
    write("four");
    let ids = |text: &str| text.matches("request_id").count();
    assert_eq!(ids(&std::fs::read_to_string(dir.path().join("moved")).unwrap()), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(ids(&text) == 1 && text.contains("three"), "{text}");
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(ids(&text) == 1 && text.contains("four"), "{text}");
}

#[test]
fn rotation_loses_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let (log, telemetry) = start(file(&dir.path().join("access.log")), Sampling::All);
    let worker = log.worker(0);
    for batch in 0..10 {
        (0..150).for_each(|line| worker.write(&entry(&format!("{batch}-{line}-{}", "x".repeat(40)))));
        assert!(log.flush(LONG));
    }
    let mut lines = 0;
    for number in ["", ".1", ".2", ".3"] {
        let Ok(text) = std::fs::read_to_string(dir.path().join(format!("access.log{number}"))) else { continue };
        assert!(text.len() <= 128 << 10 && text.ends_with('\n'), "{number}");
        lines += text.lines().inspect(|line| _ = serde_json::from_str::<serde_json::Value>(line).unwrap()).count();
    }
    assert!(dir.path().join("access.log.1").exists(), "{lines} lines did not fill a file");
    assert_eq!((lines, telemetry.totals().lines_sum(LineFate::Written)), (1500, 1500));
}

#[test]
fn a_full_disk_costs_lines_that_are_counted() {
    let (log, telemetry) = start(file("/dev/full".as_ref()), Sampling::All);
    for id in ["a", "b"] {
        log.worker(0).write(&entry(id));
        assert!(log.flush(LONG));
    }
    assert_eq!(telemetry.totals().lines_sum(LineFate::Dropped), 2);
    assert_eq!(telemetry.totals().lines_sum(LineFate::Written), 0);
}

#[test]
fn a_file_that_cannot_be_opened_keeps_nobody_from_starting() {
    let (log, telemetry) = start(file("/no/such/directory/access.log".as_ref()), Sampling::All);
    log.worker(0).write(&entry("a"));
    assert!(log.flush(LONG));
    assert_eq!(telemetry.totals().lines_sum(LineFate::Dropped), 1);
}
