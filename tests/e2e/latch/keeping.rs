//! What outlives the process, and what happens where nothing can.

use super::{OPEN, Scene};

const UNREADABLE: &str = "{ \"version\": 1, \"releases\": ";

#[test]
fn a_restart_keeps_a_release_rolled_back() {
    let mut scene = Scene::open();
    scene.does("rollback");
    scene.restart("");
    assert_eq!(scene.lane(), "stable");
    assert_eq!(scene.sidecar.metric("graylane_release_latched", &[("release", "r")]), 1.0);
    assert_eq!(scene.incidents().len(), 1);
    scene.does("reset");
    assert_eq!(scene.lane(), "gray");
    scene.restart("");
    assert_eq!(scene.lane(), "gray");
}

#[test]
fn what_was_promised_stands_on_the_disk_when_the_answer_comes() {
    let scene = Scene::open();
    assert_eq!(scene.does("rollback")["survives_restart"], true);
    let state = std::fs::read(scene.sidecar.directory().join("state/latches.json")).expect("it is there at once");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    assert_eq!(state["releases"]["r"]["latched"]["cause"], "person", "{state}");
}

#[test]
fn another_revision_opens_the_release_and_another_anything_else_does_not() {
    let mut scene = Scene::open();
    scene.does("rollback");
    scene.restart("salt: other");
    assert_eq!(scene.lane(), "stable");
    scene.restart("revision: 2");
    assert_eq!(scene.lane(), "gray");
    assert!(scene.audit().contains(&"lifted".to_owned()));
    assert!(scene.sidecar.stderr().contains("another revision"), "{}", scene.sidecar.stderr());
}

#[test]
fn a_pause_outlives_the_process_and_holds_against_a_revision() {
    let mut scene = Scene::open();
    scene.does("rollback");
    scene.does("pause");
    scene.restart("revision: 2");
    assert_eq!(scene.release()["paused"], true);
    assert_eq!(scene.lane(), "stable");
    scene.does("resume");
    assert_eq!(scene.lane(), "gray");
}

#[test]
fn a_state_that_cannot_be_read_closes_every_release_and_says_so() {
    let mut scene = Scene::with(|plan| {
        plan.admin("insecure_changes: true").more("state: { dir: state }").file("state/latches.json", UNREADABLE)
    });
    assert_eq!(scene.lane(), "stable");
    assert_eq!(scene.release()["latch"]["cause"], "state_unreadable");
    assert!(scene.sidecar.stderr().contains("the state cannot be read"), "{}", scene.sidecar.stderr());
    let aside = scene.sidecar.directory().join("state/latches.json.unreadable");
    assert_eq!(std::fs::read_to_string(aside).expect("it is put aside"), UNREADABLE);
    scene.restart("");
    assert_eq!(scene.lane(), "stable", "a second start does not forget");
    scene.does("reset");
    assert_eq!(scene.lane(), "gray");
    scene.restart("");
    assert_eq!(scene.lane(), "gray");
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_the_latch_holds() {
    // A folder stands where the file is to be written: refused for everybody, the superuser too.
    let mut scene = Scene::with(|plan| {
        plan.admin("insecure_changes: true").more("state: { dir: state }").file("state/latches.json.new/in-the-way", "")
    });
    assert!(scene.sidecar.stderr().contains("state is not kept"), "{}", scene.sidecar.stderr());
    assert_eq!(scene.sidecar.metric("graylane_state_kept", &[]), 0.0);
    let told = scene.does("rollback");
    assert_eq!((&told["changed"], &told["survives_restart"]), (&true.into(), &false.into()));
    assert_eq!(scene.lane(), "stable");
    let config = scene.sidecar.admin_get("/api/v1/config").json();
    assert_eq!(config["settings"]["state"]["is"], "failing");
    std::fs::remove_dir_all(scene.sidecar.directory().join("state/latches.json.new")).expect("it was in the way");
    scene.sidecar.wait_for_metric("graylane_state_kept", &[], 1.0);
    scene.restart("");
    assert_eq!(scene.lane(), "stable");
}

#[test]
fn without_a_directory_a_restart_forgets_and_the_load_says_so() {
    let mut scene = Scene::with(|plan| plan.admin("insecure_changes: true"));
    assert!(scene.sidecar.stderr().contains("a restart opens it"), "{}", scene.sidecar.stderr());
    assert_eq!(scene.does("rollback")["survives_restart"], false);
    assert_eq!(scene.lane(), "stable");
    let plan = Scene::plan(&scene.stable, &scene.gray, OPEN);
    scene.sidecar.restart(&plan);
    assert_eq!(scene.lane(), "gray");
}
