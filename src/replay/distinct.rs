//! How many different values there were, in a bounded amount of memory.
//!
//! HyperLogLog: P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, "HyperLogLog: the analysis of a near-optimal cardinality
//! estimation algorithm", 2007; with the estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017 (algorithm 6), which has no bias to be corrected by tables. The standard error is `1.04 / sqrt(m)`. Below
//! [`FEW`] values the hashes themselves are kept, so that small counts are exact.

use rapidhash::v3::{DEFAULT_RAPID_SECRETS, rapidhash_v3_seeded};

/// `m = 2^14` registers of a byte.
const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// So many bits of a hash are left for a register's value.
const REST: u32 = u64::BITS - PRECISION;
/// So many values are counted exactly.
const FEW: usize = 1024;

/// A value as it is counted: its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// A set of which only the size can be asked.
#[derive(Debug, Clone)]
pub struct Distinct(Sketch);

#[derive(Debug, Clone)]
enum Sketch {
    /// Sorted hashes, each once.
    Exact(Vec<u64>),
    /// The position of the first set bit seen in each register's share of the hashes.
    Registers(Box<[u8]>),
}

impl Mark {
    /// Of a value. `kind` keeps values of different kinds apart that are written alike.
    pub fn of(kind: u8, value: &str) -> Mark {
        let hash = rapidhash_v3_seeded(value.as_bytes(), &DEFAULT_RAPID_SECRETS);
        Mark(mixed(hash ^ u64::from(kind).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct(Sketch::Exact(Vec::new()))
    }
}

impl Distinct {
    /// The standard error of [`Distinct::count`] beyond 1024 values, as a share.
    pub const STANDARD_ERROR: f64 = 0.008_125;

    /// Adds a value.
    pub fn add(&mut self, mark: Mark) {
        self.add_hash(mark.0);
    }

    /// Adds everything that another one has.
    pub fn merge(&mut self, other: &Distinct) {
        match &other.0 {
            Sketch::Exact(hashes) => hashes.iter().for_each(|hash| self.add_hash(*hash)),
            Sketch::Registers(theirs) => {
                let ours = self.registers();
                ours.iter_mut().zip(theirs).for_each(|(our, their)| *our = (*our).max(*their));
            }
        }
    }

    /// How many different values were added: exact up to 1024, an estimate beyond.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Sketch::Exact(hashes) => hashes.len() as u64,
            Sketch::Registers(registers) => estimate(registers),
        }
    }

    fn add_hash(&mut self, hash: u64) {
        match &mut self.0 {
            Sketch::Exact(hashes) => {
                if let Err(place) = hashes.binary_search(&hash) {
                    if hashes.len() < FEW {
                        hashes.insert(place, hash);
                    } else {
                        raise(self.registers(), hash);
                    }
                }
            }
            Sketch::Registers(registers) => raise(registers, hash),
        }
    }

    /// The registers, made from the hashes where there are only those.
    fn registers(&mut self) -> &mut [u8] {
        if let Sketch::Exact(hashes) = &self.0 {
            let mut registers = vec![0; REGISTERS].into_boxed_slice();
            hashes.iter().for_each(|hash| raise(&mut registers, *hash));
            self.0 = Sketch::Registers(registers);
        }
        match &mut self.0 {
            Sketch::Registers(registers) => registers,
            Sketch::Exact(_) => &mut [],
        }
    }
}

/// The finalizer of murmur3: every bit of the hash hangs on every other, which the estimate presumes.
fn mixed(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

fn raise(registers: &mut [u8], hash: u64) {
    let place = (hash >> REST) as usize;
    let rest = hash << PRECISION;
    let rank = (rest.leading_zeros().min(REST) + 1) as u8;
    registers[place] = registers[place].max(rank);
}

/// Ertl's estimator over how many registers have each value.
fn estimate(registers: &[u8]) -> u64 {
    let mut held = [0.0_f64; REST as usize + 2];
    registers.iter().for_each(|value| held[usize::from(*value)] += 1.0);
    let m = registers.len() as f64;
    let mut z = m * tau(1.0 - held[REST as usize + 1] / m);
    for count in held[1..=REST as usize].iter().rev() {
        z = 0.5 * (z + count);
    }
    z += m * sigma(held[0] / m);
    (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u64>) -> Distinct {
        let mut distinct = Distinct::default();
        range.for_each(|value| distinct.add(Mark::of(0, &format!("user-{value}"))));
        distinct
    }

    #[test]
    fn small_counts_are_exact_and_kinds_are_kept_apart() {
        let mut distinct = of(0..1000);
        distinct.merge(&of(500..1024));
        assert_eq!(distinct.count(), 1024);
        let mut kinds = Distinct::default();
        kinds.add(Mark::of(0, "7"));
        kinds.add(Mark::of(1, "7"));
        kinds.add(Mark::of(1, "7"));
        assert_eq!(kinds.count(), 2);
    }

    #[test]
    fn large_counts_are_within_four_standard_errors() {
        for many in [1_025_u64, 3_000, 16_384, 40_000, 81_000, 300_000] {
            let counted = of(0..many).count() as f64;
            let error = (counted / many as f64 - 1.0).abs();
            assert!(error < 4.0 * Distinct::STANDARD_ERROR, "{many}: {counted}");
        }
    }

    #[test]
    fn the_stated_error_is_that_of_the_paper() {
        assert_eq!(Distinct::STANDARD_ERROR, 1.04 / (REGISTERS as f64).sqrt());
    }

    #[test]
    fn a_merge_counts_like_one() {
        for (first, second) in
            [(0..30_000, 20_000..50_000), (0..10, 0..50_000), (0..50_000, 0..10), (0..700, 300..1400)]
        {
            let end = first.end.max(second.end);
            let mut merged = of(first);
            merged.merge(&of(second));
            assert_eq!(merged.count(), of(0..end).count());
        }
    }
}
