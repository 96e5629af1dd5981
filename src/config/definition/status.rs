//! What a sidecar says of a resource, in the resource itself.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::structural::structural;
use crate::config::file::WithoutNull;

/// What became of a resource, as sidecars of its service saw it last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted` says whether the resource is in force, and why not.
    #[serde(default)]
    pub conditions: Vec<ResourceCondition>,
}

/// One condition, in the form of `meta/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceCondition {
    /// What it is about: `Accepted`.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people: the field and what is wrong with it.
    pub message: String,
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Since when `status` is what it is, as RFC 3339 writes it.
    pub last_transition_time: String,
}

/// The schema of `status`.
pub(super) fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
    settings.inline_subschemas = true;
    let mut schema = structural(settings.into_generator().into_root_schema_for::<ResourceStatus>().to_value());
    let conditions = &mut schema["properties"]["conditions"];
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    let fields = &mut conditions["items"]["properties"];
    fields["status"]["enum"] = json!(["True", "False", "Unknown"]);
    fields["lastTransitionTime"]["format"] = json!("date-time");
    schema
}
