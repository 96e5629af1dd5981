//! Injection by example: pods of every shape in AdmissionReviews, and what the answers say, kept in `tests/snapshots`. And by
//! property, over pods that are put together at random.
#![allow(clippy::unwrap_used, reason = "a test's functions may fail by panicking wherever they stand")]

use std::fmt::Write as _;

use base64::Engine as _;
use graylane::inject::{Around, Defaults, Done, ReviewError, answer, difference, inject};
use proptest::prelude::*;
use serde_json::{Value, json};

fn defaults() -> Defaults {
    Defaults::new("registry.shop/graylane:1.0.0")
}

/// Every shape with its cluster and its review.
fn shapes() -> Vec<(String, Defaults, Value)> {
    let documents: Vec<Value> = serde_yaml::from_multiple(include_str!("injection/pods.yaml")).unwrap();
    let shape = |document: Value| {
        let name = document["shape"].as_str().unwrap().to_owned();
        let kubernetes = document["kubernetes"].as_u64().map_or(33, |minor| u16::try_from(minor).unwrap());
        let namespace = document["namespace"].as_str().unwrap_or("shop");
        let review = review(&document["pod"], namespace);
        (name, Defaults { kubernetes, ..defaults() }, review)
    };
    documents.into_iter().map(shape).collect()
}

/// As an API server writes it.
fn review(pod: &Value, namespace: &str) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"] },
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    })
}

/// The operations of an answer's patch.
fn patch_of(answer: &Value) -> Vec<Value> {
    let Some(patch) = answer["response"]["patch"].as_str() else { return Vec::new() };
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(patch).unwrap()).unwrap()
}

