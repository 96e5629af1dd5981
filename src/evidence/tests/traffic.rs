//! Simulated traffic: a seeded generator and lanes that fail and dawdle at given rates.

use super::*;
use crate::decide::Permille;

/// Steele, Lea, Flood (2014): SplitMix64. Enough for a simulation, and the same on every machine.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn happens(&mut self, rate: f64) -> bool {
        self.next() < rate
    }
}

/// How the lanes behave.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    /// Of gray, in thousandths.
    pub(super) share: u16,
    pub(super) errors: Pair<f64>,
    pub(super) slow: Pair<f64>,
}

/// Cumulative counts as a sidecar would have them.
pub(super) struct Traffic {
    pub(super) comparison: Comparison,
    chance: Chance,
    answered: Pair<Counts>,
    decided: Pair<u64>,
    pub(super) weather: Weather,
}

impl Traffic {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let share = Permille::new(weather.share);
        Traffic {
            comparison: Comparison::starting_at(&[Pair::default()], Pair::default(), share),
            chance: Chance::seeded(seed),
            answered: Pair::default(),
            decided: Pair::default(),
            weather,
        }
    }

    pub(super) fn turn(&mut self, weather: Weather) {
        self.weather = weather;
        self.comparison.split_changed(Permille::new(weather.share));
    }

    /// So many requests, then a look.
    pub(super) fn serve(&mut self, requests: u64) {
        for _ in 0..requests {
            let gray = self.chance.happens(f64::from(self.weather.share) / 1000.0);
            let Weather { errors, slow, .. } = self.weather;
            let (counts, decided, errors, slow) = if gray {
                (&mut self.answered.gray, &mut self.decided.gray, errors.gray, slow.gray)
            } else {
                (&mut self.answered.stable, &mut self.decided.stable, errors.stable, slow.stable)
            };
            *decided += 1;
            counts.calls += 1;
            counts.errors += u64::from(self.chance.happens(errors));
            counts.slow += u64::from(self.chance.happens(slow));
        }
        self.comparison.observe(&[self.answered], self.decided);
    }

    pub(super) fn answered(&self) -> Pair<Counts> {
        self.answered
    }
}
