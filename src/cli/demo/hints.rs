//! What to try next: commands that can be copied as they stand.

use std::path::Path;

use super::cast::{Cast, Person};
use super::configuration::{EXCLUDED_TAG, KEY_FILE, OPEN_PROVINCE, PERMILLE, RELEASE};

/// A command and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) note: String,
    pub(super) command: String,
}

/// What the commands are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// `http://127.0.0.1:PORT`
    pub(super) traffic: &'a str,
    pub(super) admin: &'a str,
    /// The folder of the configuration.
    pub(super) folder: &'a Path,
    /// The running program.
    pub(super) program: &'a Path,
    pub(super) cast: &'a Cast,
}

/// All commands, from the plainest on.
pub(super) fn hints(scene: Scene<'_>) -> Vec<Hint> {
    let Scene { traffic, admin, folder, cast, .. } = scene;
    let (ordinary, gray) = (&cast.ordinary, &cast.gray);
    let program = quote(&scene.program.display().to_string());
    let config = quote(&folder.display().to_string());
    let key_file = quote(&folder.join(KEY_FILE).display().to_string());
    let sku = |person: &Person, more: &str| {
        let user_id = &person.user_id;
        format!("curl -s {traffic}/api/v1/sku/100101 -H 'x-user-id: {user_id}' -H 'x-user-tier: VIP'{more}")
    };
    let hint = |note: String, command: String| Hint { note, command };
    vec![
        hint(
            format!("an ordinary user: bucket {}, not below {PERMILLE}, so stable at the list price", ordinary.bucket),
            sku(ordinary, ""),
        ),
        hint(format!("a gray user: bucket {}, below {PERMILLE}, so the new price engine", gray.bucket), sku(gray, "")),
        hint(
            "the ordinary user on a visit to Zhejiang, where the release is open to everyone: gray".into(),
            sku(ordinary, &format!(" -H 'x-province-code: {OPEN_PROVINCE}'")),
        ),
        hint(
            "the gray user as a wholesale customer, whom the conditions shut out: stable".into(),
            sku(gray, &format!(" -H 'x-user-tags: {EXCLUDED_TAG}'")),
        ),
        hint(
            "a developer's override: gray for the ordinary user (unsigned, because the environment is dev)".into(),
            sku(ordinary, " -H 'x-gray-override: gray'"),
        ),
        hint(
            "the same, signed, as it has to be outside of dev".into(),
            sku(
                ordinary,
                &format!(
                    " -H \"x-gray-override: $({program} token --key-file {key_file} --release {RELEASE} --lane gray --subject me --ttl 1h)\""
                ),
            ),
        ),
        hint(
            "an order by the gray user".into(),
            format!(
                "curl -s {traffic}/api/v1/orders -H 'x-user-id: {}' -H 'x-user-tier: GOLD' -H 'content-type: application/json' \
                 -d '{{\"amount\": 336.00, \"items\": [{{\"sku_id\": \"100401\", \"quantity\": 2}}]}}'",
                gray.user_id
            ),
        ),
        hint(
            "why does a request go there? Ask the running sidecar".into(),
            format!(
                "curl -s {admin}/api/v1/explain -H 'content-type: application/json' \
                 -d '{{\"method\": \"GET\", \"url\": \"/api/v1/sku/100101\", \"headers\": {{\"x-user-id\": \"{}\"}}}}'",
                gray.user_id
            ),
        ),
        hint(
            "or ask the configuration".into(),
            format!("{program} explain --config {config} GET /api/v1/sku/100101 -H 'x-user-id: {}'", ordinary.user_id),
        ),
        hint(
            "how many requests went where, and why".into(),
            format!("curl -s {admin}/metrics | grep -E 'graylane_(requests|decisions)_total'"),
        ),
    ]
}

/// The text as one word of a shell.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(user_id: &str, bucket: u16) -> Person {
        Person { user_id: user_id.into(), bucket }
    }

    fn all(folder: &str) -> Vec<Hint> {
        let cast = Cast { ordinary: person("u1", 512), gray: person("u7", 33) };
        hints(Scene {
            traffic: "http://127.0.0.1:1",
            admin: "http://127.0.0.1:2",
            folder: Path::new(folder),
            program: Path::new("/opt/graylane"),
            cast: &cast,
        })
    }

    #[test]
    fn every_command_is_one_line_that_the_shell_can_read() {
        for hint in all("/tmp/it's here") {
            assert!(!hint.command.contains('\n'), "{}", hint.command);
            let parsed = std::process::Command::new("sh").args(["-n", "-c", &hint.command]).status().unwrap();
            assert!(parsed.success(), "{}", hint.command);
        }
    }

    #[test]
    fn the_commands_name_the_people_and_the_places() {
        let text: String = all("/tmp/d").into_iter().map(|hint| hint.note + "\n" + &hint.command + "\n").collect();
        for part in [
            "bucket 512, not below 100",
            "bucket 33, below 100",
            "curl -s http://127.0.0.1:1/api/v1/sku/100101 -H 'x-user-id: u7' -H 'x-user-tier: VIP'\n",
            "-H 'x-province-code: 330000'",
            "token --key-file /tmp/d/override.key --release pricing-v2 --lane gray",
            "/opt/graylane explain --config /tmp/d GET /api/v1/sku/100101 -H 'x-user-id: u1'",
            "http://127.0.0.1:2/metrics",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn words_are_quoted_where_the_shell_would_split_them() {
        assert_eq!(quote("/tmp/graylane-demo-1"), "/tmp/graylane-demo-1");
        assert_eq!(quote("/tmp/my dir"), "'/tmp/my dir'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
