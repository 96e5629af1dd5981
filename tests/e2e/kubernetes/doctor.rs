//! `graylane doctor`, over manifests and over a namespace of the stand-in.

use serde_json::{Value, json};

use super::api_server::ApiServer;
use crate::harness::graylane;

/// A namespace where nothing is wrong, but what a test makes wrong.
struct Shop {
    namespace: Value,
    deployment: Value,
    service: Value,
    policy: Value,
    config: Value,
    hook: Value,
    /// What is behind the webhook's Service.
    slice: Value,
}

impl Shop {
    fn new() -> Self {
        let named = |name: &str| json!({ "name": name, "namespace": "shop" });
        let labels = json!({ "app": "goods" });
        let ports = json!([{ "name": "http", "containerPort": 8080 }]);
        let config = "upstreams: { own: { endpoints: [local] } }\nroutes: [{ name: all, match: { path: \"/{*rest}\" }, lanes: { \
                      stable: own } }]\n";
        let bundle = bundle(None);
        Self {
            namespace: json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop", "labels": { "graylane.io/inject": "enabled" } } }),
            deployment: json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": named("goods"),
                "spec": {
                    "selector": { "matchLabels": labels },
                    "template": {
                        "metadata": { "labels": labels, "annotations": { "graylane.io/config": "goods" } },
                        "spec": { "containers": [{ "name": "app", "image": "goods:1", "ports": ports }] },
                    },
                },
            }),
            service: json!({
                "apiVersion": "v1", "kind": "Service", "metadata": named("goods"),
                "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": "http" }] },
            }),
            policy: json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": named("goods"),
                "spec": { "podSelector": { "matchLabels": labels }, "ingress": [{ "ports": [{ "port": "http" }] }] },
            }),
            config: json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": named("goods"), "data": { "graylane.yaml": config } }),
            hook: json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": { "name": "graylane" },
                "webhooks": [{
                    "name": "inject.graylane.io",
                    "clientConfig": { "caBundle": bundle, "service": { "name": "graylane-webhook", "namespace": "graylane-system", "path": "/mutate" } },
                    "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "sideEffects": "None",
                    "namespaceSelector": { "matchLabels": { "graylane.io/inject": "enabled" } },
                    "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
                }],
            }),
            slice: json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": { "name": "graylane-webhook-1", "namespace": "graylane-system", "labels": { "kubernetes.io/service-name": "graylane-webhook" } },
                "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }, { "addresses": ["10.0.0.2"], "conditions": { "ready": false } }],
            }),
        }
    }

    fn all(&self) -> [&Value; 7] {
        [&self.namespace, &self.deployment, &self.service, &self.policy, &self.config, &self.hook, &self.slice]
    }

    /// Offline: the exit code and what is said.
    fn offline(&self) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        for (at, object) in self.all().into_iter().enumerate() {
            std::fs::write(folder.path().join(format!("{at}.json")), object.to_string()).unwrap();
        }
        said(&["doctor", "-f", &folder.path().display().to_string()])
    }

    fn cluster(&self, minor: &str) -> ApiServer {
        let list = |kind: &str, items: &[&Value]| {
            // As API servers write it: without the kind of each.
            let items = items.iter().map(|item| {
                let mut item = (*item).clone();
                item.as_object_mut().unwrap().remove("kind");
                item
            });
            json!({ "kind": format!("{kind}List"), "apiVersion": "v1", "items": items.collect::<Vec<_>>() })
        };
        let of = |api: &str, what: &str| format!("{api}/namespaces/shop/{what}");
        ApiServer::start([
            ("/version".to_owned(), json!({ "major": "1", "minor": minor })),
            ("/api/v1/namespaces/shop".to_owned(), self.namespace.clone()),
            (of("/api/v1", "services"), list("Service", &[&self.service])),
            (of("/api/v1", "configmaps"), list("ConfigMap", &[&self.config])),
            (of("/api/v1", "pods"), list("Pod", &[])),
            (of("/apis/apps/v1", "deployments"), list("Deployment", &[&self.deployment])),
            (of("/apis/networking.k8s.io/v1", "networkpolicies"), list("NetworkPolicy", &[&self.policy])),
            (
                "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations".to_owned(),
                list("MutatingWebhookConfiguration", &[&self.hook]),
            ),
            (
                "/apis/discovery.k8s.io/v1/namespaces/graylane-system/endpointslices".to_owned(),
                list("EndpointSlice", &[&self.slice]),
            ),
        ])
    }
}

/// A caBundle whose certificate ends after so many days from now, or long after.
fn bundle(days: Option<i64>) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
    if let Some(days) = days {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        let end = end.to_zoned(jiff::tz::TimeZone::UTC).date();
        let part = |number: i8| u8::try_from(number).unwrap();
        params.not_after = rcgen::date_time_ymd(end.year().into(), part(end.month()), part(end.day()));
    }
    let pem = params.self_signed(&key).unwrap().pem();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem)
}

