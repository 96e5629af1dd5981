//! What a shared source cannot do to its sidecars without a confirmation.

use super::*;

/// The digest in a refusal.
fn digest(refusal: &str) -> String {
    let (_, rest) = refusal.split_once("`confirm: ").unwrap_or_else(|| panic!("no digest: {refusal}"));
    rest.split('`').next().expect("a text has a beginning").to_owned()
}

#[test]
fn a_large_step_of_a_document_waits_for_a_confirmation_in_the_document() {
    let scene = Scene::at(10);
    let sidecar = scene.start();
    scene.release(900, "");
    let refusal = refused(&sidecar, "release `r` would move up to 890 of 1000 users into gray");
    assert_eq!(permille(&sidecar), 10);
    assert!(told(&sidecar, &digest(&refusal)) > 0, "the log names the digest");
    assert!(status(&sidecar)["verdict"]["refused"].as_str().unwrap().contains("would move"));
    scene.release(900, "confirm: 0123456789abcdef\n");
    eventually("the other text to be refused", || {
        let verdict = status(&sidecar)["verdict"].clone();
        (verdict["revision"] == status(&sidecar)["revision"] && verdict["refused"].is_string()).then_some(())
    });
    assert_eq!(permille(&sidecar), 10);
    scene.release(900, &format!("confirm: {}\n", digest(&refusal)));
    wait_for_permille(&sidecar, 900);
    // Back to nobody is a step that never waits.
    scene.release(0, "");
    wait_for_permille(&sidecar, 0);
}

#[test]
fn a_store_that_comes_back_empty_does_not_take_the_configuration_with_it() {
    let lossy = RedisServer::start(&["--notify-keyspace-events", "K$gx", "--appendonly", "no"]);
    let mut scene = Scene::on(lossy, 1000);
    let sidecar = scene.start();
    let before = version(&sidecar);
    // Nobody has asked yet: no traffic guards the route, only that nothing is left of the source.
    scene.redis.server.kill();
    scene.redis.again();
    let refusal =
        refused(&sidecar, "source `shop` holds none of its 2 documents any more, and routes would go with them");
    assert_eq!((version(&sidecar), lane(&sidecar)), (before.clone(), "gray".to_owned()));
    sidecar.wait_for_metric("graylane_requests_total", &[("route", "all")], 1.0);
    assert_eq!(sidecar.sync().status(), 409);
    refused(&sidecar, "route `all` would go, and it has requests");

    // What was lost is written again: the same texts are the same version.
    scene.release(1000, "");
    scene.set("routes", ROUTE);
    eventually("nothing to be refused", || config(&sidecar)["refused"].is_null().then_some(()));
    assert_eq!(version(&sidecar), before);

    // Somebody who means it confirms it.
    scene.redis.delete("graylane/prod/release");
    scene.redis.delete("graylane/prod/routes");
    refused(&sidecar, "holds none of its 2 documents");
    let target = format!("/api/flags/sync?confirm={}", digest(&refusal));
    let answer = sidecar.admin_post(&target, "", "");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(sidecar.get("/a", "").status(), 404);
}

#[test]
fn the_endpoints_of_stable_do_not_go_without_a_confirmation() {
    let scene = Scene::at(10);
    let other = Origin::lane("stable");
    let upstream = |address| format!("upstreams: {{ moved: {{ endpoints: ['{address}'] }} }}\n");
    let route =
        "routes: [{ name: all, match: { path: '/{*rest}' }, lanes: { stable: moved, gray: gray }, release: r }]";
    scene.set("upstreams", &upstream(scene.stable.address()));
    scene.set("routes", route);
    let sidecar = scene.start();
    let before = version(&sidecar);
    scene.set("upstreams", &upstream(other.address()));
    let refusal = refused(&sidecar, "the stable lane of route `all` would lose all its endpoints");
    assert_eq!(version(&sidecar), before);
    // The one left behind confirms this change and no other.
    scene.set("upstreams", &format!("{}confirm: {}\n", upstream(other.address()), digest(&refusal)));
    eventually("the confirmed change", || (version(&sidecar) != before).then_some(()));
    assert_eq!((sidecar.get("/a", "").status(), other.requests().len()), (200, 1));
}

#[test]
fn an_earlier_version_stays_while_the_source_holds_the_newer_text_and_ends_with_another_one() {
    let mut scene = Scene::at(10);
    let mut sidecar = scene.start();
    let first = version(&sidecar);
    scene.release(100, "");
    wait_for_permille(&sidecar, 100);
    let body = format!("{{\"version\": \"{first}\"}}");
    let answer = sidecar.admin_post("/api/v1/config/rollback", "Content-Type: application/json\r\n", &body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!((permille(&sidecar), version(&sidecar)), (10, first.clone()));
    assert_eq!(sidecar.sync().status(), 200);
    assert_eq!(permille(&sidecar), 10, "the source holds the text that was rolled back from");
    assert!(status(&sidecar)["verdict"]["refused"].as_str().unwrap().contains("an earlier version was put back"));
    assert_eq!(config(&sidecar)["documents"][1]["source"], "shop");

    // What is in force is what is kept: also where the store is away at the next start.
    scene.redis.server.kill();
    sidecar.restart(&scene.plan(""));
    assert_eq!((permille(&sidecar), version(&sidecar)), (10, first));
    scene.redis.again();
    scene.release(150, "");
    wait_for_permille(&sidecar, 150);
}
