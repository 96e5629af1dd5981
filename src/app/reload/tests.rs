use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::feeds::{Post, Source};
use super::{Feed, Origin};
use crate::app::{Inherited, Leave, Sidecar};
use crate::config::{self, ReadFiles};
use crate::source::{Documents, Verdict};

const PATIENCE: Duration = Duration::from_secs(30);

/// Posts what the test says, and tells the test every verdict.
struct Scripted {
    says: mpsc::Receiver<Documents>,
    verdicts: mpsc::Sender<Verdict>,
}

impl Source for Scripted {
    async fn run(mut self, mut post: Post) {
        loop {
            tokio::select! {
                Some(documents) = self.says.recv() => {
                    post.documents.send_replace(Some(Arc::new(documents)));
                }
                Ok(()) = post.verdicts.changed() => {
                    let verdict = post.verdicts.borrow_and_update().clone();
                    self.verdicts.send(verdict.expect("a verdict is told")).await.expect("the test listens");
                }
                else => return,
            }
        }
    }
}

/// The test's ends of a source.
struct Script {
    say: mpsc::Sender<Documents>,
    verdicts: mpsc::Receiver<Verdict>,
    runtime: tokio::runtime::Runtime,
}

fn scripted(name: &str) -> (Feed, Script) {
    let ((say, says), (verdicts, told)) = (mpsc::channel(8), mpsc::channel(8));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    (Feed::new(name, Scripted { says, verdicts }), Script { say, verdicts: told, runtime })
}

impl Script {
    /// Posts a document of this text; the verdict about it.
    fn post(&mut self, revision: &str, text: &str) -> Result<String, String> {
        let text = config::Source { path: PathBuf::from("store/more"), text: text.to_owned() };
        let documents = Documents { revision: revision.to_owned(), order: None, texts: vec![text] };
        self.say.blocking_send(documents).unwrap();
        let told = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.verdicts.recv()).await });
        let verdict = told.expect("a verdict comes").expect("the source runs");
        assert_eq!(verdict.revision, revision);
        verdict.outcome
    }
}

const BASE: &str = "version: 1
listeners: [{ bind: 127.0.0.1:0 }]
admin: { bind: 127.0.0.1:0 }
workers: 1
upstreams: { goods: { endpoints: [\"127.0.0.1:1\"] } }
routes: [{ name: base, match: { path: /base }, lanes: { stable: goods } }]
";

const MORE: &str = "routes: [{ name: more, match: { path: /more }, lanes: { stable: goods } }]\n";

struct Scene {
    sidecar: Sidecar,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start(feeds: Vec<Feed>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![folder.path().join("base.yaml")];
        std::fs::write(&files[0], BASE).unwrap();
        let loaded = config::load_documents(&ReadFiles::of(&files), &[]).unwrap();
        Self {
            sidecar: Sidecar::start(loaded, Origin { files, feeds }, Inherited::default()).unwrap(),
            _folder: folder,
        }
    }

    /// Whether a route takes this path: its upstream is not there, which is another answer than that of no route.
    fn has(&self, path: &str) -> bool {
        let mut stream = TcpStream::connect(self.sidecar.traffic()[0]).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        !answer.starts_with("HTTP/1.1 404")
    }
}

#[test]
fn a_source_adds_to_the_files_and_is_told_what_became_of_it() {
    let (feed, mut script) = scripted("store");
    let scene = Scene::start(vec![feed]);
    assert!(scene.has("/base") && !scene.has("/more"));
    let first = script.post("1", MORE).expect("it is good");
    assert!(scene.has("/base") && scene.has("/more"));

    let refused = script.post("2", "routes: [{ name: more, match: { path: /other }, lanes: { stable: nowhere } }]");
    let problems = refused.expect_err("the upstream does not exist");
    assert!(problems.contains("store/more:1:") && problems.contains("nowhere"), "{problems}");
    assert!(scene.has("/more"), "the last good one stays");

    let next = script.post("3", &MORE.replace("/more", "/other")).expect("it is good");
    assert_ne!(first, next);
    assert!(scene.has("/other") && !scene.has("/more"));
    assert_eq!(scene.sidecar.drain(Leave::AtOnce), 0);
}

#[test]
fn a_name_that_two_of_them_define_is_refused_with_both_places() {
    let ((one, mut first), (two, mut second)) = (scripted("one"), scripted("two"));
    let scene = Scene::start(vec![one, two]);
    let upstream = "upstreams: { shared: { endpoints: [\"127.0.0.1:2\"] } }";
    let routes = "routes: [{ name: shared, match: { path: /shared }, lanes: { stable: shared } }]";
    first.post("1", &format!("{upstream}\n{routes}\n")).expect("it is good");
    let problems = second.post("1", &format!("{upstream}\n")).expect_err("the name is taken");
    assert!(problems.contains("upstream `shared` is defined twice"), "{problems}");
    second.post("2", MORE).expect("it is good");
    assert!(scene.has("/more") && scene.has("/shared"));
    assert_eq!(scene.sidecar.drain(Leave::AtOnce), 0);
}
