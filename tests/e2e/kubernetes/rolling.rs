//! A rolling update, played by processes in the order of a kubelet, with clients that never stop asking. No request may fail.
//!
//! A pod is a sidecar, run with the note and the hook that the injection wrote, and an app behind it. It ends as one of Kubernetes
//! does: at once the preStop hooks of both run and the endpoint is taken away, which clients hear of a while later; when the app has
//! slept it is told to end; when it has ended the sidecar is told. Five seconds of sleep are two here, so that the test is short.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Port, Process, eventually, graylane};

/// What clients take to hear that an endpoint is gone.
const HEARD: Duration = Duration::from_millis(300);
/// What the app sleeps before it is told to end.
const SLEEP: Duration = Duration::from_secs(2);
const REPLICAS: usize = 3;
const CLIENTS: usize = 4;

/// A service that is told to end, finishes what is under way, and is gone.
struct App {
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl App {
    fn start(address: SocketAddr, version: &'static str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let told = ending.clone();
        let accepting = thread::spawn(move || {
            let mut open = Vec::new();
            while !told.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let told = told.clone();
                        open.push(thread::spawn(move || converse(stream, version, &told)));
                    }
                    // Nobody is there: the next look is soon.
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
            drop(listener);
            open.into_iter().for_each(|one| one.join().unwrap());
        });
        Self { ending, accepting: Some(accepting) }
    }

    fn end(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.accepting.take().into_iter().for_each(|one| one.join().unwrap());
    }
}

fn converse(mut stream: TcpStream, version: &str, ending: &AtomicBool) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !ending.load(Ordering::Acquire) || !read.is_empty() {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            read.drain(..end + 4);
            // The time that the answer takes.
            thread::sleep(Duration::from_millis(2));
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{version}", version.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// A pod.
struct Pod {
    sidecar: Process,
    app: App,
    traffic: Port,
    /// The sidecar's preStop hook, less the program.
    hook: Vec<String>,
    ports: [Port; 3],
    _folder: TempDir,
}

impl Pod {
    fn start(version: &'static str) -> Self {
        let traffic = Port::reserve();
        let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
        let [app, probes, admin] = [ports[0].address(), ports[1].address(), ports[2].address()];
        let folder = TempDir::new().unwrap();
        let injected = injected(folder.path(), app.port());
        let note = injected["metadata"]["annotations"]["graylane.io/sidecar"].as_str().unwrap();
        // All pods of this test are in one network.
        let note = note.replace("0.0.0.0:15080", &traffic.address().to_string());
        let note = note.replace("0.0.0.0:15091", &probes.to_string());
        let sidecar = &injected["spec"]["initContainers"][0];
        let hook = sidecar["lifecycle"]["preStop"]["exec"]["command"].as_array().unwrap();
        let mut hook: Vec<String> = hook.iter().skip(1).map(|word| word.as_str().unwrap().to_owned()).collect();
        hook.extend(["--probes".to_owned(), probes.to_string()]);
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("graylane-pod.yaml"), note).unwrap();
        let shared = format!(
            "admin: {{ bind: {admin} }}\nupstreams: {{ own: {{ endpoints: [local] }} }}\nroutes: [{{ name: all, match: {{ path: \
             \"/{{*rest}}\" }}, lanes: {{ stable: own }} }}]\n"
        );
        std::fs::write(config.join("graylane.yaml"), shared).unwrap();
        let sidecar = Process::start(["run".as_ref(), "--config".as_ref(), config.as_os_str()]);
        // The startup probe: the app is started when the sidecar serves, and not before.
        eventually("the startup probe", || (probe(probes, "/readyz") == Some(200)).then_some(()));
        let app = App::start(app, version);
        assert_eq!(probe(probes, "/healthz"), Some(200));
        assert_eq!(probe(probes, "/metrics"), Some(404), "nothing else is told there");
        Self { sidecar, app, traffic, hook, ports, _folder: folder }
    }

    /// As a kubelet ends it. `gone` takes its endpoint away.
    fn end(mut self, gone: impl FnOnce()) {
        let left = graylane(&self.hook);
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
        // How long a cluster takes to tell that the endpoint is gone, and the rest of the hook.
        thread::sleep(HEARD);
        gone();
        thread::sleep(SLEEP - HEARD);
        self.app.end();
        self.sidecar.signal("TERM");
        assert!(self.sidecar.wait().success(), "{}", self.sidecar.stderr());
        assert!(!self.sidecar.stderr().contains("cut off"), "{}", self.sidecar.stderr());
    }
}

