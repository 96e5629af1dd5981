//! The schema says what the reader reads.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::schema;
use super::{check, lines, load};

/// The names of the properties of every definition, and of every required field that is a map (`Route.match`).
fn properties() -> BTreeMap<String, Vec<String>> {
    fn collect(name: &str, definition: &Value, found: &mut BTreeMap<String, Vec<String>>) {
        let Some(properties) = definition["properties"].as_object() else { return };
        found.insert(name.to_owned(), properties.keys().cloned().collect());
        properties.iter().for_each(|(property, inner)| collect(&format!("{name}.{property}"), inner, found));
    }
    let mut found = BTreeMap::new();
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    definitions.iter().for_each(|(name, definition)| collect(name, definition, &mut found));
    found
}

/// The fields that the reader offers where a field is wrong, and nothing is near it.
fn fields(text: &str) -> Vec<String> {
    let problems = load(text).expect_err("a field is wrong");
    let wrong = problems.iter().find(|problem| problem.message.starts_with("unknown field `zzzzzz`"));
    let help = wrong.and_then(|problem| problem.help.clone()).unwrap_or_else(|| panic!("{}", lines(problems.iter())));
    help.trim_start_matches("valid: ").split(", ").map(str::to_owned).collect()
}

#[track_caller]
fn agree(definition: &str, text: &str) {
    assert_eq!(properties()[definition], fields(text), "{definition}");
}

#[test]
fn every_definition_has_the_fields_that_are_read() {
    agree("Listener", "listeners: [{ zzzzzz: 1 }]");
    agree("ListenerTls", "listeners: [{ tls: { zzzzzz: 1 } }]");
    agree("Certificate", "listeners: [{ tls: { certificates: [{ zzzzzz: 1 }] } }]");
    agree("ProxyProtocol", "listeners: [{ proxy_protocol: { zzzzzz: 1 } }]");
    agree("UpstreamTls", "upstreams: { a: { tls: { zzzzzz: 1 } } }");
    agree("Admin", "admin: { zzzzzz: 1 }");
    agree("AccessLogFile", "access_log_file: { zzzzzz: 1 }");
    agree("State", "state: { zzzzzz: 1 }");
    agree("Geoip", "geoip: { zzzzzz: 1 }");
    agree("Products", "products: { zzzzzz: 1 }");
    agree("Invalidate", "products: { invalidate: { zzzzzz: 1 } }");
    agree("InvalidateRedis", "products: { invalidate: { redis: { zzzzzz: 1 } } }");
    agree("InvalidateWebhook", "products: { invalidate: { webhook: { zzzzzz: 1 } } }");
    agree("Tracing", "tracing: { zzzzzz: 1 }");
    agree("Guard", "guard: { zzzzzz: 1 }");
    agree("JsonBody", "json_body: { zzzzzz: 1 }");
    agree("Jwt", "jwt: { zzzzzz: 1 }");
    agree("Lookup", "lookups: { a: { zzzzzz: 1 } }");
    agree("Limits", "limits: { zzzzzz: 1 }");
    agree("Overload", "overload: { zzzzzz: 1 }");
    agree("Source", "facts: { a: [{ zzzzzz: 1 }] }");
    agree("Upstream", "upstreams: { a: { zzzzzz: 1 } }");
    agree("Health", "upstreams: { a: { health: { zzzzzz: 1 } } }");
    agree("Ejection", "upstreams: { a: { ejection: { zzzzzz: 1 } } }");
    agree("Experiment", "experiments: { a: { zzzzzz: 1 } }");
    agree("Release", "releases: { a: { zzzzzz: 1 } }");
    agree("Developer", "releases: { a: { developer: { zzzzzz: 1 } } }");
    agree("Ab", "releases: { a: { ab: { zzzzzz: 1 } } }");
    agree("Regions", "releases: { a: { regions: { zzzzzz: 1 } } }");
    agree("Condition", "releases: { a: { conditions: [{ zzzzzz: 1 }] } }");
    agree("Rollback", "releases: { a: { rollback: { zzzzzz: 1 } } }");
    agree("WorseRules", "releases: { a: { rollback: { worse: { zzzzzz: 1 } } } }");
    agree("AdminToken", "admin: { tokens: [{ zzzzzz: 1 }] }");
    agree("RollbackOn", "releases: { a: { rollback_on: [{ zzzzzz: 1 }] } }");
    agree("Breaker", "breakers: { a: { zzzzzz: 1 } }");
    agree("Route", "routes: [{ zzzzzz: 1 }]");
    agree("Route.match", "routes: [{ match: { zzzzzz: 1 } }]");
    agree("HeaderForm", "routes: [{ match: { headers: { a: { zzzzzz: 1 } } } }]");
    agree("Timeouts", "routes: [{ timeouts: { zzzzzz: 1 } }]");
    agree("Shield", "routes: [{ shield: { zzzzzz: 1 } }]");
    agree("Fault", "faults: [{ zzzzzz: 1 }]");
    agree("DelayForm", "faults: [{ delay: { zzzzzz: 1 } }]");
    agree("RemoteSource", "sources: [{ zzzzzz: 1 }]");
    agree("Backoff", "sources: [{ backoff: { zzzzzz: 1 } }]");
    agree("SourceBounds", "sources: [{ bounds: { zzzzzz: 1 } }]");
    agree("Redis", "sources: [{ redis: { zzzzzz: 1 } }]");
    agree("Etcd", "sources: [{ etcd: { zzzzzz: 1 } }]");
    agree("SourceTls", "sources: [{ etcd: { tls: { zzzzzz: 1 } } }]");
    agree("LaneLimits", "routes: [{ limits: { a: { zzzzzz: 1 } } }]");
    agree("Adaptive", "routes: [{ limits: { a: { adaptive: { zzzzzz: 1 } } } }]");
    agree("Centre", "sources: [{ centre: { zzzzzz: 1 } }]");
    agree("Nacos", "sources: [{ nacos: { zzzzzz: 1 } }]");
    agree("Apollo", "sources: [{ apollo: { zzzzzz: 1 } }]");
    agree("Kubernetes", "kubernetes: { zzzzzz: 1 }");
    agree("KubernetesSource", "sources: [{ kubernetes: { zzzzzz: 1 } }]");
    agree("Functions", "functions: { zzzzzz: 1 }");
    agree("Promotion", "functions: { promotions: { a: { zzzzzz: 1 } } }");
    agree("Strategies", "routes: [{ strategies: { zzzzzz: 1 } }]");
    agree("Dedicated", "routes: [{ strategies: { whitelist: [{ zzzzzz: 1 }] } }]");
    agree("Weights", "routes: [{ strategies: { weights: { zzzzzz: 1 } } }]");
    agree("Strategy", "routes: [{ strategies: { list: [{ zzzzzz: 1 }] } }]");
    agree("BusinessRule", "{ kind: BusinessRule, zzzzzz: 1 }");
    agree("BusinessRule.metadata", "{ kind: BusinessRule, metadata: { zzzzzz: 1 } }");
    agree("Sidecar", "{ kind: Sidecar, zzzzzz: 1 }");
    agree("Sidecar.spec", "{ kind: Sidecar, spec: { zzzzzz: 1 } }");
    agree("BusinessRule.spec", "{ kind: BusinessRule, spec: { zzzzzz: 1 } }");
    agree("GrayRelease", "{ kind: GrayRelease, zzzzzz: 1 }");
    agree("GrayRelease.metadata", "{ kind: GrayRelease, metadata: { zzzzzz: 1 } }");
    agree("GrayRelease.spec", "{ kind: GrayRelease, spec: { zzzzzz: 1 } }");
    agree("GrayRegions", "{ kind: GrayRelease, spec: { regions: { zzzzzz: 1 } } }");
    agree("GrayRollback", "{ kind: GrayRelease, spec: { rollback: { zzzzzz: 1 } } }");
    agree("GrayWorse", "{ kind: GrayRelease, spec: { rollback: { worse: { zzzzzz: 1 } } } }");
}

