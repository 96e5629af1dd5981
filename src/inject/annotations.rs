//! What namespaces and pods ask for, in annotations. A wrong value is a warning and the default counts, or, where the default
//! would be something else than was meant, a refusal.

use std::time::Duration;

use serde_json::{Map, Value};

use super::quantity::{bytes, milli_cpu};
use super::transform::Refused;
use super::{Defaults, INJECT, NOTE, PREFIX};
use crate::config::parse_time;

/// Every annotation that is read.
const KNOWN: [&str; 11] = [
    "inject",
    "port",
    "config",
    "resources",
    "lane",
    "workers",
    "drain",
    "log-level",
    "cpu-limit",
    "memory-limit",
    "sidecar",
];
/// The port name that is taken where none is asked for.
const PORT: &str = "http";
const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const MOST_WORKERS: u32 = 1024;
const LONGEST_DRAIN: Duration = Duration::from_secs(3600);
/// Less is not enough to start with.
const LEAST_CPU: u64 = 10;
const LEAST_MEMORY: u64 = 32 << 20;

/// What is wanted of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wishes {
    /// The name of the container port that it takes.
    pub(super) port: String,
    /// The port was asked for by name, so a pod without it is a mistake.
    pub(super) is_port_asked: bool,
    /// The ConfigMap and Secret with its configuration.
    pub(super) config: String,
    /// They were asked for by name, so they have to be there.
    pub(super) is_config_asked: bool,
    /// What the webhook renders from custom resources is mounted.
    pub(super) resources: bool,
    /// The lane of the pod.
    pub(super) lane: Option<String>,
    pub(super) workers: Option<u32>,
    /// As written, with its length.
    pub(super) drain: Option<(String, Duration)>,
    pub(super) log_level: String,
    /// A limit was asked for, so a pod that gives none is not what was meant.
    pub(super) is_limit_asked: bool,
    /// As written, with its thousandths of a CPU.
    pub(super) cpu: (String, u64),
    /// As written, with its bytes.
    pub(super) memory: (String, u64),
}

/// What a pod says of being injected at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// Nothing: the namespace decides.
    Nothing,
    Yes,
    No,
}

/// Whether a pod wants a sidecar.
pub(super) fn say(annotations: Option<&Map<String, Value>>, warnings: &mut Vec<String>) -> Say {
    match annotations.and_then(|all| all.get(INJECT)).and_then(Value::as_str) {
        None => Say::Nothing,
        Some("enabled" | "true" | "yes" | "on") => Say::Yes,
        Some("disabled" | "false" | "no" | "off") => Say::No,
        Some(other) => {
            let meant = nearest(other, &["enabled", "disabled"]);
            warnings.push(format!("{INJECT}: {other:?} is neither enabled nor disabled{meant}; the namespace decides"));
            Say::Nothing
        }
    }
}

