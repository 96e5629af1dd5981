//! The metrics as their readers by other people take them, and how many series there are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use graylane::telemetry::{Kind, METRICS};
use serde_json::Value;

use crate::harness::{Client, Origin, Plan, Sidecar, eventually, python_script};

const OPEN: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn scene() -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), "level: permille\npermille: 500").more("access_log: 1%");
    (Sidecar::start(&plan), stable, gray)
}

/// The metrics in the form that `accept` asks for, with their content type.
fn scrape(sidecar: &Sidecar, accept: &str) -> (String, String) {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\r\n");
    let response = Client::once(sidecar.admin(), &request);
    assert_eq!(response.status(), 200);
    (response.get("content-type").unwrap_or_default(), response.text())
}

/// Runs a reader on a text; its output has to say that all is well.
fn read_by(mut command: Command, text: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{command:?} cannot be started ({error}): scripts/setup-test-env installs it")
        });
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complained.is_empty(), "{said}{complained}");
    said.into_owned()
}

fn promtool_check(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    let said = read_by(command, text);
    assert!(said.is_empty(), "{said}");
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let (sidecar, _stable, _gray) = scene();
    sidecar.get("/", "x-user-id: u1\r\n");
    let (kind, text) = scrape(&sidecar, "text/plain;version=0.0.4");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    promtool_check(&text);
}

#[test]
fn the_reference_reader_takes_our_open_metrics_with_exemplars() {
    let (sidecar, _stable, _gray) = scene();
    sidecar.get("/", &format!("x-user-id: u1\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"));
    let unsampled = TRACE.replace('4', "5");
    (0..20).for_each(|_| {
        sidecar.get("/", &format!("x-user-id: u1\r\ntraceparent: 00-{unsampled}-00f067aa0ba902b7-00\r\n"));
    });
    // What is counted may follow what is answered by a moment.
    let text = eventually("an exemplar", || {
        let (kind, text) = scrape(&sidecar, OPEN);
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        text.contains(" # {").then_some(text)
    });
    assert!(!text.contains(&unsampled));
    let families: Value = serde_json::from_str(&read_by(python_script("openmetrics.py"), &text)).unwrap();
    let shown = METRICS.iter().filter(|metric| text.contains(&format!("\n{}", metric.name)));
    for metric in shown {
        let (name, kind) = match metric.kind {
            Kind::Counter => (metric.name.trim_end_matches("_total"), "counter"),
            Kind::Histogram => (metric.name, "histogram"),
            Kind::Gauge => metric.name.strip_suffix("_info").map_or((metric.name, "gauge"), |name| (name, "info")),
        };
        let family = &families[name];
        assert_eq!((&family["type"], &family["help"]), (&kind.into(), &metric.help.into()), "{name}");
    }
    let exemplars = families["graylane_request_duration_seconds"]["exemplars"].as_array().unwrap();
    assert_eq!(exemplars.len(), 1, "{exemplars:?}");
    assert_eq!(exemplars[0]["labels"], serde_json::json!({ "trace_id": TRACE }));
    let bound = exemplars[0]["le"].as_str().unwrap().replace("+Inf", "inf").parse::<f64>().unwrap();
    assert!(exemplars[0]["value"].as_f64().unwrap() <= bound, "{exemplars:?}");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - exemplars[0]["at"].as_f64().unwrap();
    assert!((-5.0..60.0).contains(&age), "{age}");
}

#[test]
fn both_forms_hold_the_same_series() {
    let (sidecar, _stable, _gray) = scene();
    sidecar.get("/", "x-user-id: u1\r\n");
    sidecar.wait_for_metric("graylane_inflight_requests", &[], 0.0);
    // The form writes bounds as floats.
    let series = |text: &str| {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let mut series: Vec<String> =
            series.map(|line| line.rsplit_once(' ').unwrap().0.replace(".0\"}", "\"}")).collect();
        series.sort();
        series
    };
    assert_eq!(series(&scrape(&sidecar, "text/plain").1), series(&scrape(&sidecar, OPEN).1));
}

