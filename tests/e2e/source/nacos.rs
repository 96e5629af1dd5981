//! Nacos, against a stand-in that follows its documented answers; the long tests ask the real server.

use graylane::source::SourceStatus;

use super::stage::{Loader, NacosStandIn, Relay, measure};
use crate::harness::eventually;

fn source(port: u16, more: &str) -> String {
    format!(
        "sources: [{{ name: shop, ttl: 2s, backoff: {{ first: 50ms, most: 200ms }}, \
            bounds: {{ documents: 10, document: 1KiB, total: 4KiB }}, \
            nacos: {{ url: 'http://127.0.0.1:{port}', wait: 1s, {more} }} }}]"
    )
}

async fn started(server: &NacosStandIn) -> Loader {
    server.publish("a.yaml", "", "a: 1");
    server.publish("b.yaml", "", "b: 1");
    let more = "tenant: public, data_ids: [b.yaml, a.yaml]";
    let mut loader = Loader::start(&source(server.host.address.port(), more));
    loader.until("both documents", |texts| texts.len() == 2).await;
    loader
}

fn says(words: &str) -> impl Fn(&SourceStatus) -> bool {
    move |status| status.last_error.as_ref().is_some_and(|error| error.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_change_is_pushed_and_only_what_changed_is_got() {
    let server = NacosStandIn::start().await;
    let mut loader = started(&server).await;
    assert_eq!((server.book().gets, loader.status().changes), (2, 1), "both came together");
    server.publish("a.yaml", "", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
    assert_eq!((server.book().gets, loader.status().changes), (3, 2));
    server.publish("c.yaml", "", "nobody asked for it");
    eventually("a quiet poll to end", || (server.book().polls >= 4).then_some(()));
    assert_eq!((loader.texts().len(), loader.status().errors), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_its_own() {
    let server = NacosStandIn::start().await;
    server.publish("a.yaml", "", "of the public one");
    server.publish("a.yaml", "prod", "a: 1");
    let mut loader = Loader::start(&source(server.host.address.port(), "data_ids: a.yaml"));
    loader.until_text("shop:a.yaml", "a: 1").await;
    server.publish("a.yaml", "prod", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_configuration_is_a_fault_and_stays_in_force() {
    let server = NacosStandIn::start().await;
    let mut loader = started(&server).await;
    server.remove("a.yaml", "");
    loader.until_status("the loss", says("`a.yaml` is not there")).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 1");
    server.publish("a.yaml", "", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_logs_in_and_once_more_when_the_token_is_no_longer_taken() {
    let server = NacosStandIn::start().await;
    server.book().user = Some(("reader".to_owned(), "let me & in".to_owned()));
    server.book().token_life = 18_000;
    server.publish("a.yaml", "prod", "a: 1");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let more = format!("data_ids: a.yaml, user: reader, password_file: '{}'", file.display());
    let mut loader = Loader::start(&source(server.host.address.port(), &more));
    loader.until_status("a refusal", says("403 unknown user!")).await;
    std::fs::write(&file, "let me & in\n").unwrap();
    loader.until_text("shop:a.yaml", "a: 1").await;
    assert_eq!(server.book().logins, 1);
    server.book().tokens.clear();
    server.tell();
    server.publish("a.yaml", "prod", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
    assert_eq!(server.book().logins, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends() {
    let server = NacosStandIn::start().await;
    server.book().user = Some(("reader".to_owned(), "word".to_owned()));
    server.book().token_life = 1;
    server.publish("a.yaml", "prod", "a: 1");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    std::fs::write(&file, "word").unwrap();
    let more = format!("data_ids: a.yaml, user: reader, password_file: '{}'", file.display());
    let mut loader = Loader::start(&source(server.host.address.port(), &more));
    loader.until_text("shop:a.yaml", "a: 1").await;
    eventually("a second login", || (server.book().logins >= 2).then_some(()));
    assert_eq!(loader.status().errors, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_garbled_on_the_way_is_refused() {
    let server = NacosStandIn::start().await;
    let mut loader = started(&server).await;
    server.book().false_md5 = true;
    server.publish("a.yaml", "", "a: 2");
    loader.until_status("the false MD5", says("another MD5")).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 1");
    server.book().false_md5 = false;
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_larger_than_its_bound_is_refused() {
    let server = NacosStandIn::start().await;
    let mut loader = started(&server).await;
    server.publish("a.yaml", "", &"x".repeat(1025));
    loader.until_status("the large text", says("more than 1024 bytes")).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 1");
    server.publish("a.yaml", "", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_none_for_ever_is_taken_once_and_asked_for_in_measure() {
    let server = NacosStandIn::start().await;
    let loader = started(&server).await;
    server.book().cries_wolf = true;
    server.tell();
    let begun = server.book().gets;
    // A span in which little may happen.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let asked = server.book().gets - begun;
    assert!(asked <= 40, "asked {asked} times in 1.5 s");
    assert_eq!(loader.status().changes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_and_a_cut_way_keep_what_was_said_in_force() {
    let mut server = NacosStandIn::start().await;
    server.publish("a.yaml", "prod", "a: 1");
    let relay = Relay::to(server.host.address).await;
    let mut loader = Loader::start(&source(relay.port, "data_ids: a.yaml"));
    loader.until_text("shop:a.yaml", "a: 1").await;
    relay.cut();
    server.publish("a.yaml", "prod", "a: 2");
    loader.until_status("the loss", |status| !status.up && status.stale).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 1");
    relay.mend();
    loader.until_text("shop:a.yaml", "a: 2").await;
    server.host.kill();
    loader.until_status("the next loss", |status| !status.up).await;
    server.publish("a.yaml", "prod", "a: 3");
    server.host.again().await;
    loader.until_text("shop:a.yaml", "a: 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_write_to_effect() {
    let server = NacosStandIn::start().await;
    let mut loader = started(&server).await;
    measure("nacos (stand-in)", &mut loader, "shop:a.yaml", async |text| server.publish("a.yaml", "", text)).await;
}
