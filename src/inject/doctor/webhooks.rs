//! The MutatingWebhookConfiguration: whether an API server calls the webhook, and believes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::View;
use super::finding::Finding;
use super::objects::{Objects, list, place, selects, text};
use super::pods::is_enabled;
use crate::inject::webhook::ends;
use crate::inject::{Defaults, INJECT};

/// What the webhook answers to.
const PATH: &str = "/mutate";
/// So much before the end of an authority it is said, in seconds: a week.
const SOON: i64 = 7 * 24 * 3600;

/// Looks at every webhook of ours: those that are called at `/mutate` of a Service that is named after us.
pub(super) fn examine(objects: &Objects, defaults: &Defaults, view: View, now: i64, found: &mut Vec<Finding>) {
    let mut ours = 0;
    for configuration in objects.of("MutatingWebhookConfiguration") {
        for (at, hook) in list(configuration, "/webhooks").iter().enumerate() {
            let service = text(hook, "/clientConfig/service/name");
            if service.contains("graylane") || text(hook, "/name").contains("graylane") {
                ours += 1;
                let one = Hook { configuration, at, hook };
                one.authority(now, found);
                one.call(found);
                one.choice(defaults, found);
                one.behind(objects, defaults, view, found);
            }
        }
    }
    let wanted = objects.of("Namespace").any(is_enabled);
    if ours == 0 && wanted && view == View::Cluster && objects.knows("MutatingWebhookConfiguration") {
        found.push(Finding::error(
            "MutatingWebhookConfiguration",
            "there is none that calls graylane: nothing is injected anywhere",
            "kubectl apply -k k8s/base",
        ));
    }
}

/// One webhook of a configuration.
struct Hook<'o> {
    configuration: &'o Value,
    /// Its place among the others.
    at: usize,
    hook: &'o Value,
}

