//! Overrides and lane marks: the two voices that decide before the release does.

use super::*;

const NOW: u64 = 1_800_000_000;

fn key(byte: u8) -> TokenKey {
    TokenKey::from_file_bytes(&[byte; 32]).unwrap()
}

fn claims(release: &'static str, lane: &'static str) -> Claims<'static> {
    Claims {
        release: release.into(),
        service: None,
        lane: lane.into(),
        subject: "lin".into(),
        expires_unix: NOW + 60,
        explain: false,
    }
}

/// A closed release that takes overrides signed with one of two keys, and whose conditions hold of nobody.
fn release() -> Release {
    let never = Condition::test(&mut FactTable::new(), "user_id", Operator::Eq, vec![text("nobody")]).unwrap();
    let developer = Developer {
        header: Some("x-gray-override".into()),
        service: "goods".into(),
        keys: vec![key(1), key(2)],
        ..Developer::default()
    };
    Release { developer: Some(Box::new(developer)), conditions: vec![never], ..Release::closed("pricing-v2") }
}

fn decide(release: Release, token: &str, now_unix: u64) -> Decision {
    let facts = Known::of(&[(FactId::USER_ID, "u1")]);
    let inputs = Inputs { override_token: Some(token), latched: true, now_unix, ..Inputs::of(&facts) };
    program(release).decide(ROUTE, &inputs)
}

#[track_caller]
fn rejected(token: &str, expected: OverrideError) {
    let decision = decide(release(), token, NOW);
    assert_eq!(decision.override_rejected, Some(expected), "{token}");
    assert_eq!((decision.lane, decision.reason), (LaneId::STABLE, Reason::Latched));
}

#[test]
fn a_valid_override_counts_whatever_level_latch_and_conditions_say() {
    for signer in [key(1), key(2)] {
        let token = claims("pricing-v2", "gray").mint(&signer).unwrap();
        let decision = decide(release(), &token, NOW);
        assert_eq!(
            (decision.lane, decision.level, decision.reason),
            (LaneId::GRAY, Level::Developer, Reason::Override)
        );
        assert_eq!(decision.bucket, Some(bucket("pricing-v2", "u1")));
        assert_eq!(decision.override_rejected, None);
    }
    let token = claims("pricing-v2", "stable").mint(&key(1)).unwrap();
    let decision = decide(Release { level: Level::Full, ..release() }, &token, NOW);
    assert_eq!((decision.lane, decision.level), (LaneId::STABLE, Level::Developer));
}

#[test]
fn wrong_overrides_are_ignored_and_told() {
    let good = claims("pricing-v2", "gray").mint(&key(1)).unwrap();
    rejected("gray", OverrideError::Unsigned);
    rejected("gold", OverrideError::Malformed);
    rejected("v1.e30", OverrideError::Malformed);
    rejected(&"x".repeat(3000), OverrideError::Malformed);
    rejected(&claims("pricing-v2", "gray").mint(&key(3)).unwrap(), OverrideError::Signature);
    rejected(&good.replacen("v1.", "v2.", 1), OverrideError::Malformed);
    let other = Claims { service: Some("orders".into()), ..claims("pricing-v2", "gray") };
    rejected(&other.mint(&key(1)).unwrap(), OverrideError::OtherService);
    let own = Claims { service: Some("goods".into()), ..claims("pricing-v2", "gray") };
    assert_eq!(decide(release(), &own.mint(&key(1)).unwrap(), NOW).override_rejected, None);
    assert!(Claims { service: Some("".into()), ..claims("r", "gray") }.mint(&key(1)).is_err());
    rejected(&claims("other", "gray").mint(&key(1)).unwrap(), OverrideError::OtherRelease);
    rejected(&claims("pricing-v2", "gold").mint(&key(1)).unwrap(), OverrideError::UnknownLane);
    assert_eq!(decide(release(), &good, NOW + 59).override_rejected, None);
    assert_eq!(decide(release(), &good, NOW + 60).override_rejected, Some(OverrideError::Expired));
}

#[test]
fn one_changed_character_breaks_a_token() {
    let good = claims("pricing-v2", "stable").mint(&key(1)).unwrap();
    for place in 0..good.len() {
        let mut forged = good.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let decision = decide(release(), &String::from_utf8(forged).unwrap(), NOW);
        assert_ne!(decision.reason, Reason::Override, "place {place}");
    }
}

