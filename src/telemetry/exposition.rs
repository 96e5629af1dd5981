//! The Prometheus text format, written by the `prometheus` crate from our own families.
//!
//! OpenMetrics (`openmetrics.rs`) takes the same families; this format has no place for exemplars.

use prometheus::TextEncoder;
use prometheus::proto;

use super::collect::{Family, Sample, Value};
use super::metrics::{Kind, Metric};
use super::route::BOUNDS;

/// The content type of what [`Telemetry::render`](super::Telemetry::render) writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All families that have a sample, as text.
pub(super) fn text(families: Vec<Family>) -> Result<String, prometheus::Error> {
    let shown = families.into_iter().filter(|family| !family.samples.is_empty());
    let protos: Vec<proto::MetricFamily> = shown.map(family).collect();
    TextEncoder::new().encode_to_string(&protos)
}

fn family(family: Family) -> proto::MetricFamily {
    let metric = family.metric;
    let samples = family.samples.into_iter().map(|each| sample(metric, each));
    let mut proto = proto::MetricFamily::default();
    proto.set_name(metric.name.to_owned());
    proto.set_help(metric.help.to_owned());
    proto.set_field_type(match metric.kind {
        Kind::Counter => proto::MetricType::COUNTER,
        Kind::Gauge => proto::MetricType::GAUGE,
        Kind::Histogram => proto::MetricType::HISTOGRAM,
    });
    proto.set_metric(samples.collect());
    proto
}

fn sample(metric: &'static Metric, sample: Sample) -> proto::Metric {
    let pairs = metric.labels.iter().zip(sample.labels).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    });
    let mut proto = proto::Metric::from_label(pairs.collect());
    match (metric.kind, sample.value) {
        (Kind::Gauge, Value::Number(value)) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            proto.set_gauge(gauge);
        }
        (_, Value::Number(value)) => {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            proto.set_counter(counter);
        }
        (_, Value::Histogram { cumulated, count, sum, .. }) => {
            let mut histogram = proto::Histogram::default();
            histogram.set_sample_count(count);
            histogram.set_sample_sum(sum.as_secs_f64());
            histogram.set_bucket(BOUNDS.iter().zip(cumulated).map(bucket).collect());
            proto.set_histogram(histogram);
        }
    }
    proto
}

fn bucket((bound, cumulated): (&u64, u64)) -> proto::Bucket {
    let mut bucket = proto::Bucket::default();
    bucket.set_upper_bound(*bound as f64 / 1e9);
    bucket.set_cumulative_count(cumulated);
    bucket
}
