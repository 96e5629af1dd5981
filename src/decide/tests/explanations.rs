//! Golden explanations, and that they never tell another story than the decision.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn release() -> Release {
    let mut table = FactTable::new();
    let mut test =
        |key: &str, operator, values: Vec<Scalar>| Condition::test(&mut table, key, operator, values).unwrap();
    let conditions = vec![
        test("category_id", Operator::In, vec![text("1001"), text("1002")]),
        Condition::Any(vec![
            test("stock_level", Operator::Gt, vec![number_of("500")]),
            Condition::Not(Box::new(test("user_tier", Operator::Eq, vec![text("VIP")]))),
        ]),
    ];
    let groups = vec![("a".to_owned(), Permille::new(500).unwrap()), ("b".to_owned(), Permille::new(500).unwrap())];
    let experiment = Arc::new(Experiment::new("price-page", "price-page-2026", groups).unwrap());
    Release {
        level: Level::Permille,
        permille: Permille::new(50).unwrap(),
        developer: Some(Box::default()),
        ab: Some(Ab::new(experiment, &["b"]).unwrap()),
        regions: Regions::new(RegionCodes::GbT2260, &["330000"], &["440300"]).unwrap(),
        conditions,
        ..Release::closed("pricing-v2")
    }
}

fn facts() -> Known {
    Known::of(&[
        (FactId::USER_ID, "u1"),
        (FactId::CATEGORY_ID, "1001"),
        (FactId::STOCK_LEVEL, "501"),
        (FactId::CITY_ID, "1101"),
    ])
}

