//! Who tells: the resource of all spans and events.

use percent_encoding::percent_decode_str;

use super::protobuf::{Value, attribute};

/// The attributes of the resource by OpenTelemetry's own variables
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The most bytes of the variable that are read.
const LONGEST: usize = 16 << 10;

/// Says who the process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource(Vec<(String, String)>);

impl Resource {
    /// From what the process knows of itself and what its environment says, which wins. `instance` names the process.
    pub(super) fn of(
        service: &str,
        environment: &str,
        instance: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let service = if service.is_empty() { "graylane" } else { service };
        let own = [
            ("service.name", service),
            ("service.instance.id", instance),
            ("deployment.environment.name", environment),
        ];
        let mut all: Vec<(String, String)> =
            own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let told = variable(ATTRIBUTES).unwrap_or_default();
        match parse(&told) {
            Some(told) => told.into_iter().for_each(|(key, value)| put(&mut all, key, value)),
            None => tracing::warn!("{ATTRIBUTES} is no list of `key=value` and is not used"),
        }
        if let Some(name) = variable(SERVICE_NAME).filter(|name| !name.is_empty()) {
            put(&mut all, "service.name".to_owned(), name);
        }
        // What a reader of the spans has to know of the program is not for the environment to say.
        for (key, value) in [
            ("telemetry.sdk.name", "graylane"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ] {
            put(&mut all, key.to_owned(), value.to_owned());
        }
        Self(all)
    }

    /// The fields of a `Resource`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|(key, value)| attribute(out, 1, key, Value::Text(value)));
    }
}

fn put(all: &mut Vec<(String, String)>, key: String, value: String) {
    match all.iter_mut().find(|(known, _)| *known == key) {
        Some((_, place)) => *place = value,
        None => all.push((key, value)),
    }
}

/// `key=value` after `key=value`, parted by commas, values percent-encoded. One error makes all of it nothing, as the
/// specification asks.
fn parse(text: &str) -> Option<Vec<(String, String)>> {
    if text.len() > LONGEST {
        return None;
    }
    let decoded = |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let parsed = pairs.map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = decoded(key).filter(|key| !key.is_empty())?;
        Some((key, decoded(value)?))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(attributes: Option<&str>, name: Option<&str>) -> Resource {
        Resource::of("goods", "prod", "i-1", |variable| match variable {
            ATTRIBUTES => attributes.map(str::to_owned),
            _ => name.map(str::to_owned),
        })
    }

    fn value<'r>(resource: &'r Resource, key: &str) -> Option<&'r str> {
        resource.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_process_says_who_it_is() {
        let resource = told(None, None);
        assert_eq!(value(&resource, "service.name"), Some("goods"));
        assert_eq!(value(&resource, "service.instance.id"), Some("i-1"));
        assert_eq!(value(&resource, "deployment.environment.name"), Some("prod"));
        assert_eq!(value(&resource, "telemetry.sdk.name"), Some("graylane"));
        let unnamed = Resource::of("", "prod", "i-1", |_| None);
        assert_eq!(value(&unnamed, "service.name"), Some("graylane"));
    }

    #[test]
    fn the_environment_knows_better() {
        let text =
            "k8s.pod.name=goods-7d9f, k8s.namespace.name=shop ,service.name=a,service.instance.id=pod%2F1,empty=,";
        let resource = told(Some(text), None);
        assert_eq!(value(&resource, "k8s.pod.name"), Some("goods-7d9f"));
        assert_eq!(value(&resource, "k8s.namespace.name"), Some("shop"));
        assert_eq!(value(&resource, "service.instance.id"), Some("pod/1"));
        assert_eq!(value(&resource, "empty"), Some(""));
        assert_eq!(value(&resource, "service.name"), Some("a"));
        assert_eq!(value(&told(Some(text), Some("b")), "service.name"), Some("b"));
    }

    #[test]
    fn one_error_makes_all_of_it_nothing() {
        for text in ["a=b,nonsense", "=b,c=d", "a=%ff", &format!("a={}", "x".repeat(LONGEST))] {
            assert_eq!(told(Some(text), None), told(None, None), "{text}");
        }
    }
}
