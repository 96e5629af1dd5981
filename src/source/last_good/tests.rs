use std::net::TcpListener;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::{HeldSource, Sources};
use super::*;
use crate::config::{KeyFiles, SourcePlan, load_text};

fn documents(number: u64, text: &str) -> Documents {
    let texts = vec![config::Source { path: "shop:a.yaml".into(), text: text.to_owned() }];
    Documents { revision: number.to_string(), order: Some(Order { lineage: "l".to_owned(), number }), texts }
}

fn held(number: u64, text: &str) -> Held {
    let of = |name: &str, documents| HeldSource {
        name: name.into(),
        namespace: "prod".into(),
        documents,
        is_restored: false,
    };
    Held { sources: vec![of("shop", Some(Arc::new(documents(number, text)))), of("silent", None)] }
}

fn telemetry() -> Arc<Telemetry> {
    Arc::new(Telemetry::new(1))
}

fn kept_metric(telemetry: &Telemetry) -> bool {
    telemetry.render().unwrap().contains("graylane_last_good_kept 1\n")
}

#[test]
fn what_is_kept_comes_back_and_the_newest_counts() {
    let dir = TempDir::new().unwrap();
    let telemetry = telemetry();
    let last_good = LastGood::new(&dir.path().join("deep/state"), telemetry.clone());
    assert_eq!(last_good.load().unwrap(), None);
    assert!(!kept_metric(&telemetry));
    last_good.keep(&held(7, "a: é\n"), "one").unwrap();
    last_good.keep(&held(8, "a: 2\n"), "two").unwrap();
    let kept = last_good.load().unwrap().unwrap();
    assert_eq!(
        (kept.version.as_str(), kept.sources.as_slice()),
        ("two", &[("shop".to_owned(), documents(8, "a: 2\n"))][..])
    );
    assert!(kept_metric(&telemetry));
}

#[test]
fn a_cut_or_edited_file_is_refused_wherever_it_was_touched() {
    let dir = TempDir::new().unwrap();
    let last_good = LastGood::new(dir.path(), telemetry());
    last_good.keep(&held(7, "a: 1\n"), "one").unwrap();
    let path = dir.path().join(FILE);
    let good = fs::read(&path).unwrap();
    for end in 0..good.len() {
        fs::write(&path, &good[..end]).unwrap();
        assert!(matches!(last_good.load(), Err(LastGoodError::Broken { .. })), "cut to {end} bytes");
    }
    for at in 0..good.len() {
        let mut edited = good.clone();
        edited[at] ^= 1;
        fs::write(&path, &edited).unwrap();
        assert!(matches!(last_good.load(), Err(LastGoodError::Broken { .. })), "byte {at}");
    }
    fs::write(&path, &good).unwrap();
    assert!(last_good.load().unwrap().is_some());
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_what_was_kept_stays() {
    let dir = TempDir::new().unwrap();
    let telemetry = telemetry();
    let last_good = LastGood::new(dir.path(), telemetry.clone());
    last_good.keep(&held(7, "a: 1\n"), "one").unwrap();
    // A folder stands where the file is to be written: refused for everybody, the superuser too.
    let in_the_way = dir.path().join(NEW);
    fs::create_dir(&in_the_way).unwrap();
    last_good.keep(&held(8, "a: 2\n"), "two").unwrap_err();
    assert!(!kept_metric(&telemetry));
    assert!(last_good.problem().unwrap().contains("last-good.json"));
    assert_eq!(last_good.load().unwrap().unwrap().version, "one");
    fs::remove_dir(&in_the_way).unwrap();
    last_good.keep(&held(8, "a: 2\n"), "two").unwrap();
    assert!(kept_metric(&telemetry) && last_good.problem().is_none());
    assert_eq!(last_good.load().unwrap().unwrap().version, "two");
}

#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    // The device that is always full stands where the new file would be written.
    let dir = TempDir::new().unwrap();
    let last_good = LastGood::new(dir.path(), telemetry());
    std::os::unix::fs::symlink("/dev/full", dir.path().join(NEW)).unwrap();
    let error = last_good.keep(&held(7, "a: 1\n"), "one").unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(!dir.path().join(NEW).exists() && !dir.path().join(FILE).exists());
    last_good.keep(&held(7, "a: 1\n"), "one").unwrap();
}

#[test]
fn a_second_process_does_not_write_into_the_same_directory() {
    let dir = TempDir::new().unwrap();
    let first = LastGood::new(dir.path(), telemetry());
    first.keep(&held(7, "a: 1\n"), "one").unwrap();
    let second = LastGood::new(dir.path(), telemetry());
    assert!(matches!(second.keep(&held(8, "a: 2\n"), "two"), Err(LastGoodError::Taken(_))));
    assert_eq!(second.load().unwrap().unwrap().version, "one");
}

/// A source called `shop` at a port on which nobody listens.
fn nobody() -> Vec<SourcePlan> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("sources: [{{ name: shop, centre: {{ url: 'http://127.0.0.1:{port}' }} }}]");
    let loaded = load_text(Path::new("t.yaml"), text.as_bytes(), KeyFiles::Needed);
    loaded.unwrap_or_else(|problems| panic!("{problems:?}")).settings.sources
}

const WAIT: Duration = Duration::from_millis(300);

async fn start(last_good: Option<&LastGood>) -> (Sources, Result<Start, StartError>) {
    let mut sources = Sources::start(&nobody(), &telemetry());
    let started = first(&mut sources, WAIT, last_good).await;
    (sources, started)
}

#[tokio::test]
async fn a_start_with_every_server_away_goes_by_the_last_good() {
    let dir = TempDir::new().unwrap();
    LastGood::new(dir.path(), telemetry()).keep(&held(7, "a: 1\n"), "one").unwrap();
    let last_good = LastGood::new(dir.path(), telemetry());
    let (sources, started) = start(Some(&last_good)).await;
    assert_eq!(started.unwrap().restored, ["shop"]);
    assert_eq!(sources.held().texts(), documents(7, "a: 1\n").texts);
    let status = &sources.view().statuses()[0];
    assert!(status.stale && status.restored && !status.up);
}

#[tokio::test]
async fn a_first_start_without_any_fails_after_the_stated_wait() {
    let dir = TempDir::new().unwrap();
    let begun = Instant::now();
    let (_, started) = start(Some(&LastGood::new(dir.path(), telemetry()))).await;
    let told = started.unwrap_err().to_string();
    assert!(begun.elapsed() >= WAIT);
    assert!(told.contains("`shop`") && told.contains("300ms") && told.contains("ever kept"), "{told}");
    let (_, started) = start(None).await;
    assert!(started.unwrap_err().to_string().contains("state directory"));
}

#[tokio::test]
async fn a_start_does_not_take_a_broken_last_good() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FILE), format!("{MARK}00\n{{}}")).unwrap();
    let (sources, started) = start(Some(&LastGood::new(dir.path(), telemetry()))).await;
    let told = started.unwrap_err().to_string();
    assert!(told.contains("cut or edited"), "{told}");
    assert!(sources.documents().is_empty());
}

#[tokio::test]
async fn a_last_good_without_the_missing_source_does_not_help() {
    let dir = TempDir::new().unwrap();
    let mut other = held(7, "a: 1\n");
    other.sources[0].name = "other".into();
    LastGood::new(dir.path(), telemetry()).keep(&other, "one").unwrap();
    let (_, started) = start(Some(&LastGood::new(dir.path(), telemetry()))).await;
    assert!(started.unwrap_err().to_string().contains("kept without them"));
}
