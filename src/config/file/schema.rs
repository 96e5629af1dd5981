//! The JSON Schema of the file form, for editors.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

use super::{FileBusinessRule, FileConfig, FileGrayRelease, FileSidecar};

/// The JSON Schema of one document: the native form, a `BusinessRule`, a `GrayRelease` or a `Sidecar`.
///
/// The native form stands at the top, so that editors complete its fields at once.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().with_transform(WithoutNull).into_generator();
    let native = generator.clone().into_root_schema_for::<FileConfig>().to_value();
    let rule = generator.clone().into_root_schema_for::<FileBusinessRule>().to_value();
    let release = generator.clone().into_root_schema_for::<FileGrayRelease>().to_value();
    let sidecar = generator.into_root_schema_for::<FileSidecar>().to_value();
    join([("Config", native), ("BusinessRule", rule), ("GrayRelease", release), ("Sidecar", sidecar)])
}

/// One schema that goes by `kind`, and the definitions of all.
fn join(documents: [(&str, serde_json::Value); 4]) -> serde_json::Value {
    let mut definitions = serde_json::Map::new();
    for (name, mut document) in documents {
        definitions.extend(take_definitions(&mut document));
        if let Some(document) = document.as_object_mut() {
            document.remove("$schema");
        }
        definitions.insert(name.into(), document);
    }
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "graylane",
        "description": "A document of a graylane configuration: the native form, a BusinessRule, a GrayRelease, or a Sidecar.",
        "type": "object",
        "if": { "required": ["kind"] },
        "then": {
            "if": { "properties": { "kind": { "const": "GrayRelease", "description": "The kind." } } },
            "then": { "$ref": "#/$defs/GrayRelease" },
            "else": {
                "if": { "properties": { "kind": { "const": "Sidecar", "description": "What a pod says of its sidecar." } } },
                "then": { "$ref": "#/$defs/Sidecar" },
                "else": { "$ref": "#/$defs/BusinessRule" },
            },
        },
        "else": { "$ref": "#/$defs/Config" },
        "$defs": definitions,
    })
}

fn take_definitions(document: &mut serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match document.as_object_mut().and_then(|object| object.remove("$defs")) {
        Some(serde_json::Value::Object(definitions)) => definitions,
        _ => serde_json::Map::new(),
    }
}

/// Mirror fields are `Option` because they may be absent, not because `null` is a value.
#[derive(Debug, Clone)]
pub(in crate::config) struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(serde_json::Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".into(), only);
            }
        }
        let mut only = None;
        if let Some(serde_json::Value::Array(options)) = schema.get_mut("anyOf") {
            options.retain(|option| option != &serde_json::json!({ "type": "null" }));
            if options.len() == 1 {
                only = options.pop();
            }
        }
        if let Some(serde_json::Value::Object(only)) = only {
            schema.remove("anyOf");
            for (name, value) in only {
                if schema.get(&name).is_none() {
                    schema.insert(name, value);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}
