//! The way back to an earlier version.

use super::{Scene, digest};

#[test]
fn an_earlier_version_stays_until_the_file_says_something_new() {
    let scene = Scene::at(100, "state: { dir: state }\n");
    let first = scene.version();
    assert_eq!(scene.change(300, "").status(), 200);
    let second = scene.version();

    let done = scene.roll_back(&first, ", \"by\": \"li.wei\"");
    assert_eq!(done.status(), 200, "{}", done.text());
    assert_eq!((scene.permille(), scene.version()), (100, first.clone()));
    let record = scene.audit().pop().unwrap();
    assert_eq!((&record["action"], &record["by"]), (&"rolled_back".into(), &"li.wei (no token, 127.0.0.1)".into()));
    assert_eq!(record["differences"][0], "releases.r.permille: 300 -> 100");
    let pinned = scene.get("/api/v1/config")["pinned"].clone();
    assert_eq!(
        (&pinned["rolled_back_from"], &pinned["source_holds"]),
        (&second.as_str().into(), &second.as_str().into())
    );

    let again = scene.sidecar.sync().json();
    assert_eq!((&again["changed"], scene.permille()), (&false.into(), 100), "the file still holds the newer text");
    assert_eq!(scene.change(150, "").status(), 200);
    assert_eq!(scene.permille(), 150);
    assert_eq!(scene.get("/api/v1/config")["pinned"], serde_json::Value::Null);
}

#[test]
fn the_way_back_is_guarded_as_well() {
    let scene = Scene::at(900, "guard: { files: on }\n");
    let first = scene.version();
    assert_eq!(scene.change(100, "").status(), 200);
    let refusal = scene.roll_back(&first, "");
    let digest = digest(&refusal);
    assert_eq!(scene.permille(), 100);
    assert_eq!(scene.roll_back(&first, &format!(", \"confirm\": \"{digest}\"")).status(), 200);
    assert_eq!(scene.permille(), 900);
    assert_eq!(scene.roll_back("000000000000", "").status(), 404);
}

#[test]
fn the_history_outlives_the_process() {
    let mut scene = Scene::at(100, "state: { dir: state }\n");
    let first = scene.version();
    assert_eq!(scene.change(200, "").status(), 200);
    let plan = Scene::plan_of(&scene.stable, &scene.gray, 300, "state: { dir: state }\n");
    scene.sidecar.restart(&plan);
    let history = scene.get("/api/v1/config/history")["history"].as_array().unwrap().clone();
    assert_eq!(history.len(), 3, "{history:?}");
    assert_eq!((&history[0]["version"], &history[2]["in_force"]), (&first.as_str().into(), &true.into()));
    assert_eq!(scene.roll_back(&first, "").status(), 200);
    assert_eq!(scene.permille(), 100);
}
