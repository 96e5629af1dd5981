//! An entry for fuzzing: lines of logs, which hold what clients wrote.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;

use super::facts::Side;
use super::fields::{Fields, Format};
use super::run::{Plan, one};
use super::tally::{Place, Tally};
use crate::config::{KeyFiles, Settings, load_text};

const CONFIGURATION: &str = r#"
service: fuzz
trust: [127.0.0.0/8]
facts:
  user_id: [{ header: x-user-id }, { cookie: uid }, { query: uid }]
  device_id: [{ baggage: device }]
  sku_id: [{ path: sku_id }]
  category_id: [{ query: c }]
  order_amount: [{ header: x-order-amount }]
upstreams: { s: { endpoints: [127.0.0.1:1] } }
experiments: { page: { groups: { a: 500, b: 500 } } }
releases:
  r:
    level: permille
    permille: 500
    conditions: [{ any: [{ key: category_id, operator: IN, values: ["1001"] }, { key: order_amount, operator: GT, value: 5 }] }]
  d: { level: ab, hash_key: device_id, ab: { experiment: page, groups: [b] } }
routes:
  - { name: sku, match: { path: "/sku/{sku_id}" }, lanes: { stable: s, gray: s }, release: r }
  - { name: rest, match: { path: "/{*rest}" }, lanes: { stable: s, gray: s }, release: d }
"#;

static FROM: LazyLock<Settings> = LazyLock::new(|| settings(CONFIGURATION));
static TO: LazyLock<Settings> = LazyLock::new(|| settings(&CONFIGURATION.replace("level: ab", "level: full")));
static SIDES: LazyLock<(Side<'static>, Side<'static>)> = LazyLock::new(|| (Side::new(&FROM), Side::new(&TO)));

/// The forms, each with a map of fields.
static FORMS: LazyLock<[(Format, Fields); 3]> = LazyLock::new(|| {
    let combined = [("user_id", "field10"), ("header:cookie", "field11"), ("cookie:uid", "field12")];
    let json = [("method", "m"), ("uri", "/u/0"), ("user_id", "id"), ("header:baggage", "b"), ("host", "/h/a~1b")];
    [(Format::Graylane, &[][..]), (Format::Combined, &combined), (Format::Json, &json)].map(|(format, pairs)| {
        let pairs: Vec<_> = pairs.iter().map(|(part, field)| ((*part).to_owned(), (*field).to_owned())).collect();
        (format, Fields::new(format, &pairs).expect("the maps above are maps"))
    })
});

fn settings(text: &str) -> Settings {
    let loaded = load_text(Path::new("/nowhere/fuzz.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent);
    loaded.expect("the configuration above is valid").settings
}

/// Replays bytes as a line of each form of a log; panics where a line is neither read nor counted as not readable, or where
/// one whose lane changed is not counted among those that were seen.
pub fn check_log_line(bytes: &[u8]) {
    for (format, fields) in &*FORMS {
        let plan = Plan { from: &FROM, to: &TO, format: *format, fields, host: None, threads: NonZeroUsize::MIN };
        let mut tally = Tally::default();
        one(&plan, &SIDES.0, &SIDES.1, bytes, Place { input: 0, line: 1 }, &mut tally);
        let unreadable: u64 = tally.unreadable.values().map(|skip| skip.lines).sum();
        let undecided: u64 = tally.undecided.values().map(|skip| skip.lines).sum();
        assert_eq!(tally.seen.requests + unreadable, 1, "a line is lost");
        assert!(tally.changed.requests + undecided <= tally.seen.requests, "a line is counted twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What readers of logs trip over, in any order.
    fn words() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "203.0.113.9 - - [",
            "] \"GET /sku/7?c=1001 HTTP/1.1\" 200 1 \"-\" \"-\"",
            " \"u1\"",
            "\\x22",
            "\\xe5",
            "\\",
            "\"",
            "{\"method\":\"GET\"",
            ",\"path\":\"/sku/7\"",
            ",\"m\":\"GET\"",
            ",\"u\":[\"/sku/7?uid=1\"]",
            ",\"bucket\":7,\"salt\":\"r\"",
            ",\"key\":\"user_id\"",
            ",\"lane\":\"gray\",\"reason\":\"override\"",
            ",\"facts\":{\"a\":\"…\"}",
            "}",
            ":",
            ",",
            "1e999",
            "null",
            "http://a/b?c",
            "{sku_id}",
            "…",
        ]);
        prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_counted(line in words()) {
            check_log_line(line.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_counted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            check_log_line(&bytes);
        }
    }
}
