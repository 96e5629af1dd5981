//! One resource, and where in it a problem is.

use serde_json::{Value, json};

/// One resource as the server told it last.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// `PLURAL/NAME`: what its document is called.
    pub(super) key: String,
    /// Its document: what it is and what it says, a value a line.
    pub(super) text: String,
    /// Where its status is written.
    pub(super) status_path: String,
    pub(super) generation: Option<i64>,
    /// Its status as the server told it.
    pub(super) status: Value,
}

impl Resource {
    /// `None` for what has no name.
    pub(super) fn new(version: &str, plural: &str, collection: &str, object: &Value) -> Option<Self> {
        let name = object["metadata"]["name"].as_str()?;
        // Lists of the server leave out what their items are.
        let kind = if plural == "businessrules" { "BusinessRule" } else { "GrayRelease" };
        let said = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": object["spec"] });
        Some(Self {
            key: format!("{plural}/{name}"),
            text: serde_json::to_string_pretty(&said).unwrap_or_default(),
            status_path: format!("{collection}/{name}/status"),
            generation: object["metadata"]["generation"].as_i64(),
            status: object["status"].clone(),
        })
    }
}

/// The path of the value on a line (from 1) of a text that `to_string_pretty` wrote, such as `spec.conditions[0].key`.
pub(super) fn path_at(text: &str, line: usize) -> String {
    /// A value that has others in it: its part of the path, and the place in it where it is a list.
    struct Open {
        name: String,
        items: Option<usize>,
    }
    let mut open: Vec<Open> = Vec::new();
    let mut path = String::new();
    for text in text.lines().take(line) {
        let said = text.trim_start();
        if said.starts_with(['}', ']']) {
            open.pop();
            continue;
        }
        let (key, value) = match said.strip_prefix('"').and_then(|rest| rest.split_once("\": ")) {
            Some((key, value)) => (Some(key), value),
            None => (None, said),
        };
        let name = match (key, open.last_mut().and_then(|outer| outer.items.as_mut())) {
            (Some(key), None) => key.to_owned(),
            (_, Some(place)) => {
                *place += 1;
                format!("[{}]", *place - 1)
            }
            (None, None) => String::new(),
        };
        path = open.iter().map(|outer| outer.name.as_str()).chain([name.as_str()]).fold(String::new(), joined);
        match value {
            "{" => open.push(Open { name, items: None }),
            "[" => open.push(Open { name, items: Some(0) }),
            _ => {}
        }
    }
    path
}

fn joined(mut path: String, name: &str) -> String {
    if !path.is_empty() && !name.is_empty() && !name.starts_with('[') {
        path.push('.');
    }
    path.push_str(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_path_of_its_value() {
        let text = serde_json::to_string_pretty(&json!({
            "kind": "GrayRelease",
            "spec": {
                "permille": 5,
                "conditions": [{ "key": "a: \"b", "values": ["x", "y"] }, { "not": [{ "key": "c" }] }],
                "revision": 2,
            },
        }))
        .unwrap();
        let found: Vec<_> = (1..=text.lines().count()).map(|line| path_at(&text, line)).collect();
        for expected in [
            "kind",
            "spec.permille",
            "spec.conditions[0].key",
            "spec.conditions[0].values[1]",
            "spec.conditions[1].not[0].key",
            "spec.revision",
        ] {
            assert!(found.iter().any(|path| path == expected), "{expected} of {found:?}");
        }
        assert_eq!(path_at(&text, 4), "spec.permille");
    }

    #[test]
    fn only_what_a_resource_says_is_in_its_document() {
        let object = json!({
            "metadata": { "name": "r", "generation": 3, "resourceVersion": "7" },
            "spec": { "service": "goods" },
            "status": { "observedGeneration": 2 },
        });
        let one = Resource::new("graylane.io/v1alpha1", "grayreleases", "/apis/x", &object).unwrap();
        assert_eq!((one.key.as_str(), one.generation), ("grayreleases/r", Some(3)));
        assert_eq!(one.status_path, "/apis/x/r/status");
        assert!(one.text.contains("\"GrayRelease\"") && !one.text.contains("resourceVersion"), "{}", one.text);
    }
}
