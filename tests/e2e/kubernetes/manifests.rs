//! `graylane inject -f`, judged by the schemas of Kubernetes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{graylane, python_script};

/// The pods that can be pods: with kind and name.
fn pods() -> Vec<Value> {
    let documents: Vec<Value> = serde_yaml::from_multiple(include_str!("../../injection/pods.yaml")).unwrap();
    let mut pods = Vec::new();
    for mut document in documents {
        let mut pod = document["pod"].take();
        if !pod["spec"].is_object() {
            continue;
        }
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        if !pod["metadata"]["labels"].is_object() {
            pod["metadata"]["labels"] = json!({});
        }
        pod["metadata"]["labels"]["shape"] = document["shape"].clone();
        pods.push(pod);
    }
    pods
}

/// The same pod, as other kinds make it.
fn makers() -> Vec<Value> {
    let template = |restart: &str| {
        json!({
            "metadata": { "labels": { "app": "goods" } },
            "spec": {
                "restartPolicy": restart,
                "containers": [{ "name": "app", "image": "goods:1", "ports": [{ "name": "http", "containerPort": 8080 }] }],
            },
        })
    };
    let selector = json!({ "matchLabels": { "app": "goods" } });
    let named = |api: &str, kind: &str, spec: Value| json!({ "apiVersion": api, "kind": kind, "metadata": { "name": "goods", "labels": { "shape": kind } }, "spec": spec });
    let lasting = json!({ "selector": selector, "template": template("Always") });
    let mut set = lasting.clone();
    set["serviceName"] = "goods".into();
    let job = json!({ "template": template("Never") });
    vec![
        named("apps/v1", "Deployment", lasting.clone()),
        named("apps/v1", "DaemonSet", lasting.clone()),
        named("apps/v1", "ReplicaSet", lasting),
        named("apps/v1", "StatefulSet", set),
        named("batch/v1", "Job", job.clone()),
        named("batch/v1", "CronJob", json!({ "schedule": "0 3 * * *", "jobTemplate": { "spec": job } })),
    ]
}

fn write(folder: &Path, objects: &[Value]) -> String {
    let path = folder.join("all.yaml");
    let texts: Vec<String> = objects.iter().map(|object| serde_yaml::to_string(object).unwrap()).collect();
    std::fs::write(&path, texts.join("---\n")).unwrap();
    path.display().to_string()
}

fn injected(file: &str, version: &str) -> Vec<Value> {
    let done = graylane(["inject", "-f", file, "--kubernetes-version", version]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_yaml::from_multiple(&String::from_utf8(done.stdout).unwrap()).unwrap()
}

/// Says how many were valid before; all of them have to be valid after.
fn valid(version: &str, before: &[Value], after: &[Value]) -> usize {
    let mut command: Command = python_script("kubernetes_manifests.py");
    let mut child =
        command.arg(version).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let given = json!({ "before": before, "after": after }).to_string();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn what_was_valid_stays_valid_in_the_oldest_and_the_newest_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |pod: &Value| {
        let annotations = pod["metadata"]["annotations"].as_object();
        let is = |key: &str, value: &str| annotations.and_then(|all| all.get(key)).is_some_and(|there| there == value);
        is("graylane.io/lane", "gray lane") || is("graylane.io/config", "Goods_Config")
    };
    let mut before: Vec<Value> = pods().into_iter().filter(|pod| !refused(pod)).collect();
    before.extend(makers());
    let file = write(folder.path(), &before);
    for (asked, schema) in [("1.29", "1.29"), ("1.33", "latest")] {
        let after = injected(&file, asked);
        assert_eq!(after.len(), before.len());
        let changed = after.iter().zip(&before).filter(|(after, before)| after != before).count();
        assert!(changed > 30, "{changed} with a sidecar");
        let valid = valid(schema, &before, &after);
        assert!(valid > 40, "{valid} valid in {schema}");
    }
}

#[test]
fn every_maker_of_pods_is_patched_and_once_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let once = injected(&write(folder.path(), &makers()), "1.33");
    for object in &once {
        assert!(object.to_string().contains("\"name\":\"graylane\""), "{object}");
    }
    assert_eq!(injected(&write(folder.path(), &once), "1.33"), once);
}

#[test]
fn what_is_no_pod_passes_as_it_was_and_texts_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" },
        "data": { "a": "yes", "b": "1.0", "c": "0x1f", "d": "null", "e": "line\nline\n", "f": "2026-11-22", "g": "1e3", "h": "~" },
    });
    assert_eq!(injected(&write(folder.path(), std::slice::from_ref(&map)), "1.33"), [map]);
}

#[test]
fn a_pod_that_is_refused_is_named_and_nothing_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut pod = pods().swap_remove(0);
    pod["metadata"]["annotations"] = json!({ "graylane.io/lane": "gray lane" });
    let done = graylane(["inject", "-f", &write(folder.path(), &[pod])]);
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("Pod goods: graylane.io/lane") && done.stdout.is_empty(), "{said}");
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, "a: [").unwrap();
    let done = graylane(["inject".as_ref(), "-f".as_ref(), broken.as_os_str()]);
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
}
