//! Where things stand in the JSON of a pod, or of a template of pods.

use serde_json::{Map, Value};

/// The lists of containers that may serve for as long as the pod lives.
pub(super) const LISTS: [&str; 2] = ["containers", "initContainers"];

pub(super) fn annotations(pod: &Value) -> Option<&Map<String, Value>> {
    pod.get("metadata")?.get("annotations")?.as_object()
}

/// The containers of a list that keep running: of the init containers, those that are restarted always.
pub(super) fn serving<'p>(pod: &'p Value, list: &'static str) -> impl Iterator<Item = (usize, &'p Value)> {
    let all = pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array);
    all.into_iter().flatten().enumerate().filter(move |(_, container)| {
        list == "containers" || container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
    })
}

/// Every container of every list.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let list = |list| pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array).into_iter().flatten();
    LISTS.into_iter().flat_map(list)
}

/// The ports of a container.
pub(super) fn ports(container: &Value) -> impl Iterator<Item = &Value> {
    container.get("ports").and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn name(object: &Value) -> &str {
    object.get("name").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(port: &Value) -> Option<u16> {
    port.get("containerPort").and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
}

/// Nothing is said of the protocol of most ports; then it is TCP.
pub(super) fn is_tcp(port: &Value) -> bool {
    port.get("protocol").and_then(Value::as_str).is_none_or(|protocol| protocol == "TCP")
}

/// The map under a key, made where there is none.
pub(super) fn map_in<'p>(parent: &'p mut Map<String, Value>, key: &str) -> &'p mut Map<String, Value> {
    let slot = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("it was just made one")
}

/// The list under a key, made where there is none.
pub(super) fn list_in<'p>(parent: &'p mut Map<String, Value>, key: &str) -> &'p mut Vec<Value> {
    let slot = parent.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("it was just made one")
}
