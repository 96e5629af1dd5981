//! Golden explanations: one request for every reason there is, as people and as machines read it.
//!
//! `INSTA_UPDATE=always cargo test --test explanations` writes the golden files anew; read the difference before it is kept.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use graylane::config::{KeyFiles, Loaded, load_text};
use graylane::decide::{Reason, Reasoning};
use graylane::extract::{ExplainRequest, Extractor, Surroundings, allow_encoded, explain};

const CONFIGURATION: &str = r#"
version: 1
environment: dev
service: goods-core
trust: [127.0.0.0/8]
sku_format: "[A-Z0-9-]{3,20}"
categories: ["1001", "1002"]
facts:
  user_id: [{ jwt: sub }, { header: x-user-id }, { cookie: uid }]
  device_id: [{ header: x-device-id }]
  sku_id: [{ path: sku_id }]
  category_id: [{ header: x-category-id }, { query: category }]
  user_tier: [{ header: x-user-tier }]
  tags: [{ header: x-user-tags }]
  order_amount: [{ json: /order/amount }, { header: x-order-amount }]
  stock_level: [{ header: x-stock-level }]
  city_id: [{ header: x-city-id }]
jwt: { jwks: keys.json }
functions: { discount_by_tier: { VIP: 0.2 } }
values: { price: "order_amount * (1 - discountByTier(user_tier))" }
upstreams:
  stable: { endpoints: [127.0.0.1:9001] }
  gray: { endpoints: [127.0.0.1:9002] }
  hot: { endpoints: [127.0.0.1:9003] }
  gold: { endpoints: [127.0.0.1:9004] }
experiments:
  page: { salt: page-2026, groups: { a: 500, b: 500 } }
releases:
  pricing:
    level: permille
    permille: 50
    developer: { header: x-gray-override, cookie: gray }
    ab: { experiment: page, groups: [b] }
    regions: { province_code: ["330000"], city_id: ["440300"] }
    conditions:
      - { key: category_id, operator: IN, values: ["1001", "1002"] }
      - any:
          - { key: stock_level, operator: GT, value: 500 }
          - not: { key: user_tier, operator: EQ, value: VIP }
  open: { level: full, expression: 'price < 100 && sku_id.startsWith("SKU-")' }
  permille-only: { level: permille, permille: 50 }
  closed: { level: region, regions: { city_id: ["440300"] }, developer: { header: x-gray-override } }
routes:
  - { name: sku, match: { path: "/sku/{sku_id}" }, lanes: { stable: stable, gray: gray }, release: pricing }
  - { name: open, match: { path: "/open/{sku_id}" }, lanes: { stable: stable, gray: gray }, release: open }
  - { name: share, match: { path: "/share" }, lanes: { stable: stable, gray: gray }, release: permille-only }
  - { name: region, match: { path: "/region" }, lanes: { stable: stable, gray: gray }, release: closed }
  - { name: stock, match: { path: "/stock" }, lanes: { stable: stable }, release: closed }
  - { name: plain, match: { path: "/plain" }, lanes: { stable: stable } }
  - name: pool
    match: { path: "/pool/{sku_id}" }
    lanes: { stable: stable, hot: hot, gold: gold }
    strategies:
      whitelist: [{ skus: [SKU-HOT], lane: hot, qos: silver }]
      list:
        - { name: vip, lane: gold, qos: gold, tags: [vip, staff], threshold: 0.5 }
        - { name: saver, lane: hot, tags: [saver], threshold: 0.9 }
"#;

/// A request: what it shows, its URL, its headers, its body, and what the world adds.
struct Case {
    shows: &'static str,
    url: &'static str,
    headers: &'static [&'static str],
    body: Option<&'static str>,
    world: World,
}

#[derive(PartialEq)]
enum World {
    Calm,
    /// The release is latched.
    Latched,
    /// The breaker of the decided lane is open.
    Open,
}

const fn calm(shows: &'static str, url: &'static str, headers: &'static [&'static str]) -> Case {
    Case { shows, url, headers, body: None, world: World::Calm }
}

