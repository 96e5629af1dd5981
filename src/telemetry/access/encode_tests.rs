use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::config::REDACTABLE;
use crate::decide::{Level, Reason, bucket};

static SHOWN: Redaction = Redaction::NONE;

fn entry() -> Entry<'static> {
    Entry {
        time: UNIX_EPOCH + Duration::from_millis(1_795_342_981_007),
        asked: Asked {
            request_id: "01J9",
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            client: IpAddr::from([203, 0, 113, 9]),
            protocol: "HTTP/1.1",
            method: "GET",
            host: Some("shop.example"),
            path: "/api/v1/sku/7?token=secret",
            facts: LoggedFacts {
                user_id: Some("u-1001"),
                device_id: None,
                sku_id: Some("7"),
                category_id: Some("1001"),
                order_amount: Some("299.00"),
                named: &[("stock_level", "501"), ("region", "cn-east")],
                absent: &["device_id", "user_tier"],
            },
        },
        decided: Some(Decided {
            route: "sku-detail",
            lane: "gray",
            level: Level::Permille,
            reason: Reason::Bucket,
            decided_reason: None,
            release: Some("pricing-v2"),
            bucket: Some(bucket("pricing-v2", "u1")),
            salt: Some("pricing-v2"),
            key: Some("user_id"),
            experiment: Some((bucket("price-page", "u1"), "price-page")),
        }),
        outcome: Outcome {
            status: 200,
            upstream: Some("goods-gray"),
            duration: Duration::from_micros(12_034),
            upstream_duration: Some(Duration::from_micros(11_005)),
            bytes_in: 0,
            bytes_out: 512,
            replayed: true,
            shielded: None,
            fault: Some("drill"),
            fault_counts: true,
            limited: None,
            error: None,
        },
        redact: &SHOWN,
    }
}

fn line(entry: &Entry<'_>) -> String {
    let mut out = Vec::new();
    encode(entry, &UserHash::with_key(&[1; 32]).unwrap(), &mut out);
    String::from_utf8(out).unwrap()
}

