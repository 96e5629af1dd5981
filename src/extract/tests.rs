//! Which values become facts, and whom they are believed of.

use super::*;
use crate::decide::{
    AllowEncoded, Condition, Developer, FactId, FactKind, FactTable, Facts, LaneId, Lanes, Level, Operator, Program,
    Reason, Reasoning, RegionCodes, Regions, Release, ReleaseId, RouteSpec, Scalar,
};

fn release() -> Release {
    let developer = Developer {
        header: Some("x-gray-override".into()),
        cookie: Some("gray".into()),
        unsigned: true,
        ..Developer::default()
    };
    Release { level: Level::Full, developer: Some(Box::new(developer)), ..Release::closed("pricing-v2") }
}

/// One route `/sku/{sku_id}` with both lanes, and sources of every kind.
fn world(release: Release) -> (Program, Extractor) {
    let mut table = FactTable::new();
    let region = table.declare("region").unwrap();
    table.resolve("header:x-app-version").unwrap();
    table.resolve("query:beta").unwrap();
    let path = |name: &str| Source::Path(name.into());
    let query = |name: &str| Source::Query(name.into());
    let declared = [
        (FactId::USER_ID, vec![Source::header("X-User-Id"), Source::Cookie("uid".into())]),
        (FactId::SKU_ID, vec![path("sku_id"), query("sku_id")]),
        (FactId::CATEGORY_ID, vec![Source::header("x-category-id")]),
        (FactId::TAGS, vec![Source::header("x-user-tags")]),
        (FactId::STOCK_LEVEL, vec![Source::header("x-stock-level"), query("stock")]),
        (FactId::PROVINCE_CODE, vec![Source::header("x-province-code")]),
        (FactId::CITY_ID, vec![Source::header("x-city-id")]),
        (region, vec![Source::header("user-agent")]),
    ];
    let sources = Sources::new(&table, declared).with_categories(["1001".to_owned(), "1002".to_owned()]);
    let route = RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(0),
        ..RouteSpec::on_path("sku", "/sku/{sku_id}")
    };
    let rest = RouteSpec::on_path("rest", "/{*rest}");
    let program = Program::new(Lanes::new(), table, vec![release], vec![route, rest]).unwrap();
    let trust = Trust::new(["10.0.0.0/8".parse().unwrap()]);
    let extractor = Extractor::new(&program, sources, trust);
    (program, extractor)
}

fn request(url: &str, headers: &[&str]) -> ExplainRequest {
    let request = ExplainRequest::new("GET", url).unwrap();
    headers.iter().fold(request, |request, line| request.with_header_line(line).unwrap())
}

/// The value of a fact, and whether one was refused on the way.
fn read(request: &ExplainRequest, peer: Peer, name: &str) -> (Option<String>, bool) {
    use crate::decide::RequestParts;
    let (program, extractor) = world(release());
    let found = program.find(request, request.path()).unwrap();
    let facts = extractor.facts(request, &found, peer);
    let fact = program.facts().id(name).unwrap();
    let value = facts.get(fact).map(|value| value.into_owned());
    let is_region = program.facts().kind(fact) == FactKind::Region;
    assert!(is_region || facts.trace(fact).value == value);
    (value, facts.refused().contains(&fact))
}

#[track_caller]
fn check(url: &str, headers: &[&str], fact: &str, expected: Option<&str>) {
    let (value, refused) = read(&request(url, headers), Peer::local(), fact);
    assert_eq!((value.as_deref(), refused), (expected, false), "{url} {headers:?}");
}

#[track_caller]
fn check_refused(url: &str, headers: &[&str], fact: &str, expected: Option<&str>) {
    let (value, refused) = read(&request(url, headers), Peer::local(), fact);
    assert_eq!((value.as_deref(), refused), (expected, true), "{url} {headers:?}");
}