/// A pod with a patch applied by an implementation of other people's.
fn patched(pod: &Value, patch: &[Value]) -> Value {
    let mut pod = pod.clone();
    let patch: json_patch::Patch = serde_json::from_value(Value::from(patch.to_vec())).unwrap();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

/// An answer for people: its patch one operation a line.
fn told(answer: &Value) -> String {
    let response = &answer["response"];
    let mut text = format!("allowed: {}\n", response["allowed"]);
    if let Some(message) = response["status"]["message"].as_str() {
        writeln!(text, "message: {message}").unwrap();
    }
    for warning in response["warnings"].as_array().into_iter().flatten() {
        writeln!(text, "warning: {}", warning.as_str().unwrap()).unwrap();
    }
    for operation in patch_of(answer) {
        let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
        writeln!(text, "{op} {path} {}", operation.get("value").map(Value::to_string).unwrap_or_default()).unwrap();
    }
    text
}

#[test]
fn every_shape_is_answered_as_it_was_looked_at() {
    let shapes = shapes();
    assert!(shapes.len() >= 40, "{} shapes", shapes.len());
    for (name, defaults, review) in shapes {
        let (answer, _) = answer(review.to_string().as_bytes(), &defaults).unwrap();
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        insta::assert_snapshot!(name.replace(' ', "_"), told(&answer));
    }
}

#[test]
fn a_patch_makes_the_pod_that_was_meant_and_the_second_one_is_empty() {
    for (name, defaults, review) in shapes() {
        let pod = &review["request"]["object"];
        let (first, done) = answer(review.to_string().as_bytes(), &defaults).unwrap();
        let once = patched(pod, &patch_of(&first));
        if done == Done::Injected {
            assert_ne!(once, *pod, "{name}");
            let again = self::review(&once, review["request"]["namespace"].as_str().unwrap());
            let (second, done) = answer(again.to_string().as_bytes(), &defaults).unwrap();
            assert_eq!((patch_of(&second), done), (Vec::new(), Done::Already), "{name}");
        } else {
            assert_eq!(once, *pod, "{name}");
        }
    }
}

#[test]
fn a_dry_run_is_answered_alike() {
    let (_, defaults, mut review) = shapes().swap_remove(0);
    let (wet, _) = answer(review.to_string().as_bytes(), &defaults).unwrap();
    review["request"]["dryRun"] = true.into();
    assert_eq!(answer(review.to_string().as_bytes(), &defaults).unwrap().0, wet);
}

#[test]
fn what_is_no_review_is_named_and_what_is_no_new_pod_passes() {
    let (_, defaults, review) = shapes().swap_remove(0);
    let changed = |path: &str, value: Value| {
        let mut review = review.clone();
        *review.pointer_mut(path).unwrap() = value;
        answer(review.to_string().as_bytes(), &defaults)
    };
    for broken in ["", "{", "[]", "null", "{\"kind\": \"AdmissionReview\"}", "\u{0}"] {
        assert!(answer(broken.as_bytes(), &defaults).is_err(), "{broken}");
    }
    let beta = changed("/apiVersion", "admission.k8s.io/v1beta1".into()).unwrap_err();
    assert!(matches!(&beta, ReviewError::Version(_)) && beta.to_string().contains("admission.k8s.io/v1"), "{beta}");
    assert!(changed("/kind", "ConversionReview".into()).is_err());
    assert!(changed("/request", Value::Null).is_err());
    assert!(changed("/request/uid", 7.into()).is_err());
    for (path, value) in [
        ("/request/operation", json!("UPDATE")),
        ("/request/kind/kind", json!("Deployment")),
        ("/request/object", Value::Null),
        ("/request/object", json!("a pod")),
        ("/request/object/spec", json!(7)),
        ("/request/object/spec/containers", json!({})),
        ("/request/object/spec/containers", json!(["app"])),
    ] {
        let (answer, _) = changed(path, value).unwrap();
        assert_eq!((&answer["response"]["allowed"], patch_of(&answer).len()), (&json!(true), 0), "{path}");
    }
}

#[test]
fn a_pod_of_three_mebibytes_is_answered_like_any_other() {
    let (_, defaults, mut review) = shapes().swap_remove(0);
    let env: Vec<Value> = (0..3000).map(|n| json!({ "name": format!("V{n}"), "value": "x".repeat(1000) })).collect();
    review["request"]["object"]["spec"]["containers"][0]["env"] = env.into();
    let text = review.to_string();
    assert!(text.len() > 3_000_000);
    let (answer, done) = answer(text.as_bytes(), &defaults).unwrap();
    assert_eq!(done, Done::Injected);
    assert!(answer.to_string().len() < 10_000, "the patch holds what changed and not the pod");
}

#[test]
fn a_namespace_has_defaults_and_the_pod_comes_before_them() {
    let pod = json!({
        "metadata": { "annotations": { "graylane.io/lane": "gray" } },
        "spec": { "containers": [{ "name": "app", "ports": [{ "name": "web", "containerPort": 80 }] }] },
    });
    let annotations = json!({ "graylane.io/port": "web", "graylane.io/lane": "stable", "graylane.io/inject": "no" });
    let around = Around { namespace: Some("shop"), annotations: annotations.as_object() };
    let injected = inject(&pod, around, &defaults()).unwrap();
    let note = injected.pod["metadata"]["annotations"]["graylane.io/sidecar"].as_str().unwrap();
    assert!(note.contains("lane: \"gray\"") && note.contains("127.0.0.1:80\""), "{note}");
}

/// A name that may meet another one.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["http", "web", "http-app", "grpc", "a", "metrics"]).prop_map(str::to_owned)
}

fn port() -> impl Strategy<Value = Value> {
    (prop::option::of(word()), 1_u16.., prop::option::of(prop::sample::select(vec!["TCP", "UDP"]))).prop_map(
        |(name, number, protocol)| {
            let mut port = json!({ "containerPort": number });
            name.into_iter().for_each(|name| port["name"] = name.into());
            protocol.into_iter().for_each(|protocol| port["protocol"] = protocol.into());
            port
        },
    )
}

