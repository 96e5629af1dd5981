//! The people of the commands to try: found by their bucket, so that each command shows what its comment says.

use anyhow::Context;

use super::configuration::{PERMILLE, RELEASE};

/// With a tenth of the users in gray, this many without one is as good as impossible.
const MAX_TRIED: u32 = 10_000;

/// A user and her bucket of 0 to 999 under the release's salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) user_id: String,
    pub(super) bucket: u16,
}

/// Who appears in the commands to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cast {
    /// Her bucket is outside the share.
    pub(super) ordinary: Person,
    /// Her bucket is inside the share.
    pub(super) gray: Person,
}

impl Cast {
    /// The first users of each kind.
    pub(super) fn find(bucket: fn(&str, &str) -> u16) -> anyhow::Result<Cast> {
        let person = |number: u32| {
            let user_id = format!("u{number}");
            let bucket = bucket(RELEASE, &user_id);
            Person { user_id, bucket }
        };
        let people = || (1..=MAX_TRIED).map(person);
        let ordinary = people().find(|person| person.bucket >= PERMILLE);
        let gray = people().find(|person| person.bucket < PERMILLE);
        Ok(Cast {
            ordinary: ordinary.context("every user tried falls into the gray buckets")?,
            gray: gray.context("no user tried falls into the gray buckets")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::bucket;
    use super::*;

    #[test]
    fn the_people_are_on_the_side_of_the_share_that_they_play() {
        let cast = Cast::find(bucket).unwrap();
        assert!(cast.ordinary.bucket >= PERMILLE);
        assert!(cast.gray.bucket < PERMILLE);
        for person in [&cast.ordinary, &cast.gray] {
            assert_eq!(person.bucket, bucket(RELEASE, &person.user_id));
        }
    }

    #[test]
    fn a_hash_that_puts_everyone_on_one_side_is_an_error() {
        assert!(Cast::find(|_, _| 0).is_err());
        assert!(Cast::find(|_, _| 999).is_err());
    }
}