#[test]
fn the_first_source_that_gives_a_valid_value_wins() {
    check("/sku/1", &["X-USER-ID:  u1 ", "cookie: uid=u2"], "user_id", Some("u1"));
    check("/sku/1", &["cookie: a=b; uid=u2"], "user_id", Some("u2"));
    check("/sku/1", &[], "user_id", None);
    check("/sku/1?sku_id=2", &[], "sku_id", Some("1"));
    check("/other?sku_id=2", &[], "sku_id", Some("2"));
    check_refused("/sku/1?stock=7", &["x-stock-level: many"], "stock_level", Some("7"));
    check_refused("/sku/a%20b?sku_id=2", &[], "sku_id", Some("2"));
}

#[test]
fn values_that_do_not_fit_are_absent_and_counted() {
    check_refused("/sku/1", &["x-user-id:"], "user_id", None);
    check_refused("/sku/1", &[&format!("x-user-id: {}", "u".repeat(257))], "user_id", None);
    check_refused("/sku/1", &["x-category-id: 1003"], "category_id", None);
    check_refused("/sku/1", &["x-stock-level: 1e999"], "stock_level", None);
    check_refused("/sku/1", &["x-city-id: cn-hz"], "city_id", None);
    check_refused("/sku/%FF", &[], "sku_id", None);
    check("/sku/1", &["x-category-id: 1002"], "category_id", Some("1002"));
}

#[test]
fn repeated_headers_count_once_except_for_sets() {
    check("/sku/1", &["x-user-id: u1", "x-user-id: u2"], "user_id", Some("u1"));
    check("/sku/1", &["x-user-tags: a, b"], "tags", Some("a, b"));
    check("/sku/1", &["x-user-tags: a, b", "x-user-tags: c"], "tags", Some("a, b,c"));
    check("/sku/1", &["x-user-tags:"], "tags", None);
    check("/sku/1", &["x-user-tags: ,", "x-user-tags: , "], "tags", None);
}

#[test]
fn cookies_are_found_in_every_line_and_lose_their_quotes() {
    check("/sku/1", &["cookie: xuid=1; uid=\"u 2\"; uid=3"], "user_id", Some("u 2"));
    check("/sku/1", &["cookie: a=1", "cookie: uid=u3;b=2"], "user_id", Some("u3"));
    check("/sku/1", &["cookie: uid"], "user_id", None);
    check("/sku/1", &["cookie: uid=a=b"], "user_id", Some("a=b"));
}

#[test]
fn query_and_path_are_decoded() {
    check("/other?x=1&sku%5Fid=A%2D7", &[], "sku_id", Some("A-7"));
    check("/sku/A%2D7", &[], "sku_id", Some("A-7"));
    check("/sku/1?beta=a+b%2Bc", &[], "query:beta", Some("a b+c"));
    check("/sku/1?beta=%E5%95%86", &[], "query:beta", Some("商"));
    check("/sku/1?beta", &[], "query:beta", Some(""));
    check("/sku/1?beta=1&beta=2", &[], "query:beta", Some("1"));
    check_refused("/sku/1?beta=%ff", &[], "query:beta", None);
}

#[test]
fn identity_headers_count_only_from_trusted_peers() {
    let (_, extractor) = world(release());
    let at = |address: &str| Peer::at(address.parse().unwrap(), extractor.trust());
    let sent = request("/sku/1", &["x-user-id: u1", "x-app-version: 2.0.0", "user-agent: curl", "cookie: uid=u2"]);
    let value = |peer, fact| read(&sent, peer, fact).0;
    assert_eq!(value(at("10.0.0.1"), "user_id").as_deref(), Some("u1"));
    assert_eq!(value(at("203.0.113.1"), "user_id").as_deref(), Some("u2"));
    assert_eq!(value(at("203.0.113.1"), "header:x-app-version").as_deref(), Some("2.0.0"));
    assert_eq!(value(at("203.0.113.1"), "region").as_deref(), Some("curl"));
    for name in ["x-user-id", "x-user-tags", "x-gray-lane", "x-gray-release", "x-forwarded-for"] {
        assert!(extractor.is_untrusted_header(name), "{name}");
    }
    for name in ["x-app-version", "user-agent", "x-gray-override"] {
        assert!(!extractor.is_untrusted_header(name), "{name}");
    }
}

