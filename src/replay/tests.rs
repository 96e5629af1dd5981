//! What a replay counts, what it refuses to guess, and what it survives.

use std::io::{Cursor, Read};
use std::num::NonZeroUsize;
use std::path::Path;

use super::*;
use crate::config::{KeyFiles, Settings, load_text};
use crate::decide::bucket;

const FROM: &str = r#"
service: goods
trust: [127.0.0.0/8]
facts:
  user_id: [{ header: x-user-id }]
  device_id: [{ header: x-device-id }]
  sku_id: [{ path: sku_id }]
  category_id: [{ header: x-category-id }]
  order_amount: [{ header: x-order-amount }]
  stock_level: [{ header: x-stock-level }]
upstreams: { s: { endpoints: [127.0.0.1:9001] }, g: { endpoints: [127.0.0.1:9002] } }
experiments: { page: { groups: { a: 500, b: 500 } } }
releases:
  r: { level: permille, permille: 0 }
routes:
  - { name: sku, match: { path: "/sku/{sku_id}" }, lanes: { stable: s, gray: g }, release: r }
"#;

fn settings(text: &str) -> Settings {
    load_text(Path::new("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent).unwrap().settings
}

fn to(release: &str) -> String {
    FROM.replace("{ level: permille, permille: 0 }", release)
}

/// A line of the own log by a user, with what is to stand at its end.
fn line(user: &str, more: &str) -> String {
    let bucket = bucket("r", user);
    format!(
        r#"{{"client":"203.0.113.9","method":"GET","host":"a","path":"/sku/7","user":"{user}-hash","sku_id":"7","order_amount":"10.50","route":"sku","lane":"stable","level":"none","reason":"bucket_out","release":"r","bucket":{bucket},"salt":"r","key":"user_id"{more},"status":200}}"#
    )
}

fn log(users: usize) -> String {
    (0..users).map(|user| line(&format!("u{user}"), "") + "\n").collect()
}

fn replay_as(to: &str, log: impl Read + 'static, format: Format, pairs: &[(&str, &str)]) -> Report {
    let (from, to) = (settings(FROM), settings(to));
    let pairs: Vec<_> = pairs.iter().map(|(part, field)| ((*part).to_owned(), (*field).to_owned())).collect();
    let fields = Fields::new(format, &pairs).unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let plan = Plan { from: &from, to: &to, format, fields: &fields, host: None, threads };
    run(&plan, vec![Input { name: "log".to_owned(), reader: Box::new(log) }], &|_| {})
}

fn replay(to: &str, log: impl Into<Vec<u8>>) -> Report {
    replay_as(to, Cursor::new(log.into()), Format::Graylane, &[])
}

#[track_caller]
fn undecided(to: &str, log: &str, expected: &str) {
    let report = replay(to, log);
    let told: Vec<String> =
        report.undecided_kinds.iter().map(|kind| format!("{} {}", kind.kind, kind.reason)).collect();
    assert_eq!(told.join("\n"), expected);
    assert_eq!((report.undecided, report.changed.requests), (report.seen.requests, 0));
}

#[test]
fn exactly_the_buckets_below_the_new_permille_move() {
    let log = log(3000);
    let moved = (0..3000).filter(|user| bucket("r", &format!("u{user}")).get() < 200).count() as u64;
    let report = replay(&to("{ level: permille, permille: 200 }"), log.as_str());
    assert_eq!((report.seen.requests, report.changed.requests, report.undecided), (3000, moved, 0));
    assert_eq!(report.unchanged, 3000 - moved);
    assert_eq!((report.changed.users, report.changed.skus), (moved, 1));
    assert_eq!(report.changed.amount.to_string(), format!("{}.{:02}", moved * 1050 / 100, moved * 1050 % 100));
    let [one] = &report.moves[..] else { panic!("{:?}", report.moves) };
    assert_eq!((&*one.from, &*one.to, one.counted.requests), ("stable", "gray", moved));
    assert_eq!((one.route_from.as_deref(), one.release_to.as_deref()), (Some("sku"), Some("r")));
    assert_eq!(report.unlike_log, None);
    assert_eq!(replay(FROM, log).changed.requests, 0);
}

#[test]
fn another_salt_or_key_is_not_decidable() {
    let log = log(5);
    undecided(
        &to("{ level: permille, permille: 200, salt: new }"),
        &log,
        "salt the log has no bucket under a salt of release `r`",
    );
    undecided(
        &to("{ level: permille, permille: 200, hash_key: device_id }"),
        &log.replace(r#""user":"#, r#""device":"d","user":"#),
        "hash_key the logged bucket is not of what release `r` hashes",
    );
    undecided(
        &to("{ level: ab, ab: { experiment: page, groups: [b] } }"),
        &log,
        "salt the log has no bucket under a salt of release `r`",
    );
}

#[test]
fn a_new_salt_does_not_matter_where_everybody_is_admitted() {
    let report = replay(&to("{ level: full, salt: new }"), log(5));
    assert_eq!((report.changed.requests, report.undecided), (5, 0));
}

#[test]
fn an_experiments_bucket_is_the_logged_one() {
    let log: String = (0..200)
        .map(|user| {
            let user = format!("u{user}");
            line(&user, &format!(r#","ab_bucket":{},"ab_salt":"page""#, bucket("page", &user))) + "\n"
        })
        .collect();
    let inside = (0..200).filter(|user| bucket("page", &format!("u{user}")).get() >= 500).count() as u64;
    let report = replay(&to("{ level: ab, ab: { experiment: page, groups: [b] } }"), log);
    assert_eq!((report.changed.requests, report.undecided), (inside, 0));
}

#[test]
fn a_condition_needs_its_fact_in_the_log() {
    let rule = to("{ level: full, conditions: [{ key: stock_level, operator: GT, value: 500 }] }");
    undecided(&rule, &log(3), "fact the log does not hold `stock_level`");
    let with = |facts: &str| line("u1", facts);
    assert_eq!(replay(&rule, with(r#","facts":{"stock_level":"501"}"#)).changed.requests, 1);
    assert_eq!(replay(&rule, with(r#","facts":{"stock_level":"500"}"#)).unchanged, 1);
    assert_eq!(replay(&rule, with(r#","absent":["stock_level"]"#)).unchanged, 1);
    undecided(&rule, &with(r#","facts":{"stock_level":"5…"}"#), "fact the log does not hold `stock_level`");
}

#[test]
fn an_override_stays_where_it_was_while_the_release_is_there() {
    let logged = line("u1", "").replace("bucket_out", "override").replace(r#""lane":"stable""#, r#""lane":"gray""#);
    let report = replay(&to("{ level: full }"), logged.as_str());
    assert_eq!((report.unchanged, report.unlike_log), (1, None));
    let renamed = to("{ level: full }").replace("  r: ", "  other: ").replace("release: r ", "release: other ");
    assert_eq!(replay(&renamed, logged.as_str()).undecided_kinds[0].kind, "override_or_mark");
}

#[test]
fn a_log_of_another_configuration_is_noticed() {
    let logged = line("u1", "").replace(r#""lane":"stable""#, r#""lane":"gray""#);
    assert_eq!(replay(FROM, logged.as_str()).unlike_log.map(|unlike| unlike.lines), Some(1));
    let broken = logged.replace("bucket_out", "breaker_open");
    assert_eq!(replay(FROM, broken).unlike_log, None);
}

#[test]
fn a_request_that_finds_no_route_any_more_changes_to_none() {
    let report = replay(&FROM.replace("/sku/{sku_id}", "/items/{sku_id}"), log(1));
    assert_eq!((&*report.moves[0].from, &*report.moves[0].to), ("stable", "none"));
}

#[test]
fn nginx_lines_are_read_by_a_map_of_fields() {
    let log = concat!(
        r#"203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] "GET /sku/8?a=1 HTTP/1.1" 200 5 "-" "curl/8 \x22x\x22" "u1" "600""#,
        "\n",
        r#"203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] "GET /sku/9 HTTP/1.1" 200 5 "-" "curl/8" "u2" "-""#,
        "\r\n",
    );
    let rule = to("{ level: full, conditions: [{ key: stock_level, operator: GT, value: 500 }] }");
    let map = [("user_id", "field10"), ("stock_level", "field11")];
    let report = replay_as(&rule, Cursor::new(log), Format::Combined, &map);
    assert_eq!((report.changed.requests, report.unchanged, report.undecided), (1, 1, 0));
    assert_eq!((report.seen.users, report.seen.skus), (2, 2));
    let header = [("header:x-user-id", "field10"), ("header:x-stock-level", "$field11")];
    let report = replay_as(&rule, Cursor::new(log), Format::Combined, &header);
    assert_eq!((report.changed.requests, report.undecided), (1, 0));
    let report = replay_as(&rule, Cursor::new(log), Format::Combined, &[]);
    assert_eq!(report.undecided, 2);
}

#[test]
fn json_lines_are_read_by_names_and_pointers() {
    let log = r#"{"verb":"GET","uri":"/sku/8?x","who":{"id":1001},"stock":600}"#;
    let rule = to("{ level: full, conditions: [{ key: stock_level, operator: GT, value: 500 }] }");
    let map = [("method", "verb"), ("uri", "uri"), ("user_id", "/who/id"), ("stock_level", "stock")];
    let report = replay_as(&rule, Cursor::new(log), Format::Json, &map);
    assert_eq!((report.changed.requests, report.changed.users, report.changed.skus), (1, 1, 1));
}

#[test]
fn json_numbers_are_hashed_as_the_digits_written() {
    let rule = to("{ level: permille, permille: 500 }");
    let map = [("method", "m"), ("uri", "u"), ("user_id", "/a~1b/1/id"), ("category_id", "deep")];
    for id in ["9007199254740993", "12345678901234567890123", "1.50", "\"9007199254740993\"", "\"\\u0075\\u0031\""] {
        let log = format!(r#"{{"m":"GET","u":"/sku/8","deep":{{"x":[[[1]]]}},"a/b":[0,{{"id":{id}}}]}}"#);
        let report = replay_as(&rule, Cursor::new(log), Format::Json, &map);
        let key = serde_json::from_str::<String>(id).unwrap_or_else(|_| id.to_owned());
        let moves = u64::from(bucket("r", &key).get() < 500);
        assert_eq!((report.changed.requests, report.undecided, report.unreadable), (moves, 0, 0), "{id}");
    }
}

#[test]
fn a_map_that_cannot_be_is_refused() {
    let error = |format, pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(part, field)| ((*part).to_owned(), (*field).to_owned())).collect();
        Fields::new(format, &pairs).unwrap_err().to_string()
    };
    assert_eq!(error(Format::Graylane, &[("user_id", "u")]), "graylane's own log needs no map of fields");
    assert_eq!(error(Format::Json, &[("method", "m")]), "the map of fields has no `uri`");
    assert!(error(Format::Combined, &[("user_id", "remote_usr")]).starts_with("`remote_usr` is no field"));
    assert!(error(Format::Combined, &[("user_id", "field0")]).starts_with("`field0` is no field"));
    assert_eq!(error(Format::Json, &[("tag", "a"), ("tags", "b")]), "`tags` is mapped twice");
}

#[test]
fn hostile_lines_are_counted_and_the_first_of_each_kind_is_shown() {
    let good = line("u1", "");
    let mut bytes = format!("{good}\n\n").into_bytes();
    for bad in [&b"\xff\xfe"[..], b"{\"method\":\"GET\0\"}", b"[1]", b"{}", b"\xff again", b"\x1b[2J not json"] {
        bytes.extend_from_slice(bad);
        bytes.push(b'\n');
    }
    bytes.extend(std::iter::repeat_n(b'x', 1 << 20));
    bytes.extend_from_slice(format!("\n{}\n{good}", "[".repeat(60_000)).as_bytes());
    let report = replay(FROM, bytes);
    assert_eq!((report.seen.requests, report.unreadable), (2, 8));
    let kinds: Vec<(&str, u64, u64)> =
        report.unreadable_kinds.iter().map(|kind| (&*kind.kind, kind.lines, kind.first.line)).collect();
    assert_eq!(kinds, [("no_request", 1, 6), ("not_json", 4, 4), ("not_utf8", 2, 3), ("too_long", 1, 9)]);
    assert!(report.unreadable_kinds.iter().all(|kind| !kind.first.text.contains(char::is_control)));
    assert_eq!(report.inputs[0].lines, 11);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_read_and_a_cut_one_is_told() {
    let log = log(5000);
    let whole = gzip(log.as_bytes());
    let report = replay(FROM, whole.clone());
    assert_eq!((report.seen.requests, &report.inputs[0].problem), (5000, &None));
    let two = [gzip(line("u1", "").as_bytes()), gzip(b"\n"), gzip(line("u2", "").as_bytes())].concat();
    assert_eq!(replay(FROM, two).seen.requests, 2);
    let report = replay(FROM, &whole[..whole.len() / 2]);
    assert!(report.inputs[0].problem.is_some());
    assert!((1..5000).contains(&report.seen.requests), "{}", report.seen.requests);
    assert_eq!(report.unreadable, 0);
}

#[test]
fn threads_and_blocks_do_not_change_what_is_counted() {
    let log = log(20_000);
    let report = replay(&to("{ level: permille, permille: 300 }"), log.as_str());
    let inside = (0..20_000).filter(|user| bucket("r", &format!("u{user}")).get() < 300).count() as u64;
    assert_eq!((report.seen.requests, report.changed.requests), (20_000, inside));
    let error = (report.seen.users as f64 / 20_000.0 - 1.0).abs();
    assert!(error < 4.0 * Distinct::STANDARD_ERROR, "{}", report.seen.users);
}

#[test]
fn what_the_log_does_not_show_is_not_guessed() {
    let wanted = to("{ level: permille, permille: 1000, conditions: [{ key: sku_id, operator: EQ, value: \"7\" }] }");
    let shown = line("u", "");
    assert_eq!(replay(&wanted, shown.as_str()).changed.requests, 1);
    let hidden = shown.replace("/sku/7", "/sku/{sku_id}").replace(r#""sku_id":"7""#, r#""sku_id":"…""#);
    undecided(&wanted, &hidden, "fact the log does not hold `sku_id`");
}
