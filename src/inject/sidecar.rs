//! The sidecar as a container: what it runs, what it may do, what it is given.
//!
//! It satisfies the restricted Pod Security Standard by itself, whatever the pod says, so a namespace that enforces it takes
//! the pod with a sidecar wherever it takes the pod without.

use std::time::Duration;

use serde_json::{Value, json};

use super::annotations::Wishes;
use super::ports::Front;
use super::{Defaults, NOTE};
use crate::config::RENDERED_MAP;

/// The name of the container.
pub const SIDECAR: &str = "graylane";
/// Where traffic comes in.
pub const TRAFFIC_PORT: u16 = 15080;
/// The admin port, on loopback unless the configuration says otherwise.
pub const ADMIN_PORT: u16 = 15090;
/// Where the kubelet asks how the sidecar is.
pub const PROBES_PORT: u16 = 15091;

/// The volume with the configuration.
pub(super) const CONFIG_VOLUME: &str = "graylane-config";
/// The volume with what outlives a restart of the container.
pub(super) const STATE_VOLUME: &str = "graylane-state";
/// The file of the pod's own document, among the keys of a ConfigMap.
const POD_FILE: &str = "graylane-pod.yaml";
/// Nobody's user and group.
const USER: u32 = 65532;

/// How the sidecar stands in a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An init container that is restarted always: it starts before the app, and ends after it.
    Native,
    /// A container among others, for clusters before 1.29.
    Classic,
}

impl Kind {
    pub(super) fn of(kubernetes: u16) -> Self {
        if kubernetes >= 29 { Self::Native } else { Self::Classic }
    }
}

/// How a pod ends: times the sum of which stays below the pod's grace period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// How long the app waits before it is told to end, so that others notice first; 0 where it cannot wait.
    pub(super) sleep: u64,
    /// How long the sidecar goes on as before once it is told.
    pub(super) wait: u64,
    /// How long requests in flight may take then, as a duration.
    pub(super) drain: String,
}

/// So long others may take to notice that a pod ends.
const NOTICE: u64 = 5;
/// What a pod is given to end that says nothing, in seconds: Kubernetes' default.
const GRACE: u64 = 30;
/// The longest drain that nobody asked for, in seconds.
const DRAIN: u64 = 30;

impl Ending {
    /// Of a pod with this grace period in seconds. `can_sleep`: the app waits before it is told to end.
    pub(super) fn plan(
        grace: Option<u64>,
        kind: Kind,
        can_sleep: bool,
        wishes: &Wishes,
        warnings: &mut Vec<String>,
    ) -> Self {
        let grace = grace.unwrap_or(GRACE);
        let notice = NOTICE.min(grace / 3);
        let sleep = if can_sleep { notice } else { 0 };
        // A native sidecar is told after the app has ended: there is nobody left to wait for.
        let wait = if kind == Kind::Classic { notice } else { 0 };
        let left = grace.saturating_sub(notice).saturating_sub(1).max(1);
        let drain = match &wishes.drain {
            Some((text, length)) if *length <= Duration::from_secs(left) => text.clone(),
            Some((text, _)) => {
                warnings.push(format!(
                    "graylane.io/drain: {text} does not fit into the pod's terminationGracePeriodSeconds of {grace}; {left}s \
                     counts"
                ));
                format!("{left}s")
            }
            None => format!("{}s", left.min(DRAIN)),
        };
        Self { sleep, wait, drain }
    }
}