#[test]
fn the_client_address_is_a_fact() {
    let (_, extractor) = world(release());
    let at = |address: &str| Peer::at(address.parse().unwrap(), extractor.trust());
    let sent = request("/sku/1", &["x-forwarded-for: 203.0.113.7, 10.0.0.5"]);
    let value = |peer| read(&sent, peer, "client_ip").0;
    assert_eq!(value(at("10.0.0.1")).as_deref(), Some("203.0.113.7"));
    assert_eq!(value(at("198.51.100.1")).as_deref(), Some("198.51.100.1"));
    assert_eq!(value(Peer::local()).as_deref(), Some("203.0.113.7"));
    assert_eq!(read(&request("/sku/1", &[]), Peer::local(), "client_ip").0, None);
}

fn explained(release: Release, request: &ExplainRequest) -> Result<Reasoning, ExplainError> {
    let (program, extractor) = world(release);
    let surroundings = Surroundings { allow: AllowEncoded::default(), latched: &|_| false, now_unix: 0 };
    explain(&program, &extractor, request, surroundings)
}

#[test]
fn marks_count_only_from_trusted_peers() {
    let closed = || Release { level: Level::None, ..release() };
    let marked = || request("/sku/1", &["x-gray-lane: gray", "x-gray-release: pricing-v2"]);
    assert_eq!(explained(closed(), &marked()).unwrap().reason, Reason::LaneMark);
    let from = |address| marked().with_client_ip(address).unwrap();
    assert_eq!(explained(closed(), &from("10.0.0.1")).unwrap().reason, Reason::LaneMark);
    assert_eq!(explained(closed(), &from("203.0.113.1")).unwrap().reason, Reason::LevelClosed);
}

#[test]
fn overrides_count_from_anyone() {
    let closed = || Release { level: Level::None, ..release() };
    for line in ["x-gray-override: gray", "cookie: gray=gray"] {
        let sent = request("/sku/1", &[line]).with_client_ip("203.0.113.1").unwrap();
        assert_eq!(explained(closed(), &sent).unwrap().reason, Reason::Override, "{line}");
    }
    let both = request("/sku/1", &["x-gray-override: stable", "cookie: gray=gray"]);
    assert_eq!(explained(closed(), &both).unwrap().lane, "stable");
}

#[test]
fn requests_without_a_decision_say_their_answer() {
    let error = explained(release(), &request("/a%2Fb", &[])).unwrap_err().to_string();
    assert_eq!(error, "no decision is made, the answer is 400: the path holds an encoded slash");
    let (program, extractor) = {
        let program =
            Program::new(Lanes::new(), FactTable::new(), vec![], vec![RouteSpec::on_path("a", "/a")]).unwrap();
        let extractor = Extractor::new(&program, Sources::new(program.facts(), []), Trust::default());
        (program, extractor)
    };
    let surroundings = Surroundings { allow: AllowEncoded::default(), latched: &|_| false, now_unix: 0 };
    let sent = ExplainRequest::new("PUT", "http://shop.example/b?x").unwrap();
    let error = explain(&program, &extractor, &sent, surroundings).unwrap_err().to_string();
    assert_eq!(error, "no decision is made, the answer is 404: no route for PUT /b on shop.example");
}

