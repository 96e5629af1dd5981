//! Releases and the experiments they name.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::business_rule::FileRollbackOn;
use super::condition::FileCondition;
use crate::config::node::{Kind, Node};
use crate::config::problem::Findings;
use crate::config::read::{OneOrMany, Read, Table, mirror, scalar, words};
use crate::config::text::At;
use crate::config::units::{Fraction, PermilleNumber, Time};

mirror! {
    /// One gray release on one or more routes: who is eligible, how far it is open, what rolls it back.
    #[schemars(rename = "Release")]
    struct FileRelease("a release") {
        /// How far the release is open; a level opens all levels before it. Default `permille` where `permille` is given.
        level: At<LevelWord>,
        /// The share of users, for level `permille`.
        permille: At<PermilleNumber>,
        /// What the bucket's hash starts with; default the release's name.
        salt: At<String>,
        /// What is hashed.
        #[schemars(extend("default" = "user_id"))]
        hash_key: At<HashKeyWord>,
        /// Overrides for developers.
        developer: FileDeveloper,
        /// The groups of an experiment that see gray.
        ab: FileAb,
        /// The regions that see gray.
        regions: FileRegions,
        /// All of these must hold, whatever the level; overrides aside.
        conditions: Vec<FileCondition>,
        /// An expression in CEL that must hold as well.
        #[schemars(extend("examples" = ["category_id in [\"1001\"] && stock_level > 500 && tier == \"VIP\""]))]
        expression: At<String>,
        /// Closes the release when its lane fails too often or more than stable's, and keeps it closed.
        rollback: FileRollback,
        /// Closes the release when a figure gets worse than its threshold, and keeps it closed.
        rollback_on: Vec<FileRollbackOn>,
        /// How long streams and tunnels that run on gray may live once the release was rolled back.
        #[schemars(extend("default" = "5m"))]
        gray_drain: At<Time>,
        /// A new revision opens a release that was rolled back.
        revision: At<u32>,
    }
}

words! {
    /// What is hashed into a bucket.
    pub(in crate::config) enum HashKeyWord("a hash key") {
        /// `user_id`, else `device_id`.
        UserId = "user_id",
        /// `device_id` alone: one version across a login.
        DeviceId = "device_id",
    }
}

/// A level; `decide` knows which there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct LevelWord(pub(in crate::config) crate::decide::Level);

fn levels() -> impl Iterator<Item = crate::decide::Level> {
    crate::decide::Level::ALL.iter().copied().filter(|level| *level != crate::decide::Level::None)
}

impl Read for LevelWord {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let text = &scalar(node, "a level", findings)?.text;
        let level = levels().find(|level| level.as_str() == text);
        if level.is_none() {
            findings
                .error(node.at, format!("`{text}` is not a level"))
                .suggest_or_list(text, levels().map(|level| level.as_str()));
        }
        level.map(LevelWord)
    }
}

impl JsonSchema for LevelWord {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = levels().map(|level| level.as_str()).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

mirror! {
    /// Signed overrides, to gray or to stable.
    #[schemars(rename = "Developer")]
    struct FileDeveloper("`developer`") {
        /// The header that carries the token.
        header: At<String>,
        /// The cookie that carries the token.
        cookie: At<String>,
        /// The file with the signing key: its bytes less one trailing newline, at least 32.
        key_file: At<String>,
        /// Several keys, all accepted: for changing a key without a gap.
        key_files: Vec<At<String>>,
    }
}

mirror! {
    /// The groups of an experiment that see gray.
    #[schemars(rename = "Ab")]
    struct FileAb("`ab`") {
        /// The experiment's name.
        [required] experiment: At<String>,
        /// The groups' names.
        [required] groups: OneOrMany<At<String>>,
    }
}

mirror! {
    /// Region codes.
    #[schemars(rename = "Regions")]
    struct FileRegions("`regions`") {
        /// Provinces, as quoted codes.
        #[schemars(extend("examples" = [["330000"]]))]
        province_code: OneOrMany<At<String>>,
        /// Cities, as quoted codes.
        #[schemars(extend("examples" = [["440300"]]))]
        city_id: OneOrMany<At<String>>,
    }
}

mirror! {
    /// What rolls the release back: so many openings of the gray lane's breakers within so long, that gray is worse than
    /// stable, or both. Where nothing of it is given, openings.
    #[schemars(rename = "Rollback")]
    struct FileRollback("`rollback`") {
        /// Openings.
        #[schemars(extend("default" = 3, "minimum" = 1))]
        openings: At<u32>,
        /// The window.
        #[schemars(extend("default" = "10m"))]
        within: At<Time>,
        /// Gray is worse than stable at the same time.
        worse: At<FileWorse>,
        /// Where openings and `worse` are both given, whether one of them is enough.
        #[schemars(extend("default" = "any"))]
        require: At<Require>,
    }
}

words! {
    /// How many of the reasons for a rollback it takes.
    pub(in crate::config) enum Require("`any` or `all`") {
        /// One is enough.
        Any = "any",
        /// All of them.
        All = "all",
    }
}

/// Whether `worse` rolls back: a flag, or the rules of the comparison.
#[derive(Debug, Clone)]
pub(in crate::config) enum FileWorse {
    Flag(bool),
    Rules(FileWorseRules),
}

impl Read for FileWorse {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => FileWorseRules::read(node, findings).map(FileWorse::Rules),
            _ => bool::read(node, findings).map(FileWorse::Flag),
        }
    }
}

impl JsonSchema for FileWorse {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Worse".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<FileWorseRules>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, rules] })
    }
}

mirror! {
    /// How certain it has to be that gray is worse, and by how much.
    #[schemars(rename = "WorseRules")]
    struct FileWorseRules("`worse`") {
        /// The chance of a false alarm over the whole comparison.
        #[schemars(extend("default" = 0.01))]
        alpha: At<Fraction>,
        /// By how much gray's share of failures has to be over stable's.
        #[schemars(extend("default" = 0.001))]
        min_effect_errors: At<Fraction>,
        /// By how much gray's share of slow calls has to be over stable's.
        #[schemars(extend("default" = 0.01))]
        min_effect_slow: At<Fraction>,
        /// Calls that each lane needs.
        #[schemars(extend("default" = 100, "minimum" = 2))]
        min_calls: At<u32>,
    }
}

mirror! {
    /// Users in groups. Groups take consecutive ranges of the 1000 buckets in the order written.
    #[schemars(rename = "Experiment")]
    struct FileExperiment("an experiment") {
        /// What the bucket's hash starts with; default the experiment's name.
        salt: At<String>,
        /// Each group's permille.
        #[schemars(extend("examples" = [{ "a": 500, "b": 500 }]))]
        [required] groups: Table<At<PermilleNumber>>,
    }
}
