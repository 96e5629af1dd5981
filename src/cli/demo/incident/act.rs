//! The acts of the drill, in the order in which they are played.

use std::time::Duration;

use super::super::shop::Mood;

/// One way in which things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// 92 % of gray's answers are 500
    Errors,
    /// The P99 of gray is 2.8 s, its mean is unharmed
    Tail,
    /// The mean of gray is 900 ms, its P99 below the limit of 1.2 s
    Mean,
    /// Gray hangs without an answer
    Hang,
    /// Both lanes fail alike, which is nothing to roll back for
    Both,
    /// Gray fails and does not heal, until its release is rolled back
    Stays,
}

/// What is awaited once an act has turned bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// The breaker opens, gray heals, the breaker closes.
    Healed,
    /// The breakers open and no release is rolled back in this time.
    NothingLatched(Duration),
    /// The release is rolled back.
    Latched,
}

impl Act {
    pub(super) const ALL: [Act; 6] = [Act::Errors, Act::Tail, Act::Mean, Act::Hang, Act::Both, Act::Stays];

    /// The word of the routes, and of the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Act::Errors => "errors",
            Act::Tail => "tail",
            Act::Mean => "mean",
            Act::Hang => "hang",
            Act::Both => "both",
            Act::Stays => "stays",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Act::Errors => "92 % of 500s",
            Act::Tail => "P99 2.8 s, mean unharmed",
            Act::Mean => "mean 900 ms, P99 unharmed",
            Act::Hang => "hang without answer",
            Act::Both => "both lanes fail alike",
            Act::Stays => "gray fails and stays so",
        }
    }

    /// How stable and gray are once it has turned bad.
    pub(super) fn moods(self) -> [Mood; 2] {
        match self {
            Act::Errors | Act::Stays => [Mood::Steady, Mood::Erring],
            Act::Tail => [Mood::Steady, Mood::Tailed],
            Act::Mean => [Mood::Steady, Mood::Sluggish],
            Act::Hang => [Mood::Steady, Mood::Mute],
            Act::Both => [Mood::Erring, Mood::Erring],
        }
    }

    pub(super) fn ends(self) -> Ends {
        match self {
            Act::Errors | Act::Tail | Act::Mean | Act::Hang => Ends::Healed,
            // Gray has 100 calls a second on both routes: the comparison has seen enough long before.
            Act::Both => Ends::NothingLatched(Duration::from_secs(6)),
            Act::Stays => Ends::Latched,
        }
    }

    /// The release over its routes; those that may be rolled back are of one act each.
    pub(super) fn release(self) -> &'static str {
        match self {
            Act::Stays => LATCHING,
            Act::Both => COMPARING,
            _ => RELEASE,
        }
    }

    /// The name of its shielded or bare route.
    pub(super) fn route(self, side: Side) -> String {
        format!("{}-{}", self.word(), side.word())
    }
}

/// The release of most acts, and the salt of all.
pub(super) const RELEASE: &str = "pricing-v2";
/// The same release with a `rollback`.
pub(super) const LATCHING: &str = "pricing-v2-latching";
/// The same release, rolled back as soon as gray is worse than stable.
pub(super) const COMPARING: &str = "pricing-v2-comparing";

/// The two routes of an act: they differ in nothing but the shield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Shielded,
    Bare,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::Shielded, Side::Bare];

    pub(super) fn word(self) -> &'static str {
        match self {
            Side::Shielded => "shielded",
            Side::Bare => "bare",
        }
    }
}