fn probe(address: SocketAddr, path: &str) -> Option<u16> {
    let mut client = Client::try_connect(address).ok()?;
    client.try_send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    client.try_answer("GET").ok().map(|answer| answer.status())
}

/// A pod with a sidecar, by the command that injects.
fn injected(folder: &std::path::Path, port: u16) -> Value {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "goods" },
        "spec": { "containers": [{ "name": "app", "image": "goods:1", "ports": [{ "name": "http", "containerPort": port }] }] },
    });
    let file = folder.join("pod.yaml");
    std::fs::write(&file, pod.to_string()).unwrap();
    let done = graylane(["inject".as_ref(), "-f".as_ref(), file.as_os_str()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_yaml::from_str(&String::from_utf8(done.stdout).unwrap()).unwrap()
}

#[derive(Default)]
struct Stage {
    endpoints: Mutex<Vec<SocketAddr>>,
    done: AtomicBool,
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
    turn: AtomicUsize,
}

impl Stage {
    /// Asks and asks, on one connection for as long as the other side likes.
    fn ask(&self) {
        let mut open: Option<Client> = None;
        while !self.done.load(Ordering::Acquire) {
            let mut client = open.take().unwrap_or_else(|| {
                let endpoints = self.endpoints.lock().unwrap().clone();
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                Client::connect(endpoints[turn % endpoints.len()])
            });
            let sent = client.try_send(b"GET /api/v1/sku/7 HTTP/1.1\r\nHost: goods\r\n\r\n");
            match sent.map(|()| client.try_answer("GET")) {
                Ok(Ok(answer)) if answer.status() == 200 => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    let leaves = answer.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                    open = (!leaves).then_some(client);
                }
                other => self.failed.lock().unwrap().push(format!("{other:?}")),
            }
        }
    }
}

#[test]
fn no_request_fails_while_every_pod_is_replaced() {
    let stage = Stage::default();
    let mut pods: Vec<Pod> = (0..REPLICAS).map(|_| Pod::start("one")).collect();
    *stage.endpoints.lock().unwrap() = pods.iter().map(|pod| pod.traffic.address()).collect();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| stage.ask());
        }
        for _ in 0..REPLICAS {
            // One more than wanted at first, and never one less.
            let new = Pod::start("two");
            stage.endpoints.lock().unwrap().push(new.traffic.address());
            pods.push(new);
            let old = pods.remove(0);
            let address = old.traffic.address();
            let before = stage.answered.load(Ordering::Relaxed);
            old.end(|| stage.endpoints.lock().unwrap().retain(|there| *there != address));
            assert!(stage.answered.load(Ordering::Relaxed) > before, "nobody asked while a pod ended");
        }
        stage.done.store(true, Ordering::Release);
    });
    let failed = stage.failed.lock().unwrap();
    println!(
        "{} answered over {REPLICAS} replacements, {} failed",
        stage.answered.load(Ordering::Relaxed),
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
    for pod in &pods {
        assert_eq!(Client::connect(pod.traffic.address()).get("/", "").text(), "two");
    }
    thread::scope(|scope| pods.into_iter().for_each(|pod| drop(scope.spawn(move || pod.end(|| {})))));
}

/// What a sidecar does that was told that its pod is about to end, before it is told to end itself.
#[test]
fn a_sidecar_that_is_to_leave_is_not_ready_and_goes_on_serving() {
    let pod = Pod::start("one");
    let mut client = Client::connect(pod.traffic.address());
    assert_eq!(client.get("/", "").get("connection"), None);
    assert!(graylane(&pod.hook).status.success());
    let probes = pod.ports[1].address();
    assert_eq!((probe(probes, "/readyz"), probe(probes, "/healthz")), (Some(503), Some(200)));
    eventually("a connection to be asked to leave", || {
        let mut client = Client::connect(pod.traffic.address());
        let first = client.get("/", "");
        assert_eq!(first.status(), 200);
        (first.get("connection").as_deref() == Some("close")).then_some(())
    });
    assert_eq!(Client::connect(pod.traffic.address()).get("/", "").status(), 200);
    pod.end(|| {});
}
