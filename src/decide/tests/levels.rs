//! Which level admits whom, and the reason that is given.

use std::sync::Arc;

use super::*;

fn permille(share: u16) -> Permille {
    Permille::new(share).unwrap()
}

/// Everything configured: group `b` of an experiment, Zhejiang and Shenzhen, 50 permille, category 1001 only.
fn release(level: Level) -> Release {
    let groups = vec![("a".to_owned(), permille(500)), ("b".to_owned(), permille(500))];
    let experiment = Arc::new(Experiment::new("price-page", "price-page-2026", groups).unwrap());
    let mut table = FactTable::new();
    let category = Condition::test(&mut table, "category_id", Operator::In, vec![text("1001")]).unwrap();
    Release {
        level,
        permille: permille(50),
        ab: Some(Ab::new(experiment, &["b"]).unwrap()),
        regions: Regions::new(RegionCodes::GbT2260, &["33"], &["440300"]).unwrap(),
        conditions: vec![category],
        ..Release::closed("pricing-v2")
    }
}

const CATEGORY: (FactId, &str) = (FactId::CATEGORY_ID, "1001");

/// A user in group `a` and outside of 50 permille; one in group `b`; one in group `a` and within 50 permille.
fn users() -> (String, String, String) {
    let known = release(Level::Full);
    let find = |in_b: bool, within: bool| {
        let mut users = (0..).map(|user| format!("user-{user}"));
        let fits = |user: &String| {
            let key = Some((FactId::USER_ID, user.as_str()));
            known.admits_group(&Known::default(), key) == in_b && known.bucket(user).is_within(permille(50)) == within
        };
        users.find(fits).unwrap()
    };
    (find(false, false), find(true, false), find(false, true))
}

#[track_caller]
fn check(release: Release, facts: &[(FactId, &str)], lane: LaneId, level: Level, reason: Reason) -> Decision {
    let facts = Known::of(facts);
    let decision = program(release).decide(ROUTE, &Inputs::of(&facts));
    assert_eq!((decision.lane, decision.level, decision.reason), (lane, level, reason));
    decision
}

#[test]
fn levels_open_those_before_them() {
    let (outside, in_group, in_share) = users();
    let everyone = [
        vec![CATEGORY, (FactId::USER_ID, &in_group)],
        vec![CATEGORY, (FactId::CITY_ID, "330100")],
        vec![CATEGORY, (FactId::USER_ID, &in_share)],
        vec![CATEGORY, (FactId::USER_ID, &outside)],
    ];
    let reasons = [
        (Level::Ab, Reason::AbGroup),
        (Level::Region, Reason::Region),
        (Level::Permille, Reason::Bucket),
        (Level::Full, Reason::Full),
    ];
    for level in [Level::None, Level::Developer, Level::Ab, Level::Region, Level::Permille, Level::Full] {
        for (facts, (admits, reason)) in everyone.iter().zip(reasons) {
            let decision = program(release(level)).decide(ROUTE, &Inputs::of(&Known::of(facts)));
            let expected = if level >= admits { (LaneId::GRAY, admits) } else { (LaneId::STABLE, Level::None) };
            assert_eq!((decision.lane, decision.level), expected, "{level} {facts:?}");
            if level >= admits {
                assert_eq!(decision.reason, reason);
            }
        }
    }
}

#[test]
fn who_is_not_admitted_learns_why() {
    let (outside, ..) = users();
    let user = [CATEGORY, (FactId::USER_ID, &*outside)];
    let stable = |release, facts: &[(FactId, &str)], reason| check(release, facts, LaneId::STABLE, Level::None, reason);
    stable(release(Level::None), &user, Reason::LevelClosed);
    stable(release(Level::Ab), &user, Reason::LevelClosed);
    stable(release(Level::Permille), &user, Reason::BucketOut);
    stable(release(Level::Ab), &[CATEGORY], Reason::NoKey);
    stable(release(Level::Permille), &[CATEGORY], Reason::NoKey);
    stable(release(Level::Full), &[], Reason::Conditions);
    stable(release(Level::None), &[], Reason::Conditions);
    let regions_only = Release { ab: None, ..release(Level::Region) };
    stable(regions_only, &[CATEGORY], Reason::LevelClosed);
}

#[test]
fn anonymous_requests_are_admitted_by_region_and_full_alone() {
    check(
        release(Level::Region),
        &[CATEGORY, (FactId::PROVINCE_CODE, "33")],
        LaneId::GRAY,
        Level::Region,
        Reason::Region,
    );
    check(release(Level::Full), &[CATEGORY], LaneId::GRAY, Level::Full, Reason::Full);
    let wide = Release { permille: permille(999), ..release(Level::Permille) };
    check(wide, &[CATEGORY], LaneId::STABLE, Level::None, Reason::NoKey);
}

