//! The configuration that the demo runs with, as a user would write it.

use std::net::SocketAddr;

/// The one release of the demo; its name is also its salt.
pub(super) const RELEASE: &str = "pricing-v2";
/// How far its ramp is open.
pub(super) const PERMILLE: u16 = 100;
/// Zhejiang: everyone there sees gray.
pub(super) const OPEN_PROVINCE: &str = "330000";
/// Shenzhen: everyone there sees gray, though not everyone in its province.
pub(super) const OPEN_CITY: &str = "440300";
/// Customers with this tag have contract prices, and never see the new engine.
pub(super) const EXCLUDED_TAG: &str = "wholesale";

/// The names of the files in the configuration's folder.
pub(super) const FILE: &str = "goods.yaml";
pub(super) const KEY_FILE: &str = "override.key";

/// The addresses that go into the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) traffic: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) stable: SocketAddr,
    pub(super) gray: SocketAddr,
}

/// The YAML text.
pub(super) fn yaml(addresses: Addresses) -> String {
    let Addresses { traffic, admin, stable, gray } = addresses;
    format!(
        r#"# Written by `graylane demo`; gone when it ends.
version: 1
environment: dev                     # so that an override needs no signature
service: goods-core
lane: stable

listeners:
  - bind: {traffic}
admin: {{ bind: {admin} }}

drain: 2s                            # visitors are patient, whoever presses Ctrl-C is not

trust: [127.0.0.0/8]                 # the visitors are ours: their identity headers are believed

facts:
  user_id:       [{{ header: x-user-id }}, {{ cookie: uid }}]
  device_id:     [{{ header: x-device-id }}]
  sku_id:        [{{ path: sku_id }}, {{ query: sku_id }}]
  category_id:   [{{ query: category_id }}, {{ header: x-category-id }}]
  user_tier:     [{{ header: x-user-tier }}]
  tags:          [{{ header: x-user-tags }}]
  order_amount:  [{{ header: x-order-amount }}]
  province_code: [{{ header: x-province-code }}]
  city_id:       [{{ header: x-city-id }}]

upstreams:
  goods-stable: {{ endpoints: ["{stable}"] }}
  goods-gray:   {{ endpoints: ["{gray}"] }}

releases:
  {RELEASE}:
    level: permille
    permille: {PERMILLE}                    # 10 % of the users
    developer: {{ header: x-gray-override, key_file: {KEY_FILE} }}
    regions: {{ province_code: ["{OPEN_PROVINCE}"], city_id: ["{OPEN_CITY}"] }}
    conditions:                      # wholesale customers keep their contract prices
      - not: {{ key: tag, operator: ANY_OF, values: ["{EXCLUDED_TAG}"] }}

routes:
  - name: sku-detail
    match: {{ path: "/api/v1/sku/{{sku_id}}", methods: [GET, HEAD] }}
    lanes: {{ stable: goods-stable, gray: goods-gray }}
    release: {RELEASE}
    timeouts: {{ connect: 250ms, first_byte: 3s, request: 10s, idle: 60s }}
  - name: sku-list
    match: {{ path: /api/v1/skus, methods: [GET, HEAD] }}
    lanes: {{ stable: goods-stable, gray: goods-gray }}
    release: {RELEASE}
  - name: order-create
    match: {{ path: /api/v1/orders, methods: [POST] }}
    lanes: {{ stable: goods-stable, gray: goods-gray }}
    release: {RELEASE}
  - name: rest                       # stock and health: one lane
    match: {{ path: "/{{*rest}}" }}
    lanes: {{ stable: goods-stable }}
"#
    )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::HashMap;

    use super::super::cast::Cast;
    use super::super::scratch::{Scratch, new_key};
    use super::*;
    use crate::config;
    use crate::decide::{self, FactId, Facts, Inputs, Program};
    use crate::extract::ExplainRequest;

    fn text() -> String {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        yaml(Addresses { traffic: at(1), admin: at(2), stable: at(3), gray: at(4) })
    }

    fn loaded() -> config::Loaded {
        let scratch = Scratch::create().unwrap();
        scratch.write(FILE, &text()).unwrap();
        scratch.write(KEY_FILE, &new_key().unwrap()).unwrap();
        config::load(&[scratch.path().to_owned()]).unwrap()
    }

    #[test]
    fn the_addresses_are_in_their_places() {
        let value: serde_json::Value = serde_yaml::from_str(&text()).unwrap();
        assert_eq!(value["listeners"][0]["bind"], "127.0.0.1:1");
        assert_eq!(value["admin"]["bind"], "127.0.0.1:2");
        assert_eq!(value["upstreams"]["goods-stable"]["endpoints"][0], "127.0.0.1:3");
        assert_eq!(value["upstreams"]["goods-gray"]["endpoints"][0], "127.0.0.1:4");
    }

    #[test]
    fn the_sidecar_takes_it_without_a_warning() {
        let loaded = loaded();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert_eq!(loaded.settings.environment, config::Environment::Dev);
    }

    struct Given<'a>(&'a Program, HashMap<&'a str, &'a str>);

    impl Facts for Given<'_> {
        fn get(&self, fact: FactId) -> Option<Cow<'_, str>> {
            self.1.get(self.0.facts().name(fact)).map(|value| Cow::Borrowed(*value))
        }
    }

    const RELEASED: [(&str, &str); 3] =
        [("GET", "/api/v1/sku/100101"), ("GET", "/api/v1/skus"), ("POST", "/api/v1/orders")];

    fn decision(
        program: &Program,
        (method, path): (&str, &str),
        facts: &[(&str, &str)],
        override_token: Option<&str>,
    ) -> String {
        let request = ExplainRequest::new(method, path).unwrap();
        let route = program.find(&request, path).unwrap().route;
        let facts = Given(program, facts.iter().copied().collect());
        let inputs = Inputs { facts: &facts, override_token, mark: None, latched: false, now_unix: 0 };
        let decision = program.decide(route, &inputs);
        format!("{} by {}", program.lanes().name(decision.lane), decision.reason.as_str())
    }

    #[test]
    fn what_the_commands_to_try_promise_is_what_is_decided() {
        let program = loaded().settings.program;
        let cast = Cast::find(|salt, key| decide::bucket(salt, key).get()).unwrap();
        let ordinary = ("user_id", cast.ordinary.user_id.as_str());
        let gray = ("user_id", cast.gray.user_id.as_str());
        for request in RELEASED {
            let check = |facts: &[_], token, expected| assert_eq!(decision(&program, request, facts, token), expected);
            check(&[ordinary], None, "stable by bucket_out");
            check(&[gray], None, "gray by bucket");
            check(&[ordinary, ("province_code", OPEN_PROVINCE)], None, "gray by region");
            check(&[ordinary, ("province_code", "440000"), ("city_id", OPEN_CITY)], None, "gray by region");
            check(&[gray, ("tags", "loyal,wholesale")], None, "stable by conditions");
            check(&[ordinary], Some("gray"), "gray by override");
        }
        assert_eq!(decision(&program, ("GET", "/api/v1/stock/100101"), &[gray], None), "stable by no_release");
    }
}
