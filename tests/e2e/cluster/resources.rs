//! Custom resources as a source of configuration, and what is said in their status. The API server is a stand-in: see
//! `api_server`.

use serde_json::{Value, json};

use super::api_server::{ApiServer, TOKEN};
use crate::harness::{Origin, Plan, Sidecar, eventually};

const RULES: &str = "/apis/gray.alibaba.com/v1/namespaces/shop/businessrules";
const RELEASES: &str = "/apis/graylane.io/v1alpha1/namespaces/shop/grayreleases";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";

struct Scene {
    server: ApiServer,
    stable: Origin,
    gray: Origin,
}

impl Scene {
    fn new() -> Self {
        Self { server: ApiServer::start(), stable: Origin::lane("stable"), gray: Origin::lane("gray") }
    }

    fn release(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["service"] = json!("goods-core");
        self.server.put(RELEASES, name, json!({ "spec": spec }));
    }

    fn start(&self) -> Sidecar {
        let url = self.server.url();
        let more = format!(
            "guard: {{ sources: off }}\nkubernetes: {{ url: '{url}', token_file: token }}\n\
             sources: [{{ name: cluster, backoff: {{ first: 50ms, most: 200ms }}, \
             kubernetes: {{ namespace: shop, write_status: true }} }}]\n"
        );
        let plan = Plan::new()
            .upstream("stable", self.stable.address())
            .upstream("gray", self.gray.address())
            .route("all", "/{*rest}", "stable: stable, gray: gray", "release: r")
            .file("token", TOKEN)
            .more(&more);
        Sidecar::start(&plan)
    }

    /// Waits for the condition `Accepted` of a release to be as wanted.
    fn wait_for_status(&self, name: &str, status: &str, message: &str) -> Value {
        eventually(&format!("{name} to be {status}: {message}"), || {
            let object = self.server.get(RELEASES, name);
            let condition = object["status"]["conditions"][0].clone();
            let is_about = condition["observedGeneration"] == object["metadata"]["generation"];
            let says = condition["message"].as_str().is_some_and(|text| text.contains(message));
            (is_about && condition["status"] == status && says).then_some(condition)
        })
    }
}

fn lane(sidecar: &Sidecar) -> String {
    sidecar.get("/", "x-user-id: u1\r\n").get("x-lane").expect("an origin answered").to_string()
}

fn wait_for_lane(sidecar: &Sidecar, wanted: &str) {
    eventually(&format!("lane {wanted}"), || (lane(sidecar) == wanted).then_some(()));
}

#[test]
fn a_release_of_the_cluster_is_in_force_and_its_status_says_so() {
    let scene = Scene::new();
    scene.release("r", json!({ "permille": 0 }));
    scene.server.put(RELEASES, "other", json!({ "spec": { "service": "price", "level": "nonsense" } }));
    let sidecar = scene.start();
    assert_eq!(lane(&sidecar), "stable");
    let condition = scene.wait_for_status("r", "True", "in force");
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Accepted"), &json!("InForce")));
    scene.release("r", json!({ "level": "full" }));
    wait_for_lane(&sidecar, "gray");
    scene.wait_for_status("r", "True", "in force");
    assert_eq!(scene.server.get(RELEASES, "other")["status"], Value::Null, "it is of another service");
    let status = sidecar.admin_get("/api/v1/config").text();
    assert!(status.contains("cluster:grayreleases/r"), "{status}");
}

#[test]
fn a_refused_resource_is_told_with_its_field_and_keeps_no_other_back() {
    let scene = Scene::new();
    scene.release("r", json!({ "permille": 0 }));
    scene.release("s", json!({ "permille": 1 }));
    let sidecar = scene.start();
    scene.wait_for_status("s", "True", "in force");
    scene.release(
        "s",
        json!({ "permille": 1, "conditions": [{ "key": "no_such_fact", "operator": "EQ", "value": "x" }] }),
    );
    let condition = scene.wait_for_status("s", "False", "spec.conditions[0].key: ");
    assert_eq!(condition["reason"], "Invalid");
    // The last good form of `s` stays, and `r` goes on.
    scene.release("r", json!({ "level": "full" }));
    wait_for_lane(&sidecar, "gray");
    scene.wait_for_status("r", "True", "in force");
    scene.wait_for_status("s", "False", "no_such_fact");
    let releases = sidecar.admin_get("/api/v1/releases").text();
    assert!(releases.contains("\"s\""), "{releases}");
    scene.release("s", json!({ "permille": 2 }));
    scene.wait_for_status("s", "True", "in force");
}

#[test]
fn rules_come_and_go_and_a_server_that_is_away_changes_nothing() {
    let scene = Scene::new();
    scene.release("r", json!({ "level": "full" }));
    scene.server.put(RULES, "b", json!({ "spec": { "service": "goods-core", "trafficWeight": "5%" } }));
    let sidecar = scene.start();
    let has_rule = || sidecar.admin_get("/api/v1/config").text().contains("cluster:businessrules/b");
    assert!(has_rule());
    scene.server.away(true);
    eventually("the source to be down", || (sidecar.metric("graylane_source_up", &[]) == 0.0).then_some(()));
    assert_eq!(lane(&sidecar), "gray");
    assert!(has_rule());
    scene.server.delete(RULES, "b");
    scene.server.forget();
    scene.server.away(false);
    eventually("the rule to go", || (!has_rule()).then_some(()));
    assert_eq!(lane(&sidecar), "gray");
}

#[test]
fn of_many_sidecars_one_writes_and_another_takes_over_when_it_ends() {
    let scene = Scene::new();
    scene.server.put(LEASES, "graylane-status-goods-core", json!({ "spec": {} }));
    scene.release("r", json!({ "permille": 0 }));
    let mut first = scene.start();
    scene.wait_for_status("r", "True", "in force");
    let holder = || scene.server.get(LEASES, "graylane-status-goods-core")["spec"]["holderIdentity"].clone();
    let elected = holder();
    assert!(elected.as_str().is_some_and(|holder| !holder.is_empty()), "{elected}");
    let second = scene.start();
    let patches = || scene.server.calls(&format!("PATCH {RELEASES}/r/status"));
    let before = patches();
    scene.release("r", json!({ "level": "full" }));
    scene.wait_for_status("r", "True", "in force");
    wait_for_lane(&second, "gray");
    assert_eq!((patches(), holder()), (before + 1, elected.clone()), "one of both writes, and once");

    first.terminate();
    assert!(first.wait().success());
    scene.release("r", json!({ "permille": 0 }));
    scene.wait_for_status("r", "True", "in force");
    assert_ne!(holder(), elected, "the Lease ran out");
}