#[test]
fn bytes_that_nobody_signed_never_count() {
    let good = claims("r", "gray").mint(&key(1)).unwrap();
    check_token(good.as_bytes());
    check_token(br#"{"release":"r","lane":"gray","sub":"lin","exp":2}"#);
    check_token(br#"{"release":"r","lane":"gray","sub":"lin","exp":2,"aud":"goods"}"#);
    for place in 0..good.len() {
        for byte in [0, b'.', b'=', b'{', 0xff] {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = byte;
            check_token(&bytes);
            check_token(&bytes[..place]);
        }
    }
}

#[test]
fn unsigned_overrides_count_only_where_allowed() {
    let mut dev = release();
    dev.developer.as_mut().unwrap().unsigned = true;
    assert_eq!(decide(dev, "gray", NOW).reason, Reason::Override);
    assert_eq!(decide(Release { developer: None, ..release() }, "gray", NOW).override_rejected, None);
    assert_eq!(decide(release(), " ", NOW).override_rejected, None);
}

#[test]
fn keys_are_long_and_lose_one_newline() {
    let error = TokenKey::from_file_bytes(b"short\n").unwrap_err();
    assert_eq!(error.to_string(), "the key has 5 bytes, 32 are the least");
    let bytes = [7_u8; 32];
    let with_newline = TokenKey::from_file_bytes(&[&bytes[..], b"\n"].concat()).unwrap();
    let without = TokenKey::from_file_bytes(&bytes).unwrap();
    assert_eq!(claims("r", "gray").mint(&with_newline), claims("r", "gray").mint(&without));
    assert!(TokenKey::from_file_bytes(&[&bytes[..31], b"\n"].concat()).is_err());
}

#[test]
fn a_token_is_bounded() {
    let mut long = claims("r", "gray");
    long.subject = "x".repeat(257).into();
    assert_eq!(long.mint(&key(1)).unwrap_err().to_string(), "`subject` takes 1 to 256 bytes");
    assert!(claims("", "gray").mint(&key(1)).is_err());
}

fn marked(release: Release, mark: LaneMark<'_>, latched: bool) -> Decision {
    let facts = Known::of(&[(FactId::USER_ID, "u1")]);
    program(release).decide(ROUTE, &Inputs { mark: Some(mark), latched, ..Inputs::of(&facts) })
}

#[test]
fn a_mark_counts_for_its_release_or_without_one() {
    for (name, counts) in [(None, true), (Some("pricing-v2"), true), (Some("other"), false)] {
        let decision = marked(release(), LaneMark { lane: "gray", release: name }, false);
        let expected = if counts { (LaneId::GRAY, Reason::LaneMark) } else { (LaneId::STABLE, Reason::Conditions) };
        assert_eq!((decision.lane, decision.reason), expected);
        assert_eq!(decision.level, Level::None);
        assert_eq!(decision.bucket, Some(bucket("pricing-v2", "u1")));
    }
}

#[test]
fn a_mark_for_gray_never_beats_a_latch() {
    let gray = LaneMark { lane: "gray", release: None };
    assert_eq!(marked(release(), gray, true).reason, Reason::Latched);
    let stable = LaneMark { lane: "stable", release: None };
    assert_eq!(marked(Release { level: Level::Full, ..release() }, stable, true).reason, Reason::LaneMark);
}

#[test]
fn a_mark_for_a_lane_that_is_not_there_is_ignored() {
    let open = || Release { level: Level::Full, conditions: vec![], ..release() };
    assert_eq!(marked(open(), LaneMark { lane: "gold", release: None }, false).reason, Reason::Full);
    let mut lanes = Lanes::new();
    lanes.intern("gold").unwrap();
    let route = RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(0),
        ..RouteSpec::on_path("goods", "/")
    };
    let program = Program::new(lanes, FactTable::new(), vec![open()], vec![route]).unwrap();
    let facts = Known::default();
    let mark = Some(LaneMark { lane: "gold", release: None });
    assert_eq!(program.decide(ROUTE, &Inputs { mark, ..Inputs::of(&facts) }).reason, Reason::Full);
}

#[test]
fn a_mark_speaks_before_an_override() {
    let token = claims("pricing-v2", "stable").mint(&key(1)).unwrap();
    let facts = Known::default();
    let inputs = Inputs {
        mark: Some(LaneMark { lane: "gray", release: None }),
        override_token: Some(&token),
        now_unix: NOW,
        ..Inputs::of(&facts)
    };
    assert_eq!(program(release()).decide(ROUTE, &inputs).reason, Reason::LaneMark);
}
