//! Pods and what makes them: what an injection would do, and whether it was done.

use serde_json::{Map, Value};

use super::View;
use super::finding::Finding;
use super::objects::{Objects, place, text};
use crate::inject::pod::{containers, name};
use crate::inject::ports::{self, Front};
use crate::inject::{Around, Defaults, Done, INJECT, NOTE, SIDECAR, inject, templates};

/// Something that makes pods with a sidecar.
#[derive(Debug)]
pub(super) struct Fronted {
    /// `Deployment shop/goods`.
    pub(super) place: String,
    pub(super) namespace: String,
    pub(super) labels: Map<String, Value>,
    /// The same with its sidecar.
    pub(super) injected: Value,
    /// The port that the sidecar takes.
    pub(super) front: Option<Front>,
}

/// Looks at everything that makes pods, and at pods that nothing makes; gives those that have a sidecar, or are to have one.
pub(super) fn examine(objects: &Objects, defaults: &Defaults, view: View, found: &mut Vec<Finding>) -> Vec<Fronted> {
    let mut fronted = Vec::new();
    for object in objects.all() {
        let is_made = object.pointer("/metadata/ownerReferences").is_some();
        if is_made {
            if text(object, "/kind") == "Pod" {
                running(object, objects, found);
            }
            continue;
        }
        let place = place(object);
        let mut copy = object.clone();
        for template in templates(&mut copy) {
            let namespace = template.namespace.clone().unwrap_or_else(|| "default".to_owned());
            // A pod of a cluster that nothing made is what it is.
            if text(object, "/kind") == "Pod" && view == View::Cluster {
                running(object, objects, found);
            }
            fronted.extend(one(&place, &namespace, template.pod, objects, defaults, view, found));
        }
    }
    labels(objects, view, &fronted, found);
    fronted
}

fn one(
    place: &str,
    namespace: &str,
    pod: &Value,
    objects: &Objects,
    defaults: &Defaults,
    view: View,
    found: &mut Vec<Finding>,
) -> Option<Fronted> {
    let known = objects.namespace(namespace);
    let is_labelled = known.is_some_and(is_enabled);
    // What nobody injects needs no mending; of manifests alone it is not known what the namespace says.
    if !is_labelled && (view == View::Cluster || known.is_some()) {
        return None;
    }
    let annotations = known.and_then(|known| known.pointer("/metadata/annotations")).and_then(Value::as_object);
    let injected = match inject(pod, Around { namespace: Some(namespace), annotations }, defaults) {
        Ok(injected) => injected,
        Err(refused) => {
            found.push(Finding::error(place, format!("its pods are refused: {refused}"), "correct the annotation"));
            return None;
        }
    };
    for warning in &injected.warnings {
        let is_left = matches!(injected.done, Done::Left(_));
        let mend = "see docs/injection.md, annotations; graylane.io/inject: disabled where no sidecar is wanted";
        let finding = if is_left { Finding::error } else { Finding::warning };
        found.push(finding(place, warning, mend));
    }
    if let Done::Left(_) = injected.done {
        return None;
    }
    let wanted = annotations.into_iter().chain(pod.pointer("/metadata/annotations").and_then(Value::as_object));
    let wanted = wanted.filter_map(|all| all.get("graylane.io/port")?.as_str()).next_back().unwrap_or("http");
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let (place, namespace) = (place.to_owned(), namespace.to_owned());
    let front = ports::find(pod, wanted);
    Some(Fronted { place, namespace, labels, injected: injected.pod, front })
}

/// A pod that runs where one is injected, without a sidecar: it was made before the label, or nobody called the webhook.
fn running(pod: &Value, objects: &Objects, found: &mut Vec<Finding>) {
    let namespace = objects.namespace(text(pod, "/metadata/namespace"));
    let says_no = matches!(
        pod.pointer("/metadata/annotations").and_then(|all| all.get(INJECT)).and_then(Value::as_str),
        Some("disabled" | "false" | "no" | "off")
    );
    let host = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true);
    let has = containers(pod).any(|container| name(container) == SIDECAR);
    let noted = pod.pointer("/metadata/annotations").and_then(|all| all.get(NOTE)).is_some();
    if namespace.is_some_and(is_enabled) && !has && !noted && !says_no && !host {
        found.push(Finding::warning(
            &place(pod),
            "it runs without a sidecar in a namespace that has them",
            "restart what makes it: kubectl rollout restart; a pod gets its sidecar when it is made",
        ));
    }
}

/// Whether a Namespace has the label.
pub(super) fn is_enabled(namespace: &Value) -> bool {
    namespace.pointer("/metadata/labels").and_then(|labels| labels.get(INJECT)).and_then(Value::as_str)
        == Some("enabled")
}

/// The label itself, and what is nearly it.
fn labels(objects: &Objects, view: View, fronted: &[Fronted], found: &mut Vec<Finding>) {
    for namespace in objects.of("Namespace") {
        let name = text(namespace, "/metadata/name");
        let value = namespace.pointer("/metadata/labels").and_then(|labels| labels.get(INJECT)).and_then(Value::as_str);
        let mend = format!("kubectl label namespace {name} {INJECT}=enabled --overwrite");
        let annotated = namespace.pointer("/metadata/annotations").is_some_and(|all| all.get(INJECT).is_some());
        match value {
            Some("enabled" | "disabled") => {}
            Some(other) => {
                let problem = format!("the label {INJECT} is {other:?}, which is not enabled: nothing is injected");
                found.push(Finding::error(&place(namespace), problem, mend));
            }
            None if annotated => {
                let problem = format!("{INJECT} is an annotation here; webhooks choose namespaces by label");
                found.push(Finding::error(&place(namespace), problem, mend));
            }
            None if view == View::Cluster => {
                let problem = format!("it has no label {INJECT}: nothing is injected");
                found.push(Finding::error(&place(namespace), problem, mend));
            }
            None => {}
        }
        let is_used = fronted.iter().any(|fronted| fronted.namespace == name);
        if view == View::Cluster && is_enabled(namespace) && !is_used {
            let problem = "nothing in it makes pods that get a sidecar";
            found.push(Finding::warning(&place(namespace), problem, "see what is said of its Deployments"));
        }
    }
}
