//! What differs between two objects, as a JSON Patch (RFC 6902).
//!
//! Where a list has become longer or shorter, its elements are told apart by their `name`, as Kubernetes does, so that a patch
//! touches what was changed and nothing else, and can be read.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// The operations that make `after` of `before`, in the order in which they are to be applied.
pub fn difference(before: &Value, after: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Value>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => maps(path, before, after, found),
        (Value::Array(before), Value::Array(after)) => lists(path, before, after, found),
        _ => found.push(json!({ "op": "replace", "path": path, "value": after })),
    }
}

fn maps(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<Value>) {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        found.push(json!({ "op": "remove", "path": below(path, key) }));
    }
    for (key, value) in after {
        match before.get(key) {
            Some(old) => compare(&below(path, key), old, value, found),
            None => found.push(json!({ "op": "add", "path": below(path, key), "value": value })),
        }
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], found: &mut Vec<Value>) {
    if before.len() == after.len() {
        for (at, (old, new)) in before.iter().zip(after).enumerate() {
            compare(&format!("{path}/{at}"), old, new, found);
        }
        return;
    }
    let (Some(old), Some(new)) = (names(before), names(after)) else {
        found.push(json!({ "op": "replace", "path": path, "value": after }));
        return;
    };
    let stays: Vec<&&str> = old.iter().filter(|name| new.contains(name)).collect();
    if !stays.iter().copied().eq(new.iter().filter(|name| old.contains(name))) {
        found.push(json!({ "op": "replace", "path": path, "value": after }));
        return;
    }
    for at in (0..old.len()).rev().filter(|at| !new.contains(&old[*at])) {
        found.push(json!({ "op": "remove", "path": format!("{path}/{at}") }));
    }
    for (at, value) in after.iter().enumerate() {
        match old.iter().position(|name| *name == new[at]) {
            Some(there) => compare(&format!("{path}/{at}"), &before[there], value, found),
            None => found.push(json!({ "op": "add", "path": format!("{path}/{at}"), "value": value })),
        }
    }
}

/// The names of a list's elements, where each has one of its own.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Option<Vec<&str>> = list.iter().map(|element| element.get("name")?.as_str()).collect();
    names.filter(|names| names.iter().collect::<HashSet<_>>().len() == names.len())
}

/// RFC 6901 section 3.
fn below(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}
