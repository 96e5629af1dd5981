//! Evaluation events: one `feature_flag.evaluation` for a decision, as OpenTelemetry's conventions for feature flags have
//! it (<https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/>).

use super::context::Context;
use super::protobuf::{bytes, fixed32, fixed64, message, number};
use super::span::Attributes;
use crate::decide::Reason;

/// `SEVERITY_NUMBER_INFO`
const INFO: u64 = 9;

/// One decision of a release.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'e> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// The trace that it was made in, where one is known.
    pub context: Option<Context>,
    /// The release.
    pub release: &'e str,
    /// The lane.
    pub lane: &'e str,
    /// Why.
    pub reason: Reason,
    /// The user, by the name that may leave the process.
    pub context_id: Option<&'e str>,
    /// The service.
    pub service: &'e str,
    /// The version of the configuration.
    pub version: &'e str,
    /// The route.
    pub route: &'e str,
}

/// The convention's word for a reason. Ours is finer, and stands beside it.
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::AbGroup | Reason::Bucket | Reason::BucketOut => "split",
        Reason::Override | Reason::Region | Reason::Whitelist | Reason::Score => "targeting_match",
        Reason::Full => "static",
        Reason::NoKey | Reason::Conditions | Reason::LevelClosed | Reason::NoRelease => "default",
        // It was decided earlier in the call chain, and is used again.
        Reason::LaneMark => "cached",
        Reason::BreakerOpen | Reason::Latched => "disabled",
        Reason::NoLane => "error",
    }
}

impl Evaluation<'_> {
    /// As it stands in a `ScopeLogs`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        message(&mut out, 2, |out| {
            fixed64(out, 1, self.time);
            number(out, 2, INFO);
            self.attributes(&mut Attributes::new(out, 6));
            if let Some(context) = self.context {
                fixed32(out, 8, u32::from(context.flags()));
                bytes(out, 9, &context.trace);
                bytes(out, 10, &context.span);
            }
            fixed64(out, 11, self.time);
            bytes(out, 12, b"feature_flag.evaluation");
        });
        out
    }

    fn attributes(&self, attributes: &mut Attributes<'_>) {
        attributes.text("feature_flag.key", self.release);
        attributes.text("feature_flag.provider.name", "graylane");
        attributes.text("feature_flag.result.variant", self.lane);
        attributes.text("feature_flag.result.reason", word(self.reason));
        if self.reason == Reason::NoLane {
            attributes.text("error.type", "general");
        }
        if let Some(id) = self.context_id {
            attributes.sent("feature_flag.context.id", id);
        }
        if !self.service.is_empty() {
            attributes.text("feature_flag.set.id", self.service);
        }
        attributes.text("feature_flag.version", self.version);
        attributes.text("graylane.reason", self.reason.as_str());
        attributes.text("graylane.route", self.route);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
    use prost::Message as _;

    fn decoded(evaluation: &Evaluation<'_>) -> LogRecord {
        ScopeLogs::decode(&evaluation.encode()[..]).unwrap().log_records.remove(0)
    }

    fn evaluation(reason: Reason) -> Evaluation<'static> {
        Evaluation {
            time: 5,
            context: None,
            release: "price-v2",
            lane: "gray",
            reason,
            context_id: Some("u\u{202e}1"),
            service: "goods",
            version: "3a5f",
            route: "price",
        }
    }

    fn attribute(record: &LogRecord, key: &str) -> Option<String> {
        let found = record.attributes.iter().find(|attribute| attribute.key == key)?;
        match found.value.clone()?.value? {
            any_value::Value::StringValue(text) => Some(text),
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn others_read_an_event() {
        let context = Some(Context::new([7; 16], [8; 8], true));
        let record = decoded(&Evaluation { context, ..evaluation(Reason::Bucket) });
        assert_eq!(record.event_name, "feature_flag.evaluation");
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano, record.severity_number), (5, 5, 9));
        assert_eq!((&record.trace_id[..], &record.span_id[..], record.flags), (&[7; 16][..], &[8; 8][..], 1));
        let told = |key: &str| attribute(&record, key).unwrap();
        assert_eq!(told("feature_flag.key"), "price-v2");
        assert_eq!(told("feature_flag.provider.name"), "graylane");
        assert_eq!(told("feature_flag.result.variant"), "gray");
        assert_eq!(told("feature_flag.context.id"), "u\u{fffd}1");
        assert_eq!(told("feature_flag.set.id"), "goods");
        assert_eq!(told("feature_flag.version"), "3a5f");
        assert_eq!(attribute(&record, "error.type"), None);
    }

    #[test]
    fn every_reason_has_a_word_of_the_convention() {
        const KNOWN: [&str; 9] =
            ["static", "default", "targeting_match", "split", "cached", "disabled", "unknown", "stale", "error"];
        for reason in Reason::ALL {
            let record = decoded(&evaluation(*reason));
            let word = attribute(&record, "feature_flag.result.reason").unwrap();
            assert!(KNOWN.contains(&word.as_str()), "{word}");
            assert_eq!(attribute(&record, "graylane.reason").as_deref(), Some(reason.as_str()));
            assert_eq!(attribute(&record, "error.type").is_some(), word == "error");
        }
    }
}
