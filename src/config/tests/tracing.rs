//! What is told to OpenTelemetry: what is refused, and what the defaults are.

use std::time::Duration;

use super::super::{ContextIdWord, OtlpProtocol, TracingPlan, UntrustedTrace};
use super::{check, lines, load};

/// A configuration whose `tracing` has these keys, from line 4, column 12 on.
fn text(keys: &str) -> String {
    format!(
        "upstreams: {{ a: {{ endpoints: [goods:80] }} }}\nroutes: [{{ name: all, match: {{}}, lanes: {{ stable: a }} }}]\n\n\
         tracing: {{ {keys} }}\n"
    )
}

fn plan(keys: &str) -> TracingPlan {
    match load(text(keys)) {
        Ok(loaded) => loaded.settings.tracing.expect("it is written"),
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

#[test]
fn little_is_told_unless_more_is_asked_for() {
    assert!(load(text("").replace("tracing: {  }", "")).unwrap().settings.tracing.is_none());
    let expected = TracingPlan {
        otlp: "http://127.0.0.1:4318".to_owned(),
        protocol: OtlpProtocol::Http,
        sample: 0.01,
        untrusted: UntrustedTrace::Restart,
        evaluations: 0.0,
        context_id: ContextIdWord::Hashed,
        headers_file: None,
        tls: Default::default(),
        answer: Duration::from_secs(10),
    };
    assert_eq!(plan("otlp: http://127.0.0.1:4318/"), expected);
}

#[test]
fn everything_can_be_said() {
    let written = "otlp: https://collector.shop, protocol: grpc, sample: 0.05%, untrusted: follow, evaluations: 1, \
                   context_id: plain, answer: 3s";
    let plan = plan(written);
    assert_eq!((plan.otlp.as_str(), plan.protocol), ("https://collector.shop", OtlpProtocol::Grpc));
    assert!((plan.sample - 0.0005).abs() < 1e-12, "{}", plan.sample);
    assert_eq!((plan.evaluations, plan.untrusted), (1.0, UntrustedTrace::Follow));
    assert_eq!((plan.context_id, plan.answer), (ContextIdWord::Plain, Duration::from_secs(3)));
}

#[test]
fn a_path_is_kept_over_http_and_refused_over_grpc() {
    assert_eq!(plan("otlp: https://telemetry.example/otlp/").otlp, "https://telemetry.example/otlp");
    check(
        text("otlp: \"https://telemetry.example/otlp\", protocol: grpc"),
        "4:18: over gRPC the URL of a collector has no path",
    );
}

#[test]
fn what_is_no_collector_is_refused() {
    check(text("protocol: grpc"), "4:12: missing field `otlp` in `tracing`");
    for url in ["127.0.0.1:4318", "http://", "ftp://a", "http://user@a", "http://a?key=b", "grpc://a:1"] {
        check(
            text(&format!("otlp: \"{url}\"")),
            &format!("4:18: `{}` is no URL of a collector", url.trim_end_matches('/')),
        );
    }
}

#[test]
fn what_has_no_meaning_is_refused_or_warned_of() {
    check(
        text("otlp: \"http://a:1\", protocol: gprc"),
        "4:42: `gprc` is not a protocol of OTLP (did you mean `grpc`?)",
    );
    check(text("otlp: \"http://a:1\", sample: 101%"), "4:40: `sample` is from 0% to 100%");
    check(text("otlp: \"http://a:1\", evaluations: -1"), "4:45: `evaluations` is from 0% to 100%");
    check(text("otlp: \"http://a:1\", tls: {}"), "4:37: `tls` means nothing without an `https://` URL");
    check(text("otlp: \"http://a:1\", answer: 2m"), "4:40: `answer` is at most 1m");
    check(text("otlp: \"http://a:1\", answer: 0s"), "4:40: `answer` cannot be 0");
    check(
        text("otlp: \"http://a:1\", untrusted: restrat"),
        "4:43: `restrat` is not a way with untrusted trace contexts (did you mean `restart`?)",
    );
    let loaded = load(text("otlp: \"http://a:1\", context_id: plain")).unwrap();
    assert!(lines(loaded.warnings.iter()).contains("4:44: `context_id` means nothing without `evaluations`"));
    let loaded = load(text("otlp: \"http://a:1\", headers_file: absent.headers")).unwrap();
    let told = lines(loaded.warnings.iter());
    assert!(told.contains("headers file `absent.headers` is not here; `run` needs it"), "{told}");
}
