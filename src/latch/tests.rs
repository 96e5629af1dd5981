//! Latches over a life of processes: what is kept, what lifts it, and what happens where nothing can be kept.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{self, KeyFiles};
use crate::telemetry::Telemetry;

const MINUTE: Duration = Duration::from_secs(60);

/// A configuration with these releases, each by its name and its further keys.
fn settings(releases: &[(&str, &str)]) -> config::Loaded {
    let releases: String =
        releases.iter().map(|(name, keys)| format!("  {name}: {{ level: full, {keys} }}\n")).collect();
    let text = format!(
        "service: goods\nupstreams: {{ up: {{ endpoints: [goods:80] }} }}\nreleases:\n{releases}routes:\n  - {{ name: \
         all, match: {{}}, lanes: {{ stable: up, gray: up }} }}\n"
    );
    config::load_text(Path::new("/nowhere/t.yaml"), text.as_bytes(), KeyFiles::Needed)
        .unwrap_or_else(|problems| panic!("{}", problems.render(config::Style::Plain)))
}

/// A process that starts with this directory and these releases.
fn start(dir: Option<&Path>, releases: &[(&str, &str)]) -> (Arc<Telemetry>, Latches) {
    let telemetry = Arc::new(Telemetry::new(1));
    let latches = Latches::open(dir, telemetry.clone());
    adopt(&latches, releases);
    latches.save();
    (telemetry, latches)
}

fn adopt(latches: &Latches, releases: &[(&str, &str)]) {
    let loaded = settings(releases);
    latches.adopt(&loaded.settings, &loaded.version);
}

fn by_hand() -> Evidence {
    Evidence::of(Cause::Person, "li.wei", "orders are down")
}

fn is_latched(latches: &Latches, release: &str) -> bool {
    let latched = latches.state(release).latched.is_some();
    assert_eq!(latches.flag(release).is_set(), latched, "the flag says what the book says");
    latched
}

const PLAIN: &[(&str, &str)] = &[("r", ""), ("other", "")];

#[test]
fn a_latch_is_seen_by_those_who_took_the_flag_before() {
    let (telemetry, latches) = start(None, PLAIN);
    let (flag, other) = (latches.flag("r"), latches.flag("other"));
    let Ok(Outcome::Changed { incident: Some(1) }) = latches.latch("r", by_hand()) else { panic!("not latched") };
    assert!(flag.is_set() && !other.is_set());
    assert!(telemetry.render().unwrap().contains("graylane_release_latched{release=\"r\"} 1"));
    assert_eq!(latches.latch("r", by_hand()), Ok(Outcome::Unchanged));
    assert_eq!(latches.reset("r", "li.wei", None), Ok(Outcome::Changed { incident: None }));
    assert!(!flag.is_set());
    assert_eq!(latches.reset("r", "li.wei", None), Ok(Outcome::Unchanged));
    assert_eq!(latches.incidents().len(), 1);
    let actions: Vec<Action> = latches.changes().iter().map(|change| change.action).collect();
    assert_eq!(actions, [Action::Latched, Action::Lifted]);
}

#[test]
fn an_unknown_release_is_refused() {
    let (_, latches) = start(None, PLAIN);
    let unknown = Err(LatchError::Unknown { release: "x".to_owned() });
    assert_eq!(latches.latch("x", by_hand()), unknown);
    assert_eq!(latches.reset("x", "", None), unknown);
    assert_eq!(latches.pause("x", "", None), unknown);
    assert_eq!(latches.resume("x", "", None), unknown);
}

#[test]
fn enough_openings_latch_and_only_with_a_rollback() {
    let (_, latches) = start(
        None,
        &[("r", "rollback: { openings: 3, within: 10m }"), ("other", "rollback: { openings: 1 }"), ("s", "")],
    );
    let begun = Instant::now();
    let opened = |release: &str, minute: u32| {
        latches.opening(release, begun + minute * MINUTE, || Evidence::of(Cause::Openings, "breaker", ""))
    };
    assert_eq!(opened("r", 0), Opening::Counted(1));
    assert_eq!(opened("r", 1), Opening::Counted(2));
    assert_eq!(opened("r", 20), Opening::Counted(1));
    assert_eq!(opened("r", 21), Opening::Counted(2));
    assert_eq!(opened("r", 22), Opening::Latched(1));
    assert_eq!(opened("r", 23), Opening::Ignored);
    assert_eq!(opened("s", 0), Opening::Ignored);
    assert_eq!(opened("x", 0), Opening::Ignored);
    let latched = latches.state("r").latched.unwrap();
    assert_eq!((latched.cause, latched.detail.as_str()), (Cause::Openings, "breakers opened 3 times within 600s"));
    latches.reset("r", "li.wei", None).unwrap();
    assert_eq!(opened("r", 24), Opening::Counted(1), "counted anew behind a reset");
}

