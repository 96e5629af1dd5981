//! Files that change, in every way that people and systems change them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use super::plan_to;
use crate::harness::{Origin, Plan, Sidecar, eventually};

/// Below the poll that stands behind the watches: what is seen sooner was seen by a watch. It is a second where the
/// machine has nothing else to do.
const BY_WATCH: Duration = Duration::from_secs(4);

/// Waits until requests go to this origin; says how long that took.
fn wait_for(sidecar: &Sidecar, name: &str) -> Duration {
    let began = Instant::now();
    let lane = || sidecar.get("/", "").get("x-lane");
    eventually(&format!("the upstream {name}"), || (lane().as_deref() == Some(name)).then_some(()));
    began.elapsed()
}

fn seen_by_watch(sidecar: &Sidecar, name: &str) {
    let took = wait_for(sidecar, name);
    assert!(took < BY_WATCH, "{took:?}");
}

struct Scene {
    one: Plan,
    two: Plan,
    _origins: [Origin; 2],
}

impl Scene {
    fn new() -> Self {
        let origins = [Origin::lane("one"), Origin::lane("two")];
        let [one, two] = [0, 1].map(|at: usize| plan_to(&origins[at], ""));
        Self { one, two, _origins: origins }
    }
}

#[test]
fn a_file_renamed_over_is_seen_again_and_again() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    for (plan, name) in [(&scene.two, "two"), (&scene.one, "one"), (&scene.two, "two")] {
        sidecar.rewrite(plan);
        seen_by_watch(&sidecar, name);
    }
}

#[test]
fn a_file_written_in_place_is_seen() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    fs::write(sidecar.config(), sidecar.text_of(&scene.two)).unwrap();
    seen_by_watch(&sidecar, "two");
}

/// As vim does it: the old one goes to a backup, a new one takes its name, the backup goes.
#[test]
fn an_editor_that_keeps_a_backup_is_seen() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    let backup = sidecar.directory().join("graylane.yaml~");
    for (plan, name) in [(&scene.two, "two"), (&scene.one, "one")] {
        fs::rename(sidecar.config(), &backup).unwrap();
        fs::write(sidecar.config(), sidecar.text_of(plan)).unwrap();
        fs::remove_file(&backup).unwrap();
        seen_by_watch(&sidecar, name);
    }
}

#[test]
fn a_half_file_is_refused_and_taken_when_it_is_whole() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    let text = sidecar.text_of(&scene.two);
    // Cut within a word, so that what stands there is no configuration.
    let middle = text.find("protocol").or(text.find("endpoints")).expect("there is an upstream") + 4;
    let mut file = fs::File::create(sidecar.config()).unwrap();
    file.write_all(&text.as_bytes()[..middle]).unwrap();
    let refused = || sidecar.metric("graylane_config_reloads_total", &[("result", "refused")]);
    eventually("the half file to be refused", || (refused() >= 1.0).then_some(()));
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("one"));
    file.write_all(&text.as_bytes()[middle..]).unwrap();
    drop(file);
    seen_by_watch(&sidecar, "two");
    assert_eq!(sidecar.admin_get("/api/v1/config").json()["refused"], serde_json::Value::Null);
}

#[test]
fn a_file_that_is_written_for_a_moment_is_waited_for() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    let text = sidecar.text_of(&scene.two);
    let mut file = fs::File::create(sidecar.config()).unwrap();
    for piece in text.as_bytes().chunks(text.len() / 3 + 1) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
    }
    drop(file);
    seen_by_watch(&sidecar, "two");
    assert_eq!(sidecar.metric("graylane_config_reloads_total", &[("result", "refused")]), 0.0);
}

