//! `graylane inject-webhook`: what an API server asks before it makes a pod.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::inject::WhatArgs;
use super::run::LogForm;
use crate::app::log::{self, Format};
use crate::config::KubernetesAccess;
use crate::inject::Defaults;
use crate::inject::webhook::{Access, Bootstrap, Certificate, Cluster, Namespaces, serve, watch};
use crate::source::{RenderPlan, render};

/// What is injected where nobody can say how old the cluster is: it is right for every version from 1.29 on.
const CAREFUL: u16 = 29;

/// The options of `graylane inject-webhook`.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// The address that the API server calls
    #[arg(long, value_name = "ADDRESS", env = "GRAYLANE_LISTEN", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// The certificate chain, PEM; read again when it changes (cert-manager mounts it as tls.crt)
    #[arg(long, value_name = "FILE", env = "GRAYLANE_CERT", requires = "key", required_unless_present = "self_signed")]
    pub cert: Option<PathBuf>,
    /// The key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "GRAYLANE_KEY", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Make a certificate, keep it in a Secret, and write the authority into the MutatingWebhookConfiguration
    #[arg(long, env = "GRAYLANE_SELF_SIGNED", conflicts_with_all = ["cert", "key"])]
    pub self_signed: bool,
    /// With --self-signed: the Service that the API server calls, in the namespace of the webhook
    #[arg(long, value_name = "NAME", env = "GRAYLANE_SERVICE", default_value = "graylane-webhook")]
    pub service: String,
    /// With --self-signed: the Secret
    #[arg(long, value_name = "NAME", env = "GRAYLANE_SECRET", default_value = "graylane-webhook-tls")]
    pub secret: String,
    /// With --self-signed: the MutatingWebhookConfiguration
    #[arg(long, value_name = "NAME", env = "GRAYLANE_WEBHOOK_CONFIGURATION", default_value = "graylane")]
    pub webhook_configuration: String,
    /// Render BusinessRules and GrayReleases into the ConfigMap graylane-resources of each labelled namespace
    #[arg(long, env = "GRAYLANE_RENDER_RESOURCES")]
    pub render_resources: bool,
    /// The API server, where this is no pod
    #[command(flatten)]
    pub access: AccessArgs,
    /// What is injected
    #[command(flatten)]
    pub what: WhatArgs,
    /// Least severity of the log on standard error: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", env = "GRAYLANE_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Form of the log
    #[arg(long, value_name = "FORM", env = "GRAYLANE_LOG_FORMAT", value_enum, default_value_t = LogForm::Json)]
    pub log_format: LogForm,
}

/// An API server that is called from outside of a pod.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// The API server, such as https://10.96.0.1:443 or http://127.0.0.1:8001 of `kubectl proxy`; a pod knows its own
    #[arg(long, value_name = "URL")]
    pub api_server: Option<String>,
    /// The file with the token for it
    #[arg(long, value_name = "FILE", requires = "api_server")]
    pub api_token: Option<PathBuf>,
    /// The authority that vouches for it, PEM
    #[arg(long, value_name = "FILE", requires = "api_server")]
    pub api_ca: Option<PathBuf>,
}

impl AccessArgs {
    /// As asked for, else as a pod is given it.
    pub(super) fn cluster(&self) -> anyhow::Result<Cluster> {
        let access = match &self.api_server {
            Some(server) => Access {
                server: server.trim_end_matches('/').to_owned(),
                token: self.api_token.clone(),
                authority: self.api_ca.clone(),
            },
            None => Access::of_pod()?,
        };
        Ok(Cluster::new(access)?)
    }

    /// The same for watches.
    fn watched(&self) -> KubernetesAccess {
        KubernetesAccess {
            url: self.api_server.as_ref().map(|server| server.trim_end_matches('/').to_owned()),
            token: self.api_token.clone(),
            ca: self.api_ca.clone(),
            zone: None,
        }
    }
}

/// Answers until SIGTERM or SIGINT, then finishes the reviews under way.
///
/// # Errors
/// Whatever keeps it from starting: exit 1.
pub fn run(args: &WebhookArgs) -> anyhow::Result<ExitCode> {
    let format = match args.log_format {
        LogForm::Json => Format::Json,
        LogForm::Text => Format::Text,
    };
    log::init(&args.log_level, format).context("cannot start the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(answer(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(args: &WebhookArgs) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let own = Access::namespace_of_pod().unwrap_or_else(|| "graylane-system".to_owned());
    let defaults = args.what.defaults(version(args).await, &own);
    let certificate = certificate(args, &defaults.own_namespace).await?;
    let listener = tokio::net::TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let minor = defaults.kubernetes;
    tracing::info!(address = %listener.local_addr()?, image = defaults.image, kubernetes = format!("1.{minor}"), "ready");
    let ended = async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("ending");
    };
    let namespaces = namespaces(args);
    if args.render_resources {
        render_beside(args, &defaults)?;
    }
    serve(listener, certificate, defaults, namespaces, ended).await;
    Ok(())
}

/// What keeps the annotations of namespaces; nothing where it is not known whom to ask.
fn namespaces(args: &WebhookArgs) -> Option<Arc<Namespaces>> {
    let namespaces = match Namespaces::new(&args.access.watched()) {
        Ok(namespaces) => Arc::new(namespaces),
        Err(error) => {
            tracing::warn!(%error, "annotations of namespaces do not count");
            return None;
        }
    };
    let kept = namespaces.clone();
    tokio::spawn(async move { kept.keep().await });
    Some(namespaces)
}

/// Renders on a thread of its own, so that no answer waits while resources are judged.
fn render_beside(args: &WebhookArgs, defaults: &Defaults) -> anyhow::Result<()> {
    let plan = RenderPlan {
        access: args.access.watched(),
        namespace: defaults.own_namespace.clone(),
        config: defaults.config.clone(),
        namespaces: Namespaces::labelled(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // It ends with the process: what it had begun is written again by whoever is elected next.
    std::thread::Builder::new().name("render".to_owned()).spawn(move || runtime.block_on(render(plan)))?;
    Ok(())
}

/// The version of the cluster; what is right for most where it does not say.
async fn version(args: &WebhookArgs) -> u16 {
    if let Some(minor) = args.what.kubernetes_version {
        return minor;
    }
    let asked = match args.access.cluster() {
        Ok(cluster) => cluster.minor().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match asked {
        Ok(Some(minor)) => return minor,
        Ok(None) => tracing::warn!("the API server tells no version: taken for Kubernetes 1.{CAREFUL}"),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the version is unknown: taken for Kubernetes 1.{CAREFUL}");
        }
    }
    CAREFUL
}

async fn certificate(args: &WebhookArgs, namespace: &str) -> anyhow::Result<Arc<Certificate>> {
    if let (Some(chain), Some(key)) = (&args.cert, &args.key) {
        let (certificate, keep) = watch(chain.clone(), key.clone()).map_err(anyhow::Error::msg)?;
        tokio::spawn(keep);
        return Ok(certificate);
    }
    let bootstrap = Bootstrap {
        cluster: args.access.cluster()?,
        namespace: namespace.to_owned(),
        secret: args.secret.clone(),
        host: format!("{}.{namespace}.svc", args.service),
        configuration: args.webhook_configuration.clone(),
    };
    let (certificate, made) = bootstrap.begin().await?;
    tokio::spawn(bootstrap.keep(certificate.clone(), made));
    Ok(certificate)
}
