//! From a pod to the same pod with a sidecar.

use serde_json::{Map, Value, json};

use super::annotations::{self, Say, Wishes};
use super::pod::{self, containers, list_in, map_in};
use super::ports::{self, Front};
use super::sidecar::{self, CONFIG_VOLUME, Ending, Kind, NAMED_FROM, SIDECAR, SLEEP_FROM, STATE_VOLUME};
use super::{ADMIN_PORT, Defaults, NOTE, PROBES_PORT, TRAFFIC_PORT};

/// Namespaces of the cluster itself.
const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// Warnings to one pod; more help nobody.
const MOST_WARNINGS: usize = 16;

/// What is known of where a pod is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// Its namespace.
    pub namespace: Option<&'a str>,
    /// The annotations of the namespace; the pod's own come before them.
    pub annotations: Option<&'a Map<String, Value>>,
}

/// A pod, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// The pod: as it was, unless `done` says otherwise.
    pub pod: Value,
    /// What became of it.
    pub done: Done,
    /// What its owner should know.
    pub warnings: Vec<String>,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It has a sidecar now.
    Injected,
    /// It had one already.
    Already,
    /// It has none, for this reason.
    Left(String),
}

/// A pod that cannot be what its annotations want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Gives a pod a sidecar, unless it is not to have one. A pod that has one is left as it is.
///
/// `pod` is a Pod or a template of pods as JSON; what is not known of it stays.
///
/// # Errors
/// An annotation without which nobody knows what the sidecar is to be.
pub fn inject(pod: &Value, around: Around<'_>, defaults: &Defaults) -> Result<Injected, Refused> {
    let mut warnings = Vec::new();
    let mut changed = None;
    let done = match left(pod, around, defaults, &mut warnings) {
        Some(done) => done,
        None => {
            let wishes = Wishes::read(around.annotations, pod::annotations(pod), defaults, &mut warnings)?;
            match take(pod, &wishes, defaults, &mut warnings) {
                Ok(with) => {
                    changed = Some(with);
                    Done::Injected
                }
                Err(why) => told(why, &mut warnings),
            }
        }
    };
    warnings.truncate(MOST_WARNINGS);
    Ok(Injected { pod: changed.unwrap_or_else(|| pod.clone()), done, warnings })
}

/// Left, and its owner is to know it.
fn told(why: String, warnings: &mut Vec<String>) -> Done {
    warnings.push(format!("graylane is not injected: {why}"));
    Done::Left(why)
}

/// What becomes of a pod that gets no sidecar here, or `None`.
fn left(pod: &Value, around: Around<'_>, defaults: &Defaults, warnings: &mut Vec<String>) -> Option<Done> {
    let quiet = |why: &str| Some(Done::Left(why.to_owned()));
    let annotations = pod::annotations(pod);
    if let Some(namespace) = around.namespace.filter(|own| SYSTEM.contains(own) || *own == defaults.own_namespace) {
        return quiet(&format!("nothing is injected into the namespace {namespace}"));
    }
    if annotations.is_some_and(|all| all.contains_key("kubernetes.io/config.mirror")) {
        return quiet("it mirrors a static pod, which nobody may change");
    }
    if annotations::say(annotations, warnings) == Say::No {
        return quiet("it says so");
    }
    let spec = pod.get("spec");
    let flag = |name: &str| spec.and_then(|spec| spec.get(name)).and_then(Value::as_bool) == Some(true);
    if flag("hostNetwork") {
        return Some(told("the pod is in the node's network, whose ports are not its own".to_owned(), warnings));
    }
    let system = |path: &[&str]| path.iter().try_fold(spec?, |at, key| at.get(*key)).and_then(Value::as_str);
    if system(&["os", "name"]) == Some("windows") || system(&["nodeSelector", "kubernetes.io/os"]) == Some("windows") {
        return Some(told("the image is for Linux".to_owned(), warnings));
    }
    let there = containers(pod).find(|container| pod::name(container) == SIDECAR)?;
    if !annotations::is_noted(annotations) {
        return Some(told(format!("the pod has a container {SIDECAR} of its own"), warnings));
    }
    let image = there.get("image").and_then(Value::as_str).unwrap_or_default();
    if image != defaults.image {
        let ours = &defaults.image;
        warnings.push(format!("the pod has graylane as {image} already, and keeps it; {ours} would be injected now"));
    }
    Some(Done::Already)
}

