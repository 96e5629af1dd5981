//! What is secret stays so: planted keys and tokens are looked for in everything that the program says.

use crate::harness::{Origin, Plan, Sidecar, eventually, graylane};

/// Each in a place of its own. All hold the same word, which nothing else does.
const WORD: &str = "PLANTED";
const ADMIN: &str = "PLANTED-admin-token-0123456789abcdef";
const READ: &str = "PLANTED-read-token-0123456789abcdef0";
const KEY: &str = "PLANTED-override-key-0123456789abcdef";
/// Some of the bytes of the key, as whoever prints bytes would show them.
const BYTES: &str = "80, 76, 65, 78, 84, 69, 68";

fn plan(stable: &Origin, gray: &Origin) -> Plan {
    let release = "level: developer\ndeveloper: { header: x-gray-override, cookie: gray, key_file: override.key }";
    Plan::gray(stable.address(), gray.address(), release)
        .admin("tokens: [{ file: read.token, role: read }, { file: change.token, role: change }]")
        .more("access_log: all\nstate: { dir: state }")
        .file("override.key", KEY)
        .file("read.token", READ)
        .file("change.token", ADMIN)
}

#[track_caller]
fn assert_clean(what: &str, text: &str, secrets: &[&str]) {
    for secret in [WORD, BYTES].iter().chain(secrets) {
        if let Some(at) = text.find(secret) {
            panic!("{what} tells a secret: {}", &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
        }
    }
}

fn said_by(arguments: &[&str]) -> String {
    let output = graylane(arguments);
    [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
}

fn token_for(sidecar: &Sidecar) -> String {
    let key = sidecar.directory().join("override.key");
    let key = key.to_str().expect("a plain path");
    let said = said_by(&[
        "token",
        "--key-file",
        key,
        "--release",
        "r",
        "--lane",
        "gray",
        "--subject",
        "li.wei",
        "--ttl",
        "1h",
    ]);
    said.trim().to_owned()
}

#[test]
fn no_output_tells_a_planted_secret() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = plan(&stable, &gray);
    let sidecar = Sidecar::start(&plan);
    let token = token_for(&sidecar);
    assert!(token.starts_with("v1.") && !token.contains(WORD), "{token}");
    // Used well and badly, so that whatever is told about it is told.
    let forged = format!("{}{WORD}", &token[..token.len() - 7]);
    let used = format!("x-gray-override: {token}\r\nAuthorization: Bearer {WORD}-of-a-user\r\n");
    assert_eq!(sidecar.get("/", &used).get("x-lane").as_deref(), Some("gray"), "it counts");
    let asked = sidecar
        .get(&format!("/?{WORD}=1"), &format!("x-gray-override: {forged}\r\nCookie: gray={token}; s={WORD}\r\n"));
    assert_eq!(asked.status(), 200);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/rollback", &bearer(ADMIN), "").status(), 200);
    assert_eq!(sidecar.admin_post("/api/v1/releases/r/reset", &bearer(READ), "").status(), 401);
    let wrong = sidecar.admin_post("/api/v1/releases/r/reset", &bearer("PLANTED-wrong"), "");
    assert_eq!(wrong.status(), 401);
    let signature = token.rsplit('.').next().expect("three parts");
    let secrets = [token.as_str(), signature];
    assert_clean("a refusal", &wrong.text(), &secrets);

    for path in [
        "/",
        "/metrics",
        "/api/v1/config",
        "/api/v1/releases",
        "/api/v1/routes",
        "/api/v1/upstreams",
        "/api/v1/audit",
        "/api/v1/incidents",
        "/api/v1/config/history",
        "/api/v1/faults",
    ] {
        assert_clean(path, &sidecar.admin_get(path).text(), &secrets);
    }
    let config = sidecar.config();
    let config = config.to_str().expect("a plain path").to_owned();
    assert_clean("check", &said_by(&["check", &config, "--json"]), &secrets);
    let line = format!("x-gray-override: {token}");
    assert_clean("explain", &said_by(&["explain", "--config", &config, "GET", "/", "-H", &line]), &secrets);
    let explained =
        format!("{{\"method\": \"GET\", \"url\": \"/\", \"headers\": {{\"x-gray-override\": \"{token}\"}}}}");
    let explained = sidecar.admin_post("/api/v1/explain", "Content-Type: application/json\r\n", &explained);
    assert_eq!(explained.status(), 200, "{}", explained.text());
    assert_clean("the explanation of the admin port", &explained.text(), &secrets);

    // A key that is too short, and a token file that is gone: both are told, without what they hold.
    std::fs::write(sidecar.directory().join("override.key"), "PLANTED").expect("a writable directory");
    let refused = sidecar.admin_post("/api/flags/sync", &bearer(ADMIN), "");
    assert!(refused.status() >= 400, "{}", refused.text());
    assert_clean("a refused change", &refused.text(), &secrets);
    assert_clean("check of a bad key", &said_by(&["check", &config]), &secrets);
    eventually("the refusal to be logged", || sidecar.stderr().contains("refused").then_some(()));

    let log = sidecar.wait_for_log(2);
    assert_clean("the access log", &format!("{log:?}").replace(&format!("?{WORD}=1"), ""), &secrets);
    assert_clean("the process's log", &sidecar.stderr(), &secrets);
    for file in walk(&sidecar.directory().join("state")) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("a file")).into_owned();
        assert_clean(&file.display().to_string(), &text, &secrets);
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the state directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