fn container(name: String) -> impl Strategy<Value = Value> {
    let probe = prop::option::of(word());
    (prop::collection::vec(port(), 0..3), probe, any::<bool>(), any::<bool>()).prop_map(
        move |(ports, probe, hook, lasting)| {
            let mut container = json!({ "name": name, "image": "x", "ports": ports });
            if let Some(port) = probe {
                container["livenessProbe"] = json!({ "httpGet": { "port": port } });
            }
            if hook {
                container["lifecycle"] = json!({ "preStop": { "exec": { "command": ["x"] } } });
            }
            if lasting {
                container["restartPolicy"] = "Always".into();
            }
            container
        },
    )
}

fn containers(kind: &'static str, least: usize) -> impl Strategy<Value = Vec<Value>> {
    (least..4_usize)
        .prop_flat_map(move |count| (0..count).map(|at| container(format!("{kind}{at}"))).collect::<Vec<_>>())
}

fn pod() -> impl Strategy<Value = Value> {
    let annotation = prop::option::of(word());
    (containers("app", 1), containers("init", 0), annotation, prop::option::of(0_u64..100), any::<bool>()).prop_map(
        |(containers, init, port, grace, volumes)| {
            let mut pod = json!({ "metadata": { "name": "x" }, "spec": { "containers": containers } });
            if !init.is_empty() {
                pod["spec"]["initContainers"] = init.into();
            }
            if let Some(port) = port {
                pod["metadata"]["annotations"] = json!({ "graylane.io/port": port });
            }
            if let Some(grace) = grace {
                pod["spec"]["terminationGracePeriodSeconds"] = grace.into();
            }
            if volumes {
                pod["spec"]["volumes"] = json!([{ "name": "data", "emptyDir": {} }]);
            }
            pod
        },
    )
}

/// Where a Service that targets this name sends requests: the numbers, in the order in which Kubernetes looks from 1.32 on.
fn found(pod: &Value, wanted: &str) -> Vec<u64> {
    let list = |name: &str| pod["spec"][name].as_array().cloned().unwrap_or_default();
    let lasting = list("initContainers").into_iter().filter(|container| container["restartPolicy"] == "Always");
    let ports = list("containers")
        .into_iter()
        .chain(lasting)
        .flat_map(|container| container["ports"].as_array().cloned().unwrap_or_default());
    let tcp = ports.filter(|port| port["name"] == wanted && port["protocol"].as_str().unwrap_or("TCP") == "TCP");
    tcp.map(|port| port["containerPort"].as_u64().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_patch_is_what_was_meant_and_once_is_enough(pod in pod(), minor in 28_u16..36) {
        let defaults = Defaults { kubernetes: minor, ..defaults() };
        let injected = inject(&pod, Around::default(), &defaults).unwrap();
        prop_assert_eq!(&patched(&pod, &difference(&pod, &injected.pod)), &injected.pod);
        let again = inject(&injected.pod, Around::default(), &defaults).unwrap();
        prop_assert_eq!(&again.pod, &injected.pod);
    }

    #[test]
    fn a_service_finds_the_sidecar_and_the_sidecar_the_app(pod in pod(), minor in 28_u16..36) {
        let defaults = Defaults { kubernetes: minor, ..defaults() };
        let injected = inject(&pod, Around::default(), &defaults).unwrap();
        let wanted = pod["metadata"]["annotations"]["graylane.io/port"].as_str().unwrap_or("http");
        let before = found(&pod, wanted);
        if injected.done == Done::Injected && !before.is_empty() {
            prop_assert_eq!(found(&injected.pod, wanted), vec![15080]);
            let note = injected.pod["metadata"]["annotations"]["graylane.io/sidecar"].as_str().unwrap();
            let local = format!("127.0.0.1:{}\"", before[0]);
            prop_assert!(note.contains(&local), "{}", note);
        } else {
            prop_assert_eq!(found(&injected.pod, wanted), before);
        }
    }

    #[test]
    fn whatever_is_sent_is_answered_without_a_panic(text in "\\PC{0,200}", pod in pod()) {
        let _ = answer(text.as_bytes(), &defaults());
        let mut review = review(&pod, "shop");
        review["request"]["object"]["spec"]["containers"] = Value::from(text);
        prop_assert!(answer(review.to_string().as_bytes(), &defaults()).is_ok());
    }
}