fn parsed(entry: &Entry<'_>) -> serde_json::Value {
    let line = line(entry);
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_full_line_in_its_order() {
    let user = UserHash::with_key(&[1; 32]).unwrap().hash("u-1001");
    let user = std::str::from_utf8(user.as_bytes()).unwrap();
    let expected = concat!(
        r#"{"time":"2026-11-22T10:23:01.007Z","request_id":"01J9","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","#,
        r#""client":"203.0.113.9","protocol":"HTTP/1.1","method":"GET","host":"shop.example","#,
        r#""path":"/api/v1/sku/7","user":"USER","sku_id":"7","category_id":"1001","order_amount":"299.00","#,
        r#""facts":{"stock_level":"501","region":"cn-east"},"absent":["device_id","user_tier"],"#,
        r#""route":"sku-detail","lane":"gray","level":"permille","reason":"bucket","release":"pricing-v2","#,
        r#""bucket":68,"salt":"pricing-v2","key":"user_id","ab_bucket":AB,"ab_salt":"price-page","status":200,"upstream":"goods-gray","duration_ms":12.034,"#,
        r#""upstream_ms":11.005,"bytes_in":0,"bytes_out":512,"replayed":true,"fault":"drill","#,
        r#""fault_counts":true}"#,
        "\n"
    );
    assert_eq!(line(&entry()), expected.replace("USER", user).replace("AB", &bucket("price-page", "u1").to_string()));
}

#[test]
fn neither_the_user_id_nor_the_query_stands_in_the_line() {
    let line = line(&entry());
    assert!(!line.contains("u-1001") && !line.contains("secret"), "{line}");
}

#[test]
fn what_is_absent_has_no_field() {
    let mut entry = entry();
    entry.asked.trace_id = None;
    entry.asked.host = None;
    entry.asked.facts = LoggedFacts::default();
    entry.decided = None;
    entry.outcome = Outcome {
        status: 404,
        upstream: None,
        upstream_duration: None,
        replayed: false,
        shielded: None,
        fault: None,
        fault_counts: false,
        error: Some("no_route"),
        ..entry.outcome
    };
    let object = parsed(&entry);
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "bytes_in",
        "bytes_out",
        "client",
        "duration_ms",
        "error",
        "method",
        "path",
        "protocol",
        "request_id",
        "status",
        "time",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_hostile_value_forges_no_line_and_commands_no_terminal() {
    let hostile = "/a\"}\n{\"lane\":\"gray\"}\r\0\u{1b}[2J\u{9b}2J\u{2028}\u{202e}\u{7f}\\";
    let mut entry = entry();
    entry.asked.path = hostile;
    let line = line(&entry);
    assert!(line.trim_end().chars().all(|c| !is_deceptive(c)), "{line:?}");
    assert_eq!(parsed(&entry)["path"], hostile);
}

#[test]
fn long_values_are_cut_with_a_mark() {
    let mut entry = entry();
    let long = "x".repeat(5000);
    let escaped = "\n".repeat(5000);
    entry.asked.path = &long;
    entry.asked.host = Some(&escaped);
    entry.asked.facts.sku_id = Some(&long);
    let object = parsed(&entry);
    let is_cut = |name: &str, length: usize| {
        let value = object[name].as_str().unwrap();
        assert!(value.ends_with('…'), "{name}");
        assert_eq!(value.chars().count(), length + 1, "{name}");
    };
    is_cut("path", 1024);
    is_cut("host", 256 / 6);
    is_cut("sku_id", 256);
    assert!(line(&entry).len() < 4096);
}

#[test]
fn a_value_of_just_the_limit_is_whole() {
    let check = |value: &str| {
        let mut entry = entry();
        entry.asked.host = Some(value);
        assert_eq!(parsed(&entry)["host"], value);
    };
    check(&"x".repeat(256));
    check(&"é".repeat(128));
    check("");
}

#[test]
fn times_beyond_reason_do_not_panic() {
    let mut entry = entry();
    entry.time = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    entry.outcome.duration = Duration::MAX;
    assert_eq!(parsed(&entry)["time"], "1970-01-01T00:00:00.000Z");
}

#[test]
fn every_field_that_can_be_hidden_is_there_without_its_value() {
    let shown = parsed(&Entry {
        asked: Asked { facts: LoggedFacts { device_id: Some("d"), ..entry().asked.facts }, ..entry().asked },
        ..entry()
    });
    for name in REDACTABLE {
        let redact = Redaction { fields: vec![(*name).into()], parameters: Vec::new() };
        let facts = LoggedFacts { device_id: Some("d"), ..entry().asked.facts };
        let hidden = parsed(&Entry { asked: Asked { facts, ..entry().asked }, redact: &redact, ..entry() });
        for (field, value) in shown.as_object().unwrap() {
            let expected = if field == name { &serde_json::Value::from("…") } else { value };
            assert_eq!(&hidden[field], expected, "{field} with {name} hidden");
        }
    }
}

#[test]
fn a_hidden_fact_is_there_and_an_absent_one_stays_absent() {
    let fields = vec!["stock_level".into(), "user_tier".into()];
    let redact = Redaction { fields, parameters: Vec::new() };
    let object = parsed(&Entry { redact: &redact, ..entry() });
    assert_eq!(object["facts"], serde_json::json!({ "stock_level": "…", "region": "cn-east" }));
    assert_eq!(object["absent"], serde_json::json!(["device_id", "user_tier"]));
}

proptest! {
    #[test]
    fn whatever_fits_comes_back_as_it_was(value in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let mut entry = entry();
        entry.asked.host = Some(&value);
        prop_assert_eq!(&parsed(&entry)["host"], &serde_json::Value::from(value.as_str()));
    }
}
