use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::link::Slot;
use super::*;
use crate::config::{BackoffPlan, EtcdPlan, Login, SourceBounds, SourceKind, SourcePlan, TlsFiles};
use crate::telemetry::{SourceFault, Telemetry};

fn plan(name: &str) -> SourcePlan {
    SourcePlan {
        name: name.into(),
        namespace: "prod".into(),
        ttl: Duration::from_secs(60),
        backoff: BackoffPlan { first: Duration::from_secs(1), most: Duration::from_secs(60) },
        bounds: SourceBounds { documents: 2, document_bytes: 4, total_bytes: 6 },
        kind: SourceKind::Etcd(EtcdPlan {
            // Nobody listens on the discard port.
            endpoints: vec!["http://127.0.0.1:9".to_owned()],
            prefix: "/graylane/prod/".to_owned(),
            login: Login::default(),
            tls: TlsFiles::default(),
            check: Duration::from_secs(10),
        }),
    }
}

fn documents(number: u64, texts: &[(&str, &str)]) -> Documents {
    let texts = texts.iter().map(|(name, text)| config::Source { path: PathBuf::from(name), text: (*text).to_owned() });
    let order = Order { lineage: "one".to_owned(), number };
    Documents { revision: number.to_string(), order: Some(order), texts: texts.collect() }
}

struct Bench {
    slot: Arc<Slot>,
    link: Link,
    changes: watch::Receiver<u64>,
}

fn bench(plan: SourcePlan) -> Bench {
    let (sender, changes) = watch::channel(0);
    let slot = Arc::new(Slot::new(plan, Telemetry::new(1).source("a"), sender));
    Bench { link: Link::new(slot.clone()), slot, changes }
}

impl Bench {
    /// Posts, and returns whether that was taken and how many changes there were in all.
    fn post(&mut self, number: u64, texts: &[(&str, &str)]) -> (bool, u64) {
        (self.link.post(documents(number, texts)), *self.changes.borrow())
    }

    fn revision(&self) -> String {
        self.link.held().unwrap().revision.clone()
    }
}

#[test]
fn the_same_change_for_ever_is_taken_once() {
    let mut bench = bench(plan("a"));
    assert_eq!(bench.post(1, &[("a:x", "1"), ("a:y", "2")]), (true, 1));
    for number in 2..100 {
        assert_eq!(bench.post(number, &[("a:y", "2"), ("a:x", "1")]), (true, 1), "the order it comes in says nothing");
    }
    assert_eq!(bench.revision(), "99");
    assert_eq!(bench.post(100, &[("a:x", "12"), ("a:y", "")]), (true, 2));
}

#[test]
fn more_than_the_bounds_is_refused_and_what_was_held_stays() {
    let mut bench = bench(plan("a"));
    bench.post(1, &[("a:x", "1")]);
    for texts in
        [&[("a:x", "12345")][..], &[("a:x", "1234"), ("a:y", "567")], &[("a:x", "1"), ("a:y", "2"), ("a:z", "3")]]
    {
        assert_eq!(bench.post(2, texts), (false, 1));
    }
    assert_eq!(bench.revision(), "1");
    assert_eq!(bench.slot.series.errors(SourceFault::TooLarge), 3);
}

#[test]
fn an_older_state_is_refused_until_it_stays_for_the_time_to_live() {
    let mut bench = bench(plan("a"));
    let start = Instant::now();
    let mut offer = |lineage: &str, number, text, seconds| {
        let mut documents = documents(number, &[("a:x", text)]);
        documents.order = Some(Order { lineage: lineage.to_owned(), number });
        bench.link.offer_at(documents, start + Duration::from_secs(seconds)).is_ok()
    };
    assert!(offer("one", 10, "new", 0));
    assert!(!offer("one", 9, "old", 1));
    // The member that lagged behind has caught up: the time begins anew.
    assert!(offer("one", 10, "new", 40));
    assert!(!offer("one", 9, "old", 80));
    assert!(!offer("one", 9, "old", 139));
    assert!(offer("one", 9, "old", 140));
    // Numbers of another cluster say nothing about these.
    assert!(offer("two", 3, "3", 141));
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_kind_of_trouble_is_told_once_until_it_is_over() {
    let tape = Tape::default();
    let writer = tape.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, || {
        let mut bench = bench(plan("a"));
        for _ in 0..100 {
            bench.post(1, &[("a:x", "12345")]);
            bench.link.end(&SourceError::Unreachable("gone".to_owned()));
        }
        bench.post(2, &[("a:x", "1")]);
        bench.link.complain(&SourceError::Unreachable("gone again".to_owned()));
    });
    let told = String::from_utf8(tape.0.lock().unwrap().clone()).unwrap();
    let count = |text: &str| told.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("at most 4 are taken"), 1, "{told}");
    assert_eq!(count("gone again"), 1, "{told}");
    assert_eq!(count("can be taken again"), 1, "{told}");
}

#[tokio::test]
async fn kept_documents_are_in_force_and_stale_until_the_server_speaks() {
    let telemetry = Arc::new(Telemetry::new(1));
    let mut sources = Sources::start(&[plan("a"), plan("b")], &telemetry);
    assert!(!sources.held().is_complete());
    sources.restore("b", documents(7, &[("b:x", "kept")]));
    sources.restore("nobody", documents(7, &[("b:x", "kept")]));
    sources.changed().await;
    let status = sources.view().statuses().remove(1);
    assert!(status.restored && status.stale && status.documents == 1, "{status:?}");
    assert!(telemetry.render().unwrap().contains("graylane_source_stale{source=\"b\"} 1"));
    assert_eq!(sources.documents()[0].text, "kept");

    let held = sources.held();
    sources.verdict(&held, &Err("no such lane".to_owned()));
    let verdicts: Vec<_> = sources.view().statuses().into_iter().map(|status| status.verdict).collect();
    assert_eq!(verdicts[0], None, "nothing was posted");
    let told = verdicts[1].as_ref().unwrap();
    assert_eq!((told.revision.as_str(), told.refused.as_deref()), ("7", Some("no such lane")));

    // The order is that of the new plans; what did not change keeps what it holds.
    sources.apply(&[plan("b"), plan("c")]);
    let names: Vec<_> = sources.held().sources.iter().map(|source| source.name.to_string()).collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(sources.documents()[0].text, "kept");
    let view = sources.view();
    drop(sources);
    assert!(view.statuses().is_empty(), "the tasks end with the sources");
}
