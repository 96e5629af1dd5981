//! Taking a named port: the app's port gets another name, and what the pod itself meant by the name follows.
//!
//! Services find a port of a pod by its name, so whoever has the name has the traffic, without any rule in the kernel. A kubelet
//! finds the ports of probes and hooks by name too, but within one container: those of the app get the new name, and go on
//! probing the app.

use serde_json::Value;

use super::annotations::is_port_name;
use super::pod::{LISTS, containers, is_tcp, name, number, ports, serving};

/// Where the probes and hooks of a container stand, and how each may name a port.
const ASKERS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];
const WAYS: [&str; 2] = ["httpGet", "tcpSocket"];
/// The longest name of a port.
const LONGEST: usize = 15;

/// The port that a sidecar takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    /// Its name.
    pub(super) name: String,
    /// Where the app listens.
    pub(super) number: u16,
    /// Which list of containers the app stands in, and where.
    pub(super) at: (&'static str, usize),
    /// The app's port is open on the node too.
    pub(super) is_on_node: bool,
    /// How many ports of the pod have the name.
    pub(super) count: usize,
}

/// The first port of this name, as a Service would find it.
pub(super) fn find(pod: &Value, wanted: &str) -> Option<Front> {
    let all = LISTS.into_iter().flat_map(|list| serving(pod, list).map(move |(at, container)| (list, at, container)));
    let named = all.flat_map(|(list, at, container)| ports(container).map(move |port| (list, at, port)));
    let mut named = named.filter(|(_, _, port)| name(port) == wanted && is_tcp(port));
    let (list, at, port) = named.next()?;
    Some(Front {
        name: wanted.to_owned(),
        number: number(port)?,
        at: (list, at),
        is_on_node: port.get("hostPort").is_some(),
        count: 1 + named.count(),
    })
}

/// The names and numbers of all TCP ports, for messages.
pub(super) fn known(pod: &Value) -> Vec<String> {
    let tcp = containers(pod).flat_map(ports).filter(|port| is_tcp(port));
    tcp.map(|port| match (name(port), number(port)) {
        ("", number) => number.map_or_else(|| "unnamed".to_owned(), |number| number.to_string()),
        (name, _) => name.to_owned(),
    })
    .collect()
}

/// Whether a container of the pod has this port for itself.
pub(super) fn is_taken(pod: &Value, wanted: u16) -> bool {
    containers(pod).flat_map(ports).any(|port| number(port) == Some(wanted) && is_tcp(port))
}

/// A name for the app's port that nobody in the pod has.
pub(super) fn other_name(pod: &Value, taken: &str) -> String {
    let used: Vec<&str> = containers(pod).flat_map(ports).map(name).collect();
    let numbered = std::iter::once("-app".to_owned()).chain((2_u32..).map(|n| format!("-app{n}")));
    let mut candidates = numbered.map(|end| {
        let stem: String = taken.chars().take(LONGEST.saturating_sub(end.len())).collect();
        format!("{}{end}", stem.trim_end_matches('-'))
    });
    // A pod has far fewer ports than there are numbers, so one is free.
    candidates.find(|name| !used.contains(&name.as_str()) && is_port_name(name)).unwrap_or_default()
}

/// Gives every port of the name, and whoever asks it, the other name.
pub(super) fn rename(pod: &mut Value, from: &str, to: &str) {
    for list in LISTS {
        let all = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        for container in all.into_iter().flatten() {
            if rename_ports(container, from, to) {
                rename_askers(container, from, to);
            }
        }
    }
}

fn rename_ports(container: &mut Value, from: &str, to: &str) -> bool {
    let mut found = false;
    let all = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in all.into_iter().flatten().filter(|port| name(port) == from && is_tcp(port)) {
        port["name"] = Value::from(to);
        found = true;
    }
    found
}

fn rename_askers(container: &mut Value, from: &str, to: &str) {
    for path in ASKERS {
        let asker = path.iter().try_fold(&mut *container, |at, key| at.get_mut(*key));
        let Some(asker) = asker else { continue };
        for way in WAYS {
            let port = asker.get_mut(way).and_then(|way| way.get_mut("port"));
            if let Some(port) = port.filter(|port| port.as_str() == Some(from)) {
                *port = Value::from(to);
            }
        }
    }
}
