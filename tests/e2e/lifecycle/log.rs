//! The access log: one JSON object a line, with the decision, without the user.

use crate::harness::{Origin, Plan, Sidecar, bucket};

fn scene(access_log: &str) -> (Sidecar, Origin, Origin) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: permille\npermille: 500";
    let plan = Plan::gray(stable.address(), gray.address(), release).more(&format!("access_log: {access_log}\n"));
    (Sidecar::start(&plan), stable, gray)
}

#[test]
fn a_line_has_the_decision_and_not_the_user() {
    let (sidecar, _stable, _gray) = scene("all");
    let mut client = sidecar.client();
    let keys: Vec<String> = (0..10).map(|n| format!("private-user-{n}")).collect();
    for key in &keys {
        let fields = format!("x-user-id: {key}\r\n");
        assert_eq!(client.get("/api/v1/sku/7?q=1", &fields).status(), 200);
    }
    let log = sidecar.wait_for_log(keys.len());
    assert_eq!(log.len(), keys.len());
    for (line, key) in log.iter().zip(&keys) {
        let inside = bucket("r", key) < 500;
        assert_eq!(line["lane"], if inside { "gray" } else { "stable" }, "{line}");
        assert_eq!(line["level"], if inside { "permille" } else { "none" }, "{line}");
        assert_eq!(line["reason"], if inside { "bucket" } else { "bucket_out" }, "{line}");
        assert_eq!(line["bucket"], bucket("r", key), "{line}");
        assert_eq!(line["release"], "r", "{line}");
        assert_eq!(line["route"], "all", "{line}");
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(line["method"], "GET", "{line}");
        assert!(!line.to_string().contains("private-user"), "{line}");
    }
}

#[test]
fn hostile_text_cannot_break_a_line() {
    let (sidecar, _stable, _gray) = scene("all");
    let mut client = sidecar.client();
    let fields = "user-agent: \"}\\n{\\\"lane\\\":\\\"forged\\\"\r\nreferer: \x7f\u{202e}\r\n";
    let path = "/%22%7D%0A?a=\"},{\"";
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nuser-agent: \"}}\r\n\r\n").as_bytes());
    client.answer();
    let _ = client.try_send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    let _ = client.try_answer("GET");
    // Reading the log fails the test where a line is no JSON object.
    for line in sidecar.wait_for_log(1) {
        assert!(line.is_object(), "{line}");
        assert_ne!(line["lane"], "forged");
    }
}

#[test]
fn nothing_is_logged_by_default() {
    let (sidecar, _stable, _gray) = scene("off");
    assert_eq!(sidecar.get("/", "").status(), 200);
    assert!(sidecar.access_log().is_empty());
}

#[test]
fn no_user_id_is_in_the_process_log_either() {
    let (mut sidecar, _stable, _gray) = scene("off");
    sidecar.get("/", "x-user-id: private-user-1\r\n");
    sidecar.terminate();
    sidecar.wait();
    assert!(!sidecar.stderr().contains("private-user"));
}