#[test]
fn every_field_of_the_top_is_known_to_the_reader() {
    let properties = properties();
    for property in &properties["Config"] {
        let problems = load(format!("{property}: {{ a: {{}} }}"));
        let told = problems.map_or_else(|problems| lines(problems.iter()), |loaded| lines(loaded.warnings.iter()));
        assert!(!told.contains(&format!("unknown field `{property}`")), "{told}");
    }
    let agreed = 72;
    assert_eq!(properties.len(), agreed + 1, "a definition that no test compares: {:?}", properties.keys());
    check("zzzzzz: 1", "1:1: unknown field `zzzzzz` in the configuration");
}

#[test]
fn every_property_is_described_and_none_takes_null() {
    fn walk(path: &str, value: &Value) {
        match value {
            Value::Object(object) => {
                assert_ne!(object.get("type"), Some(&Value::from("null")), "{path}");
                if let Some(Value::Object(properties)) = object.get("properties") {
                    for (name, property) in properties {
                        let described =
                            property.as_object().is_none_or(|property| property.contains_key("description"));
                        assert!(described, "{path}.{name} has no description");
                    }
                }
                object.iter().for_each(|(name, inner)| walk(&format!("{path}.{name}"), inner));
            }
            Value::Array(list) => list.iter().for_each(|inner| walk(path, inner)),
            _ => {}
        }
    }
    walk("", &schema());
}

#[test]
fn words_and_defaults_are_in_the_schema() {
    let schema = schema();
    let definitions = &schema["$defs"];
    assert_eq!(definitions["Level"]["enum"], serde_json::json!(["developer", "ab", "region", "permille", "full"]));
    assert_eq!(definitions["Upstream"]["properties"]["idle"]["default"], "4s");
    assert_eq!(definitions["Route"]["required"], serde_json::json!(["name", "match", "lanes"]));
    assert_eq!(definitions["Release"]["additionalProperties"], false);
}
