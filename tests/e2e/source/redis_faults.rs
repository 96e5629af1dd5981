//! What goes wrong with Redis costs nothing that was taken before.

use redis::Commands;

use super::stage::{Loader, RedisServer, Relay};
use crate::harness::eventually;

/// What spoils a document.
type Spoil<'s> = &'s dyn Fn(&mut redis::Connection);

const PUSHED: &[&str] = &["--notify-keyspace-events", "K$gx"];

fn source(port: u16, more: &str) -> String {
    format!(
        "sources: [{{ name: shared, ttl: 1s, backoff: {{ first: 50ms, most: 200ms }}, \
            bounds: {{ documents: 100, document: 10KiB, total: 50KiB }}, \
            redis: {{ address: '127.0.0.1:{port}', {more} }} }}]"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_what_it_said_in_force_and_is_found_again() {
    let mut server = RedisServer::start(PUSHED);
    server.set("graylane/prod/a", "a: 1");
    let mut loader = Loader::start(&source(server.address().port(), "poll: 1h"));
    loader.until_text("shared:a", "a: 1").await;
    server.server.kill();
    let status = loader.until_status("it to be stale", |status| status.stale).await;
    assert!(!status.up && status.errors > 0, "{status:?}");
    assert_eq!(loader.texts()["shared:a"], "a: 1");
    let metrics = loader.telemetry.render().unwrap();
    for line in [r#"graylane_source_up{source="shared"} 0"#, r#"graylane_source_stale{source="shared"} 1"#] {
        assert!(metrics.contains(line), "{metrics}");
    }
    server.again();
    loader.until_status("it to answer again", |status| status.up && !status.stale).await;
    server.set("graylane/prod/a", "a: 2");
    loader.until_text("shared:a", "a: 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_way_is_noticed_and_what_changed_meanwhile_is_seen() {
    let server = RedisServer::start(PUSHED);
    server.set("graylane/prod/a", "a: 1");
    let relay = Relay::to(server.address()).await;
    let mut loader = Loader::start(&source(relay.port, "poll: 500ms"));
    loader.until_text("shared:a", "a: 1").await;
    relay.cut();
    server.set("graylane/prod/a", "a: 2");
    let status = loader.until_status("the loss", |status| !status.up && status.stale).await;
    assert_eq!(loader.texts()["shared:a"], "a: 1", "{status:?}");
    relay.mend();
    loader.until_text("shared:a", "a: 2").await;
    loader.until_status("it to answer again", |status| status.up && !status.stale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_whole_and_half_a_document_is_the_loaders_to_refuse() {
    let server = RedisServer::start(PUSHED);
    server.set("graylane/prod/a", "a: 1");
    let mut loader = Loader::start(&source(server.address().port(), "poll: 1h"));
    loader.until_text("shared:a", "a: 1").await;

    let mut client = server.client(0);
    let spoil: [(&str, Spoil<'_>); 4] = [
        ("no UTF-8", &|client| client.set::<_, _, ()>("graylane/prod/b", &[0xff_u8, 0xfe][..]).unwrap()),
        ("WRONGTYPE", &|client| client.rpush::<_, _, ()>("graylane/prod/b", "a list").unwrap()),
        ("bytes, at most 10240", &|client| client.set::<_, _, ()>("graylane/prod/b", "x".repeat(10_241)).unwrap()),
        // Sparse on the server's side: 500 MB that must never come over the wire.
        ("bytes, at most 10240", &|client| client.setrange::<_, _, ()>("graylane/prod/b", 500_000_000, "x").unwrap()),
    ];
    for (why, spoil) in spoil {
        let before = loader.status();
        client.del::<_, ()>("graylane/prod/b").unwrap();
        spoil(&mut client);
        server.set("graylane/prod/a", "a: 2");
        let told = |status: &graylane::source::SourceStatus| {
            status.last_error.as_ref().is_some_and(|error| error.contains(why))
        };
        let status = loader.until_status(why, told).await;
        assert!(status.up && status.errors > before.errors, "{status:?}");
        // Deleted by the same command as the others are set, so that no good state lies in between.
        redis::pipe().atomic().set("graylane/prod/a", "a: 1").del("graylane/prod/b").exec(&mut client).unwrap();
        loader.until_status("it to be good again", |status| status.last_error.is_none()).await;
        loader.until_text("shared:a", "a: 1").await;
    }
    server.set("graylane/prod/a", "releases:\n  half: { level: per");
    loader.until_text("shared:a", "releases:\n  half: { level: per").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_documents_are_refused() {
    let server = RedisServer::start(PUSHED);
    let mut client = server.client(0);
    for number in 0..101 {
        client.set::<_, _, ()>(format!("graylane/prod/{number}"), "a: 1").unwrap();
    }
    let mut loader = Loader::start(&source(server.address().port(), "poll: 1h"));
    let status = loader.until_status("a refusal", |status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap().contains("more than 100 documents"));
    assert!(loader.texts().is_empty());
    server.delete("graylane/prod/7");
    loader.until("the hundred that are left", |texts| texts.len() == 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_taken_together() {
    let server = RedisServer::start(PUSHED);
    let mut loader = Loader::start(&source(server.address().port(), "poll: 1h"));
    loader.until_status("a first read", |status| status.up).await;
    let mut client = server.client(0);
    for turn in 0..500 {
        client.set::<_, _, ()>("graylane/prod/a", format!("a: {turn}")).unwrap();
    }
    loader.until_text("shared:a", "a: 499").await;
    let changes = eventually("the changes", || Some(loader.status().changes));
    assert!(changes < 100, "{changes} changes of 500 writes");
}