/// As the kubelet does it: `..data` is turned from one folder to the next, and every file is a link through it.
#[test]
fn a_config_map_is_seen_turning_its_link() {
    fn turn(mount: &Path, folder: &str, text: &str) {
        fs::create_dir_all(mount.join(folder)).unwrap();
        fs::write(mount.join(folder).join("graylane.yaml"), text).unwrap();
        symlink(folder, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    }
    let scene = Scene::new();
    for named in ["mount", "mount/graylane.yaml"] {
        let sidecar = Sidecar::start_laid_out(&scene.one, |directory, text| {
            let mount = directory.join("mount");
            turn(&mount, "..1", text);
            symlink("..data/graylane.yaml", mount.join("graylane.yaml")).unwrap();
            directory.join(named)
        });
        let mount = sidecar.directory().join("mount");
        let turns = [(&scene.two, "two"), (&scene.one, "one"), (&scene.two, "two")];
        for (at, (plan, name)) in turns.into_iter().enumerate() {
            turn(&mount, &format!("..{}", at + 2), &sidecar.text_of(plan));
            fs::remove_dir_all(mount.join(format!("..{}", at + 1))).unwrap();
            seen_by_watch(&sidecar, name);
        }
    }
}

#[test]
fn a_file_that_comes_into_a_folder_or_goes_is_seen() {
    let scene = Scene::new();
    let sidecar = Sidecar::start_laid_out(&scene.one, |directory, text| {
        let folder = directory.join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("main.yaml"), text).unwrap();
        folder
    });
    let more = sidecar.directory().join("folder/more.yaml");
    let rejecting = "routes: [{ name: more, match: { path: /more }, lanes: { stable: stable } }]\n";
    fs::write(&more, rejecting).unwrap();
    let routes = || sidecar.admin_get("/api/v1/routes").json()["routes"].as_array().map(Vec::len);
    eventually("the second route", || (routes() == Some(2)).then_some(()));
    fs::remove_file(&more).unwrap();
    eventually("the second route to go", || (routes() == Some(1)).then_some(()));
}

#[test]
fn a_folder_that_is_replaced_is_seen_from_then_on() {
    let scene = Scene::new();
    let sidecar = Sidecar::start_laid_out(&scene.one, |directory, text| {
        let folder = directory.join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("main.yaml"), text).unwrap();
        folder
    });
    let (folder, next) = (sidecar.directory().join("folder"), sidecar.directory().join("next"));
    for (plan, name) in [(&scene.two, "two"), (&scene.one, "one")] {
        fs::create_dir(&next).unwrap();
        fs::write(next.join("main.yaml"), sidecar.text_of(plan)).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::rename(&next, &folder).unwrap();
        seen_by_watch(&sidecar, name);
    }
    fs::write(folder.join("main.yaml"), sidecar.text_of(&scene.two)).unwrap();
    seen_by_watch(&sidecar, "two");
}

#[test]
fn a_key_that_changes_is_another_version() {
    let origin = Origin::lane("one");
    let release = "level: developer\ndeveloper: { header: x-gray-override, key_file: keys/override.key }";
    let key = |byte: u8| vec![byte; 32];
    let plan = Plan::gray(origin.address(), origin.address(), release).file("keys/override.key", key(7));
    let sidecar = Sidecar::start(&plan);
    let version = || sidecar.admin_get("/api/v1/config").json()["version"].clone();
    let first = version();
    let began = Instant::now();
    fs::write(sidecar.directory().join("keys/override.key"), key(8)).unwrap();
    eventually("another version", || (version() != first).then_some(()));
    assert!(began.elapsed() < BY_WATCH);
}

#[test]
fn files_that_nobody_changes_are_not_loaded_again() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene.one);
    for _ in 0..3 {
        // Reading and touching change nothing.
        fs::read(sidecar.config()).unwrap();
        sidecar.rewrite(&scene.one);
        fs::write(sidecar.directory().join("other"), "x").unwrap();
    }
    sidecar.rewrite(&scene.two);
    seen_by_watch(&sidecar, "two");
    assert_eq!(sidecar.metric("graylane_config_version", &[]), 2.0);
}
