//! `graylane doctor`: what is wrong with an injection, and the mend.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::inject::WhatArgs;
use super::inject_webhook::AccessArgs;
use super::{check, manifests};
use crate::inject::NEWEST;
use crate::inject::doctor::{Finding, Objects, View, Weight, examine, written};
use crate::inject::webhook::{Cluster, ClusterError};

/// The options of `graylane doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Manifests instead of a cluster: a file, a folder, or `-`; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The namespace of a cluster to look at
    #[arg(
        short = 'n',
        long = "in",
        value_name = "NAMESPACE",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    pub within: Option<String>,
    /// What is found as a JSON array
    #[arg(long)]
    pub json: bool,
    /// The API server, where this is no pod
    #[command(flatten)]
    pub access: AccessArgs,
    /// What is injected
    #[command(flatten)]
    pub what: WhatArgs,
}

/// The lists of a namespace, by the kind of their items.
const LISTS: [(&str, &str); 9] = [
    ("Pod", "/api/v1/namespaces/{}/pods"),
    ("Service", "/api/v1/namespaces/{}/services"),
    ("ConfigMap", "/api/v1/namespaces/{}/configmaps"),
    ("Deployment", "/apis/apps/v1/namespaces/{}/deployments"),
    ("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets"),
    ("DaemonSet", "/apis/apps/v1/namespaces/{}/daemonsets"),
    ("Job", "/apis/batch/v1/namespaces/{}/jobs"),
    ("CronJob", "/apis/batch/v1/namespaces/{}/cronjobs"),
    ("NetworkPolicy", "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"),
];
const WEBHOOKS: (&str, &str) =
    ("MutatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations");
/// Of the webhook's own namespace.
const SLICES: (&str, &str) = ("EndpointSlice", "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices");

/// Prints what is found. Exit 0 where nothing is wrong, 2 where something is.
///
/// # Errors
/// Manifests that cannot be read, or an API server that does not answer: exit 1.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut defaults = args.what.defaults(NEWEST, "graylane-system");
    let found = match &args.within {
        None => {
            let mut objects = Objects::default();
            for file in &args.files {
                manifests::read(file)?.into_iter().for_each(|document| objects.add(document));
            }
            examine(&objects, &defaults, View::Manifests, args.what.kubernetes_version, now)
        }
        Some(namespace) => {
            let cluster = args.access.cluster()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let read = runtime.block_on(read(&cluster, namespace, &defaults.own_namespace))?;
            // The webhook asks too, unless it is told.
            if args.what.kubernetes_version.is_none() {
                defaults.kubernetes = read.minor.unwrap_or(NEWEST);
            }
            let mut found = examine(&read.objects, &defaults, View::Cluster, read.minor, now);
            found.extend(read.hidden);
            found
        }
    };
    let text = if args.json { format!("{}\n", serde_json::to_string_pretty(&found)?) } else { written(&found) };
    // Whoever closed the pipe has read enough.
    let _ = write!(anstream::stdout().lock(), "{text}");
    let is_wrong = found.iter().any(|finding| finding.weight == Weight::Error);
    Ok(if is_wrong { ExitCode::from(check::BAD_CONFIGURATION) } else { ExitCode::SUCCESS })
}

/// What a cluster says of a namespace.
struct Read {
    objects: Objects,
    minor: Option<u16>,
    /// What nobody let us read.
    hidden: Vec<Finding>,
}

async fn read(cluster: &Cluster, namespace: &str, own: &str) -> Result<Read, ClusterError> {
    let mut read = Read { objects: Objects::default(), minor: cluster.minor().await?, hidden: Vec::new() };
    read.objects.add(with_kind(cluster.get(&format!("/api/v1/namespaces/{namespace}")).await?, "Namespace"));
    let of = LISTS.map(|(kind, path)| (kind, path.replace("{}", namespace)));
    let more = [(WEBHOOKS.0, WEBHOOKS.1.to_owned()), (SLICES.0, SLICES.1.replace("{}", own))];
    for (kind, path) in of.into_iter().chain(more) {
        match cluster.get(&path).await {
            Ok(list) => read.objects.add(with_kind(list, &format!("{kind}List"))),
            Err(ClusterError::Status { status: 401 | 403, message, .. }) => {
                read.objects.hide(kind);
                let problem = format!("objects of this kind cannot be read, so nothing is known of them: {message}");
                let mend = format!("ask as somebody who may `get` and `list` {path}");
                read.hidden.push(Finding { weight: Weight::Warning, place: kind.to_owned(), problem, mend });
            }
            // An API that the cluster does not have holds nothing.
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn with_kind(mut object: serde_json::Value, kind: &str) -> serde_json::Value {
    if let Some(object) = object.as_object_mut() {
        object.entry("kind").or_insert_with(|| kind.into());
    }
    object
}
