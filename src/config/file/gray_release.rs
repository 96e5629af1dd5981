//! A release as a resource of Kubernetes, in files as well: `apiVersion: graylane.io/v1alpha1`, `kind: GrayRelease`.
//!
//! It says what `releases` of the native form says, in the spelling of Kubernetes, and nothing that only a file of the pod
//! can know, such as key files.

use super::business_rule::{Anything, FileMetadata, FileRollbackOn};
use super::condition::FileCondition;
use super::release::{
    FileAb, FileRegions, FileRelease, FileRollback, FileWorse, FileWorseRules, HashKeyWord, LevelWord, Require,
};
use crate::config::read::{OneOrMany, mirror};
use crate::config::text::At;
use crate::config::units::{Fraction, Name, PermilleNumber, Time};

/// The only version there is.
pub(in crate::config) const GRAY_RELEASE_VERSION: &str = "graylane.io/v1alpha1";
/// The kind.
pub(in crate::config) const GRAY_RELEASE: &str = "GrayRelease";

mirror! {
    /// One gray release of a service. Routes name it by `release: NAME`.
    #[schemars(rename = "GrayRelease")]
    struct FileGrayRelease("a GrayRelease") {
        /// `graylane.io/v1alpha1`
        #[schemars(extend("enum" = ["graylane.io/v1alpha1"]))]
        [required] apiVersion: At<String>,
        /// `GrayRelease`
        #[schemars(extend("enum" = ["GrayRelease"]))]
        [required] kind: At<String>,
        /// The name is the release's name.
        [required] metadata: FileMetadata,
        /// The release.
        [required] spec: FileGrayReleaseSpec,
        /// Written by the cluster, not read.
        status: Anything,
    }
}

mirror! {
    /// How far the release is open, to whom, and what rolls it back.
    #[schemars(rename = "GrayReleaseSpec")]
    struct FileGrayReleaseSpec("`spec`") {
        /// The service whose routes may name it.
        [required] service: At<Name>,
        /// How far the release is open; a level opens all levels before it. Default `permille` where `permille` is given.
        level: At<LevelWord>,
        /// The share of users, for level `permille`.
        permille: At<PermilleNumber>,
        /// What the bucket's hash starts with; default the release's name.
        salt: At<String>,
        /// What is hashed; default `user_id`.
        hashKey: At<HashKeyWord>,
        /// The groups of an experiment that see gray.
        ab: FileAb,
        /// The regions that see gray.
        regions: FileGrayRegions,
        /// All of these must hold, whatever the level; overrides aside.
        conditions: Vec<FileCondition>,
        /// An expression in CEL that must hold as well.
        expression: At<String>,
        /// Closes the release when its lane fails too often or more than stable's, and keeps it closed.
        rollback: FileGrayRollback,
        /// Closes the release when a figure gets worse than its threshold, and keeps it closed.
        rollbackOn: Vec<FileRollbackOn>,
        /// How long streams and tunnels that run on gray may live once the release was rolled back; default `5m`.
        grayDrain: At<Time>,
        /// A new revision opens a release that was rolled back.
        revision: At<u32>,
    }
}

mirror! {
    /// Region codes.
    #[schemars(rename = "GrayRegions")]
    struct FileGrayRegions("`regions`") {
        /// Provinces, as quoted codes.
        #[schemars(extend("examples" = [["330000"]]))]
        provinceCode: Vec<At<String>>,
        /// Cities, as quoted codes.
        #[schemars(extend("examples" = [["440300"]]))]
        cityId: Vec<At<String>>,
    }
}

mirror! {
    /// What rolls the release back: so many openings of the gray lane's breakers within so long, that gray is worse than
    /// stable, or both.
    #[schemars(rename = "GrayRollback")]
    struct FileGrayRollback("`rollback`") {
        /// Openings; default 3.
        #[schemars(extend("minimum" = 1))]
        openings: At<u32>,
        /// The window; default `10m`.
        within: At<Time>,
        /// Gray is worse than stable at the same time; `{}` for the default rules.
        worse: FileGrayWorse,
        /// Where openings and `worse` are both given, whether one of them is enough; default `any`.
        require: At<Require>,
    }
}

mirror! {
    /// How certain it has to be that gray is worse, and by how much.
    #[schemars(rename = "GrayWorse")]
    struct FileGrayWorse("`worse`") {
        /// The chance of a false alarm over the whole comparison; default `1%`.
        alpha: At<Fraction>,
        /// By how much gray's share of failures has to be over stable's; default `0.1%`.
        minEffectErrors: At<Fraction>,
        /// By how much gray's share of slow calls has to be over stable's; default `1%`.
        minEffectSlow: At<Fraction>,
        /// Calls that each lane needs; default 100.
        #[schemars(extend("minimum" = 2))]
        minCalls: At<u32>,
    }
}

impl FileGrayReleaseSpec {
    /// The same in the native form, with every place kept.
    pub(in crate::config) fn native(&self) -> FileRelease {
        let many = |list: &Vec<At<String>>| OneOrMany(list.clone());
        FileRelease {
            level: self.level.clone(),
            permille: self.permille.clone(),
            salt: self.salt.clone(),
            hash_key: self.hashKey.clone(),
            developer: None,
            ab: self.ab.clone(),
            regions: self.regions.as_ref().map(|regions| FileRegions {
                province_code: regions.provinceCode.as_ref().map(many),
                city_id: regions.cityId.as_ref().map(many),
                at: regions.at,
                flawed: regions.flawed,
            }),
            conditions: self.conditions.clone(),
            expression: self.expression.clone(),
            rollback: self.rollback.as_ref().map(FileGrayRollback::native),
            rollback_on: self.rollbackOn.clone(),
            gray_drain: self.grayDrain.clone(),
            revision: self.revision.clone(),
            at: self.at,
            flawed: self.flawed,
        }
    }
}

impl FileGrayRollback {
    fn native(&self) -> FileRollback {
        let worse = self.worse.as_ref().map(|worse| At {
            value: FileWorse::Rules(FileWorseRules {
                alpha: worse.alpha.clone(),
                min_effect_errors: worse.minEffectErrors.clone(),
                min_effect_slow: worse.minEffectSlow.clone(),
                min_calls: worse.minCalls.clone(),
                at: worse.at,
                flawed: worse.flawed,
            }),
            at: worse.at,
        });
        FileRollback {
            openings: self.openings.clone(),
            within: self.within.clone(),
            worse,
            require: self.require.clone(),
            at: self.at,
            flawed: self.flawed,
        }
    }
}
