//! Experiments: groups of users that take consecutive ranges of the thousand buckets under a salt of their own.

use std::ops::Range;
use std::sync::Arc;

use super::bucket::{Bucket, Permille, bucket};
use super::word::nearest;

/// Why groups do not make an experiment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// Nothing to be in.
    #[error("experiment `{experiment}` has no groups")]
    NoGroups {
        /// The experiment.
        experiment: String,
    },
    /// Two groups of one name.
    #[error("group `{group}` is named twice")]
    DuplicateGroup {
        /// The group.
        group: String,
    },
    /// More than everybody.
    #[error("the groups of experiment `{experiment}` add up to {total} permille, 1000 is the most")]
    TooMuch {
        /// The experiment.
        experiment: String,
        /// What the groups add up to.
        total: u32,
    },
    /// A release names a group that the experiment does not have.
    #[error("experiment `{experiment}` has no group `{group}`{}", .nearest.as_ref().map(|word| format!(", did you mean `{word}`?")).unwrap_or_default())]
    UnknownGroup {
        /// The experiment.
        experiment: String,
        /// The group as written.
        group: String,
        /// The group that looks most like it.
        nearest: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: Box<str>,
    range: Range<u16>,
}

/// A partition of the buckets into groups; what the groups leave over belongs to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    name: Box<str>,
    salt: Box<str>,
    groups: Vec<Group>,
}

impl Experiment {
    /// Gives the groups consecutive ranges in the order written.
    pub fn new(
        name: impl Into<Box<str>>,
        salt: impl Into<Box<str>>,
        groups: Vec<(String, Permille)>,
    ) -> Result<Experiment, ExperimentError> {
        let name = name.into();
        let experiment = || name.to_string();
        if groups.is_empty() {
            return Err(ExperimentError::NoGroups { experiment: experiment() });
        }
        let total = groups.iter().map(|(_, share)| u32::from(share.get())).sum();
        if total > 1000 {
            return Err(ExperimentError::TooMuch { experiment: experiment(), total });
        }
        let mut built: Vec<Group> = Vec::with_capacity(groups.len());
        for (group, share) in groups {
            if built.iter().any(|known| *known.name == *group) {
                return Err(ExperimentError::DuplicateGroup { group });
            }
            let start = built.last().map_or(0, |last| last.range.end);
            built.push(Group { name: group.into(), range: start..start + share.get() });
        }
        Ok(Experiment { name, salt: salt.into(), groups: built })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The salt of its buckets.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// The bucket of a user under this experiment's salt.
    pub fn bucket(&self, key: &str) -> Bucket {
        bucket(&self.salt, key)
    }

    /// The group that a bucket falls in.
    pub fn group(&self, bucket: Bucket) -> Option<&str> {
        self.position(bucket).map(|index| &*self.groups[index].name)
    }

    /// The same, with the group's first and last bucket.
    pub fn group_with_range(&self, bucket: Bucket) -> Option<(&str, [u16; 2])> {
        let group = &self.groups[self.position(bucket)?];
        Some((&group.name, [group.range.start, group.range.end - 1]))
    }

    fn position(&self, bucket: Bucket) -> Option<usize> {
        self.groups.iter().position(|group| group.range.contains(&bucket.get()))
    }
}

/// The groups of an experiment that see gray.
#[derive(Debug, Clone)]
pub struct Ab {
    experiment: Arc<Experiment>,
    /// One flag per group of the experiment.
    admitted: Vec<bool>,
}

impl Ab {
    /// The named groups of `experiment`.
    pub fn new<S: AsRef<str>>(experiment: Arc<Experiment>, groups: &[S]) -> Result<Ab, ExperimentError> {
        let mut admitted = vec![false; experiment.groups.len()];
        for group in groups.iter().map(AsRef::as_ref) {
            match experiment.groups.iter().position(|known| *known.name == *group) {
                Some(index) => admitted[index] = true,
                None => {
                    let known = experiment.groups.iter().map(|known| &*known.name);
                    return Err(ExperimentError::UnknownGroup {
                        experiment: experiment.name.to_string(),
                        group: group.to_owned(),
                        nearest: nearest(group, known).map(str::to_owned),
                    });
                }
            }
        }
        Ok(Ab { experiment, admitted })
    }

    /// The experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The names of the groups that see gray.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.experiment
            .groups
            .iter()
            .zip(&self.admitted)
            .filter(|(_, in_gray)| **in_gray)
            .map(|(group, _)| &*group.name)
    }

    /// Whether the group at this place of the thousand buckets, 0 to 999, sees gray.
    pub fn admits_place(&self, place: u16) -> bool {
        let mut groups = self.experiment.groups.iter().zip(&self.admitted);
        groups.any(|(group, in_gray)| *in_gray && group.range.contains(&place))
    }

    /// Whether the group of users with this bucket, under the experiment's salt, sees gray.
    pub fn admits(&self, bucket: Bucket) -> bool {
        self.experiment.position(bucket).is_some_and(|index| self.admitted[index])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups(shares: &[(&str, u16)]) -> Vec<(String, Permille)> {
        shares.iter().map(|(name, share)| ((*name).to_owned(), Permille::new(*share).unwrap())).collect()
    }

    #[test]
    fn groups_that_cannot_be_are_refused() {
        let error = |shares| Experiment::new("e", "e", groups(shares)).unwrap_err().to_string();
        assert_eq!(error(&[]), "experiment `e` has no groups");
        assert_eq!(error(&[("a", 1), ("a", 2)]), "group `a` is named twice");
        assert_eq!(
            error(&[("a", 600), ("b", 401)]),
            "the groups of experiment `e` add up to 1001 permille, 1000 is the most"
        );
    }

    #[test]
    fn a_release_can_only_name_groups_that_exist() {
        let experiment =
            Arc::new(Experiment::new("price", "price", groups(&[("control", 500), ("treated", 500)])).unwrap());
        assert_eq!(
            Ab::new(experiment, &["treatd"]).unwrap_err().to_string(),
            "experiment `price` has no group `treatd`, did you mean `treated`?"
        );
    }

    proptest! {
        #[test]
        fn groups_partition_the_buckets(a in 0_u16..=500, b in 0_u16..=500, key in "\\PC{1,20}") {
            let experiment = Arc::new(Experiment::new("e", "salt", groups(&[("a", a), ("b", b)])).unwrap());
            let place = experiment.bucket(&key).get();
            let expected = if place < a { Some("a") } else if place < a + b { Some("b") } else { None };
            prop_assert_eq!(experiment.group(experiment.bucket(&key)), expected);
            for group in ["a", "b"] {
                let ab = Ab::new(experiment.clone(), &[group]).unwrap();
                prop_assert_eq!(ab.admits(experiment.bucket(&key)), expected == Some(group));
            }
        }
    }
}
