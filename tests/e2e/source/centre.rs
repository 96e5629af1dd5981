//! What a configuration centre says is taken, and it is told what became of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stage::{CentreServer, Certificates, Loader, Mischief, Texts, measure};
use crate::harness::eventually;

fn source(server: &CentreServer, more: &str) -> String {
    let url = format!("http://{}", server.host.address);
    format!("sources: [{{ name: shop, centre: {{ url: '{url}', instance: pod-1, {more} }} }}]")
}

/// Waits for the acknowledgement that the server got last to be one.
fn told(server: &CentreServer, version: u64, outcome: &str) -> Value {
    eventually(&format!("version {version} to be {outcome}"), || {
        let last = server.book().acknowledged.last().cloned()?;
        (last["version"] == version && last["outcome"] == outcome).then_some(last)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_seen_and_comes_as_a_delta() {
    let server = CentreServer::start().await;
    server.change(|documents| {
        documents.extend([("a".to_owned(), "a: 1".to_owned()), ("b".to_owned(), "b: 1".to_owned())])
    });
    let mut loader = Loader::start(&source(&server, ""));
    loader.until("both documents", |texts| texts.len() == 2).await;
    server.change(|documents| {
        documents.remove("b");
        documents.extend([("a".to_owned(), "a: 2".to_owned()), ("c".to_owned(), "c: 1".to_owned())]);
    });
    let wanted = |texts: &Texts| texts.len() == 2 && texts["shop:a"] == "a: 2" && texts["shop:c"] == "c: 1";
    loader.until("all three changes together", wanted).await;
    assert_eq!((server.count("whole"), server.count("delta")), (1, 1));
    let status = loader.status();
    assert_eq!((status.revision.as_deref(), status.changes, status.up, status.kind), (Some("2"), 2, true, "centre"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_does_not_fit_is_followed_by_the_whole_set() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    let mut loader = Loader::start(&source(&server, ""));
    loader.until_text("shop:a", "a: 1").await;
    server.book().mischief = Some(Mischief::MisfitDelta);
    server.put("a", "a: 2");
    loader.until_text("shop:a", "a: 2").await;
    server.misbehave(None);
    assert_eq!((server.count("whole"), server.count("delta"), loader.status().errors), (2, 0, 0));
    assert!(server.count("MisfitDelta") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_forgot_what_a_delta_needs_says_everything() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    let mut loader = Loader::start(&source(&server, ""));
    loader.until_text("shop:a", "a: 1").await;
    server.forget_past();
    server.change(|documents| drop(documents.insert("a".to_owned(), "a: 2".to_owned())));
    loader.until_text("shop:a", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_it_is_acknowledged_also_by_a_centre_that_is_deaf_at_first() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    let mut loader = Loader::start(&source(&server, ""));
    loader.until_text("shop:a", "a: 1").await;
    loader.sources.verdict(&loader.sources.held(), &Ok("4f2a".to_owned()));
    let applied = told(&server, 1, "applied");
    assert_eq!((&applied["instance"], &applied["config_version"]), (&json!("pod-1"), &json!("4f2a")));
    server.book().deaf_for = 1;
    server.put("a", "a: [");
    loader.until_text("shop:a", "a: [").await;
    loader.sources.verdict(&loader.sources.held(), &Err("a is broken\n\nb as well".to_owned()));
    let refused = told(&server, 2, "refused");
    assert_eq!(refused["problems"], json!(["a is broken", "b as well"]));
    assert_eq!(server.book().acknowledged.len(), 2, "each verdict once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_centre_is_asked_no_more_than_it_wants() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    let mut loader = Loader::start(&source(&server, "wait: 400ms"));
    loader.until_text("shop:a", "a: 1").await;
    eventually("three polls to end", || (server.count("unchanged") >= 3).then_some(()));
    let status = loader.status();
    assert_eq!((status.changes, status.errors), (1, 0), "{status:?}");
    let silent = status.last_contact_seconds_ago.unwrap();
    assert!(silent < 20.0, "a poll that ends is contact: {silent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_is_told_and_one_that_is_replaced_is_taken() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    server.book().token = Some("right".to_owned());
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, "wrong\n").unwrap();
    let url = format!("http://{}", server.host.address);
    let mut loader = Loader::start(&format!(
        "sources: [{{ name: shop, backoff: {{ first: 50ms, most: 100ms }}, \
            centre: {{ url: '{url}', token_file: '{}' }} }}]",
        file.display()
    ));
    let status = loader.until_status("a refusal", |status| status.errors > 1).await;
    let error = status.last_error.unwrap();
    assert!(error.contains("401") && error.contains("not known") && !error.contains("wrong"), "{error}");
    std::fs::write(&file, "right\n").unwrap();
    loader.until_text("shop:a", "a: 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_believes_only_the_authority_that_is_named() {
    let (files, others) = (Certificates::make(), Certificates::make());
    let server = CentreServer::with(Some((files.file("cert.pem"), files.file("key.pem")))).await;
    server.put("a", "a: 1");
    let yaml = |authority: &Certificates| {
        let (url, ca) = (format!("https://{}", server.host.address), authority.text("ca.pem"));
        format!("sources: [{{ name: shop, centre: {{ url: '{url}', tls: {{ ca_file: '{ca}' }} }} }}]")
    };
    let stranger = Loader::start(&yaml(&others));
    let status = stranger.until_status("a refusal", |status| status.errors > 0).await;
    assert!(status.last_error.unwrap().contains("certificate"));
    assert!(stranger.texts().is_empty());
    Loader::start(&yaml(&files)).until_text("shop:a", "a: 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_a_second_are_taken_together() {
    let server = CentreServer::start().await;
    let mut loader = Loader::start(&source(&server, ""));
    loader.until_status("a first read", |status| status.up).await;
    let begun = Instant::now();
    for turn in 0..100 {
        server.put("a", &format!("a: {turn}"));
        // The writer's pace.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    loader.until_text("shop:a", "a: 99").await;
    let (changes, most) = (loader.status().changes, begun.elapsed().as_millis() / 100 + 3);
    assert!(u128::from(changes) <= most, "{changes} changes, at most {most} expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_write_to_effect() {
    let server = CentreServer::start().await;
    let mut loader = Loader::start(&source(&server, ""));
    loader.until_status("a first read", |status| status.up).await;
    measure("centre", &mut loader, "shop:a", async |text| server.put("a", text)).await;
}
