//! Faults on purpose: what they do, which requests meet them, and how long a drawn delay is.
//!
//! A draw is 64 random bits. The same draw always gives the same answer, so everything here can be tested without
//! chance.

use std::num::NonZeroU64;
use std::time::Duration;

/// What a fault does to a request that meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Injection {
    /// The request goes up later.
    Delay(Delay),
    /// The request does not go up; this status is the answer.
    Abort(u16),
    /// The request does not go up; the client's connection or stream is reset.
    Reset,
    /// The answer's body comes down with at most so many bytes a second.
    SlowBody(NonZeroU64),
}

impl Injection {
    /// The word of configuration, log and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Abort(_) => "abort",
            Self::Reset => "reset",
            Self::SlowBody(_) => "slow_body",
        }
    }
}

/// How long a request is held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    /// Always as long.
    Fixed(Duration),
    /// Drawn from a log-normal distribution: the shape that latencies of services have, many near the median and a long
    /// tail above it.
    ///
    /// With the median `m` and the standard deviation `s` of the logarithm, the quantile `q` is `m * exp(s * z(q))`,
    /// where `z` is the quantile of the standard normal distribution. So a stated P99 sets `s = ln(p99 / m) / z(0.99)`.
    /// The mean is `m * exp(s * s / 2)`. Delays are cut off at [`Delay::MOST_OVER_P99`] times the P99.
    LogNormal {
        /// Half of the delays are shorter.
        median: Duration,
        /// One in a hundred is longer.
        p99: Duration,
    },
}

/// The figures of a distribution that there is none for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the median has to be longer than 0 and at most the P99")]
pub struct DelayError;

/// `z(0.99)`: the 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

impl Delay {
    /// The longest drawn delay, in times of the P99.
    pub const MOST_OVER_P99: u32 = 10;
    /// Without a stated median it is this part of the P99: one tenth.
    const P99_OVER_MEDIAN: u32 = 10;

    /// A log-normal distribution with this P99, and this median where one is stated, else a tenth of the P99.
    pub fn with_p99(p99: Duration, median: Option<Duration>) -> Result<Self, DelayError> {
        let median = median.unwrap_or(p99 / Self::P99_OVER_MEDIAN);
        if median.is_zero() || median > p99 {
            return Err(DelayError);
        }
        Ok(Self::LogNormal { median, p99 })
    }

    /// The delay of one request.
    pub fn sample(&self, draw: u64) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::LogNormal { median, p99 } => {
                let deviation = (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99;
                let times = (deviation * standard_normal(draw)).exp();
                let most = p99.saturating_mul(Self::MOST_OVER_P99);
                Duration::try_from_secs_f64(median.as_secs_f64() * times).map_or(most, |delay| delay.min(most))
            }
        }
    }
}

