//! How a version of the service is: well, or bad in one of the ways in which services turn bad.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a steady answer takes.
const STEADY: Duration = Duration::from_millis(5);
/// What the slow tail of the incident takes.
const TAIL: Duration = Duration::from_millis(2_800);
/// What every answer takes where the mean is bad.
const SLUGGISH: Duration = Duration::from_millis(900);
/// The hang ends with the connection, and at the latest after this.
const HANG: Duration = Duration::from_secs(60);

/// The mood of a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Mood {
    /// As fast as it can.
    Well,
    /// Every answer takes 5 ms.
    Steady,
    /// 92 of 100 answers are 500.
    Erring,
    /// 2 of 100 answers take 2.8 s, so the P99 is 2.8 s and the mean 61 ms.
    Tailed,
    /// Every answer takes 900 ms: the mean, and the P99 too.
    Sluggish,
    /// No answer comes.
    Mute,
}

impl Mood {
    const ALL: [Mood; 6] = [Mood::Well, Mood::Steady, Mood::Erring, Mood::Tailed, Mood::Sluggish, Mood::Mute];

    /// How long the answer with this number takes, and whether it is a failure.
    pub(super) fn of(self, number: u64) -> (Duration, bool) {
        match self {
            Mood::Well => (Duration::ZERO, false),
            Mood::Steady => (STEADY, false),
            // 37 and 100 have no common divisor: exactly 92 of every 100, spread out.
            Mood::Erring => (STEADY, number % 100 * 37 % 100 < 92),
            // Two in a row: visits come in twins, and each twin is to have its share.
            Mood::Tailed if number % 100 >= 98 => (TAIL, false),
            Mood::Tailed => (STEADY, false),
            Mood::Sluggish => (SLUGGISH, false),
            Mood::Mute => (HANG, true),
        }
    }
}

/// A mood that can be switched while the shop serves.
#[derive(Debug, Default)]
pub(super) struct MoodSwitch(AtomicU8);

impl MoodSwitch {
    pub(super) fn turn(&self, mood: Mood) {
        self.0.store(mood as u8, Ordering::Relaxed);
    }

    pub(super) fn mood(&self) -> Mood {
        Mood::ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Mood::Well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mood_is_what_it_says() {
        let failed = |mood: Mood| (0..1000).filter(|number| mood.of(*number).1).count();
        let mean = |mood: Mood| (0..1000).map(|number| mood.of(number).0).sum::<Duration>() / 1000;
        assert_eq!([Mood::Well, Mood::Steady, Mood::Tailed, Mood::Sluggish].map(failed), [0; 4]);
        assert_eq!(failed(Mood::Erring), 920);
        assert_eq!(mean(Mood::Steady), STEADY);
        assert_eq!(mean(Mood::Sluggish), SLUGGISH);
        assert!(mean(Mood::Tailed) < Duration::from_millis(62));
    }

    #[test]
    fn a_switch_holds_the_mood_it_was_turned_to() {
        let switch = MoodSwitch::default();
        assert_eq!(switch.mood(), Mood::Well);
        for mood in Mood::ALL {
            switch.turn(mood);
            assert_eq!(switch.mood(), mood);
        }
    }
}
