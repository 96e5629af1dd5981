//! How often deciding allocates: not at all, where facts stand in headers as they are.

use std::path::Path;

use graylane::config::{KeyFiles, Loaded, load_text};
use graylane::decide::{AllowEncoded, Inputs, NormalPath, Reason, RequestParts};
use graylane::extract::{Extractor, Peer};

const AROUND: &str = "
version: 1
service: goods-core
trust: [127.0.0.0/8]
facts:
  user_id: [{ header: x-user-id }]
  sku_id: [{ path: sku_id }]
  category_id: [{ header: x-category-id }]
  user_tier: [{ header: x-user-tier }]
  tags: [{ header: x-user-tags }]
  order_amount: [{ header: x-order-amount }]
  stock_level: [{ header: x-stock-level }]
upstreams: { a: { endpoints: [127.0.0.1:1] } }
";

struct Request(Vec<(&'static str, &'static str)>);

impl RequestParts for Request {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> Option<&str> {
        Some("goods:8080")
    }

    fn path(&self) -> &str {
        "/api/v1/sku/sku-7"
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes())
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(known, _)| *known == name).for_each(|(_, value)| each(value.as_bytes()));
    }
}

fn load(rest: &str) -> Loaded {
    let text = format!("{AROUND}{rest}");
    load_text(Path::new("/nowhere/t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(ToString::to_string).collect::<String>()))
}

/// Decides twice, the first time to warm what is made once, and counts the second time.
#[track_caller]
fn check(rest: &str, reason: Reason) {
    let loaded = load(rest);
    let extractor = Extractor::of(&loaded.settings);
    let program = &loaded.settings.program;
    let request = Request(vec![
        ("x-user-id", "u1234567"),
        ("x-category-id", "1001"),
        ("x-user-tier", "VIP"),
        ("x-user-tags", "new, vip"),
        ("x-order-amount", "99.90"),
        ("x-stock-level", "501"),
    ]);
    let decide = || {
        let path = NormalPath::new(request.path(), AllowEncoded::default()).expect("a path");
        let found = program.find(&request, path.as_str()).expect("a route");
        let facts = extractor.facts(&request, &found, Peer::local());
        program.decide(found.route, &Inputs::of(&facts))
    };
    assert_eq!(decide().reason, reason);
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(decide());
    });
    assert_eq!(counted.count_total, 0, "{reason}");
}

const ROUTE: &str =
    "routes: [{ name: sku, match: { path: '/api/v1/sku/{sku_id}' }, lanes: { stable: a, gray: a, gold: a }, release: r";

#[test]
fn conditions_on_headers_allocate_nothing() {
    let release = "
releases:
  r:
    level: permille
    permille: 0
    conditions:
      - { key: category_id, operator: IN, values: ['1001', '1002'] }
      - { key: stock_level, operator: GT, value: 500 }
      - { key: tag, operator: ANY_OF, values: [vip, staff] }
      - { key: sku_id, operator: PREFIX, value: sku- }
      - { key: 'header:x-user-tier', operator: NE, value: GOLD }
";
    check(&format!("{release}{ROUTE} }}]"), Reason::BucketOut);
}

#[test]
fn expressions_on_headers_allocate_nothing() {
    let release = "
functions: { discount_by_tier: { VIP: 0.2 } }
releases:
  r:
    level: full
    expression: 'category_id in [\"1001\"] && stock_level > 500 && order_amount * (1 - discountByTier(tier)) < 80'
";
    check(&format!("{release}{ROUTE} }}]"), Reason::Full);
}

#[test]
fn scores_allocate_nothing() {
    let strategies = "strategies: { list: [{ name: s, lane: gold, tags: [vip, x], threshold: 0.2 }] }";
    check(&format!("releases: {{ r: {{ level: developer }} }}\n{ROUTE}, {strategies} }}]"), Reason::Score);
}
