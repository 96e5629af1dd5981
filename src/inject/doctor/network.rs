//! NetworkPolicies that name ports by number: they let the app's port in, and the sidecar has another.

use serde_json::Value;

use super::finding::Finding;
use super::objects::{Objects, list, place, selects, text};
use super::pods::Fronted;
use crate::inject::TRAFFIC_PORT;

pub(super) fn examine(objects: &Objects, fronted: &[Fronted], found: &mut Vec<Finding>) {
    for policy in objects.of("NetworkPolicy") {
        let namespace = match text(policy, "/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let of = |app: &&Fronted| {
            app.namespace == namespace && selects(policy.pointer("/spec/podSelector"), Some(&app.labels))
        };
        for app in fronted.iter().filter(of) {
            let Some(front) = &app.front else { continue };
            let rules = list(policy, "/spec/ingress").iter().map(|rule| list(rule, "/ports"));
            let mut opens = rules.filter(|ports| ports.iter().any(|port| holds(port, front.number)));
            if opens.any(|ports| !ports.iter().any(|port| holds(port, TRAFFIC_PORT) || named(port, &front.name))) {
                let problem = format!(
                    "it lets in port {}, the app of {}, and not {TRAFFIC_PORT}, where the sidecar takes what comes",
                    front.number, app.place
                );
                let mend = format!("write `port: {}` in the rule: the name is the sidecar's port", front.name);
                found.push(Finding::error(&place(policy), problem, mend));
            }
        }
    }
}

/// Whether a rule's port is this number, or a range with it.
fn holds(port: &Value, number: u16) -> bool {
    let of = |key: &str| port.get(key).and_then(Value::as_u64);
    match (of("port"), of("endPort")) {
        (Some(first), Some(last)) => (first..=last).contains(&number.into()),
        (Some(first), None) => first == u64::from(number),
        _ => false,
    }
}

fn named(port: &Value, name: &str) -> bool {
    port.get("port").and_then(Value::as_str) == Some(name)
}
