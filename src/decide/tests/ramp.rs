//! Ramping never takes a user out of gray, and ramping down never puts one in.

use proptest::prelude::*;

use super::*;

fn lane_at(share: u16, user: &str) -> LaneId {
    let permille = Permille::new(share).unwrap();
    let release = Release { level: Level::Permille, permille, ..Release::closed("pricing-v2") };
    program(release).decide(ROUTE, &Inputs::of(&Known::of(&[(FactId::USER_ID, user)]))).lane
}

#[test]
fn a_ramp_in_steps_of_one_only_ever_adds_users() {
    let users: Vec<String> =
        (0..300).map(|user| format!("u{user}")).chain((0..300).map(|user| format!("用户{user}"))).collect();
    let mut before = vec![LaneId::STABLE; users.len()];
    for share in 0..=1000 {
        let now: Vec<LaneId> = users.iter().map(|user| lane_at(share, user)).collect();
        let left = before.iter().zip(&now).any(|(before, now)| *before == LaneId::GRAY && *now == LaneId::STABLE);
        assert!(!left, "somebody left gray at {share}");
        before = now;
    }
    assert!(before.iter().all(|lane| *lane == LaneId::GRAY));
}

proptest! {
    #[test]
    fn a_lower_share_admits_no_one_new(user in "\\PC{1,30}", one in 0_u16..=1000, two in 0_u16..=1000) {
        let (low, high) = (one.min(two), one.max(two));
        prop_assert!(lane_at(low, &user) == LaneId::STABLE || lane_at(high, &user) == LaneId::GRAY);
    }

    #[test]
    fn a_user_stays_where_she_is(user in "\\PC{1,30}", share in 0_u16..=1000) {
        prop_assert_eq!(lane_at(share, &user), lane_at(share, &user));
        let inside = bucket("pricing-v2", &user).get() < share;
        prop_assert_eq!(lane_at(share, &user) == LaneId::GRAY, inside);
    }
}

#[test]
fn the_share_in_effect_is_that_of_the_level() {
    let check = |level, permille, expected| {
        let permille = Permille::new(permille).unwrap();
        let release = Release { level, permille, ..Release::closed("pricing-v2") };
        assert_eq!(release.open_permille().get(), expected, "{level:?}");
    };
    check(Level::Permille, 50, 50);
    check(Level::Permille, 1000, 1000);
    check(Level::Full, 0, 1000);
    check(Level::Region, 50, 0);
    check(Level::None, 50, 0);
}
