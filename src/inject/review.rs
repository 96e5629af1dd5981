//! AdmissionReviews: a request in, its answer out. The same answer for a dry run: nothing else happens here anyway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

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

/// A review that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    uid: String,
    namespace: String,
    /// `None`: it is about something else than a pod that is being made.
    pod: Option<Value>,
}

impl Review {
    /// Reads one.
    ///
    /// # Errors
    /// What was sent is no review of version 1.
    pub fn read(review: &[u8]) -> Result<Self, ReviewError> {
        let mut review: Value =
            serde_json::from_slice(review).map_err(|error| ReviewError::Malformed(error.to_string()))?;
        let text = |at: &Value, key: &str| at.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text(&review, "kind") != "AdmissionReview" {
            return Err(ReviewError::Malformed("`kind` is not AdmissionReview".to_owned()));
        }
        let version = text(&review, "apiVersion");
        if version != VERSION {
            return Err(ReviewError::Version(version));
        }
        let request = review.get_mut("request").filter(|request| request.is_object());
        let request = request.ok_or_else(|| ReviewError::Malformed("it has no `request`".to_owned()))?;
        let uid = text(request, "uid");
        if uid.is_empty() {
            return Err(ReviewError::Malformed("the request has no `uid`".to_owned()));
        }
        let kind = request.get("kind").map(|kind| text(kind, "kind")).unwrap_or_default();
        let concerns =
            kind == "Pod" && text(request, "operation") == "CREATE" && text(request, "subResource").is_empty();
        let pod = request.get_mut("object").filter(|object| concerns && object.is_object()).map(Value::take);
        Ok(Self { uid, namespace: text(request, "namespace"), pod })
    }

    /// The namespace of a pod that is being made.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|name| !name.is_empty() && self.pod.is_some())
    }

    /// The answer, as JSON, and what became of the pod. `annotations` are those of its namespace; `warning` is told with an injection.
    pub fn answer(
        &self,
        annotations: Option<&Map<String, Value>>,
        warning: Option<String>,
        defaults: &Defaults,
    ) -> (Value, Done) {
        let (mut response, done) = match &self.pod {
            Some(pod) => judged(pod, Around { namespace: self.namespace(), annotations }, warning, defaults),
            None => (json!({ "allowed": true }), Done::Left("it is no pod that is being made".to_owned())),
        };
        response["uid"] = self.uid.as_str().into();
        (json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": response }), done)
    }
}

/// The answer to a review, as JSON, and what became of the pod, where nothing is known of its namespace.
///
/// # Errors
/// What was sent is no review of version 1.
pub fn answer(review: &[u8], defaults: &Defaults) -> Result<(Value, Done), ReviewError> {
    Ok(Review::read(review)?.answer(None, None, defaults))
}

fn judged(pod: &Value, around: Around<'_>, warning: Option<String>, defaults: &Defaults) -> (Value, Done) {
    let injected = match inject(pod, around, defaults) {
        Ok(injected) => injected,
        Err(refused) => {
            let status = json!({ "code": 422, "reason": "Invalid", "message": format!("graylane: {refused}") });
            return (json!({ "allowed": false, "status": status }), Done::Left(refused.to_string()));
        }
    };
    let mut response = json!({ "allowed": true });
    let more = warning.filter(|_| injected.done == Done::Injected);
    let warnings: Vec<String> = more.iter().chain(&injected.warnings).map(|text| told(text)).collect();
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