#[test]
fn an_explanation_tells_where_facts_come_from() {
    let mut table = FactTable::new();
    let condition =
        Condition::test(&mut table, "category_id", Operator::In, vec![Scalar::Text("1001".into())]).unwrap();
    let guarded = Release { conditions: vec![condition], ..release() };
    let headers = ["x-user-id:", "cookie: uid=u2", "x-category-id: 9", "x-city-id: 330100"];
    let sent = request("/sku/7", &headers).with_client_ip("10.0.0.1").unwrap();
    insta::assert_snapshot!(explained(guarded, &sent).unwrap().to_string(), @r#"
    lane     stable
    level    none
    reason   conditions: the conditions do not hold
    route    sku
    release  pricing-v2
    bucket   383 (salt pricing-v2, user_id u2)

    levels
      developer  miss  the request carries no override
      ab         miss  the conditions do not hold (the release names no experiment)
      region     miss  the conditions do not hold (the release lists no regions)
      permille   miss  the conditions do not hold (bucket 383 is not below 0)
      full       miss  the conditions do not hold (everyone whom the conditions admit)

    conditions do not hold
      category_id IN 1001  no  absent

    facts
      user_id        u2        cookie uid, after header x-user-id: empty
      device_id      -         no source
      sku_id         7         path sku_id
      category_id    -         header x-category-id: not in the list
      province_code  330000    city_id, after header x-province-code: absent
      city_id        330100    header x-city-id
      client_ip      10.0.0.1  client address
    "#);
}

#[test]
fn the_province_follows_from_the_city_wherever_a_city_is_known() {
    let both = |province: &str| ["x-city-id: 3301".to_owned(), format!("x-province-code: {province}")];
    for province in ["44", "330000", "33", "nowhere"] {
        let headers = both(province);
        let sent = request("/sku/1", &[&headers[0], &headers[1]]);
        assert_eq!(read(&sent, Peer::local(), "province_code").0.as_deref(), Some("330000"), "{province}");
    }
    check("/sku/1", &["x-province-code: 44"], "province_code", Some("440000"));
    check("/sku/1", &["x-city-id: 3301"], "city_id", Some("330100"));
    check_refused("/sku/1", &["x-province-code: 44", "x-city-id: nowhere"], "city_id", None);
}

/// The explanation of the province of a request whose release is open for Guangdong.
fn province(headers: &[&str]) -> (String, String) {
    let regions = Regions::new(RegionCodes::GbT2260, &["44"], &[]).unwrap();
    let open = Release { level: Level::Region, regions, ..release() };
    let told = explained(open, &request("/sku/1", headers)).unwrap();
    let line = told.to_string().lines().find(|line| line.contains("province_code")).unwrap().trim().to_owned();
    (told.lane, line)
}

#[test]
fn an_explanation_tells_which_province_counts_and_why() {
    let (lane, line) = province(&["x-city-id: 3301", "x-province-code: 44"]);
    assert_eq!(lane, "stable");
    let why = "city_id, after header x-province-code: `44` is not the province of the city";
    assert_eq!(line, format!("province_code  330000  {why}"));
    let (_, line) = province(&["x-city-id: 3301", "x-province-code: 33"]);
    assert_eq!(line, "province_code  330000  city_id, after header x-province-code: the same");
    let (lane, line) = province(&["x-province-code: 44"]);
    assert_eq!((&*lane, &*line), ("gray", "province_code  440000  header x-province-code"));
}

/// The first route needs what its release looks at, the second nothing.
fn waiting_world() -> (Program, Extractor) {
    let mut table = FactTable::new();
    let condition = Condition::test(&mut table, "sku_id", Operator::Eq, vec![Scalar::Text("7".into())]).unwrap();
    let json = |pointer: &str| Source::Json(crate::extract::Pointer::new(pointer));
    let sources = [
        (FactId::USER_ID, vec![Source::header("x-user-id"), json("/user")]),
        (FactId::SKU_ID, vec![Source::Query("sku".into()), json("/sku")]),
        (FactId::CATEGORY_ID, vec![json("/category")]),
    ];
    let sources = Sources::new(&table, sources);
    let release = Release { conditions: vec![condition], hash_key: crate::decide::HashKey::Device, ..release() };
    let route = RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(0),
        ..RouteSpec::on_path("sku", "/sku")
    };
    let program =
        Program::new(Lanes::new(), table, vec![release], vec![route, RouteSpec::on_path("rest", "/{*rest}")]).unwrap();
    let extractor = Extractor::new(&program, sources, Trust::default());
    (program, extractor)
}

