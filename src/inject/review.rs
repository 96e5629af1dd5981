//! AdmissionReviews: a request in, its answer out. The same answer for a dry run: nothing else happens here anyway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::transform::{Around, inject};
use super::{Defaults, Done, difference};

/// The only version there is.
const VERSION: &str = "admission.k8s.io/v1";
/// The longest warning that is not cut on its way to the user, in bytes.
const LONGEST_WARNING: usize = 256;

/// Why there is no answer: what was sent is no review. Said to the API server alone; it lets the pod through as its failure policy
/// says.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON, or no AdmissionReview.
    #[error("this is no AdmissionReview: {0}")]
    Malformed(String),
    /// It is of another version.
    #[error("{0:?} is not known here, only admission.k8s.io/v1: name it in admissionReviewVersions")]
    Version(String),
}

/// The answer to a review, as JSON, and what became of the pod.
///
/// # Errors
/// What was sent is no review of version 1.
pub fn answer(review: &[u8], defaults: &Defaults) -> Result<(Value, Done), ReviewError> {
    let review: Value = serde_json::from_slice(review).map_err(|error| ReviewError::Malformed(error.to_string()))?;
    let text = |at: &Value, key: &str| at.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(&review, "kind") != "AdmissionReview" {
        return Err(ReviewError::Malformed("`kind` is not AdmissionReview".to_owned()));
    }
    let version = text(&review, "apiVersion");
    if version != VERSION {
        return Err(ReviewError::Version(version));
    }
    let request = review.get("request").filter(|request| request.is_object());
    let request = request.ok_or_else(|| ReviewError::Malformed("it has no `request`".to_owned()))?;
    let uid = text(request, "uid");
    if uid.is_empty() {
        return Err(ReviewError::Malformed("the request has no `uid`".to_owned()));
    }
    let kind = request.get("kind").map(|kind| text(kind, "kind")).unwrap_or_default();
    let pod = request.get("object").filter(|object| object.is_object());
    let concerns = kind == "Pod" && text(request, "operation") == "CREATE" && text(request, "subResource").is_empty();
    let (response, done) = match pod.filter(|_| concerns) {
        Some(pod) => judged(pod, &text(request, "namespace"), defaults),
        None => (json!({ "allowed": true }), Done::Left("it is no pod that is being made".to_owned())),
    };
    let mut response = response;
    response["uid"] = uid.into();
    Ok((json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": response }), done))
}

fn judged(pod: &Value, namespace: &str, defaults: &Defaults) -> (Value, Done) {
    let around = Around { namespace: Some(namespace).filter(|name| !name.is_empty()), annotations: None };
    let injected = match inject(pod, around, defaults) {
        Ok(injected) => injected,
        Err(refused) => {
            let status = json!({ "code": 422, "reason": "Invalid", "message": format!("graylane: {refused}") });
            return (json!({ "allowed": false, "status": status }), Done::Left(refused.to_string()));
        }
    };
    let mut response = json!({ "allowed": true });
    let warnings: Vec<String> = injected.warnings.iter().map(|text| told(text)).collect();
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    let patch = difference(pod, &injected.pod);
    if !patch.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(Value::from(patch).to_string()).into();
    }
    (response, injected.done)
}

/// A warning travels in a header: one line, and no longer than is kept.
fn told(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=LONGEST_WARNING.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    line[..end].to_owned()
}