#[test]
fn people_read_an_explanation() {
    let reasoning = program(release()).explain_decision(ROUTE, &Inputs::of(&facts()));
    insta::assert_snapshot!(reasoning.to_string(), @r#"
    lane     stable
    level    none
    reason   bucket_out: the bucket is not below the permille
    route    goods
    release  pricing-v2
    bucket   68 (salt pricing-v2, user_id u1)

    levels
      developer  miss    the request carries no override
      ab         miss    group `a` of `price-page` sees stable: bucket 102 of 0 to 499
      region     miss    city 110100, province 110000: not on the list
      permille   miss    bucket 68 is not below 50
      full       closed  the release is open up to level permille

    conditions hold
      category_id IN 1001, 1002  yes  1001
      any                        yes
        stock_level GT 500       yes  501
        not                      yes
          user_tier EQ VIP       no   absent

    facts
      user_id        u1
      device_id      -       no source
      category_id    1001
      user_tier      -       no source
      stock_level    501
      province_code  110000  city_id
      city_id        110100
    "#);
}

#[test]
fn people_read_why_a_latched_release_does_nothing() {
    let known = facts();
    let mark = Some(LaneMark { lane: "gray", release: Some("pricing-v2") });
    let inputs = Inputs { latched: true, mark, override_token: Some("gray"), ..Inputs::of(&known) };
    let reasoning = program(release()).explain_decision(ROUTE, &inputs);
    insta::assert_snapshot!(reasoning.to_string(), @r#"
    lane     stable
    level    none
    reason   latched: the release was rolled back and is latched
    route    goods
    release  pricing-v2
    bucket   68 (salt pricing-v2, user_id u1)
    mark     gray ignored: the release is latched
    latched  yes

    levels
      developer  miss    the override is not signed
      ab         miss    the release is latched (group `a` of `price-page` sees stable: bucket 102 of 0 to 499)
      region     miss    the release is latched (city 110100, province 110000: not on the list)
      permille   miss    the release is latched (bucket 68 is not below 50)
      full       closed  the release is open up to level permille

    conditions hold
      category_id IN 1001, 1002  yes  1001
      any                        yes
        stock_level GT 500       yes  501
        not                      yes
          user_tier EQ VIP       no   absent

    facts
      user_id        u1
      device_id      -       no source
      category_id    1001
      user_tier      -       no source
      stock_level    501
      province_code  110000  city_id
      city_id        110100
    "#);
}

#[test]
fn machines_read_an_explanation() {
    let small = Release { conditions: vec![], developer: None, ab: None, ..release() };
    let known = Known::of(&[(FactId::DEVICE_ID, "d1")]);
    let reasoning = program(small).explain_decision(ROUTE, &Inputs::of(&known));
    insta::assert_snapshot!(serde_json::to_string_pretty(&reasoning).unwrap(), @r#"
    {
      "lane": "stable",
      "level": "none",
      "reason": "bucket_out",
      "release": "pricing-v2",
      "route": "goods",
      "bucket": 817,
      "key": {
        "fact": "device_id",
        "value": "d1",
        "salt": "pricing-v2"
      },
      "mark": null,
      "override": null,
      "latched": false,
      "conditions_hold": true,
      "conditions": [],
      "levels": [
        {
          "level": "developer",
          "open": false,
          "hit": false,
          "why": "the release takes no overrides"
        },
        {
          "level": "ab",
          "open": true,
          "hit": false,
          "why": "the release names no experiment"
        },
        {
          "level": "region",
          "open": true,
          "hit": false,
          "why": "city unknown, province unknown: not on the list"
        },
        {
          "level": "permille",
          "open": true,
          "hit": false,
          "bucket": 817,
          "permille": 50,
          "why": "bucket 817 is not below 50"
        },
        {
          "level": "full",
          "open": false,
          "hit": false,
          "why": "the release is open up to level permille"
        }
      ],
      "facts": {
        "user_id": {
          "value": null
        },
        "device_id": {
          "value": "d1"
        },
        "province_code": {
          "value": null,
          "tried": [
            {
              "source": "city_id",
              "why": "absent"
            }
          ]
        },
        "city_id": {
          "value": null
        }
      }
    }
    "#);
}

#[test]
fn a_lane_that_fell_back_keeps_both_reasons() {
    let mut reasoning = program(Release { level: Level::Full, conditions: vec![], ..release() })
        .explain_decision(ROUTE, &Inputs::of(&Known::default()));
    assert_eq!((&*reasoning.lane, reasoning.reason), ("gray", Reason::Full));
    reasoning.fall_back(Reason::BreakerOpen);
    assert_eq!((&*reasoning.lane, reasoning.level, reasoning.reason), ("stable", Level::None, Reason::BreakerOpen));
    let decided = reasoning.decided.clone().unwrap();
    assert_eq!((&*decided.lane, decided.reason), ("gray", Reason::Full));
    let before = reasoning.clone();
    reasoning.fall_back(Reason::NoLane);
    assert_eq!(reasoning, before);
}

#[test]
fn control_characters_never_reach_a_terminal() {
    let known = Known::of(&[(FactId::USER_ID, "u\u{1b}[2J\n1")]);
    let shown = program(release()).explain_decision(ROUTE, &Inputs::of(&known)).to_string();
    assert!(!shown.contains('\u{1b}') && shown.contains("u\\u{1b}[2J\\n1"));
}

proptest! {
    #[test]
    fn the_level_that_decides_is_the_first_that_hits(
        user in proptest::option::of("[a-z]{1,6}"), city in proptest::option::of(prop_oneof!["440300", "110100", "xx"]),
        category in proptest::option::of(prop_oneof!["1001", "9"]), level in 0..Level::ALL.len(), share in 0_u16..=1000, latched: bool,
    ) {
        let release = Release { level: Level::ALL[level], permille: Permille::new(share).unwrap(), ..release() };
        let mut known = Known::default();
        for (fact, value) in [(FactId::USER_ID, user), (FactId::CITY_ID, city), (FactId::CATEGORY_ID, category)] {
            known.0.extend(value.map(|value| (fact, value)));
        }
        let program = program(release);
        let inputs = Inputs { latched, ..Inputs::of(&known) };
        let (decision, reasoning) = (program.decide(ROUTE, &inputs), program.explain_decision(ROUTE, &inputs));
        prop_assert_eq!((decision.level, decision.reason, decision.bucket), (reasoning.level, reasoning.reason, reasoning.bucket));
        let first_hit = reasoning.levels.iter().find(|level| level.hit).map_or(Level::None, |level| level.level);
        prop_assert_eq!(first_hit, decision.level);
    }
}
