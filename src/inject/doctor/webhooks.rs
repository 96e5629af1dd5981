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
        let place = place(configuration);
        for hook in list(configuration, "/webhooks") {
            let service = text(hook, "/clientConfig/service/name");
            let is_ours = service.contains("graylane") || text(hook, "/name").contains("graylane");
            if is_ours {
                ours += 1;
                one(&place, hook, objects, defaults, now, found);
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

fn one(place: &str, hook: &Value, objects: &Objects, defaults: &Defaults, now: i64, found: &mut Vec<Finding>) {
    let mut tell = |problem: String, mend: &str| found.push(Finding::error(place, problem, mend));
    let bundle = text(hook, "/clientConfig/caBundle");
    match STANDARD.decode(bundle).ok().filter(|pem| !pem.is_empty()).map(|pem| ends(&pem)) {
        None if bundle.is_empty() => tell(
            "it has no caBundle: the API server believes nobody, and makes pods without a sidecar".to_owned(),
            "run the webhook with --self-signed, or annotate with cert-manager.io/inject-ca-from",
        ),
        Some(Ok(end)) if end < now => {
            tell(
                "the certificate in its caBundle has ended".to_owned(),
                "restart the webhook, or renew it in cert-manager",
            );
        }
        Some(Ok(end)) if end < now + SOON => {
            tell("the certificate in its caBundle ends within a week".to_owned(), "renew it in cert-manager");
        }
        Some(Ok(_)) => {}
        None | Some(Err(_)) => {
            tell("its caBundle is no certificate".to_owned(), "let the webhook or cert-manager write it")
        }
    }
    let path = hook.pointer("/clientConfig/service/path").and_then(Value::as_str).unwrap_or("/");
    if path != PATH {
        tell(format!("it calls {path}, where nothing is"), "set clientConfig.service.path to /mutate");
    }
    if !list(hook, "/admissionReviewVersions").contains(&json!("v1")) {
        tell("admissionReviewVersions has no v1".to_owned(), "set admissionReviewVersions: [v1]");
    }
    if text(hook, "/failurePolicy") != "Ignore" {
        tell(
            "failurePolicy is not Ignore: while the webhook is away no pod is made".to_owned(),
            "set failurePolicy: Ignore; graylane doctor finds pods without a sidecar",
        );
    }
    if text(hook, "/sideEffects") != "None" {
        tell("sideEffects is not None: dry runs are refused".to_owned(), "set sideEffects: None");
    }
    let makes = list(hook, "/rules").iter().any(|rule| {
        let has = |path: &str, word: &str| list(rule, path).iter().any(|one| one == word || one == "*");
        has("/operations", "CREATE") && has("/resources", "pods")
    });
    if !makes {
        tell("no rule of it is for CREATE of pods".to_owned(), "set rules: operations [CREATE], resources [pods]");
    }
    let label = json!({ INJECT: "enabled" });
    let chosen = selects(hook.get("namespaceSelector"), label.as_object());
    let own = json!({ "kubernetes.io/metadata.name": defaults.own_namespace });
    if !chosen {
        let mend = "set namespaceSelector: matchLabels: graylane.io/inject: enabled";
        tell(format!("its namespaceSelector leaves out namespaces with {INJECT}=enabled"), mend);
    } else if selects(hook.get("namespaceSelector"), own.as_object()) {
        let mend = "set namespaceSelector: matchLabels: graylane.io/inject: enabled";
        tell("it is called for every namespace, its own too".to_owned(), mend);
    }
    behind(hook, objects, &mut tell);
}

/// Whether anybody is there to be called.
fn behind(hook: &Value, objects: &Objects, tell: &mut impl FnMut(String, &str)) {
    let (service, namespace) =
        (text(hook, "/clientConfig/service/name"), text(hook, "/clientConfig/service/namespace"));
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
    if !slices.is_empty() && slices.iter().map(ready).sum::<usize>() == 0 {
        let mend = format!("kubectl -n {namespace} get pods; kubectl -n {namespace} logs deployment/{service}");
        tell(format!("nobody is ready behind its Service {namespace}/{service}"), &mend);
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
