//! Custom resources rendered into a ConfigMap by the webhook, for sidecars that may not watch. The API server is the stand-in of
//! `cluster`; `scripts/real-api-server` does the same with a real one.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates;
use super::webhook::Webhook;
use crate::cluster::api_server::{ApiServer, TOKEN};
use crate::harness::{eventually, graylane};

const NAMESPACES: &str = "/api/v1/namespaces";
const RULES: &str = "/apis/gray.alibaba.com/v1/namespaces/shop/businessrules";
const RELEASES: &str = "/apis/graylane.io/v1alpha1/namespaces/shop/grayreleases";
const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/graylane-system/leases";
const FILE: &str = "graylane-resource-businessrule-r.yaml";

struct Scene {
    server: ApiServer,
    folder: TempDir,
}

impl Scene {
    /// A namespace with the label, and the Lease as the manifests make it.
    fn new() -> Self {
        let server = ApiServer::start();
        server.put(NAMESPACES, "shop", json!({ "metadata": { "labels": { "graylane.io/inject": "enabled" } } }));
        server.put(LEASES, "graylane-render", json!({ "spec": {} }));
        let folder = tempfile::tempdir().unwrap();
        certificates::write(folder.path(), 2099);
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        Self { server, folder }
    }

    fn webhook(&self) -> Webhook {
        let (url, token) = (self.server.url(), self.folder.path().join("token").display().to_string());
        let more =
            ["--render-resources", "--namespace", "graylane-system", "--api-server", &url, "--api-token", &token];
        Webhook::of_files_and(self.folder.path(), &more)
    }

    fn rule(&self, more: Value) {
        let mut spec = json!({ "service": "goods", "trafficWeight": "5%" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.server.put(RULES, "r", json!({ "spec": spec }));
    }

    fn data(&self) -> Value {
        self.server.get(MAPS, "graylane-resources")["data"].clone()
    }

    fn wait_for_text(&self, text: &str) {
        eventually(&format!("{text} in {FILE}"), || self.data()[FILE].as_str()?.contains(text).then_some(()));
    }

    /// Waits for the condition `Rendered` of the rule to be about it as it is now.
    fn wait_for_status(&self, status: &str, message: &str) {
        eventually(&format!("the rule to be {status}: {message}"), || {
            let rule = self.server.get(RULES, "r");
            let condition = &rule["status"]["conditions"][0];
            let is_about = condition["observedGeneration"] == rule["metadata"]["generation"];
            let says = condition["message"].as_str().is_some_and(|text| text.contains(message));
            (condition["type"] == "Rendered" && is_about && condition["status"] == status && says).then_some(())
        });
    }
}

#[test]
fn resources_are_rendered_and_a_bad_one_keeps_the_last_good_and_says_why() {
    let scene = Scene::new();
    scene.rule(json!({}));
    // Somewhere without the label nothing is made.
    scene.server.put(NAMESPACES, "quiet", json!({}));
    let (rules, maps) = (RULES.replace("shop", "quiet"), MAPS.replace("shop", "quiet"));
    scene.server.put(&rules, "r", json!({ "spec": { "service": "goods", "trafficWeight": "5%" } }));
    let _webhook = scene.webhook();
    scene.wait_for_text("5%");
    scene.wait_for_status("True", "graylane-resources");
    assert_eq!(scene.server.get(&maps, "graylane-resources"), Value::Null);

    scene.rule(json!({ "trafficWeight": "500%" }));
    scene.wait_for_status("False", "spec.trafficWeight: `500%`");
    scene.server.put(RELEASES, "g", json!({ "spec": { "service": "price", "permille": 7 } }));
    eventually("the other resource", || scene.data()["graylane-resource-grayrelease-g.yaml"].is_string().then_some(()));
    assert!(scene.data()[FILE].as_str().unwrap().contains("5%"), "{}", scene.data());

    // What the namespace's configuration does not know is refused too, once there is one.
    let unknown =
        json!({ "trafficWeight": "6%", "conditions": [{ "key": "no_such_fact", "operator": "EQ", "value": "x" }] });
    scene.rule(unknown.clone());
    scene.wait_for_text("6%");
    scene.wait_for_status("True", "graylane-resources");
    let config = "version: 1\nservice: goods\nupstreams: { a: { endpoints: [\"127.0.0.1:1\"] } }\nroutes: [{ name: all, match: { path: \
                  \"/{*rest}\" }, lanes: { stable: a, gray: a } }]\n";
    scene.server.put(MAPS, "graylane", json!({ "data": { "goods.yaml": config } }));
    scene.wait_for_status("False", "spec.conditions[0].key: ");
    scene.rule(json!({ "trafficWeight": "8%" }));
    scene.wait_for_text("8%");

    // What is mounted is what a sidecar takes.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("goods.yaml"), config).unwrap();
    for (name, text) in scene.data().as_object().unwrap() {
        std::fs::write(folder.path().join(name), text.as_str().unwrap()).unwrap();
    }
    let done = graylane([
        "explain".as_ref(),
        "--config".as_ref(),
        folder.path().as_os_str(),
        "--json".as_ref(),
        "GET".as_ref(),
        "/".as_ref(),
    ]);
    let explained: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(explained["release"], "r", "{explained}");

    scene.server.away(true);
    scene.server.delete(RULES, "r");
    scene.server.forget();
    scene.server.away(false);
    eventually("the file to go", || scene.data()[FILE].is_null().then_some(()));
    // What somebody removed comes back.
    scene.server.delete(MAPS, "graylane-resources");
    eventually("the ConfigMap again", || {
        scene.data()["graylane-resource-grayrelease-g.yaml"].is_string().then_some(())
    });
}

#[test]
fn of_two_replicas_one_renders_and_the_other_goes_on_with_what_was_good() {
    let scene = Scene::new();
    scene.rule(json!({}));
    let mut first = scene.webhook();
    scene.wait_for_status("True", "graylane-resources");
    let holder = || scene.server.get(LEASES, "graylane-render")["spec"]["holderIdentity"].clone();
    let elected = holder();
    let second = scene.webhook();
    let applied = || scene.server.calls(&format!("PATCH {MAPS}/graylane-resources"));
    let before = applied();
    scene.rule(json!({ "trafficWeight": "4%" }));
    scene.wait_for_status("True", "graylane-resources");
    assert_eq!((applied(), holder()), (before + 1, elected.clone()), "one of both writes, and once");
    // The other one sees the next two together, and knows of the first of them from the ConfigMap alone.
    second.process.signal("STOP");
    scene.rule(json!({ "trafficWeight": "6%" }));
    scene.wait_for_status("True", "graylane-resources");
    scene.rule(json!({ "trafficWeight": "600%" }));
    scene.wait_for_status("False", "spec.trafficWeight");
    first.process.signal("TERM");
    assert!(first.process.wait().success());
    second.process.signal("CONT");
    scene.rule(json!({ "trafficWeight": "700%" }));
    scene.wait_for_status("False", "`700%`");
    assert_ne!(holder(), elected, "the Lease ran out");
    assert!(scene.data()[FILE].as_str().unwrap().contains("6%"), "{}", scene.data());
}