/// A number of the standard normal distribution from 64 random bits (Box and Muller 1958): each half of them is a
/// uniform number, the first one never 0.
fn standard_normal(draw: u64) -> f64 {
    const HALF: f64 = 4_294_967_296.0;
    let first = ((draw >> 32) as f64 + 1.0) / HALF;
    let second = (draw & 0xffff_ffff) as f64 / HALF;
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

/// Which of several shares, in permille, a draw falls into. They take consecutive ranges, so that each is met by exactly
/// its share of the draws, whatever the others are, as long as they add up to at most 1000.
pub fn pick(draw: u64, shares: impl IntoIterator<Item = u16>) -> Option<usize> {
    let place = (u128::from(draw) * 1000) >> 64;
    let mut end = 0;
    shares.into_iter().position(|share| {
        end += u128::from(share);
        place < end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws as a worker makes them (xorshift64*), always the same ones.
    fn draws(count: usize) -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        })
        .take(count)
    }

    /// Draws whose two halves cover the square more evenly than chance would (Roberts' R2 sequence), so that quantiles of
    /// them have no noise worth a tolerance.
    fn even_draws(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|step| {
            let half = |stride: u64| step.wrapping_mul(stride) & 0xffff_ffff;
            half(0xc13f_a9a9) << 32 | half(0x91e1_0da5)
        })
    }

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// The quantiles of many samples, in milliseconds.
    fn quantiles<const N: usize>(delay: Delay, at: [f64; N]) -> [f64; N] {
        const COUNT: usize = 200_000;
        let mut samples: Vec<Duration> = even_draws(COUNT as u64).map(|draw| delay.sample(draw)).collect();
        samples.sort_unstable();
        at.map(|quantile| samples[(quantile * COUNT as f64) as usize].as_secs_f64() * 1000.0)
    }

    #[track_caller]
    fn check_quantile(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() <= tolerance, "{found} ms, not {expected} ms");
    }

    #[test]
    fn a_drawn_delay_has_the_stated_p99_and_median() {
        for (median, p99) in [(40, 2800), (5, 2800), (100, 110), (700, 1200)] {
            let delay = Delay::with_p99(milliseconds(p99), Some(milliseconds(median))).unwrap();
            let [half, most] = quantiles(delay, [0.5, 0.99]);
            check_quantile(half, median as f64, 0.005);
            check_quantile(most, p99 as f64, 0.01);
        }
    }

    #[test]
    fn without_a_median_it_is_a_tenth_of_the_p99() {
        let delay = Delay::with_p99(milliseconds(1000), None).unwrap();
        let [half, most] = quantiles(delay, [0.5, 0.99]);
        check_quantile(half, 100.0, 0.005);
        check_quantile(most, 1000.0, 0.01);
    }

    #[test]
    fn the_quantiles_between_are_those_of_the_log_normal_distribution() {
        let delay = Delay::with_p99(milliseconds(1000), Some(milliseconds(100))).unwrap();
        // z(0.1), z(0.9) and z(0.999) from tables; s = ln(10) / 2.32635 = 0.989787
        let expected = [-1.281_552, 1.281_552, 3.090_232].map(|z: f64| 100.0 * (0.989_787 * z).exp());
        let found = quantiles(delay, [0.1, 0.9, 0.999]);
        for (found, expected) in found.into_iter().zip(expected) {
            check_quantile(found, expected, 0.01);
        }
    }

    #[test]
    fn draws_of_chance_have_the_stated_p99_within_their_noise() {
        let delay = Delay::with_p99(milliseconds(1000), None).unwrap();
        let mut samples: Vec<Duration> = draws(100_000).map(|draw| delay.sample(draw)).collect();
        samples.sort_unstable();
        // One standard error of the P99 of so many samples is 1.2 %.
        check_quantile(samples[99_000].as_secs_f64() * 1000.0, 1000.0, 0.05);
    }

    #[test]
    fn every_draw_gives_a_bounded_delay() {
        let delay = Delay::with_p99(milliseconds(100), Some(Duration::from_nanos(1))).unwrap();
        for draw in draws(10_000).chain([0, 1, 1 << 32, u64::MAX, u64::MAX << 32, 0xffff_ffff]) {
            assert!(delay.sample(draw) <= milliseconds(1000), "{draw:x}");
        }
        assert_eq!(delay.sample(0), milliseconds(1000), "the longest");
    }

    #[test]
    fn a_fixed_delay_is_always_as_long_and_an_equal_median_makes_one() {
        let fixed = Delay::Fixed(milliseconds(7));
        let equal = Delay::with_p99(milliseconds(7), Some(milliseconds(7))).unwrap();
        for draw in draws(100) {
            assert_eq!(fixed.sample(draw), milliseconds(7));
            assert_eq!(equal.sample(draw), milliseconds(7));
        }
    }

    #[test]
    fn a_median_of_nothing_or_over_the_p99_is_none() {
        assert_eq!(Delay::with_p99(milliseconds(7), Some(milliseconds(8))), Err(DelayError));
        assert_eq!(Delay::with_p99(milliseconds(7), Some(Duration::ZERO)), Err(DelayError));
        assert_eq!(Delay::with_p99(Duration::ZERO, None), Err(DelayError));
    }

    #[test]
    fn each_share_is_met_exactly_whatever_the_others_are() {
        // Draws at equal distances meet each share to the last one.
        let mut met = [0; 4];
        let shares = [5, 300, 0, 695];
        for step in 0..100_000_u64 {
            match pick(step * (u64::MAX / 100_000), shares) {
                Some(share) => met[share] += 1,
                None => panic!("they add up to all"),
            }
        }
        for (met, share) in met.into_iter().zip(shares) {
            assert!(i32::abs(met - i32::from(share) * 100) <= 1, "{met} for {share}");
        }
    }

    #[test]
    fn random_draws_meet_a_share_in_the_mean() {
        let met = draws(100_000).filter(|draw| pick(*draw, [100]).is_some()).count();
        // Five standard deviations of a binomial count.
        assert!(met.abs_diff(10_000) < 475, "{met}");
    }

    #[test]
    fn none_and_all_are_meant() {
        for draw in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(pick(draw, [0]), None);
            assert_eq!(pick(draw, []), None);
            assert_eq!(pick(draw, [1000]), Some(0));
            assert_eq!(pick(draw, [0, 1000]), Some(1));
        }
    }
}
