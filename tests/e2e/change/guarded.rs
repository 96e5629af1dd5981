//! Changes that need a confirmation.

use super::{Scene, digest};

const GUARDED: &str = "guard: { files: on }\n";

#[test]
fn a_large_step_waits_for_the_confirmation_of_its_own_plan() {
    let scene = Scene::at(50, GUARDED);
    let refusal = scene.change(600, "");
    let first = digest(&refusal);
    let detail = refusal.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("release `r` would move up to 550 of 1000 users into gray"), "{detail}");
    assert_eq!(scene.permille(), 50);
    let refused = scene.audit().pop().unwrap();
    assert_eq!(
        (&refused["action"], &refused["differences"][0]),
        (&"refused".into(), &"releases.r.permille: 50 -> 600".into())
    );
    assert!(scene.sidecar.stderr().contains(&first), "the log names the digest");

    assert_eq!(scene.change(600, "confirm: 0123456789abcdef").status(), 409);
    assert_eq!(scene.change(600, &format!("confirm: {first}")).status(), 200);
    assert_eq!(scene.permille(), 600);

    let second = digest(&scene.change(900, &format!("confirm: {first}")));
    assert_ne!(first, second, "what was left behind confirms nothing else");
    assert_eq!(scene.permille(), 600);
}

#[test]
fn a_small_step_and_every_step_down_need_nothing() {
    let scene = Scene::at(700, GUARDED);
    for permille in [0, 200, 400, 100] {
        assert_eq!(scene.change(permille, "").status(), 200, "to {permille}");
        assert_eq!(scene.permille(), u64::from(permille));
    }
}

#[test]
fn a_call_can_carry_the_confirmation() {
    let scene = Scene::at(0, GUARDED);
    let digest = digest(&scene.change(1000, ""));
    let target = format!("/api/flags/sync?confirm={digest}");
    assert_eq!(scene.sidecar.admin_post(&target, "", "").status(), 200);
    assert_eq!(scene.permille(), 1000);
}

#[test]
fn files_are_not_guarded_unless_it_is_said() {
    let scene = Scene::at(0, "");
    assert_eq!(scene.change(1000, "").status(), 200);
}

#[test]
fn a_route_with_live_traffic_does_not_go_unasked() {
    let scene = Scene::at(0, "guard: { files: on }\n");
    let plan = || Scene::plan_of(&scene.stable, &scene.gray, 0, "guard: { files: on }\n");
    let with_extra = |name: &str| plan().route(name, &format!("/{name}"), "stable: stable", "");
    scene.sidecar.rewrite(&with_extra("quiet"));
    assert_eq!(scene.sidecar.sync().status(), 200);
    scene.sidecar.rewrite(&with_extra("busy"));
    assert_eq!(scene.sidecar.sync().status(), 200, "nobody asked for /quiet");
    assert_eq!(scene.sidecar.get("/busy", "").status(), 200);
    scene.sidecar.wait_for_metric("graylane_requests_total", &[("route", "busy")], 1.0);
    scene.sidecar.rewrite(&plan());
    let refusal = scene.sidecar.sync();
    assert!(refusal.text().contains("route `busy` would go, and it has requests"), "{}", refusal.text());
    let target = format!("/api/flags/sync?confirm={}", digest(&refusal));
    assert_eq!(scene.sidecar.admin_post(&target, "", "").status(), 200);
}

#[test]
fn a_dry_run_tells_the_effects_and_the_digest_that_the_change_then_has() {
    let scene = Scene::at(50, GUARDED);
    scene.rewrite(600, "");
    let text = std::fs::read_to_string(scene.sidecar.config()).unwrap();
    let answer = scene.sidecar.admin_post("/api/v1/config/plan", "", &text);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let plan = answer.json()["plan"].clone();
    assert_eq!(
        plan["effects"][0],
        serde_json::json!({
            "subject": "release", "name": "r", "to_gray": 550.0, "to_stable": 0.0, "exact": true, "of_eligible": false,
        })
    );
    assert_eq!(plan["differences"][0]["path"], "releases.r.permille");
    assert_eq!(scene.permille(), 50, "nothing was changed");
    assert!(scene.audit().iter().skip(1).all(|record| record["action"] == "refused"));
    assert_eq!(digest(&scene.sidecar.sync()), plan["digest"].as_str().unwrap());
    let bad = scene.sidecar.admin_post("/api/v1/config/plan", "", "drain: soon\n");
    assert_eq!(bad.status(), 422);
    assert_eq!(bad.json()["problems"].as_array().map(Vec::len), Some(1), "{}", bad.text());
}

/// Whoever asks what a change would do has to learn nothing of other files of the machine: not that they are there, not how
/// long they are.
#[test]
fn a_plan_looks_at_no_file_but_those_beside_the_ones_in_force() {
    let scene = Scene::at(50, "");
    let text = std::fs::read_to_string(scene.sidecar.config()).unwrap();
    let ask = |file: &str| {
        let asked =
            text.replace("permille: 50", &format!("permille: 50\n    developer: {{ header: x-o, key_file: {file} }}"));
        let answer = scene.sidecar.admin_post("/api/v1/config/plan", "", &asked);
        (answer.status(), answer.text().replace(file, "FILE"))
    };
    std::fs::write(scene.sidecar.directory().join("new.key"), "k".repeat(40)).unwrap();
    let (status, told) = ask("new.key");
    assert_eq!(status, 200, "{told}");
    let (status, there) = ask("/etc/hostname");
    assert_eq!(status, 422, "{there}");
    assert!(there.contains("not looked at here"), "{there}");
    assert_eq!(ask("/etc/no-such-file").1, there);
    assert_eq!(ask(&format!("{}/../../etc/hostname", scene.sidecar.directory().display())).0, 422);
    // Nobody writes to it: whoever opens it waits for ever.
    let pipe = scene.sidecar.directory().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (status, told) = ask("pipe");
    assert_eq!(status, 422, "{told}");
    assert!(told.contains("no plain file"), "{told}");
}
