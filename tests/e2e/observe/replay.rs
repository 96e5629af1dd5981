//! Replay of what a real sidecar logged: what nobody looked for is not taken for absent.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Origin, Plan, Redis, Sidecar, eventually, graylane};

const FACTS: &str = "user_id: [{ header: x-user-id }]\n\
                     sku_id: [{ query: sku }]\n\
                     region: [{ json: /region }]\n\
                     category_id: [{ json: /category }]\n\
                     order_amount: [{ header: x-amount }, { json: /amount }]\n\
                     stock_level: [{ header: x-stock }, { lookup: product, field: stock_level }]";
const LOGGED: &str =
    "access_log: all\naccess_log_file: { path: a.log }\naccess_log_facts: [region, stock_level, header:x-note]";

fn plan(origin: &Origin, redis: &Redis, release: &str) -> Plan {
    let lookups = format!(
        "lookups:\n  product: {{ redis: \"redis://{}\", key: \"product:{{sku_id}}\", deadline: 2s }}",
        redis.address()
    );
    Plan::gray(origin.address(), origin.address(), release).facts(FACTS).more(LOGGED).more(&lookups)
}

/// What replay says of the log of this sidecar under another release.
fn replayed(sidecar: &Sidecar, to: &Plan) -> Value {
    let tomorrow = sidecar.directory().join("tomorrow.yaml");
    fs::write(&tomorrow, sidecar.text_of(to)).unwrap();
    let log = sidecar.directory().join("a.log");
    let [from, to, log] = [sidecar.config(), tomorrow, log].map(|path| path.display().to_string());
    let told = graylane(["replay", "--json", "--from", &from, "--to", &to, &log]);
    serde_json::from_slice(&told.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&told.stderr)))
}

fn post(sidecar: &Sidecar, target: &str, fields: &str, body: &str) {
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    assert_eq!(sidecar.client().exchange(request.as_bytes()).status(), 200);
}

fn logged(sidecar: &Sidecar, count: usize) -> Vec<Value> {
    let path = sidecar.directory().join("a.log");
    eventually("the lines", || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= count).then_some(lines)
    })
}

const BODY: &str = "{\"region\":\"east\",\"category\":\"1001\",\"amount\":12.5}";

#[test]
fn bodies_and_records_that_nobody_wanted_are_not_absent_in_the_log() {
    let (origin, redis) = (Origin::lane("any"), Redis::start());
    redis.say("HSET product:7 stock_level 501");
    let closed = plan(&origin, &redis, "permille: 100");
    let sidecar = Sidecar::start(&closed);
    (0..20).for_each(|user| post(&sidecar, "/?sku=7", &format!("x-user-id: u{user}\r\n"), BODY));
    let line = &logged(&sidecar, 20)[0];
    assert_eq!((line.get("facts"), &line["absent"]), (None, &json!(["header:x-note"])), "{line}");
    for (condition, fact) in [
        ("{ key: region, operator: EQ, value: east }", "region"),
        ("{ key: category_id, operator: EQ, value: \"1001\" }", "category_id"),
        ("{ key: order_amount, operator: GT, value: 5 }", "order_amount"),
        ("{ key: stock_level, operator: GT, value: 500 }", "stock_level"),
    ] {
        let report = replayed(&sidecar, &plan(&origin, &redis, &format!("level: full\nconditions: [{condition}]")));
        let told = &report["undecided_kinds"][0];
        assert_eq!((&report["undecided"], &report["changed"]["requests"]), (&20.into(), &0.into()), "{report}");
        assert_eq!(told["reason"], format!("the log does not hold `{fact}`"));
    }
    // What needs none of them is as certain as ever.
    let report = replayed(&sidecar, &plan(&origin, &redis, "level: full"));
    assert_eq!((&report["undecided"], &report["seen"]["requests"]), (&0.into(), &20.into()), "{report}");
}

