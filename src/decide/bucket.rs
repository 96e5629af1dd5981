//! Shares of a thousand, and the bucket that a hash puts a user in.
//!
//! The formula is flagd's `fractional`, second generation, with a total weight of 1000: one UTF-8 string, murmur3
//! x86 32 bit with seed 0, and a 64-bit multiplication instead of a remainder. A flag and a route with one salt and
//! one key therefore agree bit for bit, and buckets are even to within one hash value.

use std::fmt;

use serde::Serialize;

/// A share in thousandths, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Permille(u16);

impl Permille {
    /// Nobody.
    pub const ZERO: Permille = Permille(0);
    /// Everybody.
    pub const ALL: Permille = Permille(1000);

    /// The share, unless it is over 1000.
    pub const fn new(value: u16) -> Option<Permille> {
        if value <= 1000 { Some(Permille(value)) } else { None }
    }

    /// The number of thousandths.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One of the thousand places a user can fall in, 0 to 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bucket(u16);

impl Bucket {
    /// The first of them.
    pub const FIRST: Bucket = Bucket(0);

    /// The bucket of this number, unless it is over 999.
    pub const fn new(value: u16) -> Option<Bucket> {
        if value < 1000 { Some(Bucket(value)) } else { None }
    }

    /// The number, 0 to 999.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a ramp at `share` includes this bucket. Raising the share never excludes a bucket that was in.
    pub const fn is_within(self, share: Permille) -> bool {
        self.0 < share.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The bucket of `key` under `salt`: `(u64(murmur3_x86_32(salt + key)) * 1000) >> 32`.
pub fn bucket(salt: &str, key: &str) -> Bucket {
    let hash = murmur3_of_pair(salt.as_bytes(), key.as_bytes());
    Bucket(((u64::from(hash) * 1000) >> 32) as u16)
}

/// murmur3 x86 32, seed 0, of the concatenation of two slices, without building it.
fn murmur3_of_pair(first: &[u8], second: &[u8]) -> u32 {
    let (blocks, rest) = first.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0, |hash, block| mix(hash, *block));

    // The block that straddles the two slices; with no rest of the first it is simply the next block of the second.
    let mut straddle = [0_u8; 4];
    let taken = (4 - rest.len()).min(second.len());
    straddle[..rest.len()].copy_from_slice(rest);
    straddle[rest.len()..rest.len() + taken].copy_from_slice(&second[..taken]);
    let filled = rest.len() + taken;
    if filled < 4 {
        return finish(hash, &straddle[..filled], first.len() + second.len());
    }
    hash = mix(hash, straddle);

    let (blocks, tail) = second[taken..].as_chunks::<4>();
    hash = blocks.iter().fold(hash, |hash, block| mix(hash, *block));
    finish(hash, tail, first.len() + second.len())
}

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

fn mix(hash: u32, block: [u8; 4]) -> u32 {
    let k = u32::from_le_bytes(block).wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    (hash ^ k).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(mut hash: u32, tail: &[u8], length: usize) -> u32 {
    if !tail.is_empty() {
        let mut block = [0_u8; 4];
        block[..tail.len()].copy_from_slice(tail);
        hash ^= u32::from_le_bytes(block).wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    }
    hash ^= length as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_buckets() {
        assert_eq!(bucket("pricing-v2", "u1").get(), 68);
        assert_eq!(murmur3_of_pair(b"", b""), 0);
        assert_eq!(murmur3_of_pair(b"hello, ", b"world"), 0x149b_bb7f);
    }

    #[test]
    fn a_share_is_refused_over_a_thousand() {
        assert_eq!(Permille::new(1000), Some(Permille::ALL));
        assert_eq!(Permille::new(1001), None);
    }

    #[test]
    fn share_of_100_000_users_at_50_permille_is_within_three_sigma() {
        let share = Permille::new(50).unwrap();
        for salt in ["pricing-v2", "价格", "a", "price-page-2026"] {
            let inside = (0..100_000).filter(|user| bucket(salt, &format!("u{user}")).is_within(share)).count();
            // sqrt(100,000 * 0.05 * 0.95) = 68.9
            assert!(inside.abs_diff(5_000) <= 206, "{salt}: {inside} of 100,000");
        }
    }

    proptest! {
        #[test]
        fn equals_the_reference_on_the_concatenation(salt in "\\PC{0,20}", key in "\\PC{0,40}") {
            let whole = format!("{salt}{key}");
            let reference = murmur3::murmur3_32(&mut whole.as_bytes(), 0).unwrap();
            prop_assert_eq!(murmur3_of_pair(salt.as_bytes(), key.as_bytes()), reference);
            prop_assert_eq!(u64::from(bucket(&salt, &key).get()), (u64::from(reference) * 1000) >> 32);
        }

        #[test]
        fn where_the_pair_is_cut_does_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..40), cut in 0_usize..41) {
            let cut = cut.min(bytes.len());
            let reference = murmur3::murmur3_32(&mut bytes.as_slice(), 0).unwrap();
            prop_assert_eq!(murmur3_of_pair(&bytes[..cut], &bytes[cut..]), reference);
        }
    }
}
