//! What a running sidecar makes of what its sources say.

use super::*;

#[test]
fn sources_follow_the_files() {
    let scene = Scene::at(0);
    let none = || Plan::to(scene.stable.address()).admin("insecure_changes: true").more("state: { dir: state }");
    let sidecar = Sidecar::start(&none());
    assert_eq!(sidecar.admin_get("/api/v1/sources").json()["sources"], serde_json::json!([]));

    sidecar.reload(&scene.plan(""));
    assert_eq!(config(&sidecar)["documents"].as_array().map(Vec::len), Some(3));
    scene.release(100, "");
    wait_for_permille(&sidecar, 100);

    let answer = sidecar.reload(&none());
    assert_eq!(version(&sidecar), answer);
    assert_eq!(sidecar.admin_get("/api/v1/sources").json()["sources"], serde_json::json!([]));
}

#[test]
fn a_source_that_never_answers_is_not_passed_over() {
    let scene = Scene::at(10);
    let sidecar = scene.start();
    let before = version(&sidecar);
    let nobody = Port::reserve();
    let text = sidecar.text_of(&scene.plan("sources_wait: 300ms"));
    let more = format!("sources: [{{ name: away, redis: {{ address: '{}' }} }}, {{ name: shop,", nobody.address());
    std::fs::write(sidecar.config(), text.replace("sources: [{ name: shop,", &more)).unwrap();
    assert_eq!(sidecar.sync().status(), 422);
    refused(&sidecar, "no answer yet from `away`");
    assert_eq!((version(&sidecar), permille(&sidecar)), (before.clone(), 10));
    sidecar.rewrite(&scene.plan(""));
    assert_eq!(sidecar.sync().status(), 200);
    assert_eq!((version(&sidecar), config(&sidecar)["refused"].is_null()), (before, true));
}

#[test]
fn what_is_needed_before_sources_are_asked_cannot_come_from_one() {
    let scene = Scene::at(10);
    let sidecar = scene.start();
    let check = |text: &str, field: &str| {
        scene.set("more", text);
        let told = refused(&sidecar, &format!("`{field}` cannot come from a source"));
        assert!(told.contains("shop:more:1:"), "{told}");
    };
    check("sources: [{ name: other, redis: { address: '127.0.0.1:9' } }]", "sources");
    check("sources_wait: 3s", "sources_wait");
    check("environment: prod", "environment");
    check("workers: 1", "workers");
    check("state: { dir: elsewhere }", "state");
    assert_eq!(permille(&sidecar), 10);
}

#[test]
fn a_name_that_a_file_and_a_document_define_is_refused_with_both_places() {
    let scene = Scene::at(10);
    let sidecar = scene.start();
    scene.set("upstreams", "upstreams: { stable: { endpoints: ['127.0.0.1:9'] } }");
    let told = refused(&sidecar, "upstream `stable` is defined twice");
    assert!(told.contains("shop:upstreams:1:"), "{told}");
    assert_eq!(lane(&sidecar), "stable");
    scene.set("upstreams", "upstreams: { other: { endpoints: ['127.0.0.1:9'] } }");
    eventually("the other name to be taken", || config(&sidecar)["refused"].is_null().then_some(()));
}
