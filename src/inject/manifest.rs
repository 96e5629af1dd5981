//! The pods and templates of pods within manifests.

use serde_json::{Map, Value};

/// A pod, or a template of pods, within a document.
#[derive(Debug)]
pub struct Templates<'d> {
    /// Where it is, as `Deployment shop/goods`.
    pub place: String,
    /// Its namespace, where one is written.
    pub namespace: Option<String>,
    /// The pod.
    pub pod: &'d mut Value,
}

/// Every one of a document, which may be a List.
pub fn templates(document: &mut Value) -> Vec<Templates<'_>> {
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("/kind");
    if kind == "List" || (kind.ends_with("List") && document.get("items").is_some()) {
        let items = document.get_mut("items").and_then(Value::as_array_mut);
        return items.into_iter().flatten().flat_map(templates).collect();
    }
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    let own = [text("/metadata/name"), text("/metadata/generateName")].into_iter().find(|name| !name.is_empty());
    let name: Vec<String> = namespace.iter().cloned().chain(own).collect();
    let path = match kind.as_str() {
        "Pod" => "",
        "PodTemplate" => "/template",
        "CronJob" => "/spec/jobTemplate/spec/template",
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => "/spec/template",
        _ => return Vec::new(),
    };
    let place = format!("{kind} {}", name.join("/"));
    document.pointer_mut(path).map(|pod| Templates { place, namespace, pod }).into_iter().collect()
}

/// The annotations of the Namespaces among some documents, by name.
pub fn namespaces(documents: &[Value]) -> Map<String, Value> {
    let named = documents.iter().filter(|document| document.get("kind").and_then(Value::as_str) == Some("Namespace"));
    let of = |document: &Value| {
        let name = document.pointer("/metadata/name")?.as_str()?.to_owned();
        Some((name, document.pointer("/metadata/annotations").cloned().unwrap_or_default()))
    };
    named.filter_map(of).collect()
}