#[test]
fn what_was_looked_for_and_not_there_is_absent() {
    let (origin, redis) = (Origin::lane("any"), Redis::start());
    redis.say("HSET product:7 stock_level 501");
    redis.say("HSET product:8 name eight");
    let rule = |least: u32| {
        format!(
            "level: full\nconditions: [{{ any: [{{ key: region, operator: EQ, value: east }}, \
             {{ key: stock_level, operator: GT, value: {least} }}] }}]"
        )
    };
    let sidecar = Sidecar::start(&plan(&origin, &redis, &rule(900)));
    post(&sidecar, "/?sku=7", "", "{}");
    // No such field, no such record, no key, no body, a body that is not read: absent, tomorrow as well.
    post(&sidecar, "/?sku=8", "", "{}");
    post(&sidecar, "/?sku=9", "", "{\"region\":null}");
    post(&sidecar, "/", "", "{}");
    sidecar.get("/?sku=8", "");
    let lines = logged(&sidecar, 5);
    let absent = |line: usize| lines[line]["absent"].to_string();
    assert_eq!(absent(0), r#"["user_id","category_id","order_amount","region","header:x-note"]"#);
    assert_eq!(absent(1), r#"["user_id","category_id","order_amount","region","stock_level","header:x-note"]"#);
    assert_eq!([2, 4].map(absent), [absent(1), absent(1)]);
    assert_eq!(absent(3), absent(1).replace("\"category_id\"", "\"sku_id\",\"category_id\""));
    let report = replayed(&sidecar, &plan(&origin, &redis, &rule(500)));
    let counted = (&report["undecided"], &report["changed"]["requests"], &report["unchanged"]);
    assert_eq!(counted, (&0.into(), &1.into(), &4.into()), "{report}");
}

#[test]
fn a_condition_that_everybody_meets_has_its_fact_logged() {
    let (origin, redis) = (Origin::lane("any"), Redis::start());
    let looked_at =
        "conditions: [{ any: [{ key: region, operator: EXISTS }, { not: { key: region, operator: EXISTS } }] }]";
    let sidecar = Sidecar::start(&plan(&origin, &redis, &format!("permille: 0\n{looked_at}")));
    post(&sidecar, "/", "x-user-id: u1\r\n", BODY);
    post(&sidecar, "/", "x-user-id: u2\r\n", "{}");
    let lines = logged(&sidecar, 2);
    assert_eq!((&lines[0]["facts"], &lines[0]["category_id"]), (&json!({ "region": "east" }), &"1001".into()));
    let tomorrow = "level: full\nconditions: [{ key: region, operator: EQ, value: east }]";
    let report = replayed(&sidecar, &plan(&origin, &redis, tomorrow));
    assert_eq!((&report["undecided"], &report["changed"]["requests"]), (&0.into(), &1.into()), "{report}");
}

#[test]
fn a_store_that_did_not_answer_leaves_its_facts_unknown() {
    let (origin, mut redis) = (Origin::lane("any"), Redis::start());
    let rule = |least: u32| format!("level: full\nconditions: [{{ key: stock_level, operator: GT, value: {least} }}]");
    let sidecar = Sidecar::start(&plan(&origin, &redis, &rule(900)));
    redis.kill();
    post(&sidecar, "/?sku=7", "", "{}");
    assert!(!logged(&sidecar, 1)[0]["absent"].to_string().contains("stock_level"));
    let report = replayed(&sidecar, &plan(&origin, &redis, &rule(500)));
    assert_eq!(report["undecided_kinds"][0]["reason"], "the log does not hold `stock_level`", "{report}");
}

#[test]
fn a_log_of_another_form_is_a_failure_that_names_the_forms() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("nginx.log");
    fs::write(&log, "203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n").unwrap();
    let config = folder.path().join("c.yaml");
    fs::write(&config, Plan::to("127.0.0.1:9".parse().unwrap()).render_at("127.0.0.1:1".parse().unwrap())).unwrap();
    let [config, log] = [config, log].map(|path| path.display().to_string());
    let told = graylane(["replay", "--from", &config, "--to", &config, &log]);
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("not a JSON object, as graylane's own log has them"), "{out}");
    assert!(err.contains("no line is a request: `--format combined` reads nginx's form"), "{err}");
    let told = graylane(["replay", "--from", &config, "--to", &config, "--format", "combined", &log]);
    assert_eq!(told.status.code(), Some(0));
}
