//! Which of several endpoints gets a request: the less busy one of two drawn at random.
//!
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001): nearly as even as asking all, and
//! without the herd that follows a single "least busy".

/// The load of one endpoint, as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    /// Whether it was just found unreachable; such endpoints are asked only when nothing better was drawn.
    pub(super) failing: bool,
    /// Requests under way.
    pub(super) in_flight: u32,
}

/// Chooses among `count` endpoints but those in `tried`; `draw` is a random number.
pub(super) fn choose(count: usize, tried: &[usize], draw: u64, load: impl Fn(usize) -> Load) -> Option<usize> {
    let left = count - tried.len();
    let nth = |n: usize| (0..count).filter(|at| !tried.contains(at)).nth(n);
    match left {
        0 => None,
        1 => nth(0),
        _ => {
            let first = ((draw as u32 as u64 * left as u64) >> 32) as usize;
            let second = (first + 1 + (((draw >> 32) * (left as u64 - 1)) >> 32) as usize) % left;
            let (first, second) = (nth(first)?, nth(second)?);
            let better = if load(second) < load(first) { second } else { first };
            if load(better).failing {
                // Both drawn are failing: look for any that is not, so a dead half does not cost a third of requests.
                return (0..count).find(|at| !tried.contains(at) && !load(*at).failing).or(Some(better));
            }
            Some(better)
        }
    }
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

    fn idle(_: usize) -> Load {
        Load { failing: false, in_flight: 0 }
    }

    #[test]
    fn every_endpoint_gets_its_share() {
        let (mut state, mut counts) = (7, [0u32; 5]);
        for _ in 0..50_000 {
            let (next, draw) = next_draw(state);
            state = next;
            counts[choose(5, &[], draw, idle).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_busier_of_two_is_left_alone() {
        let (mut state, mut busy) = (7, 0);
        for _ in 0..1_000 {
            let (next, draw) = next_draw(state);
            state = next;
            let load = |at| Load { failing: false, in_flight: u32::from(at == 0) };
            busy += u32::from(choose(2, &[], draw, load) == Some(0));
        }
        assert_eq!(busy, 0);
    }

    #[test]
    fn what_was_tried_or_fails_is_passed_over() {
        assert_eq!(choose(2, &[0], 99, idle), Some(1));
        assert_eq!(choose(2, &[0, 1], 99, idle), None);
        assert_eq!(choose(0, &[], 99, idle), None);
        let load = |at| Load { failing: at != 3, in_flight: 0 };
        let mut state = 7;
        for _ in 0..100 {
            let (next, draw) = next_draw(state);
            state = next;
            assert_eq!(choose(4, &[], draw, load), Some(3));
        }
    }
}
