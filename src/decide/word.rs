//! The stable words of an answer: how far a release is open, and why a request went where it went.

/// Declares an enum whose variants are written as one fixed word each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// Every word, in order, for suggestions.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The word for it in configuration, metrics and explanations.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// Its place in `ALL`.
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::decide::UnknownWord;

            fn from_str(text: &str) -> Result<$name, $crate::decide::UnknownWord> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err($crate::decide::UnknownWord { nearest: $crate::decide::nearest(text, $name::NAMES.iter().copied()).map(str::to_owned) }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(super) use words;

/// A word that is none of the known ones, with the known one that looks most like it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word{}", .nearest.as_ref().map(|word| format!(", did you mean `{word}`?")).unwrap_or_default())]
pub struct UnknownWord {
    /// The nearest known word, where one is near enough.
    pub nearest: Option<String>,
}

/// The word of `known` that looks most like `text`, whatever the case of its letters, where one is near enough to be
/// meant.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let limit = (text.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

words! {
    /// How far a release is open; each level opens those before it.
    Level {
        /// Closed, or an answer that no level gave.
        None = "none",
        /// Those with an override.
        Developer = "developer",
        /// The chosen groups of an experiment.
        Ab = "ab",
        /// Provinces and cities of the list.
        Region = "region",
        /// A share of the users.
        Permille = "permille",
        /// Everyone whom the conditions admit.
        Full = "full",
    }
}

words! {
    /// Why a request went to its lane.
    Reason {
        /// A valid override said so.
        Override = "override",
        /// The user's group of the experiment sees gray.
        AbGroup = "ab_group",
        /// The province or city is on the list.
        Region = "region",
        /// The bucket is below the permille.
        Bucket = "bucket",
        /// The release is open to everyone.
        Full = "full",
        /// The permille is open, and the bucket is not below it.
        BucketOut = "bucket_out",
        /// Only a user or device could have been admitted, and the request names none.
        NoKey = "no_key",
        /// The release's conditions do not hold.
        Conditions = "conditions",
        /// Nothing that is open admitted the request.
        LevelClosed = "level_closed",
        /// The route has no release.
        NoRelease = "no_release",
        /// A sidecar earlier in the call chain had decided.
        LaneMark = "lane_mark",
        /// The lane's breaker is open.
        BreakerOpen = "breaker_open",
        /// The release was rolled back and nobody has opened it again.
        Latched = "latched",
        /// The route does not have the lane that was decided.
        NoLane = "no_lane",
        /// The SKU is on the whitelist of a lane.
        Whitelist = "whitelist",
        /// A strategy of the route has the best score.
        Score = "score",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_from_closed_to_open() {
        assert!(Level::ALL.is_sorted());
        assert!(Level::None < Level::Developer && Level::Permille < Level::Full);
    }

    #[test]
    fn words_parse_back_and_others_name_the_nearest() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
        }
        let unknown = "permile".parse::<Level>().unwrap_err();
        assert_eq!(unknown.to_string(), "unknown word, did you mean `permille`?");
        assert_eq!("galaxy".parse::<Level>().unwrap_err().nearest, None);
    }

    #[test]
    fn the_nearest_word_ignores_case() {
        assert_eq!(nearest("not_inn", ["IN", "NOT_IN"]), Some("NOT_IN"));
        assert_eq!(nearest("gt", ["GT", "GE"]), Some("GT"));
    }
}