#[test]
fn a_sidecar_tells_of_its_own_process() {
    let (sidecar, _stable, _gray) = scene();
    let figure = |name: &str| sidecar.metric(&format!("process_{name}"), &[]);
    assert_eq!(figure("threads"), sidecar.status_figure("Threads:") as f64);
    let kib = sidecar.memory_kib("VmRSS:") as f64;
    let ratio = figure("resident_memory_bytes") / 1024.0 / kib;
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
    assert!(figure("max_fds") >= figure("open_fds") && figure("open_fds") >= 5.0);
    assert!(figure("virtual_memory_bytes") > figure("resident_memory_bytes"));
    let before = figure("cpu_seconds_total");
    let mut client = sidecar.client();
    eventually("CPU time to be used", || {
        client.get("/", "");
        (figure("cpu_seconds_total") > before).then_some(())
    });
}

/// How many requests the flood has: each with a host, a path, a user and a trace that no other has.
const FLOOD: usize = 100_000;
const AT_ONCE: usize = 100;

fn flood(number: usize) -> String {
    format!(
        "GET /p{number}/sku/{number} HTTP/1.1\r\nHost: h{number}.test\r\nx-user-id: u{number}\r\n\
         x-gray-release: r{number}\r\nx-user-tier: t{number}\r\ntraceparent: 00-{:032x}-00f067aa0ba902b7-01\r\n\r\n",
        number + 1
    )
}

/// The body of every answer that the flood gets.
const BODY: &[u8] = b"here it is";

fn count_of(needle: &[u8], text: &[u8]) -> usize {
    memchr::memmem::find_iter(text, needle).count()
}

/// An origin that does nothing but answer: a strict one would take most of the time of a flood. It ends with the test's
/// process.
fn quick_origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len()).as_bytes(), BODY].concat();
    let serve = move |mut stream: TcpStream| {
        let (mut chunk, mut end) = (vec![0; 64 * 1024], Vec::new());
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            end.extend_from_slice(&chunk[..count]);
            let heads = count_of(b"\r\n\r\n", &end);
            // The end of a head may come in two pieces.
            let kept = if end.ends_with(b"\r\n\r\n") { 0 } else { 3 };
            end.drain(..end.len().saturating_sub(kept));
            if stream.write_all(&answer.repeat(heads)).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

#[test]
fn a_hundred_thousand_hosts_paths_and_users_make_no_series() {
    let origin = quick_origin();
    let plan = Plan::gray(origin, origin, "level: permille\npermille: 500").more("access_log: 1%");
    let sidecar = Sidecar::start(&plan);
    let mut client = TcpStream::connect(sidecar.traffic()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut ask = |numbers: Range<usize>| {
        let (count, mut answers, mut chunk) = (numbers.len(), Vec::new(), vec![0; 64 * 1024]);
        let requests: String = numbers.map(flood).collect();
        client.write_all(requests.as_bytes()).unwrap();
        while count_of(BODY, &answers) < count {
            let read = client.read(&mut chunk).expect("the answers come");
            assert!(read > 0, "{}", String::from_utf8_lossy(&answers));
            answers.extend_from_slice(&chunk[..read]);
        }
        assert_eq!(count_of(b"HTTP/1.1 200 ", &answers), count);
    };
    let count = || scrape(&sidecar, "text/plain").1.lines().filter(|line| !line.starts_with('#')).count();
    // Each kind of request has been there once before it is counted: both lanes of the release.
    ask(FLOOD..FLOOD + 20);
    let done = || sidecar.metric("graylane_request_duration_seconds_count", &[]);
    eventually("the first requests to be counted", || (done() == 20.0).then_some(()));
    let (before, memory) = (count(), sidecar.memory_kib("VmRSS:"));
    let began = Instant::now();
    (0..FLOOD).step_by(AT_ONCE).for_each(|start| ask(start..start + AT_ONCE));
    eventually("all to be counted", || (done() == (FLOOD + 20) as f64).then_some(()));
    let (after, grown) = (count(), sidecar.memory_kib("VmRSS:").saturating_sub(memory));
    let took = began.elapsed();
    println!(
        "{FLOOD} distinct hosts, paths, users and traces in {took:.1?}: {before} series before, {after} after, {grown} KiB more"
    );
    assert_eq!(before, after);
    assert!(grown < 16 * 1024, "{grown} KiB");
}
