//! A webhook that sees to its own certificate.
//!
//! The authority and the certificate are in one Secret, so that every replica shows the same and a restart changes nothing;
//! whoever comes first makes it, and the others take what is there. The authority is written into the MutatingWebhookConfiguration,
//! without which the API server believes nobody. Both are looked at again and again: what somebody removed comes back.
//!
//! ```text
//!   Secret there and fresh? ── no ──▶ make one, create or replace it (a conflict: another was faster, look again)
//!          │ yes                                   │
//!          ▼                                       ▼
//!   show its certificate ──▶ caBundle of every webhook the authority? ── no ──▶ patch it
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::authority::{self, AuthorityError, CERTIFICATE_DAYS, Made};
use super::certificate::{Certificate, CertificateError, ends};
use super::cluster::{Cluster, ClusterError};

/// How often everything is looked at.
const PAUSE: Duration = Duration::from_secs(60);
/// After a failure it is sooner.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Replicas that were slower look again so often at most.
const TRIES: usize = 5;
/// A certificate is renewed when so many seconds are left of it.
const RENEW: i64 = CERTIFICATE_DAYS * 24 * 3600 / 3;

/// Where a webhook keeps its certificate, and who is to believe it.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The API server.
    pub cluster: Cluster,
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// The host name by which the API server calls, `SERVICE.NAMESPACE.svc`.
    pub host: String,
    /// The name of the MutatingWebhookConfiguration.
    pub configuration: String,
}

/// Why a webhook has no certificate of its own.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The API server did not do it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is no certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What is in the Secret cannot be shown.
    #[error("Secret {0}: {1}")]
    Certificate(String, CertificateError),
    /// Others were always faster.
    #[error("Secret {0} changed {TRIES} times while it was looked at")]
    Crowded(String),
}

impl Bootstrap {
    /// The certificate to show, shared with the other replicas, and the authority that was written into the configuration.
    pub async fn begin(&self) -> Result<(Arc<Certificate>, Made), BootstrapError> {
        let made = self.certificate().await?;
        let certificate = Certificate::of(made.certificate.as_bytes(), made.key.as_bytes());
        let certificate = certificate.map_err(|error| BootstrapError::Certificate(self.secret.clone(), error))?;
        if let Err(error) = self.believe(&made).await {
            tracing::error!(%error, "the caBundle is not written: the API server will not call before it is");
        }
        Ok((Arc::new(certificate), made))
    }

    /// Goes on seeing to it; runs until dropped.
    pub async fn keep(self, certificate: Arc<Certificate>, mut shown: Made) {
        let mut pause = PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.round(&certificate, &mut shown).await {
                Ok(()) => PAUSE,
                Err(error) => {
                    tracing::error!(%error, "the certificate could not be seen to; what there is stays");
                    AFTER_FAILURE
                }
            };
        }
    }

    async fn round(&self, certificate: &Certificate, shown: &mut Made) -> Result<(), BootstrapError> {
        let made = self.certificate().await?;
        if made != *shown {
            let turned = certificate.turn(made.certificate.as_bytes(), made.key.as_bytes());
            turned.map_err(|error| BootstrapError::Certificate(self.secret.clone(), error))?;
            tracing::info!(secret = self.secret, "another certificate is shown from now on");
            *shown = made;
        }
        Ok(self.believe(shown).await?)
    }

    /// What the Secret holds, made where it holds nothing good.
    async fn certificate(&self) -> Result<Made, BootstrapError> {
        let all = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        let path = format!("{all}/{}", self.secret);
        for _ in 0..TRIES {
            let there = match self.cluster.get(&path).await {
                Ok(secret) => Some(secret),
                Err(error) if error.is_missing() => None,
                Err(error) => return Err(error.into()),
            };
            let held = there.as_ref().and_then(held);
            if let Some(held) = held.clone().filter(is_fresh) {
                return Ok(held);
            }
            let made = authority::make(&self.host, held.as_ref().filter(|held| left(&held.authority) > RENEW))?;
            let written = match there {
                Some(there) => self.cluster.put(&path, &filled(there, &made)).await,
                None => self.cluster.post(&all, &filled(empty(&self.secret, &self.namespace), &made)).await,
            };
            match written {
                Ok(_) => return Ok(made),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(BootstrapError::Crowded(self.secret.clone()))
    }

    /// Has the API server believe the authority, in every webhook of the configuration.
    async fn believe(&self, made: &Made) -> Result<(), ClusterError> {
        let path =
            format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{}", self.configuration);
        let there = self.cluster.get(&path).await?;
        let bundle = STANDARD.encode(&made.authority);
        let hooks = there.get("webhooks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut patch = Vec::new();
        for (at, hook) in hooks.iter().enumerate() {
            if hook.pointer("/clientConfig/caBundle").and_then(Value::as_str) != Some(&bundle) {
                let name = hook.get("name").cloned().unwrap_or_default();
                // Somebody may have put another webhook in its place since.
                patch.push(json!({ "op": "test", "path": format!("/webhooks/{at}/name"), "value": name }));
                let path = format!("/webhooks/{at}/clientConfig/caBundle");
                patch.push(json!({ "op": "add", "path": path, "value": bundle }));
            }
        }
        if !patch.is_empty() {
            self.cluster.patch(&path, &Value::from(patch)).await?;
            tracing::info!(configuration = self.configuration, "the caBundle is written");
        }
        Ok(())
    }
}

/// The keys of the Secret, those of `kubernetes.io/tls` among them.
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

fn empty(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "type": "kubernetes.io/tls",
    })
}

/// A Secret with what was made in it; its labels, and the version by which nobody else is overwritten, stay.
fn filled(mut secret: Value, made: &Made) -> Value {
    let encoded = |text: &str| Value::from(STANDARD.encode(text));
    let [authority, authority_key, certificate, key] = KEYS;
    secret["data"] = json!({
        authority: encoded(&made.authority),
        authority_key: encoded(&made.authority_key),
        certificate: encoded(&made.certificate),
        key: encoded(&made.key),
    });
    secret
}

fn held(secret: &Value) -> Option<Made> {
    let text = |key: &str| {
        let encoded = secret.get("data")?.get(key)?.as_str()?;
        String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
    };
    let [authority, authority_key, certificate, key] = KEYS;
    Some(Made {
        authority: text(authority)?,
        authority_key: text(authority_key)?,
        certificate: text(certificate)?,
        key: text(key)?,
    })
}

fn is_fresh(made: &Made) -> bool {
    left(&made.certificate) > RENEW && left(&made.authority) > RENEW && !made.key.is_empty()
}

/// How many seconds are left of a certificate; nothing of one that cannot be read.
fn left(pem: &str) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    ends(pem.as_bytes()).map_or(0, |end| end.saturating_sub(now))
}
