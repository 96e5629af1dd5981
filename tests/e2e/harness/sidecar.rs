//! The sidecar, run as a user runs it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;

use super::{Client, Plan, Port, Process, Response, eventually};

/// A running sidecar; killed with the test.
pub(crate) struct Sidecar {
    process: Process,
    traffic: SocketAddr,
    admin: SocketAddr,
    directory: TempDir,
    _ports: (Port, Port),
}

impl Sidecar {
    /// Writes the plan's files, starts the binary and waits until it is ready.
    pub(crate) fn start(plan: &Plan) -> Self {
        Self::start_laid_out(plan, |directory, text| {
            let config = directory.join("graylane.yaml");
            std::fs::write(&config, text).expect("a writable directory");
            config
        })
    }

    /// The same, with the configuration's text laid out below the directory by `lay`, which says what to run with.
    pub(crate) fn start_laid_out(plan: &Plan, lay: impl FnOnce(&Path, &str) -> PathBuf) -> Self {
        let ports = (Port::reserve(), Port::reserve());
        let (traffic, admin) = (ports.0.address(), ports.1.address());
        let directory = TempDir::new().expect("a temporary directory");
        for (name, content) in plan.files() {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the directory")).expect("a writable directory");
            std::fs::write(path, content).expect("a writable directory");
        }
        let config = lay(directory.path(), &plan.render(traffic, admin));
        let variables = plan.variables().iter().map(|(name, value)| (name.as_str(), OsStr::new(value)));
        let arguments = [Path::new("run"), Path::new("--config"), &config];
        let process = Process::start_with(arguments, &variables.collect::<Vec<_>>());
        let mut sidecar = Self { process, traffic, admin, directory, _ports: ports };
        eventually("/readyz to answer 200", || sidecar.is_ready().then_some(()));
        sidecar
    }

    /// Ends it, and starts it again in the same directory on the same ports, with another configuration.
    pub(crate) fn restart(&mut self, plan: &Plan) {
        self.terminate();
        assert!(self.wait().success(), "{}", self.stderr());
        std::fs::write(self.config(), plan.render(self.traffic, self.admin)).expect("a writable directory");
        self.process = Process::start([Path::new("run"), Path::new("--config"), &self.config()]);
        eventually("/readyz to answer 200", || self.is_ready().then_some(()));
    }

    /// Puts another configuration in the place of the one it was started with, whole, as careful tools do.
    pub(crate) fn rewrite(&self, plan: &Plan) {
        let next = self.directory.path().join("next");
        std::fs::write(&next, plan.render(self.traffic, self.admin)).expect("a writable directory");
        std::fs::rename(next, self.config()).expect("a writable directory");
    }

    /// The text of a plan for this sidecar.
    pub(crate) fn text_of(&self, plan: &Plan) -> String {
        plan.render(self.traffic, self.admin)
    }

    /// Has the configuration read again; the answer comes once that is done.
    pub(crate) fn sync(&self) -> Response {
        self.admin_post("/api/flags/sync", "", "")
    }

    /// Rewrites the configuration and has it put in force; gives its version.
    pub(crate) fn reload(&self, plan: &Plan) -> String {
        self.rewrite(plan);
        let answer = self.sync();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()["version"].as_str().expect("a version").to_owned()
    }

    fn is_ready(&mut self) -> bool {
        if let Some(status) = self.exited() {
            panic!("the sidecar ended with {status}:\n{}", self.stderr());
        }
        let ask = || {
            let mut admin = Client::try_connect(self.admin).ok()?;
            admin.try_send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
            admin.try_answer("GET").ok()
        };
        ask().is_some_and(|answer| answer.status() == 200)
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

    /// One `POST` to the admin port, with extra field lines (each ended by CRLF).
    pub(crate) fn admin_post(&self, target: &str, fields: &str, body: &str) -> Response {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \
             {length}\r\n{fields}\r\n{body}"
        );
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

    /// Waits for a metric to have this sum: what is counted may follow what is answered by a moment.
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?} to be {value}"), || (self.metric(name, labels) == value).then_some(()));
    }

    /// The access log so far: every line of standard output, each of which has to be JSON.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = self.process.stdout();
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
        self.process.stderr()
    }

    /// A figure of `/proc/PID/status` in KiB: `VmRSS:` is the resident memory now, `VmHWM:` the greatest so far.
    pub(crate) fn memory_kib(&self, key: &str) -> u64 {
        self.status_figure(key)
    }

    /// A figure of `/proc/PID/status` by the word its line begins with, `Threads:` for example.
    pub(crate) fn status_figure(&self, key: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with(key));
        let figure = line.and_then(|line| line.split_whitespace().nth(1));
        figure.expect("Linux tells it of every process").parse().expect("a number")
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// How many descriptors the process holds now.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process.id());
        std::fs::read_dir(path).expect("the process lives").count()
    }

    /// Asks it to drain.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }
}
