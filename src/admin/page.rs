//! The page: one document, put together from the files of `page/` when it is first asked for, and served from the binary.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const FRAME: &str = include_str!("page/page.html");

const STYLES: &[&str] =
    &[include_str!("page/uplot-1.6.32/uPlot.min.css"), include_str!("page/base.css"), include_str!("page/views.css")];

/// The charts of other people, as they came (MIT, `page/uplot-1.6.32/LICENSE`).
const CHARTS: &str = include_str!("page/uplot-1.6.32/uPlot.iife.min.js");

/// One script in the end, so each may use what stands in those before it.
const SCRIPTS: &[&str] = &[
    include_str!("page/text.js"),
    include_str!("page/dom.js"),
    include_str!("page/calls.js"),
    include_str!("page/charts.js"),
    include_str!("page/overview.js"),
    include_str!("page/buckets.js"),
    include_str!("page/explain.js"),
    include_str!("page/changes.js"),
    include_str!("page/incidents.js"),
    include_str!("page/main.js"),
];

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let script = format!("\"use strict\";\n{CHARTS}\n{}", SCRIPTS.concat());
    FRAME.replace("<!--STYLE-->", &STYLES.concat()).replace("<!--SCRIPT-->", &script)
});

/// Nothing but the page's own style and script, by their hashes, and calls to its own port. Trusted types take every
/// way from text to markup away from the script, so that a hostile name stays a name.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hash(inside("<style>", "</style>")),
        hash(inside("<script>", "</script>")),
    )
});

pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY.as_str())], Html(PAGE.as_str()))
}

/// What stands between the first `open` and the `close` behind it; nothing where there is none.
fn inside(open: &str, close: &str) -> &'static str {
    let rest = PAGE.split_once(open).map_or("", |(_, rest)| rest);
    rest.split_once(close).map_or("", |(inside, _)| inside)
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_style_and_one_script_and_the_policy_names_them() {
        for tag in ["style", "script"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            let inside = inside(&format!("<{tag}>"), &format!("</{tag}>"));
            assert!(inside.len() > 500, "{tag}");
            assert!(POLICY.contains(&format!("{tag}-src 'sha256-{}'", hash(inside))), "{tag}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_outside_and_makes_no_markup_of_text() {
        let own = [FRAME, &SCRIPTS.concat(), &STYLES[1..].concat()].concat().replace("http://www.w3.org/2000/svg", "");
        for forbidden in [
            "http://",
            "https://",
            "//cdn",
            " src=",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            " style=",
            " onclick=",
            " onload=",
            "setAttribute(\"on",
        ] {
            assert!(!own.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let (_, texts) = SCRIPTS[0].split_once("  en: {").unwrap();
        let (english, rest) = texts.split_once("  zh: {").unwrap();
        let (chinese, _) = rest.split_once("\n  },").unwrap();
        let name = regex::Regex::new(r#"(?m)(?:^    |, )"?(\w[\w ]*)"?: ""#).unwrap();
        let names = |text| name.captures_iter(text).map(|name| name[1].to_owned()).collect::<Vec<_>>();
        assert!(names(english).len() > 100);
        assert_eq!(names(english), names(chinese));
    }

    #[test]
    fn the_page_weighs_less_than_150_kib_compressed() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, PAGE.as_bytes()).unwrap();
        let weight = packed.finish().unwrap().len();
        assert!(weight < 150 * 1024, "{weight} bytes");
        println!("the page: {} bytes, {weight} compressed", PAGE.len());
    }
}
