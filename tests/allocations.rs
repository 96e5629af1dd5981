//! How often deciding allocates: not at all, where facts stand in headers as they are; a known number of times, where they come
//! from a token or a body.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graylane::config::{KeyFiles, Loaded, load_text};
use graylane::decide::{AllowEncoded, Inputs, NormalPath, Reason, RequestParts};
use graylane::extract::{Ahead, Body, Extractor, Peer};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

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

const HEADERS: [(&str, &str); 6] = [
    ("x-user-id", "u1234567"),
    ("x-category-id", "1001"),
    ("x-user-tier", "VIP"),
    ("x-user-tags", "new, vip"),
    ("x-order-amount", "99.90"),
    ("x-stock-level", "501"),
];

/// Decides twice, the first time to warm what is made once, and counts the second time.
#[track_caller]
fn check(rest: &str, reason: Reason) {
    assert_eq!(count(&load(rest), Request(HEADERS.to_vec()), None, reason), 0, "{reason}");
}

/// How many allocations the second decision on a request takes, what is read of its token or body included.
#[track_caller]
fn count(loaded: &Loaded, request: Request, body: Option<&str>, reason: Reason) -> u64 {
    let extractor = Extractor::of(&loaded.settings);
    let program = &loaded.settings.program;
    let decide = || {
        let path = NormalPath::new(request.path(), AllowEncoded::default()).expect("a path");
        let found = program.find(&request, path.as_str()).expect("a route");
        let mut ahead = Ahead::default();
        if let Some(body) = body {
            assert!(extractor.wants_body(&request, &found, Peer::local(), &ahead));
            ahead.take_body(&extractor, Body::Whole(body.as_bytes()));
        }
        let facts = extractor.facts_with(&request, &found, Peer::local(), &ahead);
        program.decide(found.route, &Inputs::of(&facts))
    };
    assert_eq!(decide().reason, reason);
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(decide());
    });
    counted.count_total
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
fn patterns_in_expressions_allocate_nothing() {
    let release = "
releases:
  r:
    level: full
    expression: 'sku_id.matches(\"^[a-z]+-[0-9]{1,8}$\") && header(\"x-user-tier\").matches(\"(?i)^(vip|gold)$\")'
";
    check(&format!("{release}{ROUTE} }}]"), Reason::Full);
    let release = "
releases:
  r:
    level: full
    conditions: [{ key: sku_id, operator: REGEX, value: '^[a-z]+-[0-9]{1,8}$' }, { key: user_id, operator: REGEX, value: 'u(1|2)' }]
";
    check(&format!("{release}{ROUTE} }}]"), Reason::Full);
}

/// Rules on values that a token or a body may give.
const RULES: [&str; 3] = [
    "{ key: user_tier, operator: EQ, value: VIP }",
    "{ key: order_amount, operator: GE, value: 50 }",
    "{ key: tag, operator: ANY_OF, values: [vip, staff] }",
];

/// Three facts from elsewhere, and that many of the rules, the first of them twice.
fn load_from(source: &dyn Fn(&str) -> String, more: &str, rules: usize) -> Loaded {
    let rules = [&RULES[..rules], &RULES[..1]].concat().join(", ");
    let release = format!("releases: {{ r: {{ level: full, conditions: [{rules}] }} }}\n");
    let mut text = format!("{AROUND}{more}{release}{ROUTE} }}]");
    for (fact, header) in [("user_tier", "x-user-tier"), ("order_amount", "x-order-amount"), ("tags", "x-user-tags")] {
        text = text.replace(&format!("[{{ header: {header} }}]"), &format!("[{{ {} }}]", source(fact)));
    }
    load_text(Path::new("/nowhere/t.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(ToString::to_string).collect::<String>()))
}

#[test]
fn a_body_costs_an_allocation_for_each_value_that_is_taken_from_it_and_two_more() {
    let body = r#"{"order":{"items":[{"sku":"S-1","n":2},{"sku":"S-2","n":1}],"user_tier":"VIP","order_amount":99.90,"tags":"new,vip"}}"#;
    let counted = |rules: usize| {
        let loaded = load_from(&|fact| format!("json: /order/{fact}"), "", rules);
        let request = Request(vec![("x-user-id", "u1"), ("content-type", "application/json")]);
        count(&loaded, request, Some(body), Reason::Full)
    };
    println!("a body, three values: {}", counted(3));
    // Each value, their list, and what the parser keeps of the brackets that it passes over once. How many rules look at them
    // does not matter.
    assert_eq!((counted(1), counted(3)), (5, 5));
}

/// Verifying is the crate's, and what it allocates is not ours to say; it is here so that a change does not go unseen.
#[test]
fn a_token_costs_what_verifying_it_does_and_its_claims_nothing() {
    let secret = b"a secret of more than thirty-two bytes";
    let folder = tempfile::tempdir().expect("a folder");
    let keys = json!({ "keys": [{ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(secret) }] });
    let path = folder.path().join("keys.json");
    std::fs::write(&path, keys.to_string()).expect("a file");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({ "sub": "u1", "exp": now + 600, "user_tier": "VIP", "order_amount": 99.90, "tags": "new,vip" });
    let header = Header { kid: Some("s".into()), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("a token");
    let bearer: &'static str = format!("Bearer {token}").leak();
    let counted = |rules: usize| {
        let jwt = format!("jwt: {{ jwks: '{}' }}\n", path.display());
        let loaded = load_from(&|fact| format!("jwt: {fact}"), &jwt, rules);
        count(&loaded, Request(vec![("x-user-id", "u1"), ("authorization", bearer)]), None, Reason::Full)
    };
    println!("a token, three claims: {}", counted(3));
    assert_eq!(counted(1), counted(3), "a claim that is read costs nothing");
    assert!(counted(3) <= 13, "{}", counted(3));
}

#[test]
fn scores_allocate_nothing() {
    let strategies = "strategies: { list: [{ name: s, lane: gold, tags: [vip, x], threshold: 0.2 }] }";
    check(&format!("releases: {{ r: {{ level: developer }} }}\n{ROUTE}, {strategies} }}]"), Reason::Score);
}
