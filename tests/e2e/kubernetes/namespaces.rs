//! Annotations of a namespace, which the webhook knows from the API server. That is the stand-in of `cluster`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates;
use super::webhook::{Webhook, review};
use crate::cluster::api_server::{ApiServer, TOKEN};
use crate::harness::{eventually, graylane};

const NAMESPACES: &str = "/api/v1/namespaces";

struct Scene {
    server: ApiServer,
    webhook: Webhook,
    _folder: TempDir,
}

impl Scene {
    fn new(server: ApiServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates::write(folder.path(), 2099);
        let token = folder.path().join("token").display().to_string();
        std::fs::write(&token, TOKEN).unwrap();
        let webhook = Webhook::of_files_and(folder.path(), &["--api-server", &server.url(), "--api-token", &token]);
        Self { server, webhook, _folder: folder }
    }

    /// The patch for a pod of the namespace, and the warnings.
    fn patched(&self, namespace: &str, annotations: Value) -> (String, String) {
        let mut review = review();
        review["request"]["namespace"] = namespace.into();
        review["request"]["object"]["metadata"]["annotations"] = annotations;
        let (status, body) = self.webhook.review(&["-k"], review.to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)), "{answer}");
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        (String::from_utf8(patch).unwrap(), answer["response"]["warnings"].to_string())
    }
}

fn namespace(annotations: Value) -> Value {
    json!({ "metadata": { "labels": { "graylane.io/inject": "enabled" }, "annotations": annotations } })
}

#[test]
fn annotations_of_a_namespace_are_defaults_for_its_pods_and_follow_it() {
    let server = ApiServer::start();
    server.put(
        NAMESPACES,
        "shop",
        namespace(json!({ "graylane.io/log-level": "debug", "graylane.io/resources": "mounted" })),
    );
    let scene = Scene::new(server);
    let (patch, warnings) = scene.patched("shop", Value::Null);
    assert!(patch.contains("\"debug\"") && patch.contains("graylane-resources"), "{patch}");
    assert_eq!(warnings, "null");
    let (patch, _) = scene.patched("shop", json!({ "graylane.io/log-level": "warn", "graylane.io/resources": "none" }));
    assert!(patch.contains("\"warn\"") && !patch.contains("graylane-resources"), "{patch}");
    eventually("the namespaces to be watched", || (scene.server.watches() > 0).then_some(()));
    scene.server.put(NAMESPACES, "shop", namespace(json!({ "graylane.io/log-level": "trace" })));
    eventually("the new annotation", || scene.patched("shop", Value::Null).0.contains("\"trace\"").then_some(()));
    let asked = scene.server.calls("GET /api/v1/namespaces/shop");
    scene.patched("shop", Value::Null);
    assert_eq!(scene.server.calls("GET /api/v1/namespaces/shop"), asked, "what is watched is not asked for");
}

#[test]
fn while_the_api_server_is_away_what_was_known_counts_and_the_rest_is_a_warning() {
    let server = ApiServer::start();
    server.put(NAMESPACES, "shop", namespace(json!({ "graylane.io/log-level": "debug" })));
    let scene = Scene::new(server);
    // Not labelled, so not watched: it is asked for.
    scene.server.put(
        NAMESPACES,
        "other",
        json!({ "metadata": { "annotations": { "graylane.io/log-level": "error" } } }),
    );
    assert!(scene.patched("other", Value::Null).0.contains("\"error\""));
    eventually("the namespaces to be watched", || (scene.server.watches() > 0).then_some(()));
    scene.server.away(true);
    eventually("a warning", || {
        let (patch, warnings) = scene.patched("shop", Value::Null);
        assert!(patch.contains("\"debug\""), "{patch}");
        warnings.contains("may be old").then_some(())
    });
    let (patch, warnings) = scene.patched("unheard", Value::Null);
    assert!(patch.contains("\"info\"") && warnings.contains("namespace unheard are not known"), "{warnings}");
    // Only names are asked for.
    let (_, warnings) = scene.patched("../../apis", Value::Null);
    assert!(warnings.contains("no name of a namespace"), "{warnings}");
    scene.server.away(false);
    eventually("no warning", || (scene.patched("shop", Value::Null).1 == "null").then_some(()));
}

#[test]
fn manifests_bring_the_annotations_of_their_namespace_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let pod = |namespace: &str| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "namespace": namespace }, "spec": { "containers": [{ "name": "app", "image": "goods:1" }] } });
    let mut shop = namespace(json!({ "graylane.io/resources": "mounted" }));
    (shop["apiVersion"], shop["kind"], shop["metadata"]["name"]) = ("v1".into(), "Namespace".into(), "shop".into());
    let texts = [shop, pod("shop"), pod("other")].map(|object| serde_yaml::to_string(&object).unwrap());
    std::fs::write(&file, texts.join("---\n")).unwrap();
    let done = graylane(["inject".as_ref(), "-f".as_ref(), file.as_os_str()]);
    let pods: Vec<Value> = serde_yaml::from_multiple(&String::from_utf8(done.stdout).unwrap()).unwrap();
    let mounts = |pod: &Value| pod.to_string().contains("graylane-resources");
    assert_eq!((mounts(&pods[1]), mounts(&pods[2])), (true, false));
}