impl Hook<'_> {
    fn tell(&self, found: &mut Vec<Finding>, problem: impl Into<String>, mend: impl Into<String>) {
        found.push(Finding::error(&place(self.configuration), problem, mend));
    }

    /// The command that sets one of its values.
    fn set(&self, path: &str, value: &Value) -> String {
        let patch = json!([{ "op": "add", "path": format!("/webhooks/{}{path}", self.at), "value": value }]);
        let name = text(self.configuration, "/metadata/name");
        format!("kubectl patch mutatingwebhookconfiguration {name} --type=json -p '{patch}'")
    }

    fn service(&self) -> (&str, &str) {
        (text(self.hook, "/clientConfig/service/namespace"), text(self.hook, "/clientConfig/service/name"))
    }

    /// The Certificate that cert-manager keeps for it, with its namespace.
    fn certificate(&self) -> Option<(&str, &str)> {
        let annotations = self.configuration.pointer("/metadata/annotations")?;
        annotations.get("cert-manager.io/inject-ca-from")?.as_str()?.split_once('/')
    }

    /// Whom the API server believes.
    fn authority(&self, now: i64, found: &mut Vec<Finding>) {
        let (namespace, service) = self.service();
        let renew = match self.certificate() {
            Some((namespace, name)) => format!("cmctl renew -n {namespace} {name}"),
            // With --self-signed it looks at its certificate when it starts.
            None => format!("kubectl -n {namespace} rollout restart deployment/{service}"),
        };
        let bundle = text(self.hook, "/clientConfig/caBundle");
        match STANDARD.decode(bundle).ok().filter(|pem| !pem.is_empty()).map(|pem| ends(&pem)) {
            None if bundle.is_empty() => {
                let mend = match self.certificate() {
                    Some((namespace, name)) => format!("kubectl -n {namespace} describe certificate {name}"),
                    None => format!(
                        "run the webhook with --self-signed, or: kubectl annotate mutatingwebhookconfiguration {} \
                         cert-manager.io/inject-ca-from={namespace}/{service}",
                        text(self.configuration, "/metadata/name")
                    ),
                };
                let problem = "it has no caBundle: the API server believes nobody, and makes pods without a sidecar";
                self.tell(found, problem, mend);
            }
            Some(Ok(end)) if end < now => self.tell(found, "the certificate in its caBundle has ended", renew),
            Some(Ok(end)) if end < now + SOON => {
                let days = (end - now) / (24 * 3600);
                self.tell(found, format!("the certificate in its caBundle ends in {days} days"), renew);
            }
            Some(Ok(_)) => {}
            None | Some(Err(_)) => self.tell(found, "its caBundle is no certificate", renew),
        }
    }

    /// Where, when and for what it is called.
    fn call(&self, found: &mut Vec<Finding>) {
        let hook = self.hook;
        let path = hook.pointer("/clientConfig/service/path").and_then(Value::as_str).unwrap_or("/");
        if path != PATH {
            let mend = self.set("/clientConfig/service/path", &json!(PATH));
            self.tell(found, format!("it calls {path}, where nothing is"), mend);
        }
        if !list(hook, "/admissionReviewVersions").contains(&json!("v1")) {
            let mend = self.set("/admissionReviewVersions", &json!(["v1"]));
            self.tell(found, "admissionReviewVersions has no v1", mend);
        }
        if text(hook, "/failurePolicy") != "Ignore" {
            let problem = "failurePolicy is not Ignore: while the webhook is away no pod is made";
            self.tell(found, problem, self.set("/failurePolicy", &json!("Ignore")));
        }
        if text(hook, "/sideEffects") != "None" {
            let problem = "sideEffects is not None: dry runs are refused";
            self.tell(found, problem, self.set("/sideEffects", &json!("None")));
        }
        let makes = list(hook, "/rules").iter().any(|rule| {
            let has = |path: &str, word: &str| list(rule, path).iter().any(|one| one == word || one == "*");
            has("/operations", "CREATE") && has("/resources", "pods")
        });
        if !makes {
            let rule =
                json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] });
            self.tell(found, "no rule of it is for CREATE of pods", self.set("/rules", &json!([rule])));
        }
    }

    /// For which namespaces it is called.
    fn choice(&self, defaults: &Defaults, found: &mut Vec<Finding>) {
        let selector = self.hook.get("namespaceSelector");
        let label = json!({ INJECT: "enabled" });
        let own = json!({ "kubernetes.io/metadata.name": defaults.own_namespace });
        let mend = || self.set("/namespaceSelector", &json!({ "matchLabels": label }));
        if !selects(selector, label.as_object()) {
            self.tell(found, format!("its namespaceSelector leaves out namespaces with {INJECT}=enabled"), mend());
        } else if selects(selector, own.as_object()) {
            self.tell(found, "it is called for every namespace, its own too", mend());
        }
    }

    /// Whether anybody is there to be called.
    fn behind(&self, objects: &Objects, defaults: &Defaults, view: View, found: &mut Vec<Finding>) {
        let (namespace, service) = self.service();
        let slices = objects.of("EndpointSlice").filter(|slice| {
            text(slice, "/metadata/namespace") == namespace
                && slice.pointer("/metadata/labels").and_then(|labels| labels.get("kubernetes.io/service-name"))
                    == Some(&Value::from(service))
        });
        let slices: Vec<&Value> = slices.collect();
        let ready = |slice: &&Value| {
            let endpoints = list(slice, "/endpoints").iter();
            endpoints.filter(|endpoint| endpoint.pointer("/conditions/ready") != Some(&Value::from(false))).count()
        };
        // Of the webhook's own namespace alone a cluster tells everything.
        let is_known = view == View::Cluster && namespace == defaults.own_namespace && objects.knows("EndpointSlice");
        if slices.is_empty() && is_known {
            let mend = format!("kubectl -n {namespace} get service {service}; kubectl apply -k k8s/base");
            self.tell(found, format!("there is no Service {namespace}/{service} with pods behind it"), mend);
        } else if !slices.is_empty() && slices.iter().map(ready).sum::<usize>() == 0 {
            let mend = format!("kubectl -n {namespace} get pods; kubectl -n {namespace} logs deployment/{service}");
            self.tell(found, format!("nobody is ready behind its Service {namespace}/{service}"), mend);
        }
    }
}

/// Whether what is injected fits the cluster.
pub(super) fn version(defaults: &Defaults, minor: Option<u16>, found: &mut Vec<Finding>) {
    let Some(minor) = minor else { return };
    let wanted = defaults.kubernetes;
    if minor < 29 && wanted >= 29 {
        found.push(Finding::error(
            "the cluster",
            format!("it is Kubernetes 1.{minor}, which has no native sidecars: pods would wait for one for ever"),
            format!("run the webhook with --kubernetes-version 1.{minor}"),
        ));
    } else if minor < 32 && wanted >= 32 {
        found.push(Finding::error(
            "the cluster",
            format!(
                "in Kubernetes 1.{minor} Services do not find the named port of a native sidecar (only from 1.32 on)"
            ),
            format!("run the webhook with --kubernetes-version 1.{minor}"),
        ));
    }
}
