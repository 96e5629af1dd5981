//! The objects that are looked at, by kind.

use serde_json::{Map, Value};

/// Objects of a cluster, or documents of manifests.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    all: Vec<Value>,
    hidden: Vec<&'static str>,
}

impl Objects {
    /// Adds an object; a List is taken for what it holds. API servers leave the kind out of the items of a list, so it is that of the
    /// list.
    pub fn add(&mut self, object: Value) {
        let Value::Object(mut object) = object else { return };
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(of) = kind.strip_suffix("List") else { return self.all.push(Value::Object(object)) };
        let Some(Value::Array(items)) = object.remove("items") else { return };
        for mut item in items {
            if let Some(item) = item.as_object_mut().filter(|_| !of.is_empty()) {
                item.entry("kind").or_insert_with(|| of.into());
            }
            self.add(item);
        }
    }

    /// Nobody may read objects of this kind, so nothing is known of them.
    pub fn hide(&mut self, kind: &'static str) {
        self.hidden.push(kind);
    }

    /// Whether what is missing of this kind is missing.
    pub(super) fn knows(&self, kind: &'static str) -> bool {
        !self.hidden.contains(&kind)
    }

    pub(super) fn of<'o>(&'o self, kind: &'static str) -> impl Iterator<Item = &'o Value> {
        self.all.iter().filter(move |object| text(object, "/kind") == kind)
    }

    pub(super) fn all(&self) -> &[Value] {
        &self.all
    }

    /// The Namespace of this name.
    pub(super) fn namespace(&self, name: &str) -> Option<&Value> {
        self.of("Namespace").find(|namespace| text(namespace, "/metadata/name") == name)
    }
}

/// A text of an object, empty where there is none.
pub(super) fn text<'o>(object: &'o Value, path: &str) -> &'o str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The list under a path, empty where there is none.
pub(super) fn list<'o>(object: &'o Value, path: &str) -> &'o [Value] {
    object.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `Service shop/goods`.
pub(super) fn place(object: &Value) -> String {
    let (kind, namespace, name) =
        (text(object, "/kind"), text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// Whether labels are what a selector of single values wants (`matchLabels`, and a Service's selector).
pub(super) fn matches(selector: Option<&Map<String, Value>>, labels: Option<&Map<String, Value>>) -> bool {
    let has = |(key, value): (&String, &Value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    selector.is_none_or(|selector| selector.iter().all(has))
}

/// Whether labels are what a LabelSelector wants; one that is absent or empty wants everything.
pub(super) fn selects(selector: Option<&Value>, labels: Option<&Map<String, Value>>) -> bool {
    let Some(selector) = selector else { return true };
    let expressions = list(selector, "/matchExpressions");
    matches(selector.get("matchLabels").and_then(Value::as_object), labels)
        && expressions.iter().all(|expression| {
            let value = labels.and_then(|labels| labels.get(text(expression, "/key")));
            let among = value.is_some_and(|value| list(expression, "/values").contains(value));
            match text(expression, "/operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
