//! Values and paths as people see them: short, on one line, without secrets.

use crate::config::Written;

/// Longest value that is shown, in characters.
const LONGEST: usize = 200;
/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Whether a field of this name holds a secret itself. A file that holds one is no secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let telling = ["password", "passphrase", "secret", "credential", "private_key", "api_key", "access_key"];
    let is_file = name.ends_with("_file") || name.ends_with("_files") || name.ends_with("_path");
    !is_file && (telling.iter().any(|word| name.contains(word)) || name == "token" || name.ends_with("_token"))
}

/// `releases.pricing-v2.permille`; names that would be misread are quoted.
pub(super) fn path(names: &[&str]) -> String {
    let mut path = String::new();
    for name in names {
        let plain = |c: char| c.is_alphanumeric() || "-_/{}*:".contains(c);
        match name {
            place if place.starts_with('[') => path.push_str(place),
            name => {
                if !path.is_empty() {
                    path.push('.');
                }
                match !name.is_empty() && name.chars().all(plain) {
                    true => path.push_str(name),
                    false => path.push_str(&format!("{name:?}")),
                }
            }
        }
    }
    path
}

/// A value on one line, as YAML has it between brackets; cut where it is long.
pub(super) fn value(value: &Written) -> String {
    let mut text = String::new();
    write(value, &mut text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn write(value: &Written, text: &mut String) {
    // Ten times what is shown is enough of it.
    if text.len() > LONGEST * 10 {
        return;
    }
    match value {
        Written::Scalar(scalar) => text.push_str(&without_login(&scalar.replace(['\n', '\r'], " "))),
        Written::List(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Written::Map(entries) => {
            text.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                text.push_str(key);
                text.push_str(": ");
                if is_secret(key) { text.push_str(HIDDEN) } else { write(value, text) }
            }
            text.push('}');
        }
    }
}

/// A URL without the name and password before its host.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(end) => format!("{scheme}://{HIDDEN}{}", &rest[end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_places() {
        for name in ["password", "Client_Secret", "token", "api_token", "secret_key"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["key_file", "token_file", "password_file", "key", "hash_key", "permille", "tokens_per_second"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(without_login("redis://li:pw@h:1/0"), "redis://***@h:1/0");
        assert_eq!(without_login("redis://li:p@w@h"), "redis://***@h");
        assert_eq!(without_login("http://h/a@b"), "http://h/a@b");
    }

    #[test]
    fn paths_can_be_read_back() {
        assert_eq!(path(&["releases", "pricing-v2", "permille"]), "releases.pricing-v2.permille");
        assert_eq!(path(&["releases", "a.b", "x"]), "releases.\"a.b\".x");
        assert_eq!(path(&["facts", "f", "[2]", "header"]), "facts.f[2].header");
    }

    #[test]
    fn long_values_are_cut() {
        let long = Written::List(vec![Written::Scalar("é".repeat(50)); 1000]);
        assert_eq!(value(&long).chars().count(), LONGEST + 3);
    }
}
