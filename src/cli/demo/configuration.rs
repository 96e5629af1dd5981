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
    use super::*;

    #[test]
    fn the_configuration_is_yaml_with_the_addresses_in_their_places() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = yaml(Addresses { traffic: at(1), admin: at(2), stable: at(3), gray: at(4) });
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(value["listeners"][0]["bind"], "127.0.0.1:1");
        assert_eq!(value["admin"]["bind"], "127.0.0.1:2");
        assert_eq!(value["upstreams"]["goods-stable"]["endpoints"][0], "127.0.0.1:3");
        assert_eq!(value["upstreams"]["goods-gray"]["endpoints"][0], "127.0.0.1:4");
        assert_eq!(value["releases"][RELEASE]["permille"], PERMILLE);
        assert_eq!(value["routes"][0]["match"]["path"], "/api/v1/sku/{sku_id}");
    }
}
