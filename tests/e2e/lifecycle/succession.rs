//! Processes that follow one another on the same ports, and visitors who must not notice.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use http::Request;
use tempfile::TempDir;

use crate::harness::{Client, Plan, Port, collect, eventually, h2_client};

/// The processes, all in one directory with one log. They are ended with it.
pub(crate) struct Succession {
    first: Child,
    /// The process ids in the order in which they served.
    pub(crate) ids: Vec<u32>,
    pub(crate) traffic: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    directory: TempDir,
    _ports: (Port, Port),
}

impl Succession {
    /// The first one, with so many workers.
    pub(crate) fn start(plan: &Plan, workers: usize) -> Self {
        let ports = (Port::reserve(), Port::reserve());
        let (traffic, admin) = (ports.0.address(), ports.1.address());
        let directory = TempDir::new().expect("a temporary directory");
        let config = directory.path().join("graylane.yaml");
        std::fs::write(&config, with_workers(&plan.render(traffic, admin), workers)).expect("a writable directory");
        // Not a pipe: whoever reads it to its end would wait for the last process.
        let log = File::create(directory.path().join("log")).expect("a writable directory");
        let first = Command::new(env!("CARGO_BIN_EXE_graylane"))
            .args(["run", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary is built");
        let ids = vec![first.id()];
        let line = Self { first, ids, traffic, admin, directory, _ports: ports };
        eventually("the first process to be ready", || line.log().contains("\"ready\"").then_some(()));
        line
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("graylane.yaml")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).expect("the log is there")
    }

    pub(crate) fn admin_get(&self, path: &str) -> u16 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Client::once(self.admin, &request).status()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.ids.last().expect("there is one");
        let command = format!("kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &command]).status().expect("a shell").success(), "{command}");
    }

    /// Has the next process take over, and waits until the one before has ended.
    pub(crate) fn replace(&mut self) {
        let handed = |log: &str| log.lines().filter(|line| line.contains("handed over; draining")).count();
        let before = handed(&self.log());
        self.signal("USR2");
        let log = eventually("another process to take over", || {
            let log = self.log();
            (handed(&log) > before).then_some(log)
        });
        let line = log.lines().rfind(|line| line.contains("handed over; draining")).expect("it was counted");
        let (_, rest) = line.split_once("\"pid\":").unwrap_or_else(|| panic!("no pid in {line}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let old = *self.ids.last().expect("there is one");
        self.ids.push(digits.parse().expect("a number"));
        if self.ids.len() == 2 {
            let status = eventually("the first process to end", || self.first.try_wait().expect("our own child"));
            assert_eq!(status.code(), Some(0), "{}", self.log());
        } else {
            eventually("the process before to end", || (!lives(old)).then_some(()));
        }
    }
}

/// The text of a plan, which has one worker, with another number of them.
pub(crate) fn with_workers(text: &str, workers: usize) -> String {
    assert!(text.contains("workers: 1\n"), "{text}");
    text.replace("workers: 1\n", &format!("workers: {workers}\n"))
}

/// Whether a process lives; one that only waits to be reaped does not.
fn lives(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

impl Drop for Succession {
    fn drop(&mut self) {
        for id in self.ids.iter().skip(1).filter(|id| lives(**id)) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- the log of all processes ---\n{log}--- its end ---");
        } else {
            assert!(!log.contains("panicked at"), "{log}");
        }
    }
}

/// Visitors who ask all the time: on connections that they keep, on new ones, and in HTTP/2.
pub(crate) struct Visitors {
    stop: Arc<AtomicBool>,
    told: Arc<Told>,
    threads: Vec<JoinHandle<()>>,
}

/// What they were told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) answered: AtomicUsize,
    pub(crate) failed: AtomicUsize,
}

impl Told {
    fn note(&self, good: bool) {
        let counter = if good { &self.answered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Visitors {
    pub(crate) fn start(traffic: std::net::SocketAddr, of_each: usize) -> Self {
        let (stop, told) = (Arc::<AtomicBool>::default(), Arc::<Told>::default());
        let mut threads = Vec::new();
        for kind in [keeping as fn(_, &AtomicBool, &Told), coming, streaming] {
            for _ in 0..of_each {
                let (stop, told) = (stop.clone(), told.clone());
                threads.push(thread::spawn(move || kind(traffic, &stop, &told)));
            }
        }
        Self { stop, told, threads }
    }

    pub(crate) fn answered(&self) -> usize {
        self.told.answered.load(Ordering::Relaxed)
    }

    /// How many requests were answered, and how many were not.
    pub(crate) fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a visitor does not panic");
        }
        (self.told.answered.load(Ordering::Relaxed), self.told.failed.load(Ordering::Relaxed))
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";

/// Keeps its connection until it is told that it closes.
fn keeping(traffic: std::net::SocketAddr, stop: &AtomicBool, told: &Told) {
    let mut kept: Option<Client> = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(mut client) = kept.take().or_else(|| Client::try_connect(traffic).ok()) else {
            told.note(false);
            continue;
        };
        let answer = client.try_send(REQUEST).ok().and_then(|()| client.try_answer("GET").ok());
        told.note(answer.as_ref().is_some_and(|answer| answer.status() == 200));
        let closes = |answer: &crate::harness::Response| answer.get("connection").is_some_and(|said| said == "close");
        kept = answer.is_some_and(|answer| !closes(&answer)).then_some(client);
    }
}

/// Comes anew for each request.
fn coming(traffic: std::net::SocketAddr, stop: &AtomicBool, told: &Told) {
    while !stop.load(Ordering::Relaxed) {
        let ask = || {
            let mut client = Client::try_connect(traffic).ok()?;
            client.try_send(REQUEST).ok()?;
            client.try_answer("GET").ok()
        };
        told.note(ask().is_some_and(|answer| answer.status() == 200));
    }
}

/// Only streams above the one that the GOAWAY names fail by it.
fn is_beyond_the_last(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

/// Keeps a connection in HTTP/2 until a GOAWAY.
fn streaming(traffic: std::net::SocketAddr, stop: &AtomicBool, told: &Told) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        while !stop.load(Ordering::Relaxed) {
            let client = h2_client(traffic).await;
            while !stop.load(Ordering::Relaxed) {
                let Ok(mut client) = client.clone().ready().await else { break };
                let request = Request::get("http://shop.test/").body(()).expect("a request");
                // Refused by our own side, nothing was sent.
                let Ok((response, _)) = client.send_request(request, true) else { break };
                let answered = match response.await {
                    Ok(answer) => collect(answer.into_body()).await.is_ok(),
                    // Named beyond the last stream of a GOAWAY: it was not looked at, and is asked again (RFC 9113 section
                    // 6.8). Our own side may answer the ping behind the first GOAWAY before it sends what it has queued.
                    Err(error) if is_beyond_the_last(&error) => break,
                    Err(_) => false,
                };
                told.note(answered);
            }
        }
    });
}
