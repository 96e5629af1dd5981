//! The buckets of latency: linear within a power of two, so that an index is two shifts and an addition.
//!
//! A unit is 512 ns. The first 128 buckets are one unit wide; after them every power of two has 64 buckets, so a bucket
//! is at most 1/64 of its lower bound wide, and its middle at most 1/128 (0.78 %) off from whatever is in it. Below 26 us
//! the 256 ns that a middle may be off are more than 1 %.

use std::time::Duration;

/// Buckets per power of two.
pub(super) const PER_GROUP: usize = 1 << GROUP_BITS;
/// Groups of so many buckets.
pub(super) const GROUPS: usize = 22;
/// All buckets.
const BUCKETS: usize = GROUPS * PER_GROUP;

const GROUP_BITS: u32 = 6;
const UNIT_BITS: u32 = 9;
/// What is longer goes into the last bucket: 2^36 ns, 68.7 s.
const LONGEST: u64 = (1 << (UNIT_BITS + GROUP_BITS + GROUPS as u32 - 1)) - 1;

/// A count for each bucket, with memory for those groups that have any: the calls of a lane fall into a few powers of two.
///
/// Counts wrap, so that taking out what was added is always exact.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    /// The sum of each group.
    sums: [u32; GROUPS],
    groups: [Option<Box<Group>>; GROUPS],
}

/// The buckets of a group.
pub(super) type Group = [u32; PER_GROUP];

impl Histogram {
    /// Without calls.
    pub(super) const EMPTY: Self = Self { sums: [0; GROUPS], groups: [const { None }; GROUPS] };

    /// Adds calls to a bucket.
    pub(super) fn add(&mut self, bucket: usize, count: u32) {
        let (group, at) = (bucket / PER_GROUP, bucket % PER_GROUP);
        let counts = self.groups[group].get_or_insert_with(|| Box::new([0; PER_GROUP]));
        counts[at] = counts[at].wrapping_add(count);
        self.sums[group] = self.sums[group].wrapping_add(count);
    }

    /// Takes out what was added before.
    pub(super) fn subtract(&mut self, old: &Self) {
        let mine = self.groups.iter_mut().zip(&mut self.sums);
        for ((counts, sum), (old, old_sum)) in mine.zip(old.groups.iter().zip(&old.sums)) {
            let (Some(some), Some(old)) = (counts.as_mut(), old) else { continue };
            some.iter_mut().zip(&**old).for_each(|(count, old)| *count = count.wrapping_sub(*old));
            *sum = sum.wrapping_sub(*old_sum);
            if *sum == 0 {
                *counts = None;
            }
        }
    }

    /// Bytes at most: where every group had calls.
    pub(super) const fn memory() -> usize {
        size_of::<Self>() + GROUPS * size_of::<Group>()
    }
}

/// The bucket of a latency.
#[inline]
pub(super) fn bucket_of(nanos: u64) -> usize {
    let units = nanos.min(LONGEST) >> UNIT_BITS;
    let shift = (u64::BITS - 1 - GROUP_BITS).saturating_sub(units.leading_zeros());
    ((shift << GROUP_BITS) as usize) + ((units >> shift) as usize)
}

/// The latency that stands for a bucket: its middle, but the lower bound of the last one, which has no upper bound.
fn middle_of(bucket: usize) -> u64 {
    let shift = (bucket >> GROUP_BITS).saturating_sub(1);
    let lower = ((bucket - (shift << GROUP_BITS)) as u64) << (shift as u32 + UNIT_BITS);
    let width = 1_u64 << (shift as u32 + UNIT_BITS);
    if bucket == BUCKETS - 1 { lower } else { lower + width / 2 }
}

/// The latency that 99 % of the calls did not exceed: the one of rank `ceil(0.99 n)`. None without calls.
pub(super) fn p99(histogram: &Histogram) -> Option<Duration> {
    let total: u64 = histogram.sums.iter().map(|sum| u64::from(*sum)).sum();
    let mut above = total - rank_of_p99(total);
    for (group, sum) in histogram.sums.iter().enumerate().rev() {
        let sum = u64::from(*sum);
        if sum <= above {
            above -= sum;
            continue;
        }
        for (at, count) in histogram.groups[group].as_deref()?.iter().enumerate().rev() {
            let count = u64::from(*count);
            if count > above {
                return Some(Duration::from_nanos(middle_of(group * PER_GROUP + at)));
            }
            above -= count;
        }
    }
    None
}