#[test]
fn a_thousand_permille_is_full() {
    let open = || Release { permille: Permille::ALL, ..release(Level::Permille) };
    assert_eq!(open().open_level(), Level::Full);
    let (outside, ..) = users();
    check(open(), &[CATEGORY, (FactId::USER_ID, &outside)], LaneId::GRAY, Level::Full, Reason::Full);
    check(open(), &[CATEGORY], LaneId::GRAY, Level::Full, Reason::Full);
    let closed = Release { permille: Permille::ALL, ..release(Level::Region) };
    check(closed, &[CATEGORY, (FactId::USER_ID, &outside)], LaneId::STABLE, Level::None, Reason::LevelClosed);
}

#[test]
fn the_bucket_is_the_releases_own_whatever_decides() {
    let (outside, in_group, _) = users();
    for (facts, level) in [
        (vec![CATEGORY, (FactId::USER_ID, &*in_group)], Level::Ab),
        (vec![CATEGORY, (FactId::USER_ID, &outside), (FactId::CITY_ID, "440300")], Level::Region),
        (vec![(FactId::USER_ID, &outside)], Level::Full),
    ] {
        let decision = program(release(level)).decide(ROUTE, &Inputs::of(&Known::of(&facts)));
        let user = facts.iter().find(|(fact, _)| *fact == FactId::USER_ID).unwrap().1;
        assert_eq!(decision.bucket, Some(bucket("pricing-v2", user)));
    }
    assert_eq!(program(release(Level::Full)).decide(ROUTE, &Inputs::of(&Known::default())).bucket, None);
}

#[test]
fn the_key_is_the_user_else_the_device() {
    let device = [(FactId::DEVICE_ID, "d1")];
    let both = [(FactId::USER_ID, "u1"), (FactId::DEVICE_ID, "d1")];
    let decided =
        |release, facts: &[(FactId, &str)]| program(release).decide(ROUTE, &Inputs::of(&Known::of(facts))).bucket;
    let by_device = || Release { hash_key: HashKey::Device, ..release(Level::Full) };
    assert_eq!(decided(release(Level::Full), &both), Some(bucket("pricing-v2", "u1")));
    assert_eq!(decided(release(Level::Full), &device), Some(bucket("pricing-v2", "d1")));
    assert_eq!(decided(by_device(), &both), Some(bucket("pricing-v2", "d1")));
    assert_eq!(decided(by_device(), &both[..1]), None);
    assert_eq!(decided(release(Level::Full), &[(FactId::USER_ID, "")]), None);
}

#[test]
fn a_latched_release_admits_nobody() {
    let facts = Known::of(&[CATEGORY, (FactId::USER_ID, "u1")]);
    let decision = program(release(Level::Full)).decide(ROUTE, &Inputs { latched: true, ..Inputs::of(&facts) });
    assert_eq!((decision.lane, decision.reason), (LaneId::STABLE, Reason::Latched));
    let nobody = Known::default();
    let decision = program(release(Level::Full)).decide(ROUTE, &Inputs { latched: true, ..Inputs::of(&nobody) });
    assert_eq!(decision.reason, Reason::Latched);
}

#[test]
fn a_route_without_a_release_is_stable() {
    let route = RouteSpec::on_path("rest", "/{*rest}");
    let program = Program::new(Lanes::new(), FactTable::new(), vec![], vec![route]).unwrap();
    let facts = Known::of(&[(FactId::USER_ID, "u1")]);
    let mark = Some(LaneMark { lane: "stable", release: None });
    let decision = program.decide(ROUTE, &Inputs { mark, ..Inputs::of(&facts) });
    assert_eq!((decision.lane, decision.reason, decision.bucket), (LaneId::STABLE, Reason::NoRelease, None));
}

#[test]
fn a_lane_that_the_route_lacks_becomes_stable() {
    let route = RouteSpec { release: ReleaseId::from_index(0), ..RouteSpec::on_path("goods", "/") };
    let program = Program::new(Lanes::new(), FactTable::new(), vec![release(Level::Full)], vec![route]).unwrap();
    let decision = program.decide(ROUTE, &Inputs::of(&Known::of(&[CATEGORY])));
    assert_eq!((decision.lane, decision.level, decision.reason), (LaneId::STABLE, Level::None, Reason::NoLane));
    let decided = Verdict { lane: LaneId::GRAY, level: Level::Full, reason: Reason::Full };
    assert_eq!(decision.decided, decided);
}

#[test]
fn falling_back_changes_only_what_is_not_stable() {
    let gray = check(release(Level::Full), &[CATEGORY], LaneId::GRAY, Level::Full, Reason::Full);
    let fallen = gray.fall_back(Reason::BreakerOpen);
    assert_eq!((fallen.lane, fallen.level, fallen.reason), (LaneId::STABLE, Level::None, Reason::BreakerOpen));
    assert_eq!(fallen.decided.reason, Reason::Full);
    let stable = check(release(Level::Full), &[], LaneId::STABLE, Level::None, Reason::Conditions);
    assert_eq!(stable.fall_back(Reason::BreakerOpen), stable);
}
