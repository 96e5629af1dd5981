//! One bucket, told by four: the proxy by its behaviour, `explain`, the library, and PyPI mmh3.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{Client, Origin, Plan, Sidecar, graylane, python_script};

const SALT: &str = "春季价格-2026";

/// A thousand user ids: ASCII, Chinese and mixed.
fn keys() -> Vec<String> {
    (0..1000)
        .map(|number| match number % 4 {
            0 => format!("user-{number}"),
            1 => format!("{number}"),
            2 => format!("用户{number}"),
            _ => format!("张伟·vip-{number}"),
        })
        .collect()
}

fn oracle(keys: &[String]) -> Vec<u16> {
    let mut child =
        python_script("bucket_oracle.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
    let asked = serde_json::json!({ "salt": SALT, "keys": keys });
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(asked.to_string().as_bytes()).expect("python reads");
    drop(input);
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("a list of buckets")
}

/// A release for every permille there is, all with one salt: `/p/N` shows gray to the buckets below N.
fn every_permille(stable: &Origin, gray: &Origin) -> Plan {
    let mut releases = String::from("releases:\n");
    let mut plan = Plan::new().upstream("stable", stable.address()).upstream("gray", gray.address());
    for permille in 0..=1000 {
        releases.push_str(&format!("  p{permille}: {{ level: permille, permille: {permille}, salt: \"{SALT}\" }}\n"));
        plan = plan.route(
            &format!("p{permille}"),
            &format!("/p/{permille}"),
            "stable: stable, gray: gray",
            &format!("release: p{permille}"),
        );
    }
    plan.more(&releases)
}

fn lane_at(client: &mut Client, permille: u16, key: &str) -> String {
    let response = client.get(&format!("/p/{permille}"), &format!("x-user-id: {key}\r\n"));
    assert_eq!(response.status(), 200, "{response:?}");
    response.get("x-lane").expect("the origin names its lane")
}

#[test]
fn proxy_explain_library_and_mmh3_agree_on_a_thousand_buckets() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let sidecar = Sidecar::start(&every_permille(&stable, &gray));
    let keys = keys();
    let buckets = oracle(&keys);
    let mut client = sidecar.client();
    for (key, bucket) in keys.iter().zip(&buckets) {
        // The lane flips exactly here, so the proxy's bucket is this one and no other.
        assert_eq!(lane_at(&mut client, *bucket, key), "stable", "{key}");
        assert_eq!(lane_at(&mut client, *bucket + 1, key), "gray", "{key}");
        let library = graylane::decide::bucket(SALT, key);
        assert_eq!(library.get(), *bucket, "{key}");
    }
    for (key, bucket) in keys.iter().zip(&buckets).step_by(33) {
        let config = sidecar.config();
        let header = format!("x-user-id: {key}");
        let config = config.to_str().expect("a plain path");
        let output = graylane(["explain", "--config", config, "GET", "/p/50", "-H", &header, "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        let explained: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(explained["bucket"], *bucket, "{key}: {text}");
        let lane = if *bucket < 50 { "gray" } else { "stable" };
        assert_eq!(explained["lane"], lane, "{key}: {text}");
    }
}