/// The pod with a sidecar, or why there can be none.
fn take(pod: &Value, wishes: &Wishes, defaults: &Defaults, warnings: &mut Vec<String>) -> Result<Value, String> {
    let spec = pod.get("spec").and_then(Value::as_object).ok_or("it has no spec")?;
    let app = spec.get("containers").and_then(Value::as_array).filter(|all| all.iter().any(Value::is_object));
    app.ok_or("it has no containers")?;
    let kind = Kind::of(defaults.kubernetes);
    let restarts = spec.get("restartPolicy").and_then(Value::as_str).unwrap_or("Always");
    if kind == Kind::Classic && restarts != "Always" {
        return Err("before Kubernetes 1.29 a sidecar would keep a pod that is to finish from finishing".to_owned());
    }
    for port in [TRAFFIC_PORT, ADMIN_PORT, PROBES_PORT] {
        if ports::is_taken(pod, port) {
            return Err(format!("a container of the pod has port {port}, which the sidecar needs"));
        }
    }
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    if let Some(taken) = volumes.map(pod::name).find(|name| [CONFIG_VOLUME, STATE_VOLUME].contains(name)) {
        return Err(format!("the pod has a volume {taken} of its own"));
    }
    let front = front(pod, wishes, warnings)?;
    let sleeper = front.as_ref().filter(|front| {
        let own = pod["spec"][front.at.0][front.at.1].pointer("/lifecycle/preStop").is_some_and(Value::is_object);
        !own && defaults.kubernetes >= SLEEP_FROM
    });
    let grace = spec.get("terminationGracePeriodSeconds").and_then(Value::as_u64);
    let ending = Ending::plan(grace, kind, sleeper.is_some(), wishes, warnings);

    let mut with = pod.clone();
    if let Some(front) = &front {
        let other = ports::other_name(pod, &front.name);
        ports::rename(&mut with, &front.name, &other);
        let app = &mut with["spec"][front.at.0][front.at.1];
        prepare_app(app, front, sleeper.map_or(0, |_| ending.sleep), kind, defaults);
    }
    let all = with.as_object_mut().ok_or("it is no object")?;
    let note = sidecar::note(wishes, front.as_ref(), &ending, defaults);
    map_in(map_in(all, "metadata"), "annotations").insert(NOTE.to_owned(), note.into());
    let spec = map_in(all, "spec");
    list_in(spec, "volumes").extend(sidecar::volumes(wishes));
    let mut container = sidecar::container(wishes, front.as_ref(), kind, defaults);
    if spec.get("resources").and_then(Value::as_object).is_some_and(|all| !all.is_empty()) {
        leave_to_pod(&mut container, wishes, warnings);
    }
    match kind {
        // First, so that the other init containers can call through it already, and it is the last to end.
        Kind::Native => list_in(spec, "initContainers").insert(0, container),
        Kind::Classic => list_in(spec, "containers").push(container),
    }
    Ok(with)
}

/// What a pod as a whole may use, its containers share. One that asked for more than is left would keep the pod from being made, so
/// the sidecar asks for nothing of its own there.
fn leave_to_pod(container: &mut Value, wishes: &Wishes, warnings: &mut Vec<String>) {
    if let Some(container) = container.as_object_mut() {
        container.remove("resources");
    }
    if wishes.is_limit_asked {
        let text =
            "graylane.io/cpu-limit and memory-limit do not count: the pod has resources as a whole (spec.resources)";
        warnings.push(text.to_owned());
    }
}

/// The port to take: none where the pod has no ports, so that jobs have a sidecar for what they call.
fn front(pod: &Value, wishes: &Wishes, warnings: &mut Vec<String>) -> Result<Option<Front>, String> {
    let wanted = &wishes.port;
    let Some(front) = ports::find(pod, wanted) else {
        let known = ports::known(pod);
        if known.is_empty() && !wishes.is_port_asked {
            return Ok(None);
        }
        let there = if known.is_empty() { "no ports".to_owned() } else { format!("the ports {}", known.join(", ")) };
        return Err(format!(
            "no container port is named {wanted}; there are {there}. Name the port {wanted}, or say its name in graylane.io/port"
        ));
    };
    if front.count > 1 {
        let count = front.count;
        warnings.push(format!(
            "{count} container ports are named {wanted}; the sidecar stands before the first, port {}, as a Service did",
            front.number
        ));
    }
    if front.is_on_node {
        warnings.push(format!("what comes to the hostPort of {wanted} does not pass the sidecar"));
    }
    Ok(Some(front))
}

/// What the app's container gets besides another port name.
fn prepare_app(app: &mut Value, front: &Front, sleep: u64, kind: Kind, defaults: &Defaults) {
    let Some(app) = app.as_object_mut() else { return };
    if sleep > 0 {
        // Others go on sending for a moment after a pod was told to end; meanwhile the app is there.
        map_in(app, "lifecycle").insert("preStop".to_owned(), json!({ "sleep": { "seconds": sleep } }));
    }
    if kind == Kind::Native && defaults.kubernetes < NAMED_FROM {
        // Services of these versions do not look at the ports of init containers. A port that is written down opens
        // nothing; it only has to stand where they look.
        list_in(app, "ports").push(sidecar::port(front));
    }
}