impl Wishes {
    /// Of a pod's annotations over those of its namespace.
    pub(super) fn read(
        namespace: Option<&Map<String, Value>>,
        pod: Option<&Map<String, Value>>,
        defaults: &Defaults,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Refused> {
        let reader = Reader { namespace, pod };
        reader.tell_unknown(warnings);
        let port = reader.checked("port", warnings, "its default `http` counts", |text| match is_port_name(text) {
            true => Ok(text.to_owned()),
            false => Err("is no name of a port: at most 15 of a-z, 0-9 and `-`, with a letter".to_owned()),
        });
        let config = reader.needed("config", |text| {
            is_object_name(text).then(|| text.to_owned()).ok_or("can be no name of a ConfigMap")
        })?;
        let resources = reader.checked("resources", warnings, "the webhook's default counts", |text| match text {
            "mounted" => Ok(true),
            "none" => Ok(false),
            _ => Err(format!("is neither mounted nor none{}", nearest(text, &["mounted", "none"]))),
        });
        let lane = reader.needed("lane", |text| {
            is_lane(text)
                .then(|| text.to_owned())
                .ok_or("can be no lane: letters, digits, `.`, `_` and `-`, at most 63")
        })?;
        let workers = reader.checked("workers", warnings, "the cores it may use count", |text| {
            let number = text.parse::<u32>().ok().filter(|number| (1..=MOST_WORKERS).contains(number));
            number.ok_or_else(|| format!("is no number from 1 to {MOST_WORKERS}"))
        });
        let drain = reader.checked("drain", warnings, "the pod's grace period decides", |text| {
            let length = parse_time(text).map_err(|_| "is no duration such as `20s`".to_owned())?;
            match length {
                Duration::ZERO => Err("is no time at all".to_owned()),
                length if length > LONGEST_DRAIN => Err("is longer than an hour".to_owned()),
                length => Ok((text.to_owned(), length)),
            }
        });
        let log_level = reader.checked("log-level", warnings, "info counts", |text| match LOG_LEVELS.contains(&text) {
            true => Ok(text.to_owned()),
            false => Err(format!("is none of {}{}", LOG_LEVELS.join(", "), nearest(text, &LOG_LEVELS))),
        });
        let cpu = reader.checked("cpu-limit", warnings, "1 counts", |text| {
            let known = milli_cpu(text).filter(|milli| *milli >= LEAST_CPU);
            known.map(|milli| (text.to_owned(), milli)).ok_or_else(|| "is no amount of CPU from 10m on".to_owned())
        });
        let memory = reader.checked("memory-limit", warnings, "256Mi counts", |text| {
            let known = bytes(text).filter(|bytes| *bytes >= LEAST_MEMORY);
            known.map(|bytes| (text.to_owned(), bytes)).ok_or_else(|| "is no amount of memory from 32Mi on".to_owned())
        });
        Ok(Self {
            is_port_asked: port.is_some(),
            port: port.unwrap_or_else(|| PORT.to_owned()),
            is_config_asked: config.is_some(),
            config: config.unwrap_or_else(|| defaults.config.clone()),
            resources: resources.unwrap_or(defaults.resources),
            lane,
            workers,
            drain,
            log_level: log_level.unwrap_or_else(|| "info".to_owned()),
            is_limit_asked: cpu.is_some() || memory.is_some(),
            cpu: cpu.unwrap_or_else(|| ("1".to_owned(), 1000)),
            memory: memory.unwrap_or_else(|| ("256Mi".to_owned(), 256 << 20)),
        })
    }
}

/// Annotations of a pod, and under them those of its namespace.
struct Reader<'a> {
    namespace: Option<&'a Map<String, Value>>,
    pod: Option<&'a Map<String, Value>>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let key = format!("{PREFIX}{name}");
        let of = |all: &Option<&'_ Map<String, Value>>| all.and_then(|all| all.get(&key)).is_some();
        let all = if of(&self.pod) { self.pod } else { self.namespace };
        all.and_then(|all| all.get(&key)).and_then(Value::as_str).map(str::trim)
    }

    /// A value whose default does no harm.
    fn checked<T>(
        &self,
        name: &str,
        warnings: &mut Vec<String>,
        instead: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.get(name)?;
        let value = read(text);
        value.map_err(|why| warnings.push(format!("{PREFIX}{name}: {text:?} {why}; {instead}"))).ok()
    }

    /// A value that cannot be guessed.
    fn needed<T>(&self, name: &str, read: impl FnOnce(&str) -> Result<T, &'static str>) -> Result<Option<T>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read(text).map(Some).map_err(|why| Refused(format!("{PREFIX}{name}: {text:?} {why}; correct or remove it")))
    }

    fn tell_unknown(&self, warnings: &mut Vec<String>) {
        for key in self.pod.into_iter().flatten().map(|(key, _)| key) {
            if let Some(name) = key.strip_prefix(PREFIX).filter(|name| !KNOWN.contains(name)) {
                warnings.push(format!("{key} is no annotation of graylane{}", nearest(name, &KNOWN[..10])));
            }
        }
    }
}

/// ` (did you mean ...?)` where one of them is near.
fn nearest(text: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (strsim::osa_distance(text, word), word)).min();
    near.filter(|(distance, _)| *distance <= 3).map_or_else(String::new, |(_, word)| format!(" (did you mean {word}?)"))
}

/// As Kubernetes takes it (IANA_SVC_NAME, RFC 6335 section 5.1).
pub(super) fn is_port_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=15).contains(&text.len())
        && text.bytes().all(plain)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// A DNS subdomain name (RFC 1123).
pub(super) fn is_object_name(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(plain) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// As a configuration takes it.
fn is_lane(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=63).contains(&text.len()) && text.bytes().all(plain) && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Whether a pod carries the note of an injection.
pub(super) fn is_noted(annotations: Option<&Map<String, Value>>) -> bool {
    annotations.is_some_and(|all| all.contains_key(NOTE))
}
