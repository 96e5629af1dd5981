//! The commands that need no running sidecar.

use std::fs;
use std::process::Command;

/// Runs the binary; what it said and how it ended.
pub(super) fn graylane(arguments: &[&str]) -> (String, i32) {
    let done = Command::new(env!("CARGO_BIN_EXE_graylane")).args(arguments).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (text, done.status.code().expect("it ends by itself"))
}

fn configuration(permille: u16) -> String {
    format!(
        "upstreams:\n  s: {{ endpoints: [127.0.0.1:9001] }}\n  g: {{ endpoints: [127.0.0.1:9002] }}\nreleases:\n  r: {{ \
         permille: {permille} }}\nroutes:\n  - {{ name: all, match: {{ path: '/{{*rest}}' }}, lanes: {{ stable: s, gray: \
         g }}, release: r }}\n"
    )
}

#[test]
fn two_configurations_are_compared_in_words_and_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [("one.yaml", 50), ("two.yaml", 80)].map(|(name, permille)| {
        let path = folder.path().join(name);
        fs::write(&path, configuration(permille)).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let (text, code) = graylane(&["diff", &one, &two]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("~ releases.r.permille: 50 -> 80\n"), "no colour into a pipe: {text:?}");
    assert!(text.contains("release r: 30 of 1000 users to gray, 0 to stable"), "{text}");
    let (text, code) = graylane(&["diff", "--json", "--exit-code", &one, &two]);
    assert_eq!(code, 1);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["names"]["releases"]["changed"], serde_json::json!(["r"]));
    assert_eq!(graylane(&["diff", "--exit-code", &one, &one]), ("nothing differs\n".to_owned(), 0));
    fs::write(folder.path().join("bad.yaml"), "drain: soon\n").unwrap();
    let (text, code) = graylane(&["diff", &one, folder.path().join("bad.yaml").to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(text.contains("bad.yaml:1:8"), "{text}");
}

#[test]
fn no_trail_is_no_good_trail() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = graylane(&["audit", "verify", folder.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(text.contains("there is no audit trail"), "{text}");
}
