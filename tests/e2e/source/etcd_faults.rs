//! What goes wrong with etcd costs nothing that was taken before.

use super::stage::{EtcdServer, Loader, Relay};

fn source(port: u16, more: &str) -> String {
    format!(
        "sources: [{{ name: shared, ttl: 2s, backoff: {{ first: 50ms, most: 200ms }}, \
            bounds: {{ documents: 100, document: 10KiB, total: 50KiB }}, \
            etcd: {{ endpoints: ['http://127.0.0.1:{port}'], {more} }} }}]"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_what_it_said_in_force_and_is_found_again() {
    let mut server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    let mut loader = Loader::start(&source(server.address().port(), "check: 1h"));
    loader.until_text("shared:a", "a: 1").await;
    server.server.kill();
    let status = loader.until_status("it to be stale", |status| status.stale).await;
    assert!(!status.up && status.errors > 0, "{status:?}");
    assert_eq!(loader.texts()["shared:a"], "a: 1");
    server.again().await;
    loader.until_status("it to answer again", |status| status.up && !status.stale).await;
    server.put("/graylane/prod/a", "a: 2").await;
    loader.until_text("shared:a", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_way_is_noticed_and_the_watch_goes_on_where_it_was() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    let relay = Relay::to(server.address()).await;
    let mut loader = Loader::start(&source(relay.port, "check: 500ms"));
    loader.until_text("shared:a", "a: 1").await;
    relay.cut();
    server.put("/graylane/prod/a", "a: 2").await;
    server.put("/graylane/prod/b", "b: 1").await;
    let status = loader.until_status("the loss", |status| !status.up && status.stale).await;
    assert_eq!(loader.texts()["shared:a"], "a: 1", "{status:?}");
    relay.mend();
    loader.until_text("shared:a", "a: 2").await;
    loader.until_text("shared:b", "b: 1").await;
    loader.until_status("it to answer again", |status| status.up && !status.stale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_tells_nothing_is_found_out() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    let relay = Relay::to(server.address()).await;
    let mut loader = Loader::start(&source(relay.port, "check: 300ms"));
    loader.until_text("shared:a", "a: 1").await;
    relay.mute_watches();
    server.put("/graylane/prod/a", "a: 2").await;
    let is_dead = |status: &graylane::source::SourceStatus| {
        status.last_error.as_ref().is_some_and(|error| error.contains("the watch told nothing"))
    };
    loader.until_status("the dead watch to be found", is_dead).await;
    assert_eq!(loader.texts()["shared:a"], "a: 1");
    relay.unmute_watches();
    loader.until_text("shared:a", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_away_meanwhile_is_read_again() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    server.put("/graylane/prod/b", "b: 1").await;
    let relay = Relay::to(server.address()).await;
    let mut loader = Loader::start(&source(relay.port, "check: 500ms"));
    loader.until_text("shared:b", "b: 1").await;
    relay.cut();
    loader.until_status("the loss", |status| !status.up).await;
    server.put("/graylane/prod/a", "a: 2").await;
    server.delete("/graylane/prod/b").await;
    server.compact().await;
    relay.mend();
    loader.until("both changes", |texts| texts.len() == 1 && texts["shared:a"] == "a: 2").await;
    server.put("/graylane/prod/a", "a: 3").await;
    loader.until_text("shared:a", "a: 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_whole_and_half_a_document_is_the_loaders_to_refuse() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    let mut loader = Loader::start(&source(server.address().port(), "check: 1h"));
    loader.until_text("shared:a", "a: 1").await;
    let spoils = [("no UTF-8", vec![0xff, 0xfe]), ("bytes, at most 10240", vec![b'x'; 10_241])];
    for (why, garbage) in spoils {
        server.put("/graylane/prod/b", garbage).await;
        let told = |status: &graylane::source::SourceStatus| {
            status.last_error.as_ref().is_some_and(|error| error.contains(why))
        };
        let status = loader.until_status(why, told).await;
        assert!(status.up, "{status:?}");
        assert_eq!((loader.texts().len(), &*loader.texts()["shared:a"]), (1, "a: 1"));
        server.delete("/graylane/prod/b").await;
        loader.until_status("it to be good again", |status| status.last_error.is_none()).await;
    }
    server.put("/graylane/prod/a", "releases:\n  half: { level: per").await;
    loader.until_text("shared:a", "releases:\n  half: { level: per").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_what_is_left_of_it_is_taken() {
    let server = EtcdServer::start().await;
    server.put("/graylane/prod/a", "a: 1").await;
    let mut loader = Loader::start(&source(server.address().port(), "check: 1h"));
    loader.until_text("shared:a", "a: 1").await;
    for number in 0..8 {
        server.put(&format!("/graylane/prod/flood-{number}"), vec![b'x'; 9_000]).await;
    }
    loader.until_status("a refusal", |status| status.last_error.is_some()).await;
    // As much as was taken on the way may be in force, but never more than the bound.
    assert!(loader.status().bytes <= 50 << 10, "{:?}", loader.status());
    // One value as large as etcd takes, far more than all documents may be.
    server.put("/graylane/prod/flood-8", vec![b'x'; 1_400_000]).await;
    for number in 0..9 {
        server.delete(&format!("/graylane/prod/flood-{number}")).await;
    }
    server.put("/graylane/prod/a", "a: 2").await;
    loader.until("a alone", |texts| texts.len() == 1 && texts["shared:a"] == "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_went_back_is_believed_only_once_it_stays_there() {
    let mut server = EtcdServer::start().await;
    for turn in 0..5 {
        server.put("/graylane/prod/a", format!("a: {turn}")).await;
    }
    let mut loader = Loader::start(&source(server.address().port(), "check: 1h"));
    loader.until_text("shared:a", "a: 4").await;
    server.server.kill();
    server.forget();
    server.again().await;
    server.put("/graylane/prod/a", "a: old").await;
    let is_old = |status: &graylane::source::SourceStatus| {
        status.last_error.as_ref().is_some_and(|error| error.contains("is older than"))
    };
    loader.until_status("the old revision to be refused", is_old).await;
    assert_eq!(loader.texts()["shared:a"], "a: 4");
    // Its time to live later it is taken.
    loader.until_text("shared:a", "a: old").await;
    loader.until_status("nothing to be wrong", |status| status.up && status.last_error.is_none()).await;
}
