//! `GET /metrics`, in the form that the scraper prefers.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AdminState;
use super::problem::Problem;
use crate::telemetry::{CONTENT_TYPE, OPEN_METRICS_TYPE};

/// Most alternatives of an `Accept` field that are looked at.
const MOST_TYPES: usize = 32;

pub(super) async fn show(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let vary = (header::VARY, "accept");
    if prefers_open_metrics(accept) {
        let text = state.telemetry.render_open_metrics();
        return ([(header::CONTENT_TYPE, OPEN_METRICS_TYPE), vary], text).into_response();
    }
    match state.telemetry.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE), vary], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be shown");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// Whether `Accept` names OpenMetrics in a version that we write, and not the Prometheus text format before it. Whoever
/// takes anything gets the latter.
fn prefers_open_metrics<'h>(accept: impl Iterator<Item = &'h str>) -> bool {
    let (mut open, mut text) = (0, 0);
    for alternative in accept.flat_map(|value| value.split(',')).take(MOST_TYPES) {
        let mut parts = alternative.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.trim().trim_matches('"')),
                "q" => quality = permille(value.trim()),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                open = open.max(quality);
            }
            "text/plain" | "text/*" | "*/*" => text = text.max(quality),
            _ => {}
        }
    }
    open > 0 && open >= text
}

/// A quality (RFC 9110 section 12.4.2) in thousandths; what is none counts as not wanted.
fn permille(quality: &str) -> u16 {
    let number: f32 = quality.parse().unwrap_or(0.0);
    if (0.0..=1.0).contains(&number) { (number * 1000.0) as u16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: bool) {
        assert_eq!(prefers_open_metrics([accept].into_iter()), expected, "{accept}");
    }

    #[test]
    fn who_prefers_open_metrics_gets_it() {
        // Prometheus 2.42 and 3.0.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            true,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
            true,
        );
        check("application/openmetrics-text", true);
        check("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=1", true);
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        check("", false);
        check("*/*", false);
        check("text/plain", false);
        check("text/html,application/xhtml+xml,*/*;q=0.8", false);
        check("application/openmetrics-text;q=0", false);
        check("application/openmetrics-text;q=0.3,text/plain;q=0.8", false);
        check("application/openmetrics-text;version=2.0.0", false);
        check("application/openmetrics-text;q=NaN", false);
        check("application/openmetrics-text;q=-1", false);
        check(&"a/b,".repeat(10_000), false);
        assert!(!prefers_open_metrics(std::iter::empty()));
    }
}
