//! The audit trail: what shows, what goes on when the disk does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::change::journal::Bounds;

const SMALL: Bounds = Bounds { file_bytes: 2000, files: 3 };
const LARGE: Bounds = Bounds { file_bytes: 1 << 20, files: 8 };

fn record(number: usize) -> AuditRecord {
    let mut record = AuditRecord::now(AuditAction::Applied, "t.yaml");
    record.version = Some(format!("v{number}"));
    record
}

fn write(journal: &Journal, numbers: std::ops::Range<usize>) {
    for number in numbers {
        journal.push(record(number));
        assert!(journal.flush());
    }
}

/// A state directory with a trail of ten records, and the one file that holds it.
fn trail() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write(&Journal::with_bounds(Some(folder.path()), LARGE), 0..10);
    let file = folder.path().join("audit/audit-000000000001.jsonl");
    (folder, file)
}

/// Changes the lines of a file.
fn edit(file: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(file, lines.join("\n") + if lines.is_empty() { "" } else { "\n" }).unwrap();
}

/// Asserts that the trail is broken at this line, for this reason.
fn broken(folder: &Path, line: u64, reason: &str) {
    match verify(folder) {
        Err(ChainError::Broken { line: found, reason: why, .. }) => {
            assert!(found == line && why.contains(reason), "{found}: {why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trail_that_nobody_touched_holds_over_restarts() {
    let (folder, _) = trail();
    let again = Journal::with_bounds(Some(folder.path()), LARGE);
    write(&again, 10..12);
    let good = verify(folder.path()).unwrap();
    assert_eq!((good.records, good.first, good.last, good.against_head), (12, 1, 12, true));
    assert_eq!(again.state().head.hash, good.hash);
    assert_eq!(again.entries()[1].sequence, Some(12));
}

#[test]
fn an_edit_shows_wherever_it_is() {
    let (folder, file) = trail();
    edit(&file, |lines| lines[3] = lines[3].replace("v3", "v4"));
    broken(folder.path(), 5, "record 5 does not follow from record 4");
    let (folder, file) = trail();
    edit(&file, |lines| lines[9] = lines[9].replace("v9", "v8"));
    broken(folder.path(), 10, "record 10 is not the one the head names");
    let (folder, file) = trail();
    edit(&file, |lines| lines[2] = "{".to_owned());
    broken(folder.path(), 3, "not a record");
}

#[test]
fn a_cut_and_a_swap_show() {
    let cut = |change: &dyn Fn(&mut Vec<String>), line, reason| {
        let (folder, file) = trail();
        edit(&file, change);
        broken(folder.path(), line, reason);
    };
    cut(&|lines| drop(lines.remove(4)), 5, "record 6 follows record 4");
    cut(&|lines| lines.swap(4, 5), 5, "record 6 follows record 4");
    cut(&|lines| drop(lines.remove(0)), 1, "begins with record 2, and its name says 1");
    cut(&|lines| lines.truncate(7), 7, "the trail ends with record 7: the head names 3 more");
    cut(&|lines| lines.clear(), 0, "the head names 10 more");
}

#[test]
fn a_cut_at_the_end_shows_without_a_head_only_by_what_comes_next() {
    let (folder, file) = trail();
    edit(&file, |lines| lines.truncate(7));
    assert_eq!(verify(&file).unwrap().last, 7, "one file alone cannot tell");
    write(&Journal::with_bounds(Some(folder.path()), LARGE), 10..11);
    broken(folder.path(), 1, "record 11 follows record 7");
}

#[test]
fn a_removed_file_shows() {
    let folder = tempfile::tempdir().unwrap();
    write(&Journal::with_bounds(Some(folder.path()), Bounds { file_bytes: 600, files: 8 }), 0..10);
    let mut files: Vec<PathBuf> = fs::read_dir(folder.path().join("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    fs::remove_file(&files[1]).unwrap();
    broken(folder.path(), 1, "follows record");
    fs::remove_file(&files[0]).unwrap();
    broken(folder.path(), 1, "and the head says 1");
}

#[test]
fn rotation_forgets_the_oldest_and_keeps_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::with_bounds(Some(folder.path()), SMALL);
    write(&journal, 0..100);
    let good = verify(folder.path()).unwrap();
    assert_eq!((good.last, good.against_head), (100, true));
    assert!(good.first > 1 && good.first == journal.state().head.first, "{good:?}");
    let size: u64 =
        fs::read_dir(folder.path().join("audit")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 3 * 3000, "{size}");
}

#[test]
fn half_a_line_of_a_crash_is_cut_off_and_the_chain_goes_on() {
    let (folder, file) = trail();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{{\"sequence\":11,\"prev")).unwrap();
    broken(folder.path(), 11, "the line has no end");
    write(&Journal::with_bounds(Some(folder.path()), LARGE), 10..11);
    assert_eq!(verify(folder.path()).unwrap().last, 11);
}

#[test]
fn a_head_that_a_crash_left_behind_is_no_break() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::with_bounds(Some(folder.path()), LARGE);
    write(&journal, 0..3);
    let head = fs::read(folder.path().join("audit/head.json")).unwrap();
    write(&journal, 3..5);
    fs::write(folder.path().join("audit/head.json"), head).unwrap();
    assert_eq!(verify(folder.path()).unwrap().last, 5);
    drop(journal);
    write(&Journal::with_bounds(Some(folder.path()), LARGE), 5..6);
    assert_eq!(verify(folder.path()).unwrap().last, 6);
}

#[test]
fn what_the_disk_does_not_take_waits_and_is_kept_later() {
    let folder = tempfile::tempdir().unwrap();
    // A file stands where the folder has to be: nothing can be written, whoever runs the test.
    fs::write(folder.path().join("audit"), "").unwrap();
    let journal = Journal::with_bounds(Some(folder.path()), LARGE);
    (0..1005).for_each(|number| journal.push(record(number)));
    assert!(!journal.flush());
    let state = journal.state();
    assert_eq!((state.waiting, state.head.sequence), (1000, 0));
    assert!(state.problem.unwrap().contains("cannot write the audit trail"));
    assert_eq!(journal.entries().len(), 1000);
    fs::remove_file(folder.path().join("audit")).unwrap();
    assert!(journal.flush());
    assert_eq!((journal.state().problem, journal.state().waiting), (None, 0));
    assert_eq!(verify(folder.path()).unwrap().records, 1001);
    let first = fs::read_to_string(folder.path().join("audit/audit-000000000001.jsonl")).unwrap();
    assert!(first.lines().next().unwrap().contains("5 records could not be kept"), "{first}");
}

#[test]
fn a_full_disk_leaves_no_half_record() {
    let full = Path::new("/dev/full");
    assert!(full.exists(), "Linux has it");
    let folder = tempfile::tempdir().unwrap();
    // One record a file, so that the next one is known.
    let journal = Journal::with_bounds(Some(folder.path()), Bounds { file_bytes: 1, files: 8 });
    write(&journal, 0..2);
    let next = folder.path().join("audit/audit-000000000003.jsonl");
    std::os::unix::fs::symlink(full, &next).unwrap();
    journal.push(record(2));
    assert!(!journal.flush());
    let state = journal.state();
    assert!(state.waiting == 1 && state.problem.unwrap().contains("No space left on device"));
    fs::remove_file(&next).unwrap();
    assert!(journal.flush());
    assert_eq!(verify(folder.path()).unwrap().last, 3);
}

#[test]
fn a_second_process_does_not_write_into_the_trail_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::with_bounds(Some(folder.path()), LARGE);
    write(&first, 0..2);
    let second = Journal::with_bounds(Some(folder.path()), LARGE);
    second.push(record(7));
    assert!(!second.flush());
    assert!(second.state().problem.unwrap().contains("another process"));
    write(&first, 2..3);
    drop(first);
    assert!(second.flush());
    assert_eq!(verify(folder.path()).unwrap().last, 4);
}

#[test]
fn only_the_owner_reads_the_files() {
    let (folder, file) = trail();
    for path in [file, folder.path().join("audit/head.json")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn no_trail_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(verify(folder.path()), Err(ChainError::Nothing { .. })));
    assert!(matches!(verify(&folder.path().join("x")), Err(ChainError::System { .. })));
}

#[test]
fn in_memory_the_chain_is_told_as_well() {
    let journal = Journal::open(None);
    write(&journal, 0..3);
    let entries = journal.entries();
    assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(journal.state().head.sequence, 3);
    (0..1010).for_each(|number| journal.push(record(number)));
    assert_eq!(journal.entries().len(), 1000);
}

#[test]
fn a_record_that_is_kept_says_what_was_recorded() {
    let journal = Journal::open(None);
    let names = Names { added: ["a".to_owned()].into(), changed: ["\"b\"".to_owned()].into(), removed: [].into() };
    let full = AuditRecord {
        from: Some("before".to_owned()),
        version: Some("after".to_owned()),
        changed: vec!["releases.a".to_owned()],
        names: [("releases".to_owned(), names)].into(),
        differences: vec!["releases.a.permille: 50 -> 80".to_owned()],
        problems: vec!["line\nbreak".to_owned()],
        by: Some("somebody".to_owned()),
        detail: Some("why".to_owned()),
        ..AuditRecord::now(AuditAction::RolledBack, "config/goods.yaml")
    };
    let plain = AuditRecord::now(AuditAction::FaultSet, "");
    [&full, &plain].into_iter().for_each(|record| journal.push(record.clone()));
    let kept: Vec<AuditRecord> = journal.entries().into_iter().map(|entry| entry.record).collect();
    assert_eq!(kept, [full, plain]);
}
