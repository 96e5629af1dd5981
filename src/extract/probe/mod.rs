//! Entries for fuzzing: the bytes of a request in, nothing out.

mod json;
mod jwt;

use std::path::Path;
use std::sync::LazyLock;

pub use json::check_json;
pub use jwt::check_jwt;

use super::ahead::{Ahead, Body};
use super::client::{Peer, Trust, client_ip};
use super::extractor::Extractor;
use crate::config::{KeyFiles, Settings, load_text};
use crate::decide::{AllowEncoded, Inputs, NormalPath, RequestParts};

/// Every kind of fact and source that a request can fill by itself.
const CONFIGURATION: &str = r#"
service: fuzz
trust: [127.0.0.0/8]
facts:
  user_id: [{ header: x-0 }, { cookie: uid }]
  category_id: [{ header: x-1 }, { query: c }]
  user_tier: [{ baggage: tier }, { json: /user/tier }, { header: x-2 }]
  tags: [{ json: /tags }, { header: x-3 }]
  order_amount: [{ header: x-4 }, { json: /order/amount }]
  stock_level: [{ header: x-5 }, { json: /tags }]
  city_id: [{ header: x-6 }]
  sku_id: [{ path: sku_id }, { query: sku_id }]
upstreams: { a: { endpoints: [127.0.0.1:1] } }
releases:
  r:
    level: permille
    permille: 500
    regions: { province_code: ["330000"] }
    conditions:
      - any:
          - { key: stock_level, operator: GT, value: 5 }
          - { key: "header:x-2", operator: SEMVER, value: ">=1" }
          - { key: "header:x-1", operator: CIDR, value: 10.0.0.0/8 }
          - { key: tag, operator: ALL_OF, values: [vip, new] }
          - not: { key: sku_id, operator: REGEX, value: "^[A-Z]+(-[0-9]+)*$" }
    expression: 'order_amount * 2 > stock_level || size(tags) > 3 || header("x-1") > 4'
routes:
  - name: sku
    match: { path: "/sku/{sku_id}" }
    lanes: { stable: a, gray: a, gold: a }
    release: r
    strategies: { list: [{ name: s, lane: gold, tags: [vip], threshold: 0.5 }] }
  - { name: rest, match: { path: "/{*rest}" }, lanes: { stable: a, gray: a }, release: r }
"#;

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let loaded = load_text(Path::new("/nowhere/fuzz.yaml"), CONFIGURATION.as_bytes(), KeyFiles::MayBeAbsent);
    loaded.expect("the configuration above is valid").settings
});

static EXTRACTOR: LazyLock<Extractor> = LazyLock::new(|| Extractor::of(&SETTINGS));

/// A request of raw parts: line by line the headers `x-0` to `x-6`, the cookie, the query, the path, the baggage; then the body.
struct Raw<'a> {
    lines: Vec<&'a [u8]>,
    query: &'a str,
    path: &'a str,
}

impl RequestParts for Raw<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> Option<&str> {
        None
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        Some(self.query)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let place = match name {
            "cookie" => 7,
            "baggage" => 10,
            _ => name.strip_prefix("x-")?.parse().ok()?,
        };
        self.lines.get(place).copied()
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.header(name).into_iter().for_each(each);
    }
}

/// Decides on bytes as a request, and panics where deciding and explaining come to different lanes.
pub fn check_request(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.splitn(12, |byte| *byte == b'\n').collect();
    let text = |place: usize| lines.get(place).and_then(|line| std::str::from_utf8(line).ok());
    let (query, path) = (text(8).unwrap_or_default(), text(9).unwrap_or("/sku/A-1"));
    let request = Raw { query, path, lines: lines.clone() };
    let Ok(normal) = NormalPath::new(path, AllowEncoded::default()) else { return };
    let program = &SETTINGS.program;
    let Some(found) = program.find(&request, normal.as_str()) else { return };
    let mut ahead = Ahead::default();
    if let Some(body) = lines.get(11) {
        ahead.take_body(&EXTRACTOR, Body::Whole(body));
    }
    let facts = EXTRACTOR.facts_with(&request, &found, Peer::local(), &ahead);
    let (decision, reasoning) =
        (program.decide(found.route, &Inputs::of(&facts)), program.explain_decision(found.route, &Inputs::of(&facts)));
    assert_eq!(program.lanes().name(decision.lane), reasoning.lane);
    assert_eq!(decision.reason, reasoning.reason);
    drop((reasoning.to_string(), serde_json::to_string(&reasoning)));
}

/// Reads bytes, line by line, as the values of `X-Forwarded-For` from a trusted peer and from another one; panics where a
/// peer that is not trusted has a say, or where what stands to the left of the client has one.
pub fn check_forwarded(bytes: &[u8]) {
    let trust = Trust::new(["10.0.0.0/8".parse().expect("a network")]);
    let ask = |peer: &str, first: Option<&[u8]>| {
        let lines = first.into_iter().chain(bytes.split(|byte| *byte == b'\n'));
        let peer = Peer::at(peer.parse().expect("an address"), &trust);
        client_ip(peer, &trust, |tell| lines.for_each(tell)).expect("the peer at least")
    };
    assert_eq!(ask("192.0.2.1", None).to_string(), "192.0.2.1");
    let client = ask("10.0.0.1", None);
    if !trust.contains(client) {
        assert_eq!(client, ask("10.0.0.1", Some(b"203.0.113.66, not an address")));
    }
}
