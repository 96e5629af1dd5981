//! Changes that concern products are told to a Redis channel and to a webhook, and product data never goes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::harness::answer;

/// A document with a release for one SKU, and the product snapshot.
fn document(permille: u16, version: u64) -> String {
    format!(
        "releases: {{ r: {{ permille: {permille}, conditions: [{{ key: sku_id, operator: EQ, value: A1 }}] }} }}\n\
         products: {{ version: {version} }}\n"
    )
}

#[test]
fn a_change_of_products_is_published_and_posted_until_it_is_taken() {
    let scene = Scene::at(0);
    scene.set("release", &document(10, 42));
    let (bodies, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (heard, count) = (bodies.clone(), calls.clone());
    let webhook = Origin::answering(move |request| {
        // It is not well at first.
        if count.fetch_add(1, Ordering::SeqCst) < 2 {
            return answer("503 Service Unavailable", "", b"");
        }
        heard.lock().unwrap().push(request.body.clone());
        answer("204 No Content", "", b"")
    });
    let targets = format!(
        "products: {{ invalidate: {{ redis: {{ url: 'redis://{}', channel: stale }}, webhook: {{ url: 'http://{}/stale' }} }} }}",
        scene.redis.address(),
        webhook.address()
    );
    let sidecar = Sidecar::start(&scene.plan(&targets));
    let mut client = scene.redis.client(0);
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut subscription = client.as_pubsub();
    subscription.subscribe("stale").unwrap();
    let mut next = || -> serde_json::Value {
        let message: String = subscription.get_message().unwrap().get_payload().unwrap();
        serde_json::from_str(&message).unwrap()
    };

    scene.set("release", &document(20, 42));
    let told = next();
    assert_eq!((&told["event"], &told["sku_ids"]), (&"invalidate".into(), &serde_json::json!(["A1"])));
    assert_eq!((&told["product_version"], &told["service"]), (&42.into(), &"goods-core".into()));
    assert_eq!(told["config_version"], version(&sidecar));
    eventually("the webhook to take it", || (!bodies.lock().unwrap().is_empty()).then_some(()));
    let posted: serde_json::Value = serde_json::from_slice(&bodies.lock().unwrap()[0]).unwrap();
    assert_eq!(posted, told);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    sidecar.wait_for_metric("graylane_invalidations_total", &[("target", "webhook"), ("result", "sent")], 1.0);
    assert_eq!(sidecar.metric("graylane_invalidations_total", &[("target", "webhook"), ("result", "retried")]), 2.0);
    assert_eq!(sidecar.metric("graylane_invalidations_total", &[("target", "redis"), ("result", "sent")]), 1.0);

    // Another snapshot concerns everything; an older one is refused.
    scene.set("release", &document(20, 43));
    assert_eq!(next()["sku_ids"], "*");
    scene.set("release", &document(20, 41));
    refused(&sidecar, "`products.version` 41 is older than 43, which is bound");
    scene.set("release", &document(30, 44));
    let told = next();
    assert_eq!((&told["sku_ids"], &told["product_version"]), (&"*".into(), &44.into()));
    assert_eq!(sidecar.metric("graylane_invalidations_total", &[("result", "dropped")]), 0.0);
}

#[test]
fn a_rollback_to_a_configuration_of_older_product_data_is_refused_with_both_numbers() {
    let scene = Scene::at(0);
    scene.set("release", &document(10, 42));
    let sidecar = scene.start();
    let first = version(&sidecar);
    scene.set("release", &document(20, 43));
    wait_for_permille(&sidecar, 20);
    let body = format!("{{\"version\": \"{first}\"}}");
    let answer = sidecar.admin_post("/api/v1/config/rollback", "Content-Type: application/json\r\n", &body);
    assert_eq!(answer.status(), 422, "{}", answer.text());
    assert!(answer.text().contains("`products.version` 42 is older than 43, which is bound"), "{}", answer.text());
    assert_eq!(permille(&sidecar), 20);
}
