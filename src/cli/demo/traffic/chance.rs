//! Pseudo-random numbers, the same in every run: SplitMix64 (Steele, Lea and Flood 2014), good enough to choose
//! visitors and too predictable for anything else.

/// A stream of numbers that follows from its seed.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but without, `bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    /// Like [`Chance::below`], but the low numbers come much more often: a quarter of the draws falls on the first
    /// sixteenth, half of them on the first quarter.
    pub(super) fn skewed(&mut self, bound: usize) -> usize {
        let unit = self.next() as f64 / (u64::MAX as f64 + 1.0);
        ((unit * unit * bound as f64) as usize).min(bound.saturating_sub(1))
    }

    /// One of `choices`, each with its weight; weights sum up to more than 0.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(T, usize)]) -> T {
        let total = choices.iter().map(|(_, weight)| weight).sum();
        let mut left = self.below(total);
        for (choice, weight) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        choices[choices.len() - 1].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_their_bound_and_follow_their_weights() {
        let mut chance = Chance::new(1);
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            assert!(chance.below(7) < 7);
            assert!(chance.skewed(7) < 7);
            counts[chance.weighted(&[(0, 6), (1, 3), (2, 1)])] += 1;
        }
        for (count, expected) in counts.into_iter().zip([18_000_i32, 9_000, 3_000]) {
            assert!((count - expected).abs() < 600, "{counts:?}");
        }
        assert_eq!((chance.below(0), chance.below(1), chance.skewed(1)), (0, 0, 0));
    }

    #[test]
    fn the_first_quarter_gets_half_of_the_skewed_draws() {
        let mut chance = Chance::new(2);
        let low = (0..20_000).filter(|_| chance.skewed(1000) < 250).count();
        assert!((9_600..10_400).contains(&low), "{low}");
    }
}
