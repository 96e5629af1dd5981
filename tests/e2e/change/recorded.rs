//! The audit trail on disk.

use std::path::PathBuf;

use super::Scene;
use super::tools::graylane;
use crate::harness::{Origin, Sidecar, eventually};

const STATE: &str = "state: { dir: state }\n";

fn state(scene: &Scene) -> PathBuf {
    scene.sidecar.directory().join("state")
}

#[test]
fn everything_that_changes_is_in_one_chain() {
    let scene = Scene::at(100, STATE);
    assert_eq!(scene.change(150, "").status(), 200);
    assert_eq!(scene.change(150, "drain: soon").status(), 422);
    assert_eq!(scene.sidecar.admin_post("/api/v1/releases/r/pause", "", "").status(), 200);
    let trail = eventually("four records to be kept", || {
        let shown = scene.get("/api/v1/audit");
        (shown["trail"]["head"]["sequence"] == 4).then_some(shown)
    });
    let actions: Vec<_> = trail["audit"].as_array().unwrap().iter().map(|record| record["action"].clone()).collect();
    assert_eq!(actions, ["applied", "applied", "refused", "paused"]);
    let second = &trail["audit"][1];
    assert_eq!(second["names"]["releases"]["changed"], serde_json::json!(["r"]));
    assert_eq!(second["differences"], serde_json::json!(["releases.r.permille: 100 -> 150"]));
    assert!(second["time_unix_nano"].as_str().is_some_and(|nanos| nanos.len() == 19), "{second}");

    let (text, code) = graylane(&["audit", "verify", state(&scene).to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    let hash = trail["trail"]["head"]["hash"].as_str().unwrap();
    assert!(text.contains("good: 4 records, 1 to 4") && text.contains(hash), "{text}");

    let file = state(&scene).join("audit/audit-000000000001.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, lines.replacen("releases.r.permille: 100", "releases.r.permille: 140", 1)).unwrap();
    let (text, code) = graylane(&["audit", "verify", state(&scene).to_str().unwrap()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("audit-000000000001.jsonl:3: record 3 does not follow from record 2"), "{text}");
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let mut scene = Scene::at(100, STATE);
    let plan = Scene::plan_of(&scene.stable, &scene.gray, 120, STATE);
    scene.sidecar.restart(&plan);
    let (text, code) = graylane(&["audit", "verify", state(&scene).to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("good: 2 records"), "{text}");
    assert_eq!(scene.get("/api/v1/audit")["audit"][0]["sequence"], 2);
}

#[test]
fn a_state_directory_that_cannot_be_written_stops_nothing_and_is_told() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    // Files stand where folders have to be: nobody can write there, whoever runs the test.
    let plan = Scene::plan_of(&stable, &gray, 0, STATE).file("state/audit", "").file("state/history", "");
    let sidecar = Sidecar::start(&plan);
    let scene = Scene { sidecar, stable, gray, more: STATE };
    assert_eq!(scene.change(1000, "").status(), 200);
    assert_eq!(scene.sidecar.get("/", "x-user-id: u1\r\n").get("x-lane").as_deref(), Some("gray"));
    let shown = scene.get("/api/v1/audit");
    assert_eq!(shown["trail"]["waiting"], 2);
    assert!(shown["trail"]["problem"].as_str().unwrap().contains("cannot write the audit trail"), "{shown}");
    let history = scene.get("/api/v1/config")["settings"]["history"]["problem"].clone();
    assert!(history.as_str().unwrap().contains("cannot keep the history"), "{history}");
    assert!(scene.sidecar.stderr().contains("cannot write the audit trail"), "{}", scene.sidecar.stderr());
    std::fs::remove_file(state(&scene).join("audit")).unwrap();
    eventually("the trail to be kept again", || (scene.get("/api/v1/audit")["trail"]["waiting"] == 0).then_some(()));
    let (text, code) = graylane(&["audit", "verify", state(&scene).to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn each_document_says_what_it_defines() {
    let scene = Scene::at(100, "");
    let documents = scene.get("/api/v1/config")["documents"].as_array().unwrap().clone();
    assert_eq!(documents.len(), 1);
    assert!(documents[0]["name"].as_str().unwrap().ends_with("graylane.yaml"));
    assert_eq!(documents[0]["origin"], "file");
    assert!(documents[0]["defines"].as_array().unwrap().contains(&"releases.r".into()), "{documents:?}");
}