#[test]
fn evidence_is_asked_for_only_where_it_is_needed() {
    let (_, latches) = start(None, &[("r", "rollback: { openings: 2 }")]);
    let unasked = || -> Evidence { panic!("nobody needs it yet") };
    assert_eq!(latches.opening("r", Instant::now(), unasked), Opening::Counted(1));
}

#[test]
fn evidence_keeps_the_last_failures() {
    let (_, latches) = start(None, PLAIN);
    let call = |second: u64| FailedCall {
        time: (std::time::UNIX_EPOCH + Duration::from_secs(second)).into(),
        request_id: second.to_string(),
        route: "all".to_owned(),
        lane: "gray".to_owned(),
        status: 500,
        error: None,
    };
    let failures = (0..1000).rev().map(call).collect();
    latches.latch("r", Evidence { failures, ..by_hand() }).unwrap();
    let kept = &latches.incidents()[0].evidence.failures;
    let ids: Vec<&str> = kept.iter().map(|call| call.request_id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[19]), (MOST_FAILURES, "980", "999"));
}

#[test]
fn a_latch_and_a_pause_survive_a_restart_and_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/state");
    let (_, first) = start(Some(&dir), PLAIN);
    first.latch("r", by_hand()).unwrap();
    first.pause("other", "li.wei", Some("sale")).unwrap();
    adopt(&first, PLAIN);
    assert!(is_latched(&first, "r"));
    assert_eq!(first.save(), Keeping::Kept);
    let (state, incidents) = (first.state("r"), first.incidents());
    drop(first);

    let (telemetry, second) = start(Some(&dir), PLAIN);
    assert!(is_latched(&second, "r") && !is_latched(&second, "other"));
    assert_eq!(second.state("r"), state);
    assert_eq!(second.incidents(), incidents);
    assert_eq!(second.state("other").paused.unwrap().reason.as_deref(), Some("sale"));
    let text = telemetry.render().unwrap();
    for line in ["release_latched{release=\"r\"} 1", "release_paused{release=\"other\"} 1", "state_kept 1"] {
        assert!(text.contains(&format!("graylane_{line}\n")), "{line}: {text}");
    }
    second.reset("r", "li.wei", None).unwrap();
    second.save();
    assert_eq!(second.latch("r", by_hand()), Ok(Outcome::Changed { incident: Some(2) }), "numbers go on");
    second.reset("r", "li.wei", None).unwrap();
    second.save();
    drop(second);
    assert!(!is_latched(&start(Some(&dir), PLAIN).1, "r"));
}

#[test]
fn whoever_still_decides_by_the_revision_that_was_taken_back_serves_stable() {
    let (_, latches) = start(None, &[("r", "revision: 1")]);
    let before = latches.flag("r");
    latches.latch("r", by_hand()).unwrap();
    adopt(&latches, &[("r", "revision: 2")]);
    assert!(before.is_set() && !is_latched(&latches, "r"));
}

#[test]
fn another_revision_lifts_a_latch_and_the_same_one_does_not() {
    let (_, latches) = start(None, &[("r", "revision: 3")]);
    latches.latch("r", by_hand()).unwrap();
    adopt(&latches, &[("r", "revision: 3, salt: other")]);
    assert!(is_latched(&latches, "r"));
    adopt(&latches, &[("r", "revision: 2")]);
    assert!(!is_latched(&latches, "r"));
    assert_eq!(
        latches.changes().last().map(|change| change.detail.clone()).as_deref(),
        Some("revision 2, latched at 3")
    );
}

