//! Apollo, against a stand-in that follows its documented answers.

use graylane::source::SourceStatus;
use serde_json::json;

use super::stage::{ApolloStandIn, Loader, Relay, measure};
use crate::harness::eventually;

fn source(port: u16, more: &str) -> String {
    format!(
        "sources: [{{ name: shop, ttl: 2s, backoff: {{ first: 50ms, most: 200ms }}, \
            bounds: {{ documents: 10, document: 1KiB, total: 4KiB }}, \
            apollo: {{ url: 'http://127.0.0.1:{port}', app_id: goods, {more} }} }}]"
    )
}

async fn started(server: &ApolloStandIn) -> Loader {
    server.release("a.yaml", "a: 1");
    server.release("b.yml", "b: 1");
    let mut loader = Loader::start(&source(server.host.address.port(), "namespaces: [a.yaml, b.yml]"));
    loader.until("both documents", |texts| texts.len() == 2).await;
    loader
}

fn says(words: &str) -> impl Fn(&SourceStatus) -> bool {
    move |status| status.last_error.as_ref().is_some_and(|error| error.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_pushed_and_only_what_changed_is_got() {
    let server = ApolloStandIn::start().await;
    let mut loader = started(&server).await;
    eventually("a quiet poll to end", || (server.book().polls >= 3).then_some(()));
    assert_eq!(server.book().asked, [200, 200, 304, 304], "the first notifications bring nothing new");
    server.release("a.yaml", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
    assert_eq!(server.book().asked.len(), 5);
    assert_eq!(server.book().messages.last(), Some(&json!({ "details": { "goods+default+a.yaml": 3 } })));
    let status = loader.status();
    assert_eq!((status.changes, status.errors, status.up), (2, 0, true), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_a_release_is_a_fault() {
    let server = ApolloStandIn::start().await;
    server.release("a.yaml", "a: 1");
    let mut loader = Loader::start(&source(server.host.address.port(), "namespaces: [a.yaml, b.yaml]"));
    loader.until_status("what is missing", says("`b.yaml` has no release")).await;
    assert!(loader.texts().is_empty(), "half of it is not taken");
    server.release("b.yaml", "b: 1");
    loader.until("both documents", |texts| texts.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_where_there_is_an_access_key() {
    let server = ApolloStandIn::start().await;
    server.book().secret = Some("df23df3f59884980844ff3dada30fa97".to_owned());
    server.release("a.yaml", "a: 1");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("secret");
    std::fs::write(&file, "another\n").unwrap();
    let more = format!("namespaces: a.yaml, ip: 10.0.0.7, secret_file: '{}'", file.display());
    let mut loader = Loader::start(&source(server.host.address.port(), &more));
    loader.until_status("a refusal", says("401")).await;
    std::fs::write(&file, "df23df3f59884980844ff3dada30fa97\n").unwrap();
    loader.until_text("shop:a.yaml", "a: 1").await;
    server.release("a.yaml", "a: 2");
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_a_text_or_with_too_much_of_it_is_refused() {
    let server = ApolloStandIn::start().await;
    let mut loader = started(&server).await;
    server.book().no_content = true;
    server.release("a.yaml", "a: 2");
    loader.until_status("what is missing", says("no `content`")).await;
    server.book().no_content = false;
    loader.until_text("shop:a.yaml", "a: 2").await;
    server.release("a.yaml", &"x".repeat(1025));
    loader.until_status("the large text", says("1025 bytes")).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 2");
    server.release("a.yaml", "a: 3");
    loader.until_text("shop:a.yaml", "a: 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_found_again() {
    let mut server = ApolloStandIn::start().await;
    server.release("a.yaml", "a: 1");
    let relay = Relay::to(server.host.address).await;
    let mut loader = Loader::start(&source(relay.port, "namespaces: a.yaml"));
    loader.until_text("shop:a.yaml", "a: 1").await;
    server.host.kill();
    let status = loader.until_status("it to be stale", |status| status.stale).await;
    assert!(!status.up && status.errors > 0, "{status:?}");
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 1");
    server.release("a.yaml", "a: 2");
    server.host.again().await;
    loader.until_text("shop:a.yaml", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_write_to_effect() {
    let server = ApolloStandIn::start().await;
    let mut loader = started(&server).await;
    measure("apollo (stand-in)", &mut loader, "shop:a.yaml", async |text| server.release("a.yaml", text)).await;
}
