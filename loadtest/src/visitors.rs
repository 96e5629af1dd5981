//! The requests of a load, and the lane each of them must get: by the formula of the proxy that takes them, computed by
//! others than the proxy.
//!
//! Every proxy does the same job: one in ten users by their id, everybody of one region, and whoever brings the override.
//! Which tenth it is differs, because each proxy hashes in its own way.

use murmur3::murmur3_32;
use xxhash_rust::{xxh32::xxh32, xxh64::xxh64};

use crate::scenario::{Client, Peer, SMALL_BODY, Shape};

/// How many visitors there are. They come in turn, so that no proxy knows the next one.
pub const VISITORS: usize = 5000;
/// The share of users that sees gray, of a thousand.
pub const PERMILLE: u32 = 100;
/// What users are hashed with in graylane; the others take no salt.
pub const SALT: &str = "tenth";

/// Where a request has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The version of everybody else.
    Stable,
    /// The new version.
    Gray,
}

impl Lane {
    /// As the origin says it in `x-lane`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Gray => "gray",
        }
    }
}

/// One request and its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The path.
    pub path: String,
    /// The header fields, `host` and what the protocol wants aside.
    pub headers: Vec<(String, String)>,
    /// The lane that has to answer.
    pub lane: Lane,
}

/// The visitors of a peer, in the order in which they come.
pub fn visitors(peer: Peer, shape: &Shape) -> Vec<Visitor> {
    (1..=VISITORS).map(|number| visitor(peer, shape, number)).collect()
}

fn visitor(peer: Peer, shape: &Shape, number: usize) -> Visitor {
    let user = format!("user-{number}");
    let (from_region, overridden) = (number % 20 == 7, number % 100 == 3);
    let lane = match peer.decides() && (from_region || overridden || in_the_tenth(peer, &user)) {
        true => Lane::Gray,
        false => Lane::Stable,
    };
    let mut headers = vec![("x-user-id".to_owned(), user)];
    if from_region {
        headers.push(("x-region".to_owned(), "cn-hz".to_owned()));
    }
    if overridden {
        headers.push(("x-gray-lane".to_owned(), "gray".to_owned()));
    }
    headers.extend((0..shape.headers).map(|extra| (format!("x-extra-{extra}"), format!("value-{extra:010}"))));
    Visitor { path: path(shape, number), headers, lane }
}

fn path(shape: &Shape, number: usize) -> String {
    match shape {
        Shape { client: Client::Grpc, .. } => "/goods.Goods/Get".to_owned(),
        Shape { routes: 2.., .. } => format!("/api/v1/p{}/10086", number * 7919 % shape.routes),
        Shape { body, .. } if *body != SMALL_BODY => format!("/bytes/{body}"),
        _ => "/api/v1/sku/10086".to_owned(),
    }
}

/// Whether the proxy's formula puts the user into the first tenth.
fn in_the_tenth(peer: Peer, user: &str) -> bool {
    match peer {
        Peer::Graylane => {
            let salted = format!("{SALT}{user}");
            let hash = murmur3_32(&mut salted.as_bytes(), 0).expect("memory can be read");
            (u64::from(hash) * 1000) >> 32 < u64::from(PERMILLE)
        }
        // `split_clients`: MurmurHash2 below the share of the 32 bits.
        Peer::Nginx => u64::from(murmur2(user.as_bytes())) < u64::from(PERMILLE) * 0xffff_ffff / 1000,
        Peer::Haproxy => xxh32(user.as_bytes(), 0) % 1000 < PERMILLE,
        Peer::Envoy => xxh64(user.as_bytes(), 0) % 1000 < u64::from(PERMILLE),
        Peer::Copy | Peer::Origin => false,
    }
}

/// MurmurHash2 by Austin Appleby (public domain), 32 bits, seed 0, as nginx has it.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = u32::try_from(bytes.len()).expect("ids are short");
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(peer: Peer) -> Vec<usize> {
        let all = visitors(peer, &Shape::default());
        (0..all.len()).filter(|at| all[*at].lane == Lane::Gray).collect()
    }

    #[test]
    fn each_formula_takes_about_a_tenth_and_each_its_own() {
        let peers = [Peer::Graylane, Peer::Nginx, Peer::Haproxy, Peer::Envoy];
        for (at, peer) in peers.iter().enumerate() {
            // A tenth, a twentieth and a hundredth of the rest.
            let share = gray(*peer).len() as f64 / VISITORS as f64;
            assert!((0.13..0.18).contains(&share), "{peer:?} {share}");
            assert!(peers[..at].iter().all(|other| gray(*other) != gray(*peer)), "{peer:?}");
        }
    }

    #[test]
    fn who_does_not_decide_sends_everything_to_stable() {
        assert_eq!(gray(Peer::Copy), Vec::<usize>::new());
        assert_eq!(gray(Peer::Origin), Vec::<usize>::new());
    }

    #[test]
    fn murmur2_is_that_of_its_author() {
        // By another implementation, one for each remainder of the length by four.
        let known = [("", 0), ("a", 0x9268_5f5e), ("ab", 0x1aa1_4063), ("abc", 0x1357_7c9b), ("abcd", 0x2687_3021)];
        known.iter().for_each(|(text, hash)| assert_eq!(murmur2(text.as_bytes()), *hash, "{text}"));
    }

    #[test]
    fn visitors_are_spread_over_all_routes() {
        let shape = Shape { routes: 100, ..Shape::default() };
        let mut paths: Vec<_> = visitors(Peer::Graylane, &shape).into_iter().map(|one| one.path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 100);
    }
}