#[test]
fn a_pause_keeps_a_release_closed_until_it_is_resumed() {
    let (_, latches) = start(None, PLAIN);
    latches.pause("r", "li.wei", None).unwrap();
    assert_eq!(latches.pause("r", "wang.fang", None), Ok(Outcome::Unchanged));
    assert!(matches!(latches.latch("r", by_hand()), Ok(Outcome::Changed { .. })), "closing stays possible");
    assert_eq!(latches.reset("r", "", None), Err(LatchError::Paused { release: "r".to_owned() }));
    adopt(&latches, &[("r", "revision: 1")]);
    assert!(is_latched(&latches, "r"));
    latches.resume("r", "li.wei", None).unwrap();
    assert!(!is_latched(&latches, "r"), "the revision that came meanwhile lifts it");
    assert_eq!(latches.resume("r", "li.wei", None), Ok(Outcome::Unchanged));
}

#[test]
fn a_release_that_comes_back_comes_back_latched() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first) = start(Some(folder.path()), PLAIN);
    first.latch("r", by_hand()).unwrap();
    adopt(&first, &[("other", "")]);
    assert_eq!(first.reset("r", "", None), Err(LatchError::Unknown { release: "r".to_owned() }));
    first.save();
    drop(first);
    let (_, second) = start(Some(folder.path()), &[("other", "")]);
    adopt(&second, PLAIN);
    assert!(is_latched(&second, "r"));
}

#[test]
fn a_state_that_cannot_be_read_latches_everything_and_is_put_aside() {
    let whole = r#"{"version":1,"next_incident":1,"releases":{}}"#;
    for broken in ["", "{", "null", "[]", r#"{"version":2}"#, &whole[..whole.len() - 1], &"x".repeat(5 << 20)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("latches.json"), broken).unwrap();
        let (_, first) = start(Some(folder.path()), PLAIN);
        assert!(is_latched(&first, "r") && is_latched(&first, "other"), "{:.40}", broken);
        assert_eq!(first.state("r").latched.unwrap().cause, Cause::StateUnreadable);
        assert_eq!(fs::read_to_string(folder.path().join("latches.json.unreadable")).unwrap(), broken);
        first.reset("r", "li.wei", None).unwrap();
        assert_eq!(first.save(), Keeping::Kept);
        drop(first);
        let (_, second) = start(Some(folder.path()), PLAIN);
        assert!(!is_latched(&second, "r") && is_latched(&second, "other"), "as it was left");
    }
}

#[test]
fn a_state_that_cannot_be_read_stays_so_until_it_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latches.json"), "{").unwrap();
    fs::create_dir(folder.path().join("latches.json.new")).unwrap();
    for _ in 0..2 {
        let (_, latches) = start(Some(folder.path()), PLAIN);
        assert!(is_latched(&latches, "r"));
        assert!(matches!(latches.keeping(), Keeping::Failing(_)));
    }
}

#[test]
fn a_directory_that_was_never_there_means_that_nothing_was_latched() {
    let folder = tempfile::tempdir().unwrap();
    let (_, latches) = start(Some(&folder.path().join("new")), PLAIN);
    assert!(!is_latched(&latches, "r"));
    assert_eq!(latches.keeping(), Keeping::Kept);
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    // A folder where the file is to go: refused for everybody, the superuser too.
    let blocked = folder.path().join("latches.json.new");
    fs::create_dir(&blocked).unwrap();
    let (telemetry, latches) = start(Some(folder.path()), PLAIN);
    assert!(matches!(latches.keeping(), Keeping::Failing(reason) if reason.contains("latches.json")));
    assert!(telemetry.render().unwrap().contains("graylane_state_kept 0\n"));
    latches.latch("r", by_hand()).unwrap();
    assert!(is_latched(&latches, "r"), "it holds all the same");
    assert!(matches!(latches.save(), Keeping::Failing(_)));
    assert!(latches.is_unsaved());
    fs::remove_dir(&blocked).unwrap();
    assert_eq!(latches.save(), Keeping::Kept);
    assert!(!latches.is_unsaved() && telemetry.render().unwrap().contains("graylane_state_kept 1\n"));
    drop(latches);
    assert!(is_latched(&start(Some(folder.path()), PLAIN).1, "r"));
}

#[test]
fn a_second_process_reads_and_does_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first) = start(Some(folder.path()), PLAIN);
    first.latch("r", by_hand()).unwrap();
    first.save();
    let (_, second) = start(Some(folder.path()), PLAIN);
    assert!(is_latched(&second, "r"));
    second.reset("r", "li.wei", None).unwrap();
    assert!(matches!(second.save(), Keeping::Failing(reason) if reason.contains("another process")));
    drop(first);
    assert_eq!(second.save(), Keeping::Kept);
}

