//! How a sidecar starts whose configuration lives elsewhere.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn files_and_documents_are_one_configuration_and_each_says_where_it_is_from() {
    let scene = Scene::at(1000);
    let sidecar = scene.start();
    assert_eq!(lane(&sidecar), "gray");
    let documents = config(&sidecar)["documents"].clone();
    let shown: Vec<_> =
        documents.as_array().unwrap().iter().map(|one| (one["source"].clone(), one["origin"].clone())).collect();
    assert_eq!(shown[0], (serde_json::Value::Null, "file".into()));
    assert_eq!(shown[1], ("shop".into(), "shared".into()));
    assert_eq!(documents[1]["name"], "shop:release");
    assert_eq!(documents[1]["defines"], serde_json::json!(["releases.r"]));
    assert_eq!(documents[2]["name"], "shop:routes");
    assert_eq!(config(&sidecar)["stale"], serde_json::json!([]));
    let status = status(&sidecar);
    assert_eq!((&status["name"], &status["up"], &status["stale"]), (&"shop".into(), &true.into(), &false.into()));
    assert_eq!(status["verdict"]["version"], version(&sidecar));
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    assert!(!sidecar.stderr().contains("not enforced"), "{}", sidecar.stderr());
}

#[test]
fn with_every_source_away_the_last_good_is_in_force_and_stale_until_the_server_is_back() {
    let mut scene = Scene::at(1000);
    let mut sidecar = scene.start();
    let before = version(&sidecar);
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    scene.redis.server.kill();
    sidecar.restart(&scene.plan(""));
    assert_eq!(version(&sidecar), before);
    assert_eq!(lane(&sidecar), "gray");
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    assert_eq!(config(&sidecar)["stale"], serde_json::json!(["shop"]));
    assert_eq!((status(&sidecar)["restored"].clone(), status(&sidecar)["up"].clone()), (true.into(), false.into()));
    assert_eq!(sidecar.metric("graylane_source_stale", &[("source", "shop")]), 1.0);
    assert!(sidecar.stderr().contains("STALE: no answer from `shop`"), "{}", sidecar.stderr());

    scene.redis.again();
    sidecar.wait_for_metric("graylane_source_stale", &[("source", "shop")], 0.0);
    assert_eq!(config(&sidecar)["stale"], serde_json::json!([]));
    scene.release(900, "");
    wait_for_permille(&sidecar, 900);
}

#[test]
fn a_first_start_without_any_answer_ends_after_the_wait_that_is_stated() {
    let mut scene = Scene::at(0);
    scene.redis.server.kill();
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let (mut process, _) = run(folder.path(), &scene.plan("sources_wait: 700ms"));
    assert_eq!(process.wait().code(), Some(1));
    assert!(begun.elapsed().as_millis() >= 700);
    let told = process.stderr();
    assert!(told.contains("no answer from `shop` within 700ms") && told.contains("ever kept"), "{told}");
}

#[test]
fn a_start_that_waits_for_its_sources_ends_at_once_when_it_is_told_to() {
    for signal in ["TERM", "INT"] {
        // Takes connections and says nothing, so that the source is waited for.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("a bound socket");
        let source = format!("sources: [{{ name: shop, redis: {{ address: '{address}' }} }}]");
        let folder = tempfile::tempdir().unwrap();
        let (mut process, ports) = run(folder.path(), &Plan::new().more(&source).more("sources_wait: 10m"));
        let waiting = silent.accept().expect("the source is asked");
        // Told to read its files again: there are none yet, and it is no reason to end.
        process.signal("HUP");
        assert!(std::net::TcpStream::connect(ports.0.address()).is_err(), "nothing is accepted yet");
        let told = Instant::now();
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
        assert!(process.stderr().contains(&format!("\"signal\":\"SIG{signal}\"")), "{}", process.stderr());
        drop(waiting);
    }
}

#[test]
fn broken_files_end_the_start_also_with_a_last_good_at_hand() {
    let mut scene = Scene::at(0);
    let mut sidecar = scene.start();
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    sidecar.terminate();
    assert!(sidecar.wait().success());
    let check = |text: &str, words: &str| {
        let mut process =
            Process::start([Path::new("run"), Path::new("--config"), &written(sidecar.directory(), text)]);
        assert_eq!(process.wait().code(), Some(2), "{}", process.stderr());
        assert!(process.stderr().contains(words), "{}", process.stderr());
    };
    let good = sidecar.text_of(&scene.plan(""));
    check(&format!("{good}\ndrain: soon\n"), "drain: soon");
    check(&format!("{good}\nbreakers: {{"), "graylane.yaml");
    let unknown = "routes: [{ name: x, match: { path: /x }, lanes: { stable: nowhere } }]\n";
    check(&format!("{good}\n{unknown}"), "nowhere");
    scene.redis.server.kill();
    check(&format!("{good}\n{unknown}"), "nowhere");
}

#[test]
fn a_store_with_a_broken_document_does_not_keep_a_sidecar_down_that_was_up_before() {
    let scene = Scene::at(1000);
    let mut sidecar = scene.start();
    let before = version(&sidecar);
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    scene.set("release", "releases: { r: { permille: many } }");
    sidecar.restart(&scene.plan(""));
    assert_eq!(version(&sidecar), before);
    assert_eq!(lane(&sidecar), "gray");
    refused(&sidecar, "many");
    assert!(sidecar.stderr().contains("STALE: what the sources hold is refused"), "{}", sidecar.stderr());
    assert!(status(&sidecar)["verdict"]["refused"].as_str().unwrap().contains("many"));
    scene.release(700, "");
    wait_for_permille(&sidecar, 700);
    assert_eq!(config(&sidecar)["refused"], serde_json::Value::Null);
    eventually("the source to be told", || (status(&sidecar)["verdict"]["version"] == version(&sidecar)).then_some(()));
}

#[test]
fn a_first_start_on_a_broken_document_is_refused_with_its_place() {
    let scene = Scene::at(0);
    scene.set("release", "releases:\n  r: { permille: many }");
    let folder = tempfile::tempdir().unwrap();
    let (mut process, _) = run(folder.path(), &scene.plan(""));
    assert_eq!(process.wait().code(), Some(2));
    assert!(process.stderr().contains("shop:release:2:"), "{}", process.stderr());
}

/// Runs a sidecar that is not expected to become ready.
fn run(folder: &Path, plan: &Plan) -> (Process, (Port, Port)) {
    let ports = (Port::reserve(), Port::reserve());
    let path = written(folder, &plan.render(ports.0.address(), ports.1.address()));
    (Process::start([Path::new("run"), Path::new("--config"), &path]), ports)
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("graylane.yaml");
    std::fs::write(&path, text).expect("a writable directory");
    path
}
