//! ConfigMaps: whether they are there, and a configuration.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::View;
use super::finding::Finding;
use super::objects::{Objects, place, text};
use super::pods::Fronted;
use crate::config::{KeyFiles, Source, load_texts_with};
use crate::inject::NOTE;

pub(super) fn examine(objects: &Objects, fronted: &[Fronted], view: View, found: &mut Vec<Finding>) {
    let view = if objects.knows("ConfigMap") { view } else { View::Manifests };
    let mut judged = BTreeSet::new();
    for app in fronted {
        let volumes = app.injected.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let source = volumes.filter_map(|volume| volume.pointer("/projected/sources/0/configMap")).next();
        let Some(source) = source else { continue };
        let (name, namespace) = (text(source, "/name"), app.namespace.as_str());
        let is_optional = source.get("optional").and_then(Value::as_bool) == Some(true);
        let there = objects.of("ConfigMap").find(|map| {
            text(map, "/metadata/name") == name && [namespace, ""].contains(&text(map, "/metadata/namespace"))
        });
        match there {
            Some(map) if judged.insert((namespace, name, note(app))) => judge(map, app, found),
            Some(_) => {}
            None if !is_optional && view == View::Cluster => found.push(Finding::error(
                &app.place,
                format!("the ConfigMap {name} is not there: its pods wait for it and do not start"),
                format!("kubectl -n {namespace} create configmap {name} --from-file=graylane.yaml"),
            )),
            None if view == View::Cluster => found.push(Finding::warning(
                &app.place,
                format!("there is no ConfigMap {name}: the sidecar sends everything to the pod's own service"),
                format!("kubectl -n {namespace} create configmap {name} --from-file=graylane.yaml"),
            )),
            None => {}
        }
    }
}

fn note(app: &Fronted) -> &str {
    app.injected
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(NOTE))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Loads it as the sidecar would, with what the pod says. Files that it names are not at hand here.
fn judge(map: &Value, app: &Fronted, found: &mut Vec<Finding>) {
    let data = map.get("data").and_then(Value::as_object);
    let files = data.into_iter().flatten().filter(|(key, _)| key.ends_with(".yaml") || key.ends_with(".yml"));
    let mut sources: Vec<Source> = files
        .map(|(key, value)| Source {
            path: Path::new(key).to_owned(),
            text: value.as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    if sources.is_empty() {
        found.push(Finding::error(
            &place(map),
            "it has no key that ends in .yaml: the sidecar finds no configuration in it",
            "kubectl create configmap NAME --from-file=graylane.yaml",
        ));
        return;
    }
    sources.push(Source { path: Path::new("the pod").to_owned(), text: note(app).to_owned() });
    if let Err(problems) = load_texts_with(&sources, KeyFiles::MayBeAbsent) {
        for problem in problems.iter() {
            found.push(Finding::error(
                &place(map),
                format!("the configuration is refused: {problem}"),
                "graylane check, with the files of the ConfigMap",
            ));
        }
    }
}
