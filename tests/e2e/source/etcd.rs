//! What is written to etcd is seen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::stage::{Certificates, EtcdServer, Loader, measure};
use crate::harness::Port;

fn source(server: &EtcdServer, more: &str) -> String {
    format!("sources: [{{ name: shared, etcd: {{ endpoints: ['{}'], {more} }} }}]", server.url())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_watched() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/b", "b: 1").await;
    server.put("/graylane/prod/a", "a: 1").await;
    server.put("/graylane/dev/a", "of another namespace").await;
    let mut loader = Loader::start(&source(&server, "check: 1h"));
    loader.until("both documents", |texts| texts.len() == 2).await;
    server.put("/graylane/prod/a", "a: 2").await;
    loader.until_text("shared:a", "a: 2").await;
    server.delete("/graylane/prod/b").await;
    loader.until("b to go", |texts| texts.len() == 1).await;
    let before = loader.status();
    server.put("/graylane/dev/a", "of no interest").await;
    server.put("/graylane/prod/a", "a: 2").await;
    server.put("/graylane/prod/c", "c: 1").await;
    loader.until_text("shared:c", "c: 1").await;
    let status = loader.status();
    assert!(status.changes <= before.changes + 1, "the same text again is no change: {status:?}");
    assert!(status.revision.unwrap().parse::<u64>().unwrap() > before.revision.unwrap().parse().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_documents_come_in_pages_and_the_first_endpoint_may_be_dead() {
    let server = EtcdServer::start().await;
    for first in (0..1200).step_by(100) {
        let puts: Vec<_> = (first..first + 100)
            .map(|number| {
                let key = STANDARD.encode(format!("/graylane/prod/{number}"));
                json!({ "requestPut": { "key": key, "value": STANDARD.encode(format!("a: {number}")) } })
            })
            .collect();
        server.call("/v3/kv/txn", json!({ "success": puts })).await;
    }
    let dead = Port::reserve();
    let yaml = format!(
        "sources: [{{ name: shared, backoff: {{ first: 50ms }}, etcd: {{ endpoints: ['http://{}', '{}'] }} }}]",
        dead.address(),
        server.url()
    );
    let mut loader = Loader::start(&yaml);
    loader.until("all of them", |texts| texts.len() == 1200).await;
    assert_eq!(loader.texts()["shared:1199"], "a: 1199");
    assert_eq!(loader.status().changes, 1, "pages are not posted one by one");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_both_ways_with_a_user_whose_token_expires() {
    let (files, secrets) = (Certificates::make(), tempfile::tempdir().unwrap());
    let mut server = EtcdServer::with(Some(&files), &["--auth-token-ttl", "1"]).await;
    let prefix = json!({ "permType": "READWRITE", "key": STANDARD.encode("/graylane/"), "range_end": STANDARD.encode("/graylane0") });
    server.call("/v3/auth/user/add", json!({ "name": "root", "password": "boss" })).await;
    server.call("/v3/auth/user/grant", json!({ "user": "root", "role": "root" })).await;
    server.call("/v3/auth/user/add", json!({ "name": "reader", "password": "let-me-in" })).await;
    server.call("/v3/auth/role/add", json!({ "name": "read" })).await;
    server.call("/v3/auth/role/grant", json!({ "name": "read", "perm": prefix })).await;
    server.call("/v3/auth/user/grant", json!({ "user": "reader", "role": "read" })).await;
    server.put("/graylane/prod/a", "a: 1").await;
    server.call("/v3/auth/enable", json!({})).await;

    let password = secrets.path().join("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let yaml = format!(
        "sources: [{{ name: shared, backoff: {{ first: 50ms, most: 100ms }}, etcd: {{ endpoints: ['{}'], check: 1500ms, \
            user: reader, password_file: '{}', \
            tls: {{ ca_file: '{}', certificate_file: '{}', key_file: '{}' }} }} }}]",
        server.url(),
        password.display(),
        files.text("ca.pem"),
        files.text("cert.pem"),
        files.text("key.pem"),
    );
    let mut loader = Loader::start(&yaml);
    let is_refused = |status: &graylane::source::SourceStatus| {
        status.last_error.as_ref().is_some_and(|error| error.starts_with("refused: "))
    };
    let status = loader.until_status("a refusal", is_refused).await;
    assert!(!status.up, "{status:?}");
    std::fs::write(&password, "let-me-in\n").unwrap();
    loader.until_text("shared:a", "a: 1").await;

    // Two checks later the first token has expired, and nobody noticed.
    let errors = loader.status().errors;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let answer = server.call("/v3/auth/authenticate", json!({ "name": "reader", "password": "let-me-in" })).await;
    server.token = Some(answer["token"].as_str().unwrap().to_owned());
    server.put("/graylane/prod/a", "a: 2").await;
    loader.until_text("shared:a", "a: 2").await;
    let status = loader.status();
    assert!(status.up && status.errors == errors, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_taken_together() {
    let server = EtcdServer::start().await;
    let mut loader = Loader::start(&source(&server, "check: 1h"));
    loader.until_status("a first read", |status| status.up).await;
    for turn in 0..500 {
        server.put("/graylane/prod/a", format!("a: {turn}")).await;
    }
    loader.until_text("shared:a", "a: 499").await;
    let changes = loader.status().changes;
    assert!(changes < 250, "{changes} changes of 500 writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_write_to_effect() {
    let server = EtcdServer::start().await;
    let mut loader = Loader::start(&source(&server, "check: 1h"));
    loader.until_status("a first read", |status| status.up).await;
    measure("etcd", &mut loader, "shared:a", async |text| server.put("/graylane/prod/a", text).await).await;
}
