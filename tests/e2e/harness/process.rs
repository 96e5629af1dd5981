//! The binary as a process: what it says is recorded, and it never outlives the test.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::eventually;

/// A running `graylane`; killed with the test.
pub(crate) struct Process {
    child: Child,
    stdout: Tape,
    stderr: Tape,
    ended: Option<ExitStatus>,
}

/// Runs the binary to its end, which has to come: a `run` that should have failed must not hang the tests.
pub(crate) fn graylane<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let mut process = Process::start(arguments);
    let status = process.wait();
    Output { status, stdout: process.stdout().into_bytes(), stderr: process.stderr().into_bytes() }
}

impl Process {
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::start_with(arguments, &[])
    }

    /// With these variables besides.
    pub(crate) fn start_with<S: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = S>,
        environment: &[(&str, &OsStr)],
    ) -> Self {
        // Long runs may want a release build of the same.
        let binary = std::env::var_os("GRAYLANE_TEST_BINARY");
        let mut child = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_graylane").into()))
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("OTEL_RESOURCE_ATTRIBUTES")
            .env_remove("OTEL_SERVICE_NAME")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let stdout = Tape::record(child.stdout.take().expect("stdout is piped"));
        let stderr = Tape::record(child.stderr.take().expect("stderr is piped"));
        Self { child, stdout, stderr, ended: None }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal by its short name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &command]).status().expect("a shell");
        assert!(sent.success(), "{command}");
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
        let status = eventually("the process to end", || self.exited());
        self.stdout.finish();
        self.stderr.finish();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let status = self.exited();
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.stdout.finish();
        self.stderr.finish();
        let said = self.stderr();
        if thread::panicking() {
            eprintln!("--- standard error of the process ---\n{said}--- its end ---");
            return;
        }
        assert!(!said.contains("panicked at"), "the process panicked:\n{said}");
        let by_signal = status.is_some_and(|status| status.code().is_none());
        assert!(!by_signal, "the process died of a signal: {status:?}\n{said}");
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
