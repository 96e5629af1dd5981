//! From JSON Schema to what an API server takes: a structural schema, in which every value has one type and unknown
//! fields are dropped rather than refused.
//!
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>

use serde_json::{Map, Value, json};

/// The most items of any list: without a bound an API server counts a rule over the items as too dear.
const MOST_ITEMS: u64 = 256;
/// What has no type of its own there is kept as it is, and judged by the sidecar.
const AS_IT_IS: &str = "x-kubernetes-preserve-unknown-fields";
/// What a structural schema may say, of what our schemas say.
const SAID: &[&str] = &[
    "type",
    "description",
    "properties",
    "required",
    "items",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
];

/// The nearest structural schema: what it refuses, `schema` refuses as well.
pub(super) fn structural(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return anything(None) };
    let description = schema.get("description").cloned();
    if let Some(one) = one_of_several(&schema) {
        return with_description(structural(one), description);
    }
    if let Some(words) = words(&schema) {
        let mut said = Map::from_iter([("type".to_owned(), json!("string")), ("enum".to_owned(), words)]);
        said.extend(description.map(|description| ("description".to_owned(), description)));
        return said.into();
    }
    match schema.get("type") {
        Some(Value::String(_)) => {}
        // Several types, any type, or the schema within itself.
        _ => return anything(description),
    }
    let map_of = schema.remove("additionalProperties").filter(Value::is_object);
    schema.retain(|name, _| SAID.contains(&name.as_str()));
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (_, property) in properties.iter_mut() {
            *property = structural(property.take());
        }
    }
    if let Some(items) = schema.get_mut("items") {
        *items = structural(items.take());
        schema.entry("maxItems").or_insert_with(|| MOST_ITEMS.into());
    }
    if let Some(values) = map_of {
        schema.insert("additionalProperties".to_owned(), structural(values));
    }
    schema.into()
}

fn anything(description: Option<Value>) -> Value {
    let mut said = Map::from_iter([(AS_IT_IS.to_owned(), Value::Bool(true))]);
    said.extend(description.map(|description| ("description".to_owned(), description)));
    said.into()
}

fn with_description(mut schema: Value, description: Option<Value>) -> Value {
    if let (Value::Object(schema), Some(description)) = (&mut schema, description) {
        schema.insert("description".to_owned(), description);
    }
    schema
}

/// Of a value or a list of them, the list; of a number or a text, the text.
fn one_of_several(schema: &Map<String, Value>) -> Option<Value> {
    let several = schema.get("anyOf")?.as_array()?;
    let of = |kind: &str| several.iter().find(|one| one["type"] == kind).cloned();
    of("array").or_else(|| of("string"))
}

/// The words of an enumeration whose words are described one by one.
fn words(schema: &Map<String, Value>) -> Option<Value> {
    let several = schema.get("oneOf")?.as_array()?;
    several.iter().map(|one| one.get("const").cloned()).collect::<Option<Vec<_>>>().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: Value) {
        assert_eq!(structural(schema), expected);
    }

    #[test]
    fn every_value_has_one_type_or_is_kept_as_it_is() {
        check(
            json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
            json!({ "type": "integer", "minimum": 0 }),
        );
        check(json!({ "type": ["string", "number"] }), json!({ AS_IT_IS: true }));
        check(json!({ "$ref": "#" , "description": "d" }), json!({ AS_IT_IS: true, "description": "d" }));
        check(json!(true), json!({ AS_IT_IS: true }));
    }

    #[test]
    fn of_several_forms_one_is_left() {
        let list = json!({ "type": "array", "items": { "type": "string" } });
        let bounded = json!({ "type": "array", "items": { "type": "string" }, "maxItems": 256, "description": "d" });
        check(json!({ "description": "d", "anyOf": [{ "type": "string" }, list] }), bounded);
        check(json!({ "anyOf": [{ "type": "number" }, { "type": "string" }] }), json!({ "type": "string" }));
        let words = json!({ "oneOf": [{ "const": "a", "description": "A" }, { "const": "b" }] });
        check(words, json!({ "type": "string", "enum": ["a", "b"] }));
    }

    #[test]
    fn unknown_fields_are_dropped_and_not_refused() {
        let schema =
            json!({ "type": "object", "additionalProperties": false, "properties": { "a": { "type": "string" } } });
        check(schema, json!({ "type": "object", "properties": { "a": { "type": "string" } } }));
        let map = json!({ "type": "object", "additionalProperties": { "type": "string", "examples": ["x"] } });
        check(map, json!({ "type": "object", "additionalProperties": { "type": "string" } }));
    }
}
