//! Several routes of one release, each with a failure rate of its own.

use super::traffic::Chance;
use super::*;

/// A route: how many calls a look brings, in thousandths how many of them are gray's, and both lanes' failure rates.
#[derive(Clone, Copy)]
struct Lot {
    calls: u64,
    gray: f64,
    errors: Pair<f64>,
}

/// One look's calls more.
fn serve(chance: &mut Chance, lot: Lot, answered: &mut Pair<Counts>) {
    for _ in 0..lot.calls {
        let gray = chance.happens(lot.gray);
        let (lane, rate) = match gray {
            true => (&mut answered.gray, lot.errors.gray),
            false => (&mut answered.stable, lot.errors.stable),
        };
        lane.calls += 1;
        lane.errors += u64::from(chance.happens(rate));
    }
}

/// Whether the comparison of these routes ever says `worse` within so many looks, and the judgement then.
fn judged(seed: u64, lots: &[Lot], looks: usize) -> Judgement {
    let mut chance = Chance::seeded(seed);
    let mut answered = vec![Pair::default(); lots.len()];
    let mut comparison = Comparison::starting_at(&answered, Pair::default(), None);
    let rules = Rules::default();
    for _ in 0..looks {
        lots.iter().zip(&mut answered).for_each(|(lot, answered)| serve(&mut chance, *lot, answered));
        comparison.observe(&answered, Pair::default());
        let judgement = comparison.judge(&rules);
        if judgement.verdict == Verdict::Worse {
            return judgement;
        }
    }
    comparison.judge(&rules)
}

/// Gray's users ask for the route that fails more.
const MIXED: [Lot; 2] = [
    Lot { calls: 200, gray: 0.1, errors: Pair { stable: 0.01, gray: 0.01 } },
    Lot { calls: 200, gray: 0.6, errors: Pair { stable: 0.2, gray: 0.2 } },
];

#[test]
fn routes_with_other_rates_and_other_splits_do_not_make_gray_worse() {
    let worse = (0..200).filter(|seed| judged(*seed, &MIXED, 50).verdict == Verdict::Worse).count();
    assert!(worse <= 2, "{worse} of 200 runs, where 1 % are allowed");
    let judgement = judged(1, &MIXED, 50);
    // Added up over both routes, gray fails more than twice as often.
    assert!(judgement.errors.rate.gray > 2.0 * judgement.errors.rate.stable, "{judgement}");
    assert!(judgement.errors.difference.abs() < 0.02, "{judgement}");
}

#[test]
fn the_same_counts_in_one_lump_would_have_blamed_gray() {
    let mut chance = Chance::seeded(1);
    let (mut lump, mut comparison) =
        (Pair::default(), Comparison::starting_at(&[Pair::default()], Pair::default(), None));
    for _ in 0..50 {
        MIXED.iter().for_each(|lot| serve(&mut chance, *lot, &mut lump));
        comparison.observe(&[lump], Pair::default());
    }
    assert_eq!(comparison.judge(&Rules::default()).verdict, Verdict::Worse);
}

#[test]
fn one_bad_route_among_good_ones_is_found_behind_a_mix_that_hides_it() {
    // Gray has most of its calls where nothing fails, so that added up it fails less than stable.
    let lots = [
        Lot { calls: 400, gray: 0.6, errors: Pair { stable: 0.0, gray: 0.0 } },
        Lot { calls: 200, gray: 0.1, errors: Pair { stable: 0.1, gray: 0.3 } },
    ];
    let judgement = judged(7, &lots, 400);
    assert_eq!(judgement.verdict, Verdict::Worse, "{judgement}");
    assert!(judgement.errors.rate.gray < judgement.errors.rate.stable, "{judgement}");
}

#[test]
fn a_route_that_came_later_is_left_out_and_a_missing_one_is_no_harm() {
    let both = [pair(counts(100, 0, 0), counts(100, 0, 0)); 2];
    let mut tally = Tally::starting_at(&[Pair::default()]);
    tally.observe(&both);
    assert_eq!(tally.compared(), pair(counts(100, 0, 0), counts(100, 0, 0)));
    tally.observe(&[]);
    assert_eq!(tally.compared().gray.calls, 100);
}
