//! Services: whether what they send comes to the sidecar, or to anybody.

use serde_json::Value;

use super::finding::Finding;
use super::objects::{Objects, list, matches, place, text};
use super::pods::Fronted;
use crate::inject::pod::{containers, is_tcp, name, number, ports};

pub(super) fn examine(objects: &Objects, fronted: &[Fronted], found: &mut Vec<Finding>) {
    for service in objects.of("Service") {
        let namespace = match text(service, "/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else { continue };
        let chosen =
            fronted.iter().filter(|app| app.namespace == namespace && matches(Some(selector), Some(&app.labels)));
        for app in chosen {
            for port in list(service, "/spec/ports").iter().filter(|port| is_tcp(port)) {
                target(service, port, app, found);
            }
        }
    }
}

/// Where one port of a Service leads to.
fn target(service: &Value, port: &Value, app: &Fronted, found: &mut Vec<Finding>) {
    let Some(front) = &app.front else { return };
    let place = place(service);
    let shown = port.get("port").and_then(Value::as_u64).unwrap_or_default();
    let patch = |index: usize| {
        let (namespace, name) = (&app.namespace, text(service, "/metadata/name"));
        format!(
            "kubectl -n {namespace} patch service {name} --type=json -p '[{{\"op\":\"add\",\"path\":\"/spec/ports/{index}/targetPort\",\
             \"value\":\"{}\"}}]'",
            front.name
        )
    };
    let index = list(service, "/spec/ports").iter().position(|other| other == port).unwrap_or_default();
    let wanted = match port.get("targetPort") {
        Some(Value::String(name)) => Err(name.as_str()),
        Some(Value::Number(number)) => Ok(number.as_u64()),
        // Nothing said: the number of the port itself.
        _ => Ok(Some(shown)),
    };
    match wanted {
        Ok(target) if target == Some(front.number.into()) => found.push(Finding::error(
            &place,
            format!(
                "port {shown} targets the number {}, which is the app of {}: it passes the sidecar by",
                front.number, app.place
            ),
            format!("target the name: {}", patch(index)),
        )),
        Ok(_) => {}
        Err(wanted) => {
            let all = containers(&app.injected).flat_map(ports);
            let there = all.filter(|port| name(port) == wanted && is_tcp(port)).filter_map(number).next();
            if wanted.ends_with("-app") && there == Some(front.number) {
                let problem =
                    format!("port {shown} targets {wanted}, the name of the app's own port: it passes the sidecar by");
                found.push(Finding::error(&place, problem, format!("target the name: {}", patch(index))));
            } else if there.is_none() {
                let problem = format!("port {shown} targets {wanted}, and {} has no port of that name", app.place);
                found.push(Finding::error(&place, problem, format!("name the port, or: {}", patch(index))));
            }
        }
    }
}
