//! Everything that can be wrong with a source, arriving at a sidecar that serves: refused whole, what was taken last stays, one
//! line in the log for each kind, a metric, a status.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use redis::Commands;

use super::*;
use crate::source::stage::{CentreServer, Mischief};

/// A text that is no configuration is refused by the loader, once.
#[track_caller]
fn check_text(scene: &Scene, sidecar: &Sidecar, text: &str, words: &str) {
    let before = version(sidecar);
    let refusals = sidecar.metric("graylane_config_reloads_total", &[("result", "refused")]);
    let lines = told(sidecar, "a configuration was refused as a whole");
    scene.set("more", text);
    let problems = refused(sidecar, words);
    assert!(problems.contains("shop:more:"), "{problems}");
    sidecar.wait_for_metric("graylane_config_reloads_total", &[("result", "refused")], refusals + 1.0);
    // The poll and the tries again say nothing new.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(told(sidecar, "a configuration was refused as a whole"), lines + 1, "{words}");
    assert_eq!((version(sidecar), lane(sidecar)), (before, "gray".to_owned()));
    assert!(status(sidecar)["verdict"]["refused"].as_str().unwrap().contains(words));
    scene.redis.delete("graylane/prod/more");
    eventually("nothing to be refused", || config(sidecar)["refused"].is_null().then_some(()));
}

#[test]
fn half_a_document_and_texts_that_are_no_configuration_are_refused_whole() {
    let scene = Scene::at(1000);
    let sidecar = scene.start();
    check_text(&scene, &sidecar, "breakers: { careful: { errors", "not valid YAML");
    check_text(&scene, &sidecar, "<html>busy</html>", "expected");
    check_text(&scene, &sidecar, "drain: -3s", "-3s");
    check_text(&scene, &sidecar, "routs: []", "routs");
}

#[test]
fn garbage_and_a_gigabyte_are_refused_before_they_are_anything() {
    let scene = Scene::at(1000);
    let sidecar = scene.start();
    let before = version(&sidecar);
    let mut client = scene.redis.client(0);
    client.set::<_, _, ()>("graylane/prod/more", &[0xff_u8, 0xfe][..]).unwrap();
    let error = |words: &str| {
        eventually(words, || status(&sidecar)["last_error"].as_str().filter(|error| error.contains(words)).map(drop));
        assert_eq!((version(&sidecar), lane(&sidecar)), (before.clone(), "gray".to_owned()));
    };
    error("no UTF-8");
    assert!(sidecar.metric("graylane_source_errors_total", &[("source", "shop"), ("kind", "garbled")]) >= 1.0);
    client.del::<_, ()>("graylane/prod/more").unwrap();
    let peak = sidecar.memory_kib("VmHWM:");
    // Sparse on the server's side: two times 500 MB that must never come over the wire.
    for key in ["graylane/prod/more", "graylane/prod/most"] {
        client.setrange::<_, _, ()>(key, 500_000_000, "x").unwrap();
    }
    error("bytes, at most");
    assert!(sidecar.metric("graylane_source_errors_total", &[("source", "shop"), ("kind", "too_large")]) >= 1.0);
    let grown = sidecar.memory_kib("VmHWM:") - peak;
    assert!(grown < 32 << 10, "{grown} KiB for a gigabyte that is refused");
    assert_eq!(told(&sidecar, "a source of configuration: "), 2, "once for each kind: {}", sidecar.stderr());
    client.del::<_, ()>(&["graylane/prod/more", "graylane/prod/most"]).unwrap();
    scene.release(900, "");
    wait_for_permille(&sidecar, 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_and_the_same_one_for_ever_are_never_applied_again() {
    let centre = CentreServer::start().await;
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let routes = |permille: u16| format!("releases: {{ r: {{ permille: {permille} }} }}\n{ROUTE}");
    centre.put("routes", &routes(10));
    centre.put("routes", &routes(20));
    let url = format!("http://{}", centre.host.address);
    let sources = format!(
        "sources: [{{ name: shop, ttl: 1h, backoff: {{ first: 50ms, most: 200ms }}, centre: {{ url: '{url}', wait: 1s }} }}]"
    );
    let plan = Plan::new().upstream("stable", stable.address()).upstream("gray", gray.address()).more(&sources);
    let sidecar = Sidecar::start(&plan);
    assert_eq!(permille(&sidecar), 20);
    let before = version(&sidecar);
    eventually("the centre to be told", || {
        let told = centre.book().acknowledged.iter().any(|told| told.to_string().contains(&before));
        told.then_some(())
    });
    let applied = |sidecar: &Sidecar| sidecar.metric("graylane_config_reloads_total", &[("result", "applied")]);
    let count = applied(&sidecar);

    centre.misbehave(Some(Mischief::SameForEver));
    eventually("many answers", || (centre.count("whole") > 20 || centre.book().answers.len() > 20).then_some(()));
    assert_eq!((applied(&sidecar), version(&sidecar)), (count, before.clone()));

    centre.misbehave(None);
    {
        let mut book = centre.book();
        book.version = 1;
        book.documents.insert("routes".to_owned(), routes(10));
    }
    centre.forget_past();
    centre.tell();
    eventually("an older state to be refused", || {
        (sidecar.metric("graylane_source_errors_total", &[("kind", "old_revision")]) >= 1.0).then_some(())
    });
    assert_eq!((applied(&sidecar), version(&sidecar), permille(&sidecar)), (count, before, 20));
    // Its own order goes on, and what is newer is taken.
    centre.book().version = 7;
    centre.put("routes", &routes(30));
    wait_for_permille(&sidecar, 30);
    assert_eq!(applied(&sidecar), count + 1.0);
}

/// Whatever keeps the state directory from being written, the sidecar serves, follows its sources, and says so.
fn check_state(spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path)) {
    let scene = Scene::at(900);
    let sidecar = scene.start();
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    let state = sidecar.directory().join("state");
    spoil(&state);
    scene.release(1000, "");
    wait_for_permille(&sidecar, 1000);
    assert_eq!(lane(&sidecar), "gray");
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 0.0);
    assert_eq!(told(&sidecar, "the last good configuration is not kept"), 1);
    assert!(config(&sidecar)["settings"]["last_good"]["problem"].is_string(), "{}", config(&sidecar));
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    mend(&state);
    sidecar.wait_for_metric("graylane_last_good_kept", &[], 1.0);
    assert!(config(&sidecar)["settings"]["last_good"]["problem"].is_null());
}

#[test]
fn a_full_disk_is_told_and_everything_runs_on() {
    check_state(
        |state| symlink("/dev/full", state.join("last-good.json.new")).unwrap(),
        // The half file is taken away with the failure, so it is mended by itself.
        |_| {},
    );
}

#[test]
fn a_state_directory_that_cannot_be_written_is_told_and_everything_runs_on() {
    // A folder in the way refuses everybody, the superuser of a container too, whom no mode stops.
    check_state(
        |state| {
            fs::create_dir(state.join("last-good.json.new")).unwrap();
            fs::set_permissions(state, fs::Permissions::from_mode(0o555)).unwrap();
        },
        |state| {
            fs::set_permissions(state, fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_dir(state.join("last-good.json.new")).unwrap();
        },
    );
}
