//! The forms of Kubernetes as CustomResourceDefinitions: what an API server checks before a sidecar ever reads a resource.
//!
//! They are made from the mirrors that read the same documents in files, so the two cannot diverge. An API server takes
//! structural schemas only, so some of it is said there more loosely (`structural`); what it lets through and a sidecar
//! does not take is told in the resource's status.

mod status;
mod structural;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

pub use status::{ResourceCondition, ResourceStatus};

use super::file::{
    API_VERSION, FileGrayReleaseSpec, FileRuleSpec, GRAY_RELEASE, GRAY_RELEASE_VERSION, KIND, WithoutNull,
};

/// What a resource is called, and how people see it.
struct Names {
    /// `GROUP/VERSION`.
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    description: &'static str,
    /// Heading, type, JSON path and meaning of the columns of `kubectl get`.
    columns: &'static [[&'static str; 4]],
    /// What has to hold of `spec`: a rule in CEL, and what it says when it does not. They cost little, because they look
    /// at nothing that has no bound.
    rules: &'static [[&'static str; 2]],
}

/// A share of at most everyone, exact to one permille.
const WEIGHT: &str = r"^(([0-9]{1,2}(\.[0-9]0*)?|100(\.0+)?) ?%|([0-9]{1,3}|1000)(\.0+)? ?‰)$";

const BUSINESS_RULE: Names = Names {
    version: API_VERSION,
    kind: KIND,
    plural: "businessrules",
    short: "br",
    description: "A rule that governs every route of a service that has a gray lane and no release of its own.",
    columns: &[
        ["Service", "string", ".spec.service", "The service whose routes it governs"],
        ["Weight", "string", ".spec.trafficWeight", "The share of users"],
        ["Accepted", "string", ".status.conditions[?(@.type==\"Accepted\")].status", "Whether it is in force"],
        ["Age", "date", ".metadata.creationTimestamp", "How old it is"],
    ],
    rules: &[["self.service == oldSelf.service", "a rule stays with its service: make another rule"]],
};

const GRAY_RELEASES: Names = Names {
    version: GRAY_RELEASE_VERSION,
    kind: GRAY_RELEASE,
    plural: "grayreleases",
    short: "gr",
    description: "One gray release of a service. Routes name it by `release: NAME`.",
    columns: &[
        ["Service", "string", ".spec.service", "The service whose routes name it"],
        ["Level", "string", ".spec.level", "How far it is open"],
        ["Permille", "integer", ".spec.permille", "The share of users"],
        ["Accepted", "string", ".status.conditions[?(@.type==\"Accepted\")].status", "Whether it is in force"],
        ["Age", "date", ".metadata.creationTimestamp", "How old it is"],
    ],
    rules: &[
        ["has(self.level) || has(self.permille)", "`level` or `permille` says how far the release is open"],
        [
            "!has(self.level) || self.level != 'permille' || has(self.permille)",
            "level `permille` needs the field `permille`",
        ],
        ["self.service == oldSelf.service", "a release stays with its service: make another release"],
        [
            "!has(oldSelf.revision) || (has(self.revision) && self.revision >= oldSelf.revision)",
            "`revision` only goes up: it opens a release that was rolled back",
        ],
    ],
};

/// The CustomResourceDefinitions (`apiextensions.k8s.io/v1`), each with the name of the file that it is kept in.
pub fn custom_resource_definitions() -> Vec<(String, Value)> {
    let mut rule = spec_of::<FileRuleSpec>();
    rule["properties"]["trafficWeight"]["pattern"] = WEIGHT.into();
    let rule = definition(&BUSINESS_RULE, rule);
    let release = definition(&GRAY_RELEASES, spec_of::<FileGrayReleaseSpec>());
    vec![(file_of(&BUSINESS_RULE), rule), (file_of(&GRAY_RELEASES), release)]
}

fn group_of(names: &Names) -> (&'static str, &'static str) {
    names.version.split_once('/').unwrap_or((names.version, "v1"))
}

fn file_of(names: &Names) -> String {
    format!("{}.{}.yaml", names.plural, group_of(names).0)
}

/// The schema of a mirror, everything in its place, as an API server takes it.
fn spec_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
    settings.inline_subschemas = true;
    structural::structural(settings.into_generator().into_root_schema_for::<T>().to_value())
}

fn definition(names: &Names, mut spec: Value) -> Value {
    let (group, version) = group_of(names);
    let rules: Vec<Value> =
        names.rules.iter().map(|[rule, message]| json!({ "rule": rule, "message": message })).collect();
    spec["x-kubernetes-validations"] = rules.into();
    let columns = names.columns.iter().map(|[heading, kind, path, meaning]| {
        json!({ "name": heading, "type": kind, "jsonPath": path, "description": meaning })
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{group}", names.plural),
            "labels": { "app.kubernetes.io/name": "graylane" },
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": format!("{}List", names.kind),
                "plural": names.plural,
                "singular": names.kind.to_lowercase(),
                "shortNames": [names.short],
                "categories": ["graylane"],
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns.collect::<Vec<_>>(),
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "description": names.description,
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": { "type": "string", "description": names.version },
                        "kind": { "type": "string", "description": names.kind },
                        "metadata": { "type": "object" },
                        "spec": spec,
                        "status": status::schema(),
                    },
                }},
            }],
        },
    })
}

#[cfg(test)]
mod tests;