#[test]
fn a_body_is_wanted_where_a_rule_needs_it_and_nothing_before_gives_it() {
    use crate::decide::RequestParts;
    let (program, extractor) = waiting_world();
    let wants = |url: &str| {
        let request = request(url, &[]);
        let found = program.find(&request, request.path()).unwrap();
        let ahead = crate::extract::Ahead::default();
        let wants = extractor.wants_body(&request, &found, Peer::local(), &ahead);
        assert!(!wants || !extractor.needs(found.route).is_empty());
        wants
    };
    assert!(wants("/sku"));
    assert!(!wants("/sku?sku=7"), "neither the user, which nobody hashes, nor the category is looked at");
    assert!(wants("/sku?sku=a%20b"), "a value that does not fit is as if absent");
    assert!(!wants("/other"));
}

#[test]
fn a_province_is_absent_once_the_city_was_looked_for_as_well() {
    use crate::decide::RequestParts;
    let (program, _) = waiting_world();
    let city = || vec![Source::Json(crate::extract::Pointer::new("/city"))];
    let province = || vec![Source::Header("x-province".into())];
    let of = |sources| Extractor::new(&program, Sources::new(program.facts(), sources), Trust::default());
    let (alone, both) = (
        of(vec![(FactId::PROVINCE_CODE, province())]),
        of(vec![(FactId::PROVINCE_CODE, province()), (FactId::CITY_ID, city())]),
    );
    let request = request("/sku", &[]);
    let found = program.find(&request, request.path()).unwrap();
    let mut read = Ahead::default();
    read.take_body(&both, Body::Whole(b"{}"));
    let looked_for = |extractor: &Extractor, ahead: &Ahead| {
        extractor.facts_with(&request, &found, Peer::local(), ahead).was_looked_for(FactId::PROVINCE_CODE)
    };
    assert!(looked_for(&alone, &Ahead::default()));
    assert!(!looked_for(&both, &Ahead::default()), "the body was not read");
    assert!(looked_for(&both, &read));
}

#[test]
fn a_list_of_a_body_is_joined_for_a_set_and_is_no_single_value_beside_it() {
    use crate::decide::RequestParts;
    let (program, _) = waiting_world();
    let list = || vec![Source::Json(crate::extract::Pointer::new("/list"))];
    let sources = Sources::new(program.facts(), [(FactId::TAGS, list()), (FactId::CATEGORY_ID, list())]);
    let extractor = Extractor::new(&program, sources, Trust::default());
    let request = request("/sku", &[]);
    let found = program.find(&request, request.path()).unwrap();
    let mut ahead = Ahead::default();
    ahead.take_body(&extractor, Body::Whole(br#"{"list":["vip","new"]}"#));
    let facts = extractor.facts_with(&request, &found, Peer::local(), &ahead);
    assert_eq!((facts.get(FactId::TAGS).as_deref(), facts.get(FactId::CATEGORY_ID)), (Some("vip,new"), None));
    assert_eq!(facts.refused()[..], [FactId::CATEGORY_ID]);
}

#[test]
fn bytes_that_are_no_values_are_absent_and_never_a_panic() {
    let digits = [b"9".repeat(400), b"\n".to_vec()].concat();
    let nothing: &[&[u8]] =
        &[b"", b"\n\n\n\n\n\n\n\n\n\n\n", b"\xe9\n\xff\nNaN\n\x00,\x00\ninf\n1e999\n99\n;=;\n%%%\n/%2f/", &digits];
    nothing.iter().for_each(|bytes| check_request(bytes));
    for list in ["10.0.0.2", "192.0.2.7, 10.0.0.2", "::ffff:10.0.0.2,\n192.0.2.9", "x,,192.0.2.9:80, [::1]:7", ","] {
        check_forwarded(list.as_bytes());
    }
    let mut bits = 7_u32;
    for length in 0..400 {
        let noise = (0..length).map(|_| {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Mostly what stands in requests, so that more than the first check is met.
            let common = b"019.-,=; \nAuvip%/\xe9";
            if bits >> 28 == 0 { (bits >> 16) as u8 } else { common[(bits >> 16) as usize % common.len()] }
        });
        let noise = noise.collect::<Vec<u8>>();
        check_request(&noise);
        check_forwarded(&noise);
    }
}
