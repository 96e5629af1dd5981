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
fn what_nobody_looked_for_is_not_absent() {
    let of_body = |text: &str| text.replace("[{ header: x-category-id }]", "[{ json: /category }]");
    let rule = to("{ level: full, conditions: [{ key: category_id, operator: EQ, value: '1001' }] }");
    let told = |from: &str, to: &str, more: &str| {
        let report = replay_between(from, to, &line("u1", more), Format::Graylane, &[]);
        (report.unchanged, report.undecided_kinds.first().map(|kind| kind.reason.clone()))
    };
    let unknown = (0, Some(String::from("the log does not hold `category_id`")));
    // Said to be absent: it was looked for, whatever its sources are.
    let absent = r#","absent":["device_id","category_id"]"#;
    assert_eq!(told(&of_body(FROM), &of_body(&rule), absent), (1, None));
    // Left out: it was not. A line of before such facts were told apart names none of those with a field of their own, and
    // left out what was not there in the head as well.
    assert_eq!(told(&of_body(FROM), &of_body(&rule), r#","absent":["device_id"]"#), unknown);
    assert_eq!(told(FROM, &rule, r#","absent":["device_id"]"#), unknown);
    assert_eq!(told(FROM, &rule, r#","absent":["stock_level"]"#), (1, None));
    assert_eq!(told(&of_body(FROM), &rule, ""), unknown);
    // No source then, so nothing was looked for; no source tomorrow, so nothing will be there.
    let without = |text: &str| text.replace("  category_id: [{ header: x-category-id }]\n", "");
    assert_eq!(told(&without(FROM), &rule, ""), unknown);
    assert_eq!(told(FROM, &without(&rule), r#","absent":["device_id"]"#), (1, None));
}

#[test]
fn a_parameter_of_a_path_that_comes_with_a_new_route_is_read_though_the_fact_was_absent() {
    let rest = FROM
        .replace("[{ path: sku_id }]", "[{ path: sku_id }, { header: x-sku-id }]")
        .replace("/sku/{sku_id}", "/{*rest}");
    let rule = "{ level: full, conditions: [{ key: sku_id, operator: EQ, value: '7' }] }";
    let named = rest.replace("{ level: permille, permille: 0 }", rule).replace("/{*rest}", "/sku/{sku_id}");
    let line = line("u1", r#","absent":["stock_level","sku_id"]"#).replace(r#""sku_id":"7","#, "");
    let told = |to: &str| {
        let report = replay_between(&rest, to, &line, Format::Graylane, &[]);
        (report.changed.requests, report.undecided)
    };
    assert_eq!(told(&named), (1, 0));
    assert_eq!(told(&rest), (0, 0), "the same configuration changes nothing");
}

#[test]
fn a_user_that_nobody_looked_for_has_no_bucket() {
    let anonymous = |absent: &str| {
        format!(
            r#"{{"method":"GET","path":"/sku/7","sku_id":"7",{absent}"route":"sku","lane":"stable","level":"none","reason":"no_release","status":200}}"#
        )
    };
    let ramp = to("{ level: permille, permille: 200 }");
    let body = |text: &str| text.replace("user_id: [{ header: x-user-id }]", "user_id: [{ json: /user }]");
    let told = |from: &str, to: &str, absent: &str| {
        let report = replay_between(from, to, &anonymous(absent), Format::Graylane, &[]);
        (report.unchanged, report.undecided)
    };
    assert_eq!(told(&body(FROM), &body(&ramp), r#""absent":["device_id"],"#), (0, 1));
    assert_eq!(told(&body(FROM), &body(&ramp), r#""absent":["user_id","device_id"],"#), (1, 0));
    assert_eq!(told(FROM, &ramp, ""), (1, 0));
    // Nobody can have an id that nothing is read from.
    let without = |text: &str| text.replace("  device_id: [{ header: x-device-id }]\n", "");
    assert_eq!(told(&without(FROM), &without(&ramp), r#""absent":["user_id"],"#), (1, 0));
    assert_eq!(told(&without(FROM), &ramp, r#""absent":["user_id"],"#), (0, 1));
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
fn a_province_of_another_log_follows_from_the_city() {
    let facts =
        |city: &str| FROM.replace("facts:", &format!("facts:\n  province_code: [{{ header: x-province }}]\n{city}"));
    let rule = |city: &str| {
        facts(city).replace(
            "{ level: permille, permille: 0 }",
            "{ level: full, conditions: [{ key: province_code, operator: EQ, value: \"44\" }] }",
        )
    };
    let log = r#"{"m":"GET","u":"/sku/8","p":"440000","c":"330100","i":"u1"}"#.to_owned() + "\n";
    let map = [("method", "m"), ("uri", "u"), ("user_id", "i"), ("header:x-province", "p")];
    let told = |city: &str, map: &[(&str, &str)]| {
        let (from, to) = (settings(&facts(city)), settings(&rule(city)));
        let pairs: Vec<_> = map.iter().map(|(part, field)| ((*part).to_owned(), (*field).to_owned())).collect();
        let fields = Fields::new(Format::Json, &pairs).unwrap();
        let one = NonZeroUsize::MIN;
        let plan = Plan { from: &from, to: &to, format: Format::Json, fields: &fields, host: None, threads: one };
        let report =
            run(&plan, vec![Input { name: "log".into(), reader: Box::new(Cursor::new(log.clone())) }], &|_| {});
        let why = report.undecided_kinds.iter().map(|kind| kind.reason.clone()).collect::<String>();
        (report.changed.requests, report.undecided, why)
    };
    let by_city = "  city_id: [{ header: x-city }]";
    let with_city: Vec<_> = map.iter().copied().chain([("header:x-city", "c")]).collect();
    assert_eq!(told("", &map), (1, 0, String::new()), "nobody looks for a city");
    assert_eq!(told(by_city, &with_city), (0, 0, String::new()), "the city lies in 33");
    assert_eq!(told(by_city, &map), (0, 1, "the log does not hold `city_id`".to_owned()));
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
    let expected =
        [("no_request", 1, 6), ("not_json", 3, 5), ("not_json", 1, 4), ("not_utf8", 2, 3), ("too_long", 1, 9)];
    assert_eq!(kinds, expected);
    assert!(report.unreadable_kinds.iter().all(|kind| !kind.first.text.contains(char::is_control)));
    assert_eq!(report.inputs[0].lines, 11);
}

/// What a report says of lines that are no requests: how many, why.
fn unreadable(report: &Report) -> Vec<(u64, &str)> {
    report.unreadable_kinds.iter().map(|kind| (kind.lines, &*kind.reason)).collect()
}

#[test]
fn what_is_no_request_is_not_decided() {
    let json = [
        r#""GET","u":"/sku/1""#,
        r#"5,"u":"/sku/1""#,
        r#""GE T","u":"/sku/1""#,
        r#""GET","u":"x""#,
        r#""GET","u":"/sku/%00""#,
    ]
    .map(|rest| format!("{{\"m\":{rest}}}\n"))
    .concat();
    let report = replay_as(FROM, Cursor::new(json), Format::Json, &[("method", "m"), ("uri", "u"), ("user_id", "id")]);
    let expected = [
        (1, "no request: the method is no text"),
        (1, "no request: the method is no word"),
        (1, "no request: the path does not begin with a slash"),
        (1, "no request: the path would be refused"),
    ];
    let mut told = unreadable(&report);
    told.sort_unstable();
    assert_eq!((report.seen.requests, told), (1, expected.into()));

    let combined: String =
        ["GET http://a HTTP/1.1", "OPTIONS * HTTP/1.1", "G{T /sku/7 HTTP/1.1", "GET sku HTTP/1.1", "GET /%00 HTTP/1.1"]
            .map(|request| format!("203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] \"{request}\" 200 5 \"-\" \"-\"\n"))
            .concat();
    let report = replay_as(FROM, Cursor::new(combined), Format::Combined, &[]);
    assert_eq!((report.seen.requests, report.unreadable, report.unreadable_kinds.len()), (2, 3, 3));
    // Our own log has what was answered with 400, and says where it went: nowhere.
    let refused = r#"{"method":"GET","path":"/sku/%00","status":400}"#;
    assert_eq!(replay(FROM, refused).unchanged, 1);
}

#[test]
fn a_log_of_another_form_is_told_so_in_words_of_ours() {
    let log =
        nginx(&[("/sku/7".to_owned(), ""), ("/sku/8".to_owned(), "")]) + "{\"method\":1}\n{\"method\":\"GET\"\n{}\n";
    let report = replay(FROM, log);
    let expected = [
        (1, "no `method`"),
        (2, "not a JSON object, as graylane's own log has them"),
        (1, "JSON that ends too early: EOF while parsing an object at line 1 column 15"),
        (1, "not a JSON object of this form: invalid type: integer `1`, expected a text at line 1 column 11"),
    ];
    assert_eq!(unreadable(&report), expected);
}

#[test]
fn no_estimate_is_above_the_number_of_requests() {
    // Enough different users that some estimate on the way is above the truth.
    let users = (1..30).map(|step| 600 * step + 600).find(|users| {
        let mut distinct = Distinct::default();
        (0..*users).for_each(|user| distinct.add(Mark::of(1, &format!("u{user}-hash"))));
        distinct.count() > *users
    });
    let users = users.expect("an estimate is above the truth about half of the time");
    let report = replay(FROM, log(users as usize));
    assert_eq!((report.seen.requests, report.seen.users), (users, users));
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

/// Two configurations whose facts come from the query, or from what `facts` says instead.
fn shop(facts: &str, release: &str) -> String {
    FROM.replace("user_id: [{ header: x-user-id }]", "user_id: [{ query: uid }]")
        .replace("device_id: [{ header: x-device-id }]", "device_id: [{ query: device }]")
        .replace("category_id: [{ header: x-category-id }]", "category_id: [{ query: category }]")
        .replace("order_amount: [{ header: x-order-amount }]", "order_amount: [{ query: amount }]")
        .replace("releases:\n", &format!("{facts}\nreleases:\n"))
        .replace("{ level: permille, permille: 0 }", release)
}

#[track_caller]
fn replay_between(from: &str, to: &str, log: &str, format: Format, pairs: &[(&str, &str)]) -> Report {
    let (from, to) = (settings(from), settings(to));
    let pairs: Vec<_> = pairs.iter().map(|(part, field)| ((*part).to_owned(), (*field).to_owned())).collect();
    let fields = Fields::new(format, &pairs).unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let plan = Plan { from: &from, to: &to, format, fields: &fields, host: None, threads };
    run(&plan, vec![Input { name: "log".to_owned(), reader: Box::new(Cursor::new(log.to_owned())) }], &|_| {})
}

/// nginx's lines for these requests, with fields behind the form.
fn nginx(requests: &[(String, &str)]) -> String {
    let line = |(target, more): &(String, &str)| {
        format!(r#"203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] "GET {target} HTTP/1.1" 200 5 "-" "curl/8"{more}"#)
            + "\n"
    };
    requests.iter().map(line).collect()
}

#[test]
fn users_of_a_query_parameter_are_counted_by_the_key_that_is_hashed() {
    let requests: Vec<_> = (0..3000).map(|n| (format!("/sku/7?a=1&uid=u%2B{}&device=d{n}", n % 1000), "")).collect();
    let log = nginx(&requests);
    let inside =
        |prefix: &str, many: u64| (0..many).filter(|n| bucket("r", &format!("{prefix}{n}")).get() < 300).count() as u64;
    let none = shop("", "{ level: permille, permille: 0 }");
    let report = replay_between(&none, &shop("", "{ permille: 300 }"), &log, Format::Combined, &[]);
    assert_eq!((report.seen.users, report.undecided), (1000, 0));
    assert_eq!((report.changed.requests, report.changed.users), (3 * inside("u+", 1000), inside("u+", 1000)));
    assert_eq!(report.moves[0].counted.users, inside("u+", 1000));
    // The same requests under a release that hashes the device: 3000 of them, of which the sketch knows the number only about.
    let by_device = |permille| shop("", &format!("{{ permille: {permille}, hash_key: device_id }}"));
    let report = replay_between(&by_device(0), &by_device(300), &log, Format::Combined, &[]);
    assert_eq!((report.changed.requests, report.changed.users), (inside("d", 3000), inside("d", 3000)));
    assert!((report.seen.users as f64 / 3000.0 - 1.0).abs() < 4.0 * Distinct::STANDARD_ERROR, "{}", report.seen.users);
}

#[test]
fn a_user_and_a_device_of_one_name_are_two_and_a_request_with_neither_is_nobody() {
    let log = nginx(&[
        ("/sku/7?uid=x".to_owned(), ""),
        ("/sku/7?device=x".to_owned(), ""),
        ("/sku/7?uid=&device=x".to_owned(), ""),
        ("/sku/7".to_owned(), ""),
    ]);
    let full = shop("", "{ level: full }");
    let report = replay_between(&shop("", "{ permille: 0 }"), &full, &log, Format::Combined, &[]);
    assert_eq!((report.changed.requests, report.changed.users, report.undecided), (4, 2, 0));
}

#[test]
fn users_of_cookies_and_header_fields_are_counted() {
    let by = |source: &str, release: &str| shop("", release).replace("{ query: uid }", source);
    let log = nginx(&[
        ("/sku/7".to_owned(), r#" "theme=dark; uid=u1; x=y" "u1""#),
        ("/sku/7".to_owned(), r#" "uid=\x22u2\x22" "\x22u2\x22""#),
        ("/sku/7".to_owned(), r#" "uid=u1" " u1 ""#),
        ("/sku/7".to_owned(), r#" "-" "-""#),
    ]);
    let check = |source: &str, log: &str, format: Format, map: &[(&str, &str)]| {
        let (from, to) = (by(source, "{ permille: 0 }"), by(source, "{ level: full }"));
        let report = replay_between(&from, &to, log, format, map);
        assert_eq!((report.changed.requests, report.changed.users, report.undecided), (4, 2, 0), "{source} {map:?}");
    };
    check("{ cookie: uid }", &log, Format::Combined, &[("header:Cookie", "field10")]);
    check("{ cookie: uid }", &log, Format::Combined, &[("cookie:uid", "field11")]);
    check(
        "{ header: x-user-id }",
        &log.replace(r#""\x22u2\x22""#, r#""u2""#),
        Format::Combined,
        &[("header:x-user-id", "field11")],
    );
    check(
        "{ header: x-user-id }, { cookie: uid }",
        &log,
        Format::Combined,
        &[("header:x-user-id", "field11"), ("header:cookie", "field10")],
    );
    check(
        "{ baggage: uid }",
        &log.replace("uid=\\x22u2\\x22", "uid=u2;p").replace("; ", ","),
        Format::Combined,
        &[("header:baggage", "field10")],
    );
    let json: String = [r#""u1""#, r#""u2""#, r#""u1""#, "null"]
        .map(|user| format!(r#"{{"m":"GET","u":"/sku/7","cookies":{{"uid":{user}}}}}"#) + "\n")
        .concat();
    check("{ cookie: uid }", &json, Format::Json, &[("method", "m"), ("uri", "u"), ("cookie:uid", "/cookies/uid")]);
}

#[test]
fn a_cookie_that_the_log_does_not_hold_is_not_guessed() {
    let by_cookie = |release: &str| shop("", release).replace("{ query: uid }", "{ cookie: uid }, { query: uid }");
    let log = nginx(&[("/sku/7?uid=u1".to_owned(), "")]);
    let report =
        replay_between(&by_cookie("{ permille: 0 }"), &by_cookie("{ permille: 900 }"), &log, Format::Combined, &[]);
    assert_eq!((report.undecided, report.seen.users, &*report.undecided_kinds[0].kind), (1, 0, "fact"));
}

#[test]
fn what_the_log_names_itself_goes_before_what_a_configuration_finds() {
    let log = nginx(&[
        ("/sku/7?uid=a".to_owned(), r#" "one""#),
        ("/sku/7?uid=b".to_owned(), r#" "one""#),
        ("/sku/7?uid=c".to_owned(), r#" "-""#),
    ]);
    let map = [("user_id", "field10")];
    let full = shop("", "{ level: full }");
    let report = replay_between(&shop("", "{ permille: 0 }"), &full, &log, Format::Combined, &map);
    assert_eq!((report.changed.requests, report.changed.users), (3, 1));
}

#[test]
fn what_only_one_configuration_finds_is_counted_too() {
    let log =
        nginx(&[("/sku/7?uid=a&category=1001&amount=5".to_owned(), ""), ("/sku/7?uid=b&amount=6".to_owned(), "")]);
    let knowing = shop("", "{ level: full }");
    let blind = "service: goods\nupstreams: { s: { endpoints: [127.0.0.1:9001] } }\n\
                 routes: [{ name: sku, match: { path: '/sku/{id}' }, lanes: { stable: s } }]\n";
    for (from, to) in [(blind, &*knowing), (&*knowing, blind)] {
        let changed = replay_between(from, to, &log, Format::Combined, &[]).changed;
        assert_eq!((changed.users, changed.skus, changed.categories), (2, 1, 1));
        assert_eq!(changed.amount.to_string(), "11");
    }
}

#[test]
fn goods_of_query_parameters_are_counted_and_amounts_are_in_whole_units() {
    let lists = "categories: ['1001', '1002']\norder_amount_unit: fen";
    let rule = "{ level: full, conditions: [{ key: order_amount, operator: GT, value: 50 }] }";
    let (from, to) = (shop(lists, "{ permille: 0 }"), shop(lists, rule));
    let log = nginx(&[
        ("/sku/7?category=1001&amount=9990".to_owned(), ""),
        ("/sku/8?category=1002&amount=5001".to_owned(), ""),
        ("/sku/8?category=9999&amount=5000".to_owned(), ""),
        ("/sku/bad%20code?amount=1e400".to_owned(), ""),
    ]);
    let report = replay_between(&from, &to, &log, Format::Combined, &[]);
    assert_eq!((report.changed.requests, report.unchanged, report.undecided), (2, 2, 0));
    assert_eq!((report.seen.skus, report.seen.categories, report.changed.categories), (2, 2, 2));
    assert_eq!((report.seen.amount.to_string(), report.changed.amount.to_string()), ("199.91".into(), "149.91".into()));
    // A field that stands for the fact is what its source would give; our own log has it as conditions saw it.
    let log = nginx(&[("/sku/7".to_owned(), r#" "9990""#), ("/sku/7".to_owned(), r#" "50""#)]);
    let report = replay_between(&from, &to, &log, Format::Combined, &[("order_amount", "field10")]);
    assert_eq!((report.changed.requests, report.seen.amount.to_string()), (1, "100.4".into()));
    let own = line("u1", "").replace("10.50", "50.01");
    let report = replay_between(&from, &to, &own, Format::Graylane, &[]);
    assert_eq!((report.changed.requests, report.changed.amount.to_string()), (1, "50.01".into()));
}
