//! The real binary, run as a user runs it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Client, PATIENCE, Plan, Port, Response, eventually};

/// A running sidecar; killed with the test.
pub(crate) struct Sidecar {
    child: Child,
    traffic: SocketAddr,
    admin: SocketAddr,
    directory: TempDir,
    stdout: Tape,
    stderr: Tape,
    ended: Option<ExitStatus>,
    _ports: (Port, Port),
}

/// Runs the binary to its end, which has to come: a `run` that should have failed must not hang the tests.
pub(crate) fn graylane<I, S>(arguments: I) -> Output
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut child = Command::new(env!("CARGO_BIN_EXE_graylane"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    let mut stdout = Tape::record(child.stdout.take().expect("stdout is piped"));
    let mut stderr = Tape::record(child.stderr.take().expect("stderr is piped"));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("our own child") {
            Some(status) => break status,
            None if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(2)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the command did not end; it said: {}", stderr.text());
            }
        }
    };
    stdout.finish();
    stderr.finish();
    Output { status, stdout: stdout.text().into_bytes(), stderr: stderr.text().into_bytes() }
}

impl Sidecar {
    /// Writes the plan's files, starts the binary and waits until it is ready.
    pub(crate) fn start(plan: &Plan) -> Self {
        let mut sidecar = Self::launch(plan);
        eventually("/readyz to answer 200", || {
            if let Some(status) = sidecar.exited() {
                panic!("the sidecar ended with {status}:\n{}", sidecar.stderr());
            }
            let mut admin = Client::try_connect(sidecar.admin).ok()?;
            admin.try_send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
            let ready = admin.try_answer("GET").ok()?;
            (ready.status() == 200).then_some(())
        });
        sidecar
    }

    /// Starts the binary without waiting for anything.
    pub(crate) fn launch(plan: &Plan) -> Self {
        let ports = (Port::reserve(), Port::reserve());
        let (traffic, admin) = (ports.0.address(), ports.1.address());
        let directory = TempDir::new().expect("a temporary directory");
        for (name, content) in plan.files() {
            std::fs::write(directory.path().join(name), content).expect("a writable directory");
        }
        let config = directory.path().join("graylane.yaml");
        std::fs::write(&config, plan.render(traffic, admin)).expect("a writable directory");
        let mut child = Command::new(env!("CARGO_BIN_EXE_graylane"))
            .args(["run", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let stdout = Tape::record(child.stdout.take().expect("stdout is piped"));
        let stderr = Tape::record(child.stderr.take().expect("stderr is piped"));
        Self { child, traffic, admin, directory, stdout, stderr, ended: None, _ports: ports }
    }

    pub(crate) fn traffic(&self) -> SocketAddr {
        self.traffic
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("graylane.yaml")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to the traffic port.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.traffic)
    }

    /// One `GET` with extra field lines on a connection of its own.
    pub(crate) fn get(&self, target: &str, fields: &str) -> Response {
        self.client().get(target, fields)
    }

    /// One `GET` to the admin port.
    pub(crate) fn admin_get(&self, target: &str) -> Response {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Client::once(self.admin, &request)
    }

    /// The sum of a metric's series that carry all the given labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin_get("/metrics").text();
        let mut sum = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            let (found, shown) = series.split_once('{').unwrap_or((series, ""));
            let carries = |(key, value): &(&str, &str)| shown.contains(&format!("{key}=\"{value}\""));
            if found == name && labels.iter().all(carries) {
                sum += value.parse::<f64>().unwrap_or_else(|_| panic!("no number: {line}"));
            }
        }
        sum
    }

    /// The access log so far: every line of standard output, each of which has to be a JSON object.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = self.stdout.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        whole.lines().map(parse).collect()
    }

    /// Waits for so many lines of the access log.
    pub(crate) fn wait_for_log(&self, lines: usize) -> Vec<serde_json::Value> {
        eventually(&format!("{lines} lines of access log"), || {
            let log = self.access_log();
            (log.len() >= lines).then_some(log)
        })
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// A figure of `/proc/PID/status` in KiB: `VmRSS:` is the resident memory now, `VmHWM:` the greatest so far.
    pub(crate) fn memory_kib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with(key));
        let figure = line.and_then(|line| line.split_whitespace().nth(1));
        figure.expect("Linux tells a process's memory").parse().expect("a number of KiB")
    }

    /// Asks it to drain.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status().expect("a shell");
        assert!(sent.success(), "kill -{name}");
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child");
        }
        self.ended
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = eventually("the sidecar to end", || self.exited());
        self.stdout.finish();
        self.stderr.finish();
        status
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let early = self.exited().filter(|status| !status.success());
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.finish();
        self.stderr.finish();
        let said = self.stderr();
        if thread::panicking() {
            eprintln!("--- the sidecar's log ---\n{said}--- end of it ---");
            return;
        }
        assert!(!said.contains("panicked at"), "the sidecar panicked:\n{said}");
        // A test that expects a failed end calls `wait` and takes the status; here the state is only double-checked.
        if let Some(status) = early {
            assert!(status.code().is_some(), "the sidecar died of a signal: {status}\n{said}");
        }
    }
}

/// What a stream of the process said, recorded by a thread.
struct Tape {
    text: Arc<Mutex<Vec<u8>>>,
    recorder: Option<JoinHandle<()>>,
}

impl Tape {
    fn record(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let recorder = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                kept.lock().expect("nobody panics in the lock").extend_from_slice(&chunk[..count]);
            }
        });
        Self { text, recorder: Some(recorder) }
    }

    fn text(&self) -> String {
        let text = self.text.lock().expect("nobody panics in the lock");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until the stream has ended and everything is recorded.
    fn finish(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            recorder.join().expect("the recorder does not panic");
        }
    }
}