#[test]
fn the_last_hundred_incidents_are_kept_and_a_broken_one_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first) = start(Some(folder.path()), PLAIN);
    for round in 0..130 {
        first.latch("r", by_hand()).unwrap();
        first.reset("r", "li.wei", None).unwrap();
        if round % 7 == 0 {
            first.save();
        }
    }
    first.save();
    drop(first);
    let incidents = folder.path().join("incidents");
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&incidents).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!((names().len(), names()[0].as_str()), (100, "000031-r.json"));
    fs::write(incidents.join("000130-r.json"), "{").unwrap();
    let (_, second) = start(Some(folder.path()), PLAIN);
    let numbers: Vec<u64> = second.incidents().iter().map(|incident| incident.number).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[98]), (99, 31, 129));
    assert_eq!(second.latch("r", by_hand()), Ok(Outcome::Changed { incident: Some(131) }));
    second.save();
    assert_eq!(names().len(), 100);
}

#[tokio::test]
async fn what_changes_is_kept_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (_, latches) = start(Some(folder.path()), PLAIN);
    let latches = Arc::new(latches);
    let keeper = tokio::spawn(latches.clone().keep());
    latches.latch("r", by_hand()).unwrap();
    let kept = async {
        while latches.is_unsaved() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("it is kept");
    keeper.abort();
    let text = fs::read_to_string(folder.path().join("latches.json")).unwrap();
    assert!(text.contains("\"r\"") && text.contains("orders are down"), "{text}");
}

#[test]
fn worse_latches_where_it_is_to_and_nowhere_else() {
    let releases = [("r", "rollback: { worse: true }"), ("other", "rollback: { openings: 1 }")];
    let (_, latches) = start(None, &releases);
    let now = Instant::now();
    let worse = |release: &str, worse| latches.judged(release, worse, now, || Evidence::of(Cause::Worse, "c", "d"));
    assert_eq!(worse("r", false), None);
    assert_eq!(worse("other", true), None, "it is told, and nothing comes of it");
    assert_eq!(worse("unknown", true), None);
    assert_eq!(worse("r", true), Some(1));
    assert_eq!(worse("r", true), None, "it is latched already");
    assert!(is_latched(&latches, "r") && !is_latched(&latches, "other"));
    assert_eq!(latches.incidents()[0].evidence.cause, Cause::Worse);
    assert_eq!(latches.opening("r", now, by_hand), Opening::Ignored, "nobody counts openings");
}

#[test]
fn where_both_are_required_the_second_one_latches_whichever_it_is() {
    let both = [("r", "rollback: { openings: 2, within: 10m, worse: true, require: all }")];
    let now = Instant::now();
    let worse =
        |latches: &Latches, worse, now| latches.judged("r", worse, now, || Evidence::of(Cause::Worse, "c", "d"));

    let (_, latches) = start(None, &both);
    assert_eq!(worse(&latches, true, now), None);
    assert_eq!(latches.opening("r", now, by_hand), Opening::Counted(1));
    assert_eq!(latches.opening("r", now, by_hand), Opening::Latched(1));

    let (_, latches) = start(None, &both);
    for count in [1, 2, 2] {
        assert_eq!(latches.opening("r", now, by_hand), Opening::Counted(count));
    }
    assert_eq!(worse(&latches, true, now + 11 * MINUTE), None, "the openings are too old");
    assert_eq!(latches.opening("r", now + 12 * MINUTE, by_hand), Opening::Counted(1));
    assert_eq!(worse(&latches, false, now + 12 * MINUTE), None);
    assert_eq!(latches.opening("r", now + 12 * MINUTE, by_hand), Opening::Counted(2), "it is worse no more");
    assert_eq!(worse(&latches, true, now + 13 * MINUTE), Some(1));
}

#[test]
fn after_a_reset_openings_alone_do_not_latch_again_where_both_are_required() {
    let (_, latches) = start(None, &[("r", "rollback: { openings: 1, worse: true, require: all }")]);
    let now = Instant::now();
    assert_eq!(latches.judged("r", true, now, by_hand), None);
    assert_eq!(latches.opening("r", now, by_hand), Opening::Latched(1));
    latches.reset("r", "li.wei", None).unwrap();
    assert_eq!(latches.opening("r", now, by_hand), Opening::Counted(1), "nobody has compared since");
}
