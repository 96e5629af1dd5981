//! The Kubernetes form, in files as well: `apiVersion: gray.alibaba.com/v1`, `kind: BusinessRule`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::condition::FileCondition;
use crate::config::node::Node;
use crate::config::problem::Findings;
use crate::config::read::{Read, mirror};
use crate::config::text::At;
use crate::config::units::{Name, ResourceName, Share, Time};

/// The only version there is.
pub(in crate::config) const API_VERSION: &str = "gray.alibaba.com/v1";
/// The only kind there is.
pub(in crate::config) const KIND: &str = "BusinessRule";

mirror! {
    /// A rule that governs every route of a service that has a gray lane and no release of its own.
    #[schemars(rename = "BusinessRule")]
    struct FileBusinessRule("a BusinessRule") {
        /// `gray.alibaba.com/v1`
        #[schemars(extend("enum" = ["gray.alibaba.com/v1"]))]
        [required] apiVersion: At<String>,
        /// `BusinessRule`
        #[schemars(extend("enum" = ["BusinessRule"]))]
        [required] kind: At<String>,
        /// The name is the release's name and salt.
        [required] metadata: FileMetadata,
        /// The rule.
        [required] spec: FileRuleSpec,
        /// Written by the cluster, not read.
        status: Anything,
    }
}

mirror! {
    /// Kubernetes metadata, of which the name counts.
    #[schemars(rename = "Metadata")]
    struct FileMetadata("`metadata`") {
        /// The rule's name.
        [required] name: At<ResourceName>,
        /// Not read.
        namespace: Anything,
        /// Not read.
        labels: Anything,
        /// Not read.
        annotations: Anything,
        /// Not read.
        uid: Anything,
        /// Not read.
        resourceVersion: Anything,
        /// Not read.
        generation: Anything,
        /// Not read.
        creationTimestamp: Anything,
        /// Not read.
        deletionTimestamp: Anything,
        /// Not read.
        managedFields: Anything,
        /// Not read.
        ownerReferences: Anything,
        /// Not read.
        finalizers: Anything,
    }
}

mirror! {
    /// What a rule says.
    #[schemars(rename = "RuleSpec")]
    struct FileRuleSpec("`spec`") {
        /// The service whose routes it governs.
        [required] service: At<Name>,
        /// The share of users.
        [required] trafficWeight: At<Share>,
        /// All of these must hold.
        conditions: Vec<FileCondition>,
        /// An expression in CEL that must hold as well.
        expression: At<String>,
        /// What rolls it back.
        rollbackOn: Vec<FileRollbackOn>,
    }
}

mirror! {
    /// A figure of the sidecar's own or a Prometheus metric, and how bad it may be for how long.
    #[schemars(rename = "RollbackOn")]
    struct FileRollbackOn("a rollback figure") {
        /// The metric's name.
        [required] metric: At<String>,
        /// The figure at which it is bad: a number, or `5%` for a share and `1.2s` for a time.
        [required] threshold: At<String>,
        /// For how long without a break.
        #[schemars(extend("default" = "0s"))]
        duration: At<Time>,
        /// How the metric is compared with the threshold. Required where more of the metric is not worse.
        #[schemars(extend("default" = "GE", "enum" = ["GE", "GT", "LE", "LT", "EQ", "NE"]))]
        operator: At<String>,
    }
}

/// A value that is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::config) struct Anything;

impl Read for Anything {
    fn read(_: &Node, _: &mut Findings) -> Option<Self> {
        Some(Anything)
    }
}

impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}