/// The rank of the 99th percentile among `total` in ascending order, from 1; 0 where there are none.
pub(in crate::resilience) fn rank_of_p99(total: u64) -> u64 {
    total - total / 100
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram as Reference;
    use proptest::prelude::*;

    use super::*;

    fn sketch(latencies: &[u64]) -> Histogram {
        let mut histogram = Histogram::EMPTY;
        latencies.iter().for_each(|nanos| histogram.add(bucket_of(*nanos), 1));
        histogram
    }

    fn exact_p99(latencies: &[u64]) -> u64 {
        let mut sorted = latencies.to_vec();
        sorted.sort_unstable();
        sorted[(0.99 * sorted.len() as f64).ceil() as usize - 1]
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        assert_eq!((bucket_of(0), bucket_of(511), bucket_of(512)), (0, 0, 1));
        assert_eq!((bucket_of(LONGEST), bucket_of(LONGEST + 1), bucket_of(u64::MAX)), (1407, 1407, 1407));
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(middle_of(bucket)), bucket, "the middle is inside");
        }
        let mut last = 0;
        for nanos in (0..LONGEST).step_by(1_000_003) {
            let bucket = bucket_of(nanos);
            assert!(bucket >= last, "{nanos}");
            last = bucket;
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_one_is_its_own() {
        assert_eq!(p99(&Histogram::EMPTY), None);
        let one = p99(&sketch(&[1_000_000])).unwrap().as_nanos() as f64;
        assert!((one / 1e6 - 1.0).abs() < 0.01);
    }

    #[test]
    fn what_is_longer_than_the_last_bucket_is_told_as_its_bound() {
        let p99 = p99(&sketch(&[u64::MAX; 3])).unwrap();
        assert!(p99 > Duration::from_secs(67) && p99 < Duration::from_secs(69), "{p99:?}");
    }

    #[test]
    fn one_slow_call_in_a_hundred_does_not_decide_and_two_do() {
        let calls = |slow: usize| [vec![1_000_000; 100 - slow], vec![2_000_000_000; slow]].concat();
        assert!(p99(&sketch(&calls(1))).unwrap() < Duration::from_millis(2));
        assert!(p99(&sketch(&calls(2))).unwrap() > Duration::from_secs(1));
    }

    #[test]
    fn what_is_taken_out_takes_no_memory() {
        let (mut histogram, old) = (sketch(&[1000, 1_000_000, 1_000_001]), sketch(&[1000, 1_000_000]));
        let groups = |histogram: &Histogram| histogram.groups.iter().flatten().count();
        assert_eq!(groups(&histogram), 2);
        histogram.subtract(&old);
        assert_eq!(groups(&histogram), 1);
        assert_eq!(p99(&histogram), p99(&sketch(&[1_000_001])));
        histogram.subtract(&sketch(&[1_000_001]));
        assert_eq!((groups(&histogram), p99(&histogram)), (0, None));
    }

    #[test]
    fn rank_is_the_ceiling_of_ninety_nine_percent() {
        for total in 0..10_000_u64 {
            assert_eq!(rank_of_p99(total), (total * 99).div_ceil(100));
        }
    }

    proptest! {
        #[test]
        fn any_latency_is_within_one_percent_of_its_bucket(nanos in 26_000_u64..68_000_000_000) {
            let told = middle_of(bucket_of(nanos)) as f64;
            prop_assert!((told / nanos as f64 - 1.0).abs() < 0.01, "{nanos} told as {told}");
        }

        #[test]
        fn p99_is_within_one_percent_of_the_exact_and_of_hdrhistogram(
            exponents in proptest::collection::vec(4.7_f64..10.8, 1..800),
        ) {
            let latencies: Vec<u64> = exponents.iter().map(|exponent| 10_f64.powf(*exponent) as u64).collect();
            let told = p99(&sketch(&latencies)).unwrap().as_nanos() as f64;
            let exact = exact_p99(&latencies) as f64;
            prop_assert!((told / exact - 1.0).abs() < 0.01, "{told} for {exact}");
            let mut reference = Reference::<u64>::new_with_bounds(1, 100_000_000_000, 4).unwrap();
            latencies.iter().for_each(|nanos| reference.record(*nanos).unwrap());
            let reference = reference.value_at_quantile(0.99) as f64;
            prop_assert!((told / reference - 1.0).abs() < 0.01, "{told} for {reference} by the reference");
        }
    }
}
