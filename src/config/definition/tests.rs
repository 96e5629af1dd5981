use serde_json::{Value, json};

use super::custom_resource_definitions;
use crate::config::{KeyFiles, load_text};

const RULE: &str = include_str!("../../../config/business-rule.yaml");

fn spec_schema(kind: &str) -> Value {
    let found = custom_resource_definitions().into_iter().find(|(_, crd)| crd["spec"]["names"]["kind"] == kind);
    let (_, crd) = found.expect("a definition of that kind");
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// Whether every rule of the schema holds; `before` is the resource as it was.
fn holds(schema: &Value, now: &Value, before: &Value) -> bool {
    let value = |value: &Value| cel::to_value(value).expect("JSON is CEL");
    let rules = schema["x-kubernetes-validations"].as_array().expect("rules");
    rules.iter().all(|rule| {
        let mut context = cel::Context::default();
        context.add_variable_from_value("self", value(now));
        context.add_variable_from_value("oldSelf", value(before));
        let text = rule["rule"].as_str().expect("a text");
        let program = cel::Program::compile(text).expect("a rule in CEL");
        program.execute(&context).expect(text) == cel::Value::Bool(true)
    })
}

#[track_caller]
fn check(kind: &str, before: Value, now: Value, expected: bool) {
    assert_eq!(holds(&spec_schema(kind), &now, &before), expected, "{before} to {now}");
}

#[test]
fn a_release_says_how_far_it_is_open() {
    let same = |spec: Value, expected| check("GrayRelease", spec.clone(), spec, expected);
    same(json!({ "service": "goods", "level": "developer" }), true);
    same(json!({ "service": "goods", "permille": 5 }), true);
    same(json!({ "service": "goods", "level": "permille", "permille": 5 }), true);
    same(json!({ "service": "goods", "level": "permille" }), false);
    same(json!({ "service": "goods" }), false);
}

#[test]
fn a_revision_only_goes_up_and_a_service_stays() {
    let spec = |service: &str, revision: u32| json!({ "service": service, "permille": 5, "revision": revision });
    check("GrayRelease", spec("goods", 1), spec("goods", 2), true);
    check("GrayRelease", spec("goods", 2), spec("goods", 2), true);
    check("GrayRelease", spec("goods", 2), spec("goods", 1), false);
    check("GrayRelease", spec("goods", 1), json!({ "service": "goods", "permille": 5 }), false);
    check("GrayRelease", json!({ "service": "goods", "permille": 5 }), spec("goods", 1), true);
    check("GrayRelease", spec("goods", 1), spec("price", 1), false);
    check("BusinessRule", json!({ "service": "goods" }), json!({ "service": "goods" }), true);
    check("BusinessRule", json!({ "service": "goods" }), json!({ "service": "price" }), false);
}

/// Every schema of a definition with the place where it stands.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&format!("{path}[]"), &schema[inner], look);
        }
    }
}

#[test]
fn definitions_are_structural() {
    let allowed = [
        "type",
        "description",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
    ];
    for (file, crd) in custom_resource_definitions() {
        let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(&file, root, &mut |path, schema| {
            let schema = schema.as_object().unwrap_or_else(|| panic!("{path} is no schema"));
            let as_it_is = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            assert!(as_it_is || schema.get("type").is_some_and(Value::is_string), "{path} has no type");
            for name in schema.keys() {
                assert!(allowed.contains(&name.as_str()) || name.starts_with("x-kubernetes-"), "{path}: `{name}`");
            }
            assert!(!(schema.contains_key("properties") && schema.contains_key("additionalProperties")), "{path}");
            assert!(
                path.ends_with(".metadata")
                    || path.ends_with(".status")
                    || schema.contains_key("description")
                    || path.ends_with("[]"),
                "{path} is not described"
            );
            if schema.get("type") == Some(&json!("array")) {
                assert!(schema.contains_key("items") && schema.contains_key("maxItems"), "{path} has no bound");
            }
        });
    }
}

#[test]
fn what_a_file_may_say_a_definition_has() {
    let rule = spec_schema("BusinessRule");
    assert_eq!(rule["required"], json!(["service", "trafficWeight"]));
    let weight = rule["properties"]["trafficWeight"]["pattern"].as_str().expect("a pattern");
    let weight = regex::Regex::new(weight).expect("a pattern");
    for (text, expected) in [
        ("5%", true),
        ("0.5%", true),
        ("100%", true),
        ("50‰", true),
        ("1000‰", true),
        ("101%", false),
        ("5", false),
        ("1001‰", false),
        ("0.55%", false),
        ("0.5‰", false),
    ] {
        assert_eq!(weight.is_match(text), expected, "{text}");
    }
    assert_eq!(rule["properties"]["conditions"]["items"]["properties"]["operator"]["enum"][0], "EQ");
    let release = spec_schema("GrayRelease");
    assert_eq!(release["properties"]["level"]["enum"], json!(["developer", "ab", "region", "permille", "full"]));
    assert_eq!(release["properties"]["ab"]["properties"]["groups"]["type"], "array");
    assert_eq!(release["properties"]["rollback"]["properties"]["worse"]["properties"]["alpha"]["type"], "string");
}

/// A configuration whose one route names the release `r`.
fn loaded(release: &str) -> Result<String, String> {
    let native = "service: goods\nupstreams: { s: { endpoints: ['127.0.0.1:1'] }, g: { endpoints: ['127.0.0.1:2'] } }\n\
                  routes: [{ name: all, match: { path: '/{*rest}' }, lanes: { stable: s, gray: g }, release: r }]\n";
    let text = format!("{native}---\n{release}");
    let loaded = load_text(std::path::Path::new("t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent);
    let loaded = loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    Ok(format!("{:?}", loaded.settings.program.releases().first()))
}

#[test]
fn a_gray_release_in_a_file_is_a_release_of_its_service() {
    let release = |spec: &str| {
        loaded(&format!(
            "apiVersion: graylane.io/v1alpha1\nkind: GrayRelease\nmetadata: {{ name: r }}\nspec: {{ service: goods, {spec} }}\n"
        ))
    };
    let shown = release(
        "permille: 50, salt: x, conditions: [{ key: tag, operator: ANY_OF, values: [a] }], rollback: { worse: {} }",
    );
    let shown = shown.expect("it loads");
    assert!(shown.contains("50") && shown.contains("\"x\""), "{shown}");
    let wrong = release("permille: 5000").expect_err("more than everyone");
    assert!(wrong.starts_with("t.yaml:") && wrong.contains("1000"), "{wrong}");
    let wrong = release("permile: 50").expect_err("a slip");
    assert!(wrong.contains("unknown field `permile`") && wrong.contains("did you mean `permille`"), "{wrong}");
    let other = loaded(
        "apiVersion: graylane.io/v1alpha1\nkind: GrayRelease\nmetadata: { name: r }\nspec: { service: price, permille: 1 }\n",
    );
    assert!(other.expect_err("the route has no release then").contains('r'));
}

#[test]
fn the_example_of_a_rule_loads_as_it_stands() {
    assert!(load_text(std::path::Path::new("t.yaml"), RULE.as_bytes(), KeyFiles::MayBeAbsent).is_ok());
}