fn said(arguments: &[&str]) -> (i32, String) {
    let done = graylane(arguments);
    let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code().unwrap(), text)
}

fn asked(cluster: &ApiServer) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let access = cluster.arguments(folder.path());
    let mut arguments = vec!["doctor", "-n", "shop"];
    arguments.extend(access.iter().map(String::as_str));
    said(&arguments)
}

#[test]
fn where_nothing_is_wrong_it_says_so() {
    let shop = Shop::new();
    assert_eq!(shop.offline(), (0, "nothing is wrong\n".to_owned()));
    assert_eq!(asked(&shop.cluster("33")), (0, "nothing is wrong\n".to_owned()));
}

/// Makes one thing wrong, and looks for these words in what is said offline.
#[track_caller]
fn check(change: impl FnOnce(&mut Shop), expected: &[&str]) {
    let mut shop = Shop::new();
    change(&mut shop);
    let (code, text) = shop.offline();
    assert_eq!(code, 2, "{text}");
    for word in expected {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
fn what_is_wrong_in_manifests_is_told_with_its_mend() {
    check(
        |shop| shop.service["spec"]["ports"][0]["targetPort"] = 8080.into(),
        &["Service shop/goods", "number 8080", "patch service goods", "\"value\":\"http\""],
    );
    check(|shop| shop.service["spec"]["ports"] = json!([{ "port": 8080 }]), &["number 8080"]);
    check(
        |shop| shop.service["spec"]["ports"][0]["targetPort"] = "http-app".into(),
        &["http-app", "passes the sidecar by"],
    );
    check(|shop| shop.service["spec"]["ports"][0]["targetPort"] = "web".into(), &["no port of that name"]);
    check(
        |shop| shop.policy["spec"]["ingress"][0]["ports"][0]["port"] = 8080.into(),
        &["NetworkPolicy", "15080", "port: http"],
    );
    check(
        |shop| shop.namespace["metadata"]["labels"]["graylane.io/inject"] = "true".into(),
        &["kubectl label namespace shop"],
    );
    check(
        |shop| shop.deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"] = "web".into(),
        &["Deployment shop/goods", "no container port is named http", "Name the port http"],
    );
    check(
        |shop| shop.deployment["spec"]["template"]["metadata"]["annotations"]["graylane.io/lane"] = "a b".into(),
        &["refused"],
    );
    check(
        |shop| {
            shop.config["data"]["graylane.yaml"] =
                "routes: [{ name: all, match: { path: / }, lanes: { stable: nobody } }]".into()
        },
        &["ConfigMap shop/goods", "nobody", "graylane check"],
    );
    check(|shop| shop.config["data"] = json!({ "readme": "x" }), &["no key that ends in .yaml"]);
}

/// The command that sets a value of the webhook.
fn set(path: &str, value: Value) -> String {
    let patch = json!([{ "op": "add", "path": format!("/webhooks/0{path}"), "value": value }]);
    format!("kubectl patch mutatingwebhookconfiguration graylane --type=json -p '{patch}'")
}

const RESTART: &str = "kubectl -n graylane-system rollout restart deployment/graylane-webhook";

#[test]
fn a_webhook_that_is_not_called_is_told_with_the_command_that_mends_it() {
    let wrong = |change: &dyn Fn(&mut Value), problem: &str, mend: &str| {
        check(|shop| change(&mut shop.hook["webhooks"][0]), &[problem, mend]);
    };
    let annotate = "kubectl annotate mutatingwebhookconfiguration graylane cert-manager.io/inject-ca-from=graylane-system/graylane-webhook";
    wrong(&|hook| hook["clientConfig"]["caBundle"] = "".into(), "no caBundle", annotate);
    wrong(&|hook| hook["clientConfig"]["caBundle"] = "eA==".into(), "no certificate", RESTART);
    let path = set("/clientConfig/service/path", json!("/mutate"));
    wrong(&|hook| hook["clientConfig"]["service"]["path"] = "/".into(), "it calls /", &path);
    let policy = set("/failurePolicy", json!("Ignore"));
    wrong(&|hook| hook["failurePolicy"] = "Fail".into(), "failurePolicy is not Ignore", &policy);
    wrong(&|hook| hook["sideEffects"] = "Some".into(), "sideEffects is not None", &set("/sideEffects", json!("None")));
    let versions = set("/admissionReviewVersions", json!(["v1"]));
    wrong(&|hook| hook["admissionReviewVersions"] = json!(["v1beta1"]), "has no v1", &versions);
    let rule = json!([{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }]);
    wrong(&|hook| hook["rules"][0]["operations"] = json!(["UPDATE"]), "CREATE of pods", &set("/rules", rule));
    let selector = set("/namespaceSelector", json!({ "matchLabels": { "graylane.io/inject": "enabled" } }));
    let other = json!({ "matchLabels": { "inject": "yes" } });
    wrong(&|hook| hook["namespaceSelector"] = other.clone(), "leaves out namespaces", &selector);
    wrong(&|hook| hook["namespaceSelector"] = json!({}), "every namespace", &selector);
}

#[test]
fn a_certificate_that_ends_soon_is_told_with_who_renews_it() {
    let with = |days: i64, annotation: Option<&str>, expected: &[&str]| {
        check(
            |shop| {
                shop.hook["webhooks"][0]["clientConfig"]["caBundle"] = bundle(Some(days)).into();
                if let Some(from) = annotation {
                    shop.hook["metadata"]["annotations"] = json!({ "cert-manager.io/inject-ca-from": from });
                }
            },
            expected,
        );
    };
    with(5, None, &["the certificate in its caBundle ends in ", RESTART]);
    with(5, Some("certificates/hook"), &["ends in ", "cmctl renew -n certificates hook"]);
    with(-2, None, &["the certificate in its caBundle has ended", RESTART]);
    with(-2, Some("certificates/hook"), &["has ended", "cmctl renew -n certificates hook"]);
    let mut shop = Shop::new();
    shop.hook["webhooks"][0]["clientConfig"]["caBundle"] = bundle(Some(30)).into();
    assert_eq!(shop.offline(), (0, "nothing is wrong\n".to_owned()));
}

#[test]
fn a_webhook_with_nobody_behind_its_service_is_told() {
    let logs = "kubectl -n graylane-system logs deployment/graylane-webhook";
    let nobody = "nobody is ready behind its Service graylane-system/graylane-webhook";
    check(|shop| shop.slice["endpoints"][0]["conditions"]["ready"] = false.into(), &[nobody, logs]);
    check(|shop| shop.slice["endpoints"] = json!([]), &[nobody, logs]);
    // Where nothing is said of readiness it is ready.
    let mut shop = Shop::new();
    shop.slice["endpoints"][0]["conditions"] = json!({});
    assert_eq!(asked(&shop.cluster("33")), (0, "nothing is wrong\n".to_owned()));
    shop.slice["endpoints"] = Value::Null;
    let (code, text) = asked(&shop.cluster("33"));
    assert!(code == 2 && text.contains(nobody), "{text}");
    // Slices of another Service do not count, and that there is none a cluster alone can tell.
    shop.slice["metadata"]["labels"]["kubernetes.io/service-name"] = "other".into();
    let (code, text) = asked(&shop.cluster("33"));
    let (none, apply) = ("there is no Service graylane-system/graylane-webhook", "kubectl apply -k k8s/base");
    assert!(code == 2 && text.contains(none) && text.contains(apply), "{text}");
    assert_eq!(shop.offline(), (0, "nothing is wrong\n".to_owned()));
}

#[test]
fn a_cluster_is_asked_for_what_manifests_do_not_tell() {
    let mut shop = Shop::new();
    let pod = json!({
        "apiVersion": "v1", "metadata": { "name": "goods-1", "namespace": "shop", "ownerReferences": [{ "kind": "ReplicaSet" }] },
        "spec": { "containers": [{ "name": "app", "image": "goods:1" }] },
    });
    shop.deployment["spec"]["template"]["metadata"]["annotations"]["graylane.io/config"] = "missing".into();
    let cluster = shop.cluster("33");
    let pods = json!({ "kind": "PodList", "items": [pod] });
    cluster.kept.lock().unwrap().objects.insert("/api/v1/namespaces/shop/pods".to_owned(), pods);
    let (code, text) = asked(&cluster);
    assert_eq!(code, 2);
    assert!(text.contains("Pod shop/goods-1: it runs without a sidecar") && text.contains("rollout restart"), "{text}");
    assert!(text.contains("the ConfigMap missing is not there"), "{text}");

    // What nobody may read is said, and not taken for missing.
    cluster.kept.lock().unwrap().hidden.push("/api/v1/namespaces/shop/configmaps".to_owned());
    let (_, text) = asked(&cluster);
    assert!(text.contains("cannot be read") && !text.contains("is not there"), "{text}");

    let (_, text) = asked(&Shop { namespace: json!({ "metadata": { "name": "shop" } }), ..Shop::new() }.cluster("33"));
    assert!(text.contains("kubectl label namespace shop graylane.io/inject=enabled"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = said(&["doctor", "-n", "shop", "--api-server", "http://127.0.0.1:1"]);
    assert!(code == 1 && text.contains("127.0.0.1:1"), "{text}");
    let old = Shop::new().cluster("28");
    let access = old.arguments(folder.path());
    let mut arguments = vec!["doctor", "-n", "shop", "--kubernetes-version", "1.33", "--json"];
    arguments.extend(access.iter().map(String::as_str));
    let (code, text) = said(&arguments);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert!(code == 2 && found[0]["problem"].as_str().unwrap().contains("1.28"), "{found}");
}
