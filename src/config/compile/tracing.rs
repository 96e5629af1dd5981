//! What is told to OpenTelemetry.

use std::time::Duration;

use super::KeyFiles;
use super::process::positive;
use super::remote::{self, Scope};
use crate::config::file::{ContextIdWord, FileTracing, OtlpProtocol, UntrustedTrace};
use crate::config::kubernetes::KubernetesAccess;
use crate::config::problem::Findings;
use crate::config::text::{At, Texts};
use crate::config::tracing::TracingPlan;
use crate::config::units::Fraction;

/// The share of traces that is recorded unless it is said otherwise.
const SAMPLE: f64 = 0.01;
const ANSWER: Duration = Duration::from_secs(10);
/// A batch that takes longer holds up all that follow, which are then dropped.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

pub(super) fn tracing(
    written: Option<&FileTracing>,
    access: &KubernetesAccess,
    key_files: KeyFiles,
    texts: &Texts,
    findings: &mut Findings,
) -> Option<TracingPlan> {
    let written = written?;
    let mut scope = Scope { texts, findings, key_files, namespace: "".into(), access, service: None };
    let otlp = written.otlp.as_ref().and_then(|url| base(url, &mut scope));
    if let Some(tls) = written.tls.as_ref().filter(|_| otlp.as_ref().is_some_and(|url| url.starts_with("http://"))) {
        scope.findings.error(tls.at, "`tls` means nothing without an `https://` URL");
    }
    let protocol = written.protocol.as_ref().map_or(OtlpProtocol::Http, |protocol| protocol.value);
    if let (OtlpProtocol::Grpc, Some(url), Some(at)) = (protocol, &otlp, &written.otlp)
        && url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
    {
        scope.findings.error(at.at, "over gRPC the URL of a collector has no path");
    }
    let sample = share(written.sample.as_ref(), "sample", SAMPLE, scope.findings);
    let evaluations = share(written.evaluations.as_ref(), "evaluations", 0.0, scope.findings);
    if let Some(context_id) = written.context_id.as_ref().filter(|_| evaluations == 0.0) {
        scope.findings.warn(context_id.at, "`context_id` means nothing without `evaluations`");
    }
    let headers_file = written.headers_file.as_ref().map(|file| remote::present(file, "headers file", &mut scope));
    let tls = remote::tls(written.tls.as_ref(), &mut scope);
    if let Some(long) = written.answer.as_ref().filter(|time| time.value.0 > LONGEST_ANSWER) {
        scope.findings.error(long.at, "`answer` is at most 1m");
    }
    let answer = positive(written.answer.as_ref(), ANSWER, "answer", scope.findings);
    Some(TracingPlan {
        otlp: otlp?,
        protocol,
        sample,
        untrusted: written.untrusted.as_ref().map_or(UntrustedTrace::Restart, |way| way.value),
        evaluations,
        context_id: written.context_id.as_ref().map_or(ContextIdWord::Hashed, |way| way.value),
        headers_file,
        tls,
        answer,
    })
}

/// `http://` or `https://`, a host, and perhaps a port and a path.
fn base(written: &At<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = written.value.trim().trim_end_matches('/');
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let parsed = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if parsed.is_none() || rest.is_none_or(|rest| rest.contains(['?', '#', '@'])) {
        let said = scope.findings.error(written.at, format!("`{text}` is no URL of a collector"));
        said.help(
            "write `http://127.0.0.1:4318` for HTTP, `http://127.0.0.1:4317` for gRPC; tokens go into `headers_file`",
        );
        return None;
    }
    Some(text.to_owned())
}

/// A share of everything, or its default.
fn share(written: Option<&At<Fraction>>, what: &str, default: f64, findings: &mut Findings) -> f64 {
    let Some(At { value: Fraction(share), at }) = written else { return default };
    if !(0.0..=1.0).contains(share) {
        findings.error(*at, format!("`{what}` is from 0% to 100%"));
    }
    *share
}
