//! Which of several endpoints gets a request: the cheaper one of two drawn at random.
//!
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001): nearly as even as asking all, and
//! without the herd that follows a single "least busy". What is cheap is the caller's: requests under way (`p2c`), or
//! those times the latency (`least_latency`).

use super::slow_start::WHOLE;

/// Pairs that are drawn before the endpoints are gone through one by one.
const MOST_PAIRS: usize = 4;

/// Whether an endpoint may be sent to, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// Yes.
    Fit,
    /// Yes, and it is in another zone: where nothing near is left. Among those the choice is by chance alone.
    Far,
    /// This worker just could not connect to it: only where nothing better is left.
    Unreachable,
    /// Unhealthy or ejected: only where nothing at all is left.
    Out,
}

/// One endpoint, as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Whether it may be sent to.
    pub(super) fitness: Fitness,
    /// What a request more would cost there, in units of the balance.
    pub(super) cost: u64,
    /// How much of its share it gets, in thousandths.
    pub(super) warmth: u16,
}

/// Chooses among `count` endpoints but those in `tried`; `draw` is a random number.
pub(super) fn choose(count: usize, tried: &[usize], draw: u64, load: impl Fn(usize) -> Load) -> Option<usize> {
    let left = count - tried.len();
    let nth = |n: usize| (0..count).filter(|at| !tried.contains(at)).nth(n);
    if left < 2 {
        return nth(0);
    }
    let mut draw = draw;
    for _ in 0..MOST_PAIRS {
        let first = scale(draw as u32, left);
        let second = (first + 1 + scale((draw >> 32) as u32, left - 1)) % left;
        let (first, second) = (nth(first)?, nth(second)?);
        let (one, two) = (load(first), load(second));
        let better = if takes_second(one, two, draw) { second } else { first };
        if one.fitness.min(two.fitness) == Fitness::Fit {
            return Some(better);
        }
        draw = next_draw(draw | 1).1;
    }
    // Most are unfit. Where the walk begins is drawn, so that the first fit one does not get what all others would.
    let start = scale(draw as u32, left);
    (0..left).filter_map(|step| nth((start + step) % left)).min_by_key(|at| load(*at).fitness)
}

/// Whether the second of a pair is the better one.
fn takes_second(first: Load, second: Load, draw: u64) -> bool {
    if first.fitness != second.fitness {
        return second.fitness < first.fitness;
    }
    if first.warmth == WHOLE && second.warmth == WHOLE {
        return second.cost < first.cost;
    }
    // One that still warms up stands back as often as its share wants: to compare a raised cost instead would keep all
    // requests from it while nothing is busy.
    let toss = next_draw(draw | 1).1;
    let first_stands = scale(toss as u32, usize::from(WHOLE)) < usize::from(first.warmth);
    let second_stands = scale((toss >> 32) as u32, usize::from(WHOLE)) < usize::from(second.warmth);
    match (first_stands, second_stands) {
        (true, false) => false,
        (false, true) => true,
        _ => second.cost < first.cost,
    }
}

/// A draw as a number below `count`.
fn scale(draw: u32, count: usize) -> usize {
    ((u64::from(draw) * count as u64) >> 32) as usize
}

/// The next number of a small generator (xorshift64*, Vigna 2016); enough for spreading, not for secrets.
pub(super) fn next_draw(state: u64) -> (u64, u64) {
    let mut x = state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    (x, x.wrapping_mul(0x2545_f491_4f6c_dd1d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Load = Load { fitness: Fitness::Fit, cost: 0, warmth: WHOLE };

    fn idle(_: usize) -> Load {
        IDLE
    }

    /// How often each of `N` endpoints is chosen.
    fn chosen<const N: usize>(times: u32, load: impl Fn(usize) -> Load) -> [u32; N] {
        let (mut state, mut counts) = (7, [0; N]);
        for _ in 0..times {
            let (next, draw) = next_draw(state);
            state = next;
            counts[choose(N, &[], draw, &load).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn every_endpoint_gets_its_share() {
        let counts = chosen::<5>(50_000, idle);
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_busier_of_two_is_left_alone() {
        assert_eq!(chosen::<2>(1_000, |at| Load { cost: u64::from(at == 0), ..IDLE }), [0, 1_000]);
    }

    #[test]
    fn what_was_tried_is_not_chosen_again() {
        assert_eq!(choose(2, &[0], 99, idle), Some(1));
        assert_eq!(choose(2, &[0, 1], 99, idle), None);
        assert_eq!(choose(0, &[], 99, idle), None);
    }

    #[test]
    fn the_fit_share_what_the_unfit_do_not_get() {
        let load = |at| Load { fitness: if at < 5 { Fitness::Out } else { Fitness::Fit }, ..IDLE };
        let counts = chosen::<8>(30_000, load);
        assert_eq!(counts[..5], [0; 5]);
        assert!(counts[5..].iter().all(|count| (8_500..11_500).contains(count)), "{counts:?}");
        let load = |at| Load { fitness: if at == 3 { Fitness::Unreachable } else { Fitness::Out }, ..IDLE };
        assert_eq!(chosen::<4>(100, load), [0, 0, 0, 100]);
        assert_eq!(chosen::<2>(100, |_| Load { fitness: Fitness::Out, ..IDLE }).iter().sum::<u32>(), 100);
    }

    #[test]
    fn whoever_warms_up_gets_its_part_of_a_share_also_where_nobody_is_busy() {
        let load = |at| Load { warmth: if at == 0 { 200 } else { WHOLE }, ..IDLE };
        let counts = chosen::<3>(30_000, load);
        assert!((1_700..2_300).contains(&counts[0]), "a fifth of ten thousand: {counts:?}");
        let counts = chosen::<3>(30_000, |_| Load { warmth: 100, ..IDLE });
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "all are cold: {counts:?}");
    }

    proptest! {
        #[test]
        fn a_fit_endpoint_is_chosen_wherever_one_is_left(
            fitness in prop::collection::vec(0u8..3, 1..12),
            tried in prop::collection::btree_set(0usize..12, 0..4),
            draw: u64,
        ) {
            let of = |at: usize| [Fitness::Fit, Fitness::Unreachable, Fitness::Out][usize::from(fitness[at])];
            let tried: Vec<usize> = tried.into_iter().filter(|at| *at < fitness.len()).collect();
            let found = choose(fitness.len(), &tried, draw, |at| Load { fitness: of(at), ..IDLE });
            let best = (0..fitness.len()).filter(|at| !tried.contains(at)).map(of).min();
            prop_assert_eq!(found.map(of), best);
            prop_assert!(found.is_none_or(|at| !tried.contains(&at)));
        }
    }
}
