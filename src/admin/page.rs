//! The status page: one file, served from the binary.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");

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
    ([(header::CONTENT_SECURITY_POLICY, POLICY.as_str())], Html(PAGE))
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
        for forbidden in [
            "http://",
            "https://",
            "//cdn",
            "src=",
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
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        assert!(PAGE.lines().count() < 300);
    }
}
