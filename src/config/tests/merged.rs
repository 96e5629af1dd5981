//! Nothing that stands in a document of its own is lost.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::gather::{Gathered, gather_text};
use super::super::problem::Findings;
use super::super::schema;
use super::super::text::Texts;

/// A value of every field. JSON is YAML.
fn samples() -> Map<String, Value> {
    let samples = r##"{
        "version": 1, "environment": "dev", "service": "goods", "lane": "gray", "local": "127.0.0.1:1", "workers": 2,
        "listeners": [{ "bind": "127.0.0.1:2" }],
        "admin": { "bind": "127.0.0.1:3", "insecure_changes": true, "token_file": "a.token", "reads": "token",
            "tokens": [{ "file": "b.token", "role": "read" }] },
        "trust": ["10.0.0.0/8"], "access_log": "all", "access_log_facts": ["stock_level"], "state": { "dir": "s" },
        "access_log_file": { "path": "a.log", "size": "1MiB", "keep": 3 }, "access_log_redact": ["client"],
        "response_mark": "header", "response_mark_cache": "vary", "normalize": "forward", "allow_encoded": ["slash"],
        "region_codes": "custom", "sku_format": "[A-Z]+", "categories": ["1001"], "facts": { "user_id": { "header": "x-u" } },
        "order_amount_unit": "fen", "json_body": { "max": "1KiB" },
        "functions": {
            "in_stock": 3, "discount_by_tier": { "VIP": "0.2" }, "tag_score": { "new": 1 },
            "promotions": { "p": { "off": 20 } }
        },
        "values": { "price": "1 + 1" },
        "geoip": { "database": "g.mmdb", "province": "/a", "city": "/b", "country": "/c", "cities": "c.yaml" },
        "jwt": { "header": "authorization" }, "lookups": { "stock": { "deadline": "5ms" } },
        "upstreams": { "u": { "endpoints": ["127.0.0.1:4"] } }, "experiments": { "e": { "groups": { "a": 1000 } } },
        "releases": { "r": { "level": "full" } }, "breakers": { "b": { "min_calls": 5 } },
        "routes": [{ "name": "r", "match": {}, "lanes": { "stable": "u" } }],
        "faults": [{ "name": "f", "lane": "gray" }], "sources": [{ "name": "s" }], "sources_wait": "3s",
        "limits": {
            "header_bytes": "16KiB", "header_count": 9, "uri_bytes": "4KiB", "header_time": "3s", "body_idle": "4s",
            "body_bytes_per_second": 2,
            "idle": "5s", "connections": 9, "connections_per_peer": 8, "h2_streams": 7, "h2_resets": 6,
            "h2_resets_per_second": 5, "h2_control_frames_per_second": 4, "handshake_time": "6s", "handshakes": 3
        },
        "overload": { "inflight": 9, "memory": "64MiB", "delay": "9ms" },
        "tracing": {
            "otlp": "https://127.0.0.1:9", "protocol": "grpc", "sample": "9%", "untrusted": "follow", "evaluations": "8%",
            "context_id": "plain", "headers_file": "h.txt", "tls": { "ca_file": "ca.pem" }, "answer": "3s"
        },
        "guard": { "move": "9%", "files": "free", "sources": "free" },
        "products": { "version": 42, "invalidate": { "redis": { "url": "redis://127.0.0.1:1", "channel": "c" } } },
        "kubernetes": { "url": "https://10.0.0.1", "token_file": "t", "ca_file": "c", "zone": "z" },
        "confirm": ["abc"], "drain": "7s", "drain_wait": "1s"
    }"##;
    serde_json::from_str(samples).expect("JSON")
}

/// What was read of the documents, without the places where it stood.
fn read(documents: &[Value]) -> String {
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    let (mut texts, mut findings) = (Texts::default(), Findings::default());
    let Gathered { config, .. } =
        gather_text(Path::new("/nowhere/t.yaml"), documents.join("\n---\n").as_bytes(), &mut texts, &mut findings);
    let shown = format!("{config:?}");
    let places = regex::Regex::new(r"Span \{[^}]*\}").expect("a pattern");
    places.replace_all(&shown, "_").into_owned()
}

/// The names of the fields in the schema.
fn properties(definition: &Value) -> Option<Vec<String>> {
    Some(definition["properties"].as_object()?.keys().cloned().collect())
}

fn definition<'s>(schema: &'s Value, property: &'s Value) -> &'s Value {
    match property["$ref"].as_str() {
        Some(path) => &schema["$defs"][path.rsplit('/').next().expect("a name")],
        None => property,
    }
}

#[test]
fn every_field_may_stand_in_another_document() {
    let (schema, samples) = (schema(), samples());
    let fields = properties(&schema["$defs"]["Config"]).expect("the configuration has fields");
    for field in &fields {
        let value = samples.get(field).unwrap_or_else(|| panic!("`{field}` has no sample here"));
        let alone = json!({ field: value });
        assert_ne!(read(std::slice::from_ref(&alone)), read(&[json!({})]), "`{field}` is not read at all");
        let mut rest = samples.clone();
        rest.remove(field);
        let whole = read(&[Value::Object(samples.clone())]);
        assert_eq!(read(&[Value::Object(rest), alone]), whole, "`{field}` of a second document");
    }
}

#[test]
fn every_field_of_a_section_may_stand_in_another_document() {
    let (schema, samples) = (schema(), samples());
    for (section, property) in schema["$defs"]["Config"]["properties"].as_object().expect("fields") {
        // Which tokens are believed is said in one place.
        let Some(fields) = properties(definition(&schema, property)).filter(|_| section != "jwt") else { continue };
        for field in fields {
            let sample = &samples[section];
            let value = sample.get(&field).unwrap_or_else(|| panic!("`{section}.{field}` has no sample here"));
            let sample_map = sample.as_object().expect("a section is a map");
            // What a section cannot do without stands in each of its documents.
            let needed = definition(&schema, property)["required"].as_array().cloned().unwrap_or_default();
            let needed: Map<String, Value> =
                sample_map.clone().into_iter().filter(|(name, _)| needed.contains(&json!(name))).collect();
            let (mut rest, mut alone) = (sample_map.clone(), needed.clone());
            if !needed.contains_key(&field) {
                rest.remove(&field);
            }
            alone.insert(field.clone(), value.clone());
            let parts = [json!({ section: rest }), json!({ section: alone })];
            assert_eq!(read(&parts), read(&[json!({ section: sample })]), "`{section}.{field}` of a second document");
        }
    }
}