/// The container.
pub(super) fn container(wishes: &Wishes, front: Option<&Front>, kind: Kind, defaults: &Defaults) -> Value {
    let mut container = json!({
        "name": SIDECAR,
        "image": defaults.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run", "--config", "/etc/graylane"],
        "env": [{ "name": "GRAYLANE_LOG_LEVEL", "value": wishes.log_level }],
        "ports": [{ "name": "graylane-probes", "containerPort": PROBES_PORT, "protocol": "TCP" }],
        "resources": resources(wishes),
        "volumeMounts": [
            { "name": CONFIG_VOLUME, "mountPath": "/etc/graylane", "readOnly": true },
            { "name": STATE_VOLUME, "mountPath": "/var/lib/graylane" },
        ],
        // A kubelet runs this when the pod begins to end, long before a native sidecar is told to.
        "lifecycle": { "preStop": { "exec": { "command": [defaults.program, "leave"] } } },
        "livenessProbe": probe("/healthz", 10, 6),
        "readinessProbe": probe("/readyz", 5, 2),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if kind == Kind::Native {
        container["restartPolicy"] = Value::from("Always");
        // Whatever comes after it waits for this: the app starts when the sidecar serves.
        container["startupProbe"] = probe("/readyz", 1, 120);
    }
    if let (Some(front), Some(ports)) = (front, container["ports"].as_array_mut())
        && (kind == Kind::Classic || defaults.kubernetes >= NAMED_FROM)
    {
        ports.insert(0, port(front));
    }
    container
}

/// From this minor version on, Services find the named ports of native sidecars.
pub(super) const NAMED_FROM: u16 = 32;
/// From this minor version on, a container can sleep before it is told to end.
pub(super) const SLEEP_FROM: u16 = 30;

/// The port that Services find by the name.
pub(super) fn port(front: &Front) -> Value {
    json!({ "name": front.name, "containerPort": TRAFFIC_PORT, "protocol": "TCP" })
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": PROBES_PORT },
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    })
}

/// Limits as wanted; requests are what an idle sidecar needs, and no more than the limits.
fn resources(wishes: &Wishes) -> Value {
    let least = |wanted: &(String, u64), usual: &str, size: u64| {
        if wanted.1 < size { wanted.0.clone() } else { usual.to_owned() }
    };
    json!({
        "limits": { "cpu": wishes.cpu.0, "memory": wishes.memory.0 },
        "requests": { "cpu": least(&wishes.cpu, "100m", 100), "memory": least(&wishes.memory, "64Mi", 64 << 20) },
    })
}

/// The volumes: the ConfigMap, a Secret of the same name with key files where there is one, what is rendered from custom resources
/// where that is wanted, and the pod's own document.
pub(super) fn volumes(wishes: &Wishes) -> [Value; 2] {
    let own = json!({ "path": POD_FILE, "fieldRef": { "fieldPath": format!("metadata.annotations['{NOTE}']") } });
    let mut sources = vec![
        json!({ "configMap": { "name": wishes.config, "optional": !wishes.is_config_asked } }),
        json!({ "secret": { "name": wishes.config, "optional": true } }),
    ];
    if wishes.resources {
        sources.push(json!({ "configMap": { "name": RENDERED_MAP, "optional": true } }));
    }
    sources.push(json!({ "downwardAPI": { "items": [own] } }));
    let config = json!({ "name": CONFIG_VOLUME, "projected": { "sources": sources } });
    [config, json!({ "name": STATE_VOLUME, "emptyDir": { "sizeLimit": "16Mi" } })]
}

/// The document that says what the pod is, for the sidecar to read beside the configuration.
pub(super) fn note(wishes: &Wishes, front: Option<&Front>, ending: &Ending, defaults: &Defaults) -> String {
    let listen = &defaults.listen;
    let mut text = "apiVersion: graylane.io/v1alpha1\nkind: Sidecar\nspec:\n".to_owned();
    let mut line = |key: &str, value: &str| text.push_str(&format!("  {key}: {value}\n"));
    match front {
        Some(front) => {
            line("listen", &format!("\"{listen}:{TRAFFIC_PORT}\""));
            line("local", &format!("\"127.0.0.1:{}\"", front.number));
        }
        // Nobody comes in: it is there for what the pod calls.
        None => line("listen", &format!("\"127.0.0.1:{TRAFFIC_PORT}\"")),
    }
    line("probes", &format!("\"{listen}:{PROBES_PORT}\""));
    if let Some(lane) = &wishes.lane {
        line("lane", &format!("\"{lane}\""));
    }
    if let Some(workers) = wishes.workers {
        line("workers", &workers.to_string());
    }
    line("drain", &ending.drain);
    line("drainWait", &format!("{}s", ending.wait));
    if !wishes.is_config_asked {
        line("passThrough", "true");
    }
    text
}
