//! `graylane inject`: the patched manifests, as the webhook would patch the pods made of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{check, manifests};
use crate::inject::{Around, Defaults, Done, NEWEST, inject, namespaces, templates};

/// The options of `graylane inject`.
#[derive(Debug, Args)]
pub struct InjectArgs {
    /// Manifests: a file, a folder, or `-` for standard input; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What is injected
    #[command(flatten)]
    pub what: WhatArgs,
}

/// What is injected, by the webhook as by `graylane inject`.
#[derive(Debug, Args)]
pub struct WhatArgs {
    /// The sidecar's image
    #[arg(long, value_name = "IMAGE", env = "GRAYLANE_IMAGE", default_value = IMAGE)]
    pub image: String,
    /// The program in the image
    #[arg(long, value_name = "PATH", default_value = "/graylane")]
    pub program: String,
    /// The ConfigMap of pods that name none; where it is missing, everything goes to the pod's own service
    #[arg(long, value_name = "NAME", env = "GRAYLANE_CONFIG_MAP", default_value = "graylane")]
    pub config_map: String,
    /// Mount what the webhook renders from custom resources (--render-resources) where pods and namespaces say nothing of it
    #[arg(long, env = "GRAYLANE_MOUNT_RESOURCES")]
    pub mount_resources: bool,
    /// The namespace of the webhook, where nothing is injected
    #[arg(long, value_name = "NAME", env = "GRAYLANE_NAMESPACE")]
    pub namespace: Option<String>,
    /// The version of the cluster, such as 1.33: before 1.29 the sidecar is a classic container
    #[arg(long, value_name = "VERSION", env = "GRAYLANE_KUBERNETES_VERSION", value_parser = minor)]
    pub kubernetes_version: Option<u16>,
    /// The address that pods take traffic by: 0.0.0.0, or :: where they have IPv6 addresses
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", value_parser = address)]
    pub pod_address: String,
}

/// The image of this version.
const IMAGE: &str = concat!("graylane:", env!("CARGO_PKG_VERSION"));

impl WhatArgs {
    /// `kubernetes` counts where no version was asked for.
    pub(super) fn defaults(&self, kubernetes: u16, own_namespace: &str) -> Defaults {
        Defaults {
            image: self.image.clone(),
            program: self.program.clone(),
            config: self.config_map.clone(),
            own_namespace: self.namespace.clone().unwrap_or_else(|| own_namespace.to_owned()),
            resources: self.mount_resources,
            kubernetes: self.kubernetes_version.unwrap_or(kubernetes),
            listen: self.pod_address.clone(),
        }
    }
}

/// The minor version of `1.33`, `v1.33.2` or `33`.
pub(super) fn minor(text: &str) -> Result<u16, String> {
    let version = text.trim_start_matches('v');
    let minor = match version.split_once('.') {
        Some(("1", rest)) => rest.split('.').next().unwrap_or_default(),
        Some(_) => "",
        None => version,
    };
    minor.parse().map_err(|_| format!("{text:?} is no version of Kubernetes, such as 1.33"))
}

fn address(text: &str) -> Result<String, String> {
    let ip: std::net::IpAddr = text.trim_matches(['[', ']']).parse().map_err(|_| "this is no IP address".to_owned())?;
    Ok(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() })
}

/// Prints the manifests with every pod template patched; what was left out, and warnings, go to standard error.
///
/// # Errors
/// A file that cannot be read or is no YAML, or a pod that its annotations make impossible: exit 2 after all are named.
pub fn run(args: &InjectArgs) -> anyhow::Result<ExitCode> {
    let defaults = args.what.defaults(NEWEST, "graylane-system");
    let mut documents = Vec::new();
    for file in &args.files {
        match manifests::read(file) {
            Ok(read) => documents.extend(read),
            Err(error) => {
                anstream::eprintln!("graylane: {error:#}");
                return Ok(ExitCode::from(check::BAD_CONFIGURATION));
            }
        }
    }
    let known = namespaces(&documents);
    let mut refused = false;
    for document in &mut documents {
        for template in templates(document) {
            let namespace = template.namespace.as_deref();
            let annotations = namespace.and_then(|name| known.get(name)?.as_object());
            let place = &template.place;
            match inject(template.pod, Around { namespace, annotations }, &defaults) {
                Ok(injected) => {
                    injected.warnings.iter().for_each(|warning| anstream::eprintln!("{place}: {warning}"));
                    if let Done::Left(why) = &injected.done
                        && injected.warnings.is_empty()
                    {
                        anstream::eprintln!("{place}: left as it is: {why}");
                    }
                    *template.pod = injected.pod;
                }
                Err(error) => {
                    refused = true;
                    anstream::eprintln!("{place}: {error}");
                }
            }
        }
    }
    if refused {
        return Ok(ExitCode::from(check::BAD_CONFIGURATION));
    }
    // Whoever closed the pipe has read enough.
    let _ = write!(anstream::stdout().lock(), "{}", manifests::write(&documents)?);
    Ok(ExitCode::SUCCESS)
}