const CASES: &[Case] = &[
    calm("override", "/sku/SKU-1", &["x-gray-override: gray", "x-user-id: u2"]),
    calm("override by cookie, to stable", "/sku/SKU-1", &["cookie: a=b; gray=stable", "x-user-id: u9"]),
    calm(
        "override that is none",
        "/sku/SKU-1",
        &["x-gray-override: v1.abc.def", "x-user-id: u2", "x-category-id: 1001"],
    ),
    calm("ab_group", "/sku/SKU-1", &["x-user-id: u1", "x-category-id: 1001"]),
    calm("region", "/sku/SKU-1?category=1002", &["x-user-id: u2", "x-city-id: 3301"]),
    calm("bucket", "/share", &["x-user-id: u15"]),
    calm("bucket of a device", "/share", &["x-device-id: d24"]),
    calm("bucket_out", "/sku/SKU-1", &["x-user-id: u2", "x-category-id: 1001", "x-stock-level: 501"]),
    calm("no_key", "/share", &[]),
    calm("full", "/open/SKU-77", &["x-user-id: u2", "x-user-tier: VIP", "x-order-amount: 99.90"]),
    calm(
        "conditions",
        "/sku/SKU-1",
        &["x-user-id: u2", "x-category-id: 1001", "x-user-tier: VIP", "x-stock-level: 499"],
    ),
    calm("conditions: an expression", "/open/SKU-77", &["x-user-id: u2", "x-order-amount: 2e400"]),
    calm("values that do not fit", "/sku/sku-1", &["x-user-id: u2", "x-category-id: 9", "x-stock-level: abc"]),
    calm(
        "a token nobody signed",
        "/sku/SKU-1",
        &["authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "x-user-id: u2"],
    ),
    calm("level_closed", "/region", &["x-user-id: u2", "x-city-id: 110100"]),
    calm("no_release", "/plain", &["x-user-id: u2"]),
    calm("lane_mark", "/sku/SKU-1", &["x-gray-lane: gray", "x-gray-release: pricing", "x-user-id: u2"]),
    calm(
        "lane_mark of another release",
        "/sku/SKU-1",
        &["x-gray-lane: gray", "x-gray-release: other", "x-user-id: u2"],
    ),
    calm("no_lane", "/stock", &["x-gray-override: gray"]),
    calm("whitelist", "/pool/SKU-HOT", &["x-user-tags: vip"]),
    calm("score", "/pool/SKU-1", &["x-user-tags: vip", "x-order-amount: 500"]),
    calm("score below every threshold", "/pool/SKU-1", &["x-user-tags: other"]),
    Case {
        shows: "a fact of the body",
        url: "/open/SKU-77",
        headers: &["content-type: application/json", "x-user-tier: NEW"],
        body: Some(r#"{"order":{"amount":99.5}}"#),
        world: World::Calm,
    },
    Case {
        shows: "a body that is no JSON",
        url: "/open/SKU-77",
        headers: &["content-type: application/json", "x-user-tier: NEW"],
        body: Some("order=99.5"),
        world: World::Calm,
    },
    Case {
        shows: "latched",
        url: "/open/SKU-77",
        headers: &["x-user-id: u2", "x-user-tier: NEW", "x-order-amount: 5", "x-gray-lane: gray"],
        body: None,
        world: World::Latched,
    },
    Case {
        shows: "breaker_open",
        url: "/open/SKU-77",
        headers: &["x-user-id: u2", "x-user-tier: NEW", "x-order-amount: 5"],
        body: None,
        world: World::Open,
    },
];

fn load() -> Loaded {
    load_text(Path::new("/nowhere/t.yaml"), CONFIGURATION.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(|one| format!("{one}\n")).collect::<String>()))
}

fn reasoning(loaded: &Loaded, extractor: &Extractor, case: &Case) -> Reasoning {
    let mut request = ExplainRequest::new("GET", case.url).expect("a request");
    for line in case.headers {
        request = request.with_header_line(line).expect("a header");
    }
    if let Some(body) = case.body {
        request = request.with_body(body);
    }
    let settings = &loaded.settings;
    let latched = case.world == World::Latched;
    let around = Surroundings { allow: allow_encoded(settings), latched: &|_| latched, now_unix: 1_800_000_000 };
    let mut reasoning = explain(&settings.program, extractor, &request, around).expect("a route");
    if case.world == World::Open {
        reasoning.fall_back(Reason::BreakerOpen);
    }
    reasoning.upstream = settings.upstream_of(&reasoning.route, &reasoning.lane).map(str::to_owned);
    reasoning
}

#[test]
fn every_reason_is_explained_to_people_and_to_machines() {
    let loaded = load();
    let extractor = Extractor::of(&loaded.settings);
    let (mut people, mut machines, mut fields) = (String::new(), String::new(), String::new());
    let mut seen = BTreeSet::new();
    for case in CASES {
        let told = reasoning(&loaded, &extractor, case);
        // The title begins with the reason where it shows one.
        let word = case.shows.split([' ', ':']).next().expect("a word");
        if Reason::ALL.iter().any(|reason| reason.as_str() == word) && !case.shows.contains("that is none") {
            let expected =
                if case.shows.contains(" of another ") || case.shows.contains(" below ") { "" } else { word };
            assert!(expected.is_empty() || told.reason.as_str() == expected, "{}: {told}", case.shows);
        }
        seen.insert(told.reason.as_str());
        let asked = format!("{} {}", case.url, case.headers.join(" | "));
        writeln!(people, "=== {}\n{asked}\n\n{told}", case.shows).expect("a text grows");
        let json = serde_json::to_string(&told).expect("a reasoning has text for keys");
        writeln!(machines, "{}\n{json}", case.shows).expect("a text grows");
        writeln!(fields, "{}\n{}", case.shows, told.one_line(2048)).expect("a text grows");
    }
    let all: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(seen, all);
    insta::assert_snapshot!("people", people);
    insta::assert_snapshot!("machines", machines);
    insta::assert_snapshot!("fields", fields);
}

#[test]
fn one_line_is_cut_at_an_item_and_says_so() {
    let loaded = load();
    let extractor = Extractor::of(&loaded.settings);
    let told = reasoning(&loaded, &extractor, &CASES[0]);
    let whole = told.one_line(usize::MAX);
    let items: Vec<&str> = whole.split("; ").collect();
    for most in 0..whole.len() + 10 {
        let line = told.one_line(most);
        assert!(line.len() <= most, "{most}: {line}");
        match line.strip_suffix("; ...") {
            Some(kept) => assert!(items.starts_with(&kept.split("; ").collect::<Vec<_>>()), "{most}: {line}"),
            None => assert!(line.is_empty() || line == whole, "{most}: {line}"),
        }
    }
}
