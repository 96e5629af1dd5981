//! What goes wrong with a configuration centre costs nothing that was taken before.

use std::time::Duration;

use super::stage::{CentreServer, Loader, Mischief, Relay};
use crate::harness::eventually;

fn source(port: u16, more: &str) -> String {
    format!(
        "sources: [{{ name: shop, ttl: 2s, backoff: {{ first: 50ms, most: 200ms }}, \
            bounds: {{ documents: 10, document: 1KiB, total: 4KiB }}, \
            centre: {{ url: 'http://127.0.0.1:{port}', {more} }} }}]"
    )
}

async fn started(server: &CentreServer) -> Loader {
    server.put("a", "a: 1");
    let mut loader = Loader::start(&source(server.host.address.port(), "wait: 1s"));
    loader.until_text("shop:a", "a: 1").await;
    loader
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_centre_keeps_what_it_said_in_force_and_is_found_again() {
    let mut server = CentreServer::start().await;
    let mut loader = started(&server).await;
    server.host.kill();
    let status = loader.until_status("it to be stale", |status| status.stale).await;
    assert!(!status.up && status.errors > 0, "{status:?}");
    assert_eq!(loader.texts()["shop:a"], "a: 1");
    server.host.again().await;
    loader.until_status("it to answer again", |status| status.up && !status.stale).await;
    server.put("a", "a: 2");
    loader.until_text("shop:a", "a: 2").await;
    assert_eq!(loader.status().changes, 2, "what came back unchanged is no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_centre_that_lost_its_past_is_taken_as_it_is() {
    let mut server = CentreServer::start().await;
    let mut loader = started(&server).await;
    server.host.kill();
    server.forget_past();
    server.put("a", "a: 2");
    server.forget_past();
    server.host.again().await;
    loader.until_text("shop:a", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_way_is_noticed_when_the_poll_is_overdue() {
    let server = CentreServer::start().await;
    server.put("a", "a: 1");
    let relay = Relay::to(server.host.address).await;
    let mut loader = Loader::start(&source(relay.port, "wait: 500ms"));
    loader.until_text("shop:a", "a: 1").await;
    relay.cut();
    server.put("a", "a: 2");
    let status = loader.until_status("the loss", |status| !status.up && status.stale).await;
    assert!(status.last_error.unwrap().contains("in time"));
    assert_eq!(loader.texts()["shop:a"], "a: 1");
    relay.mend();
    loader.until_text("shop:a", "a: 2").await;
}

/// Lets the centre misbehave, expects an error with these words and nothing else, and the next change to be taken.
async fn check(mischief: Mischief, words: &str) {
    let server = CentreServer::start().await;
    let mut loader = started(&server).await;
    server.misbehave(Some(mischief));
    let wanted = |status: &graylane::source::SourceStatus| {
        status.errors > 2 && status.last_error.as_ref().is_some_and(|error| error.contains(words))
    };
    let status = loader.until_status(words, wanted).await;
    assert_eq!((status.changes, &*loader.texts()["shop:a"]), (1, "a: 1"), "{mischief:?}");
    server.misbehave(None);
    server.put("a", "a: 2");
    loader.until_text("shop:a", "a: 2").await;
    loader.until_status("it to be good again", |status| status.up && status.last_error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused() {
    check(Mischief::Garbage, "cannot be understood").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_refused() {
    check(Mischief::HalfAnswer, "cannot be understood").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_refused() {
    check(Mischief::BrokenOff, "cannot be reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_at_its_bound() {
    check(Mischief::Endless, "an answer of more than").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_where_the_whole_set_was_asked_for_is_refused() {
    check(Mischief::StrangeDelta, "where the whole set was asked for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_centre_is_asked_again() {
    check(Mischief::Failure, "answered 500 out of order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bounds_is_refused_and_what_is_left_of_it_is_taken() {
    let server = CentreServer::start().await;
    let mut loader = started(&server).await;
    server.put("b", &"x".repeat(2000));
    loader.until_status("a refusal", |status| status.last_error.is_some()).await;
    assert_eq!(loader.texts().len(), 1);
    server.change(|documents| drop(documents.remove("b")));
    server.put("c", "c: 1");
    loader.until_text("shop:c", "c: 1").await;
    loader.until_status("it to be good again", |status| status.last_error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_for_ever_is_taken_once_and_asked_for_once_a_second() {
    let server = CentreServer::start().await;
    let loader = started(&server).await;
    server.misbehave(Some(Mischief::SameForEver));
    eventually("it to be said", || (server.count("SameForEver") > 0).then_some(()));
    // A span in which little may happen.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let (said, status) = (server.count("SameForEver"), loader.status());
    assert!(said <= 5, "said {said} times in 2.5 s");
    assert_eq!((status.changes, status.errors, status.up), (1, 0, true), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_is_refused_until_the_centre_stays_there() {
    let server = CentreServer::start().await;
    server.put("a", "a: 0");
    let mut loader = started(&server).await;
    {
        let mut book = server.book();
        book.version = 1;
        book.documents.insert("a".to_owned(), "a: old".to_owned());
    }
    server.forget_past();
    server.tell();
    let is_old = |status: &graylane::source::SourceStatus| {
        status.last_error.as_ref().is_some_and(|error| error.contains("is older than"))
    };
    loader.until_status("the old version to be refused", is_old).await;
    assert_eq!(loader.texts()["shop:a"], "a: 1");
    // Its time to live later it is taken.
    loader.until_text("shop:a", "a: old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lineage_may_begin_at_one() {
    let server = CentreServer::start().await;
    server.put("a", "a: 0");
    let mut loader = started(&server).await;
    {
        let mut book = server.book();
        book.version = 1;
        book.lineage = "restored".to_owned();
        book.documents.insert("a".to_owned(), "a: new".to_owned());
    }
    server.tell();
    loader.until_text("shop:a", "a: new").await;
    assert_eq!(loader.status().revision.as_deref(), Some("restored:1"));
}
