//! The OpenMetrics text format 1.0, with exemplars.
//!
//! Beside the Prometheus format it differs in this: a counter's family has its name without `_total`, what says `1 for ...`
//! is of type `info` and its family without `_info`, units are told, bounds are always written as floats, buckets
//! may name a trace, and `# EOF` is the last line.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::collect::{Family, Sample, Value};
use super::exemplar::Exemplar;
use super::metrics::{Kind, Metric};
use super::route::BOUNDS;

/// The content type of what [`Telemetry::render_open_metrics`](super::Telemetry::render_open_metrics) writes.
pub const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All families that have a sample, as text.
pub(super) fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write_family(family, &mut out);
    }
    out.push_str("# EOF\n");
    out
}

/// The name of the family, and the word of its type.
fn named(metric: &Metric) -> (&'static str, &'static str) {
    match metric.kind {
        Kind::Counter => (metric.name.strip_suffix("_total").unwrap_or(metric.name), "counter"),
        Kind::Histogram => (metric.name, "histogram"),
        Kind::Gauge => metric.name.strip_suffix("_info").map_or((metric.name, "gauge"), |name| (name, "info")),
    }
}

/// The unit, which a name ends with.
fn unit(family: &str) -> Option<&'static str> {
    let ends = |unit: &&str| family.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'));
    ["seconds", "bytes"].into_iter().find(ends)
}

fn write_family(family: &Family, out: &mut String) -> fmt::Result {
    let metric = family.metric;
    let (name, kind) = named(metric);
    writeln!(out, "# TYPE {name} {kind}")?;
    if let Some(unit) = unit(name) {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    writeln!(out, "# HELP {name} {}", Escaped(metric.help))?;
    for sample in &family.samples {
        match &sample.value {
            Value::Number(value) => {
                out.push_str(metric.name);
                write_labels(metric, &sample.labels, None, out)?;
                writeln!(out, " {value}")?;
            }
            Value::Histogram { cumulated, count, sum, exemplars } => {
                write_buckets(metric, sample, (cumulated, *count), exemplars, out)?;
                for (suffix, value) in [("_count", *count as f64), ("_sum", sum.as_secs_f64())] {
                    write!(out, "{}{suffix}", metric.name)?;
                    write_labels(metric, &sample.labels, None, out)?;
                    writeln!(out, " {value}")?;
                }
            }
        }
    }
    Ok(())
}

fn write_buckets(
    metric: &Metric,
    sample: &Sample,
    (cumulated, count): (&[u64; BOUNDS.len()], u64),
    exemplars: &[Option<Exemplar>],
    out: &mut String,
) -> fmt::Result {
    let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_nanos(*bound).as_secs_f64()));
    let counts = cumulated.iter().copied().chain([count]);
    for (at, (bound, count)) in bounds.chain([None]).zip(counts).enumerate() {
        write!(out, "{}_bucket", metric.name)?;
        // `{:?}` writes a float that is whole with `.0`, as the format wants it.
        let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
        write_labels(metric, &sample.labels, Some(&bound), out)?;
        write!(out, " {count}")?;
        if let Some(Exemplar { trace, took, at }) = exemplars.get(at).copied().flatten() {
            let (took, at) = (took.as_secs_f64(), at.as_millis());
            write!(out, " # {{trace_id=\"{trace}\"}} {took} {}.{:03}", at / 1000, at % 1000)?;
        }
        out.push('\n');
    }
    Ok(())
}

fn write_labels(metric: &Metric, values: &[Arc<str>], bound: Option<&str>, out: &mut String) -> fmt::Result {
    let pairs = metric.labels.iter().copied().zip(values.iter().map(|value| &**value));
    let mut before = '{';
    for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
        write!(out, "{before}{name}=\"{}\"", Escaped(value))?;
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
    Ok(())
}

/// A text with backslash, quote and line feed escaped.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Telemetry;
    use super::super::exemplar::TraceId;
    use super::super::label::{CodeClass, Refusal};
    use super::*;
    use crate::decide::Level;

    /// The lines that begin so.
    fn lines<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
        text.lines().filter(|line| line.starts_with(start)).collect()
    }

    #[test]
    fn families_are_named_typed_and_measured_as_the_format_wants() {
        let telemetry = Telemetry::new(1);
        telemetry.config_applied("4f1c");
        telemetry.totals().refused(0, Refusal::NoRoute);
        let text = telemetry.render_open_metrics();
        for line in [
            "# TYPE graylane_refused_requests counter",
            "graylane_refused_requests_total{reason=\"no_route\"} 1",
            "# TYPE graylane_config info",
            "graylane_config_info{version=\"4f1c\"} 1",
            "# TYPE graylane_config_version gauge",
            "# UNIT process_cpu_seconds seconds",
            "# UNIT process_resident_memory_bytes bytes",
        ] {
            assert_eq!(lines(&text, line), [line], "{text}");
        }
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
        assert!(lines(&text, "# UNIT graylane_config").is_empty());
    }

    #[test]
    fn a_bucket_names_the_trace_of_a_request_that_fell_into_it() {
        let telemetry = Telemetry::new(1);
        let route = telemetry.route("r", &["stable", "gray"]);
        let took = Duration::from_millis(1500);
        route.record(0, 1, Level::Full, CodeClass::Success, took);
        let plain = telemetry.render_open_metrics();
        assert!(!plain.contains(" # {"), "no trace, no exemplar");
        let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        route.traced(0, 1, trace, took);
        let text = telemetry.render_open_metrics();
        let named: Vec<&str> = text.lines().filter(|line| line.contains(" # ")).collect();
        let start = "graylane_request_duration_seconds_bucket{route=\"r\",lane=\"gray\",le=\"2.0\"} 1 \
                     # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1.5 ";
        assert!(named.len() == 1 && named[0].starts_with(start), "{named:?}");
        assert_eq!(
            lines(&text, "graylane_request_duration_seconds_bucket{route=\"r\",lane=\"gray\",le=\"+Inf\"}").len(),
            1
        );
    }

    #[test]
    fn hostile_names_stay_within_their_quotes() {
        let telemetry = Telemetry::new(1);
        let _route = telemetry.route("a\"b\\c\nd", &["stable"]);
        let text = telemetry.render_open_metrics();
        assert_eq!(lines(&text, "graylane_inflight_requests{route=\"a\\\"b\\\\c\\nd\"} 0").len(), 1);
    }
}
