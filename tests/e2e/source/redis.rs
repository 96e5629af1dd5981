//! What is written to Redis is seen.

use redis::Commands;

use super::stage::{Certificates, Loader, RedisServer, measure};

const PUSHED: &[&str] = &["--notify-keyspace-events", "K$gx"];

fn source(server: &RedisServer, more: &str) -> String {
    format!("sources: [{{ name: shared, redis: {{ address: '{}', {more} }} }}]", server.address())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_pushed_in_the_order_of_names() {
    let server = RedisServer::start(PUSHED);
    server.set("graylane/prod/b", "b: 1");
    server.set("graylane/prod/a", "a: 1");
    server.set("graylane/dev/a", "of another namespace");
    let mut loader = Loader::start(&source(&server, "poll: 1h"));
    loader.until("both documents", |texts| texts.len() == 2).await;
    let paths: Vec<String> =
        loader.sources.documents().iter().map(|document| document.path.display().to_string()).collect();
    assert_eq!(paths, ["shared:a", "shared:b"]);
    assert_eq!(loader.status().note, None);

    server.set("graylane/prod/a", "a: 2");
    loader.until_text("shared:a", "a: 2").await;
    server.delete("graylane/prod/b");
    loader.until("b to go", |texts| texts.len() == 1).await;
    let before = loader.status().changes;
    server.set("graylane/dev/a", "of no interest");
    server.set("graylane/prod/a", "a: 2");
    server.set("graylane/prod/c", "c: 1");
    loader.until_text("shared:c", "c: 1").await;
    assert_eq!(loader.status().changes, before + 1, "the same text again is no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_the_channel_asks_to_read() {
    let server = RedisServer::start(&[]);
    let mut loader = Loader::start(&source(&server, "poll: 1h, push: off, channel: changes"));
    loader.until_status("a first read", |status| status.up).await;
    server.set("graylane/prod/a", "a: 1");
    server.client(0).publish::<_, _, ()>("changes", "").unwrap();
    loader.until_text("shared:a", "a: 1").await;
    assert_eq!(loader.status().note, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poll_sees_what_is_not_pushed_and_says_why_it_is_needed() {
    let server = RedisServer::start(&[]);
    let mut loader = Loader::start(&source(&server, "poll: 100ms"));
    loader.until_status("a first read", |status| status.up).await;
    server.set("graylane/prod/a", "a: 1");
    loader.until_text("shared:a", "a: 1").await;
    let note = loader.status().note.unwrap();
    assert!(note.contains("`notify-keyspace-events` is ``") && note.contains("K$gx"), "{note}");
    // Switched on while we run.
    let mut client = server.client(0);
    redis::cmd("CONFIG").arg("SET").arg("notify-keyspace-events").arg("KA").exec(&mut client).unwrap();
    loader.until_status("the note to go", |status| status.note.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_both_ways_with_user_password_and_database() {
    let (files, secrets) = (Certificates::make(), tempfile::tempdir().unwrap());
    let tls_port = crate::harness::Port::reserve();
    let number = tls_port.address().port().to_string();
    let (cert, key, ca) = (files.text("cert.pem"), files.text("key.pem"), files.text("ca.pem"));
    let settings = [
        &["--tls-port", &number, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca][..],
        &["--tls-auth-clients", "yes", "--requirepass", "boss"],
        &["--user", "reader", "on", ">let-me-in", "~graylane/*", "&__keyspace@3__:graylane/blue/*"],
        &["+@read", "+@connection", "+@transaction", "+psubscribe", "+config|get"],
        PUSHED,
    ];
    let server = RedisServer::with_password("boss", &settings.concat());
    let password = secrets.path().join("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let yaml = format!(
        "sources: [{{ name: shared, namespace: blue, backoff: {{ first: 50ms, most: 100ms }}, redis: {{ \
            address: '{}', database: 3, poll: 1h, user: reader, password_file: '{}', \
            tls: {{ ca_file: '{ca}', certificate_file: '{cert}', key_file: '{key}' }} }} }}]",
        tls_port.address(),
        password.display(),
    );
    let mut loader = Loader::start(&yaml);
    let is_refused = |status: &graylane::source::SourceStatus| {
        status.last_error.as_ref().is_some_and(|error| error.starts_with("refused: "))
    };
    let status = loader.until_status("a refusal", is_refused).await;
    assert!(!status.up, "{status:?}");
    // A replaced password is read without a restart.
    std::fs::write(&password, "let-me-in\n").unwrap();
    server.client(3).set::<_, _, ()>("graylane/blue/a", "a: 1").unwrap();
    loader.until_text("shared:a", "a: 1").await;
    server.client(3).set::<_, _, ()>("graylane/blue/a", "a: 2").unwrap();
    loader.until_text("shared:a", "a: 2").await;
    let status = loader.status();
    assert!(status.up && status.last_error.is_none() && status.note.is_none(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_write_to_effect() {
    let server = RedisServer::start(PUSHED);
    let mut loader = Loader::start(&source(&server, "poll: 1h"));
    loader.until_status("a first read", |status| status.up).await;
    measure("redis", &mut loader, "shared:a", async |text| server.set("graylane/prod/a", text)).await;
}
