//! From EndpointSlices to addresses: pure.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::Value;

/// Where one endpoint of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its address.
    pub address: SocketAddr,
    /// It is in another zone than we are, and both are known.
    pub is_far: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Slice {
    address_type: String,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    addresses: Vec<String>,
    conditions: Conditions,
    zone: Option<String>,
    hints: Option<Hints>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Hints {
    for_zones: Option<Vec<Zone>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Zone {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

/// The addresses of the endpoints that are ready, of both families; where none is, those that still serve while they end,
/// as kube-proxy has it. `port` is the name of a port of the service, or the number that pods listen on. What cannot be
/// read is left out.
pub fn places<'s>(slices: impl Iterator<Item = &'s Value>, port: &str, zone: Option<&str>) -> Vec<Place> {
    let (mut ready, mut ending) = (Vec::new(), Vec::new());
    for slice in slices {
        let Ok(slice) = Slice::deserialize(slice) else { continue };
        let Some(number) = number_of(&slice, port) else { continue };
        if slice.address_type == "FQDN" {
            continue;
        }
        for endpoint in slice.endpoints.iter().flatten() {
            let is_ready = endpoint.conditions.ready.unwrap_or(true);
            if !is_ready && !endpoint.conditions.serving.unwrap_or(false) {
                continue;
            }
            let is_far = is_far(endpoint, zone);
            // All addresses of one endpoint are the same pod: the first one is enough.
            let Some(address) = endpoint.addresses.first().and_then(|text| text.parse::<IpAddr>().ok()) else {
                continue;
            };
            let place = Place { address: SocketAddr::new(address, number), is_far };
            if is_ready { ready.push(place) } else { ending.push(place) }
        }
    }
    let mut places = if ready.is_empty() { ending } else { ready };
    places.sort_unstable();
    places.dedup_by(|one, other| one.address == other.address);
    places
}

fn number_of(slice: &Slice, port: &str) -> Option<u16> {
    let mut ports = slice.ports.iter().flatten();
    match port.parse::<u16>() {
        Ok(number) => ports.any(|one| one.port == Some(number)).then_some(number),
        Err(_) => ports.find(|one| one.name.as_deref() == Some(port))?.port,
    }
}

/// What the cluster hints at goes before where the endpoint is.
fn is_far(endpoint: &Endpoint, own: Option<&str>) -> bool {
    let Some(own) = own else { return false };
    let hints = endpoint.hints.as_ref().and_then(|hints| hints.for_zones.as_ref()).filter(|zones| !zones.is_empty());
    match (hints, &endpoint.zone) {
        (Some(zones), _) => zones.iter().all(|zone| zone.name != own),
        (None, Some(zone)) => zone != own,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice(endpoints: Value) -> Value {
        json!({
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }, { "name": "admin", "port": 9090 }],
        })
    }

    #[track_caller]
    fn check(slices: &[Value], port: &str, zone: Option<&str>, expected: &[(&str, bool)]) {
        let found = places(slices.iter(), port, zone);
        let found: Vec<_> = found.iter().map(|place| (place.address.to_string(), place.is_far)).collect();
        let expected: Vec<_> = expected.iter().map(|(address, is_far)| ((*address).to_owned(), *is_far)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_ready_is_taken_from_every_slice_once() {
        let one = slice(json!([
            { "addresses": ["10.0.0.2"], "conditions": { "ready": true } },
            { "addresses": ["10.0.0.1"] },
            { "addresses": ["10.0.0.3"], "conditions": { "ready": false, "serving": true, "terminating": true } },
        ]));
        let mut two = slice(json!([{ "addresses": ["fd00::1"] }]));
        two["addressType"] = json!("IPv6");
        let again = slice(json!([{ "addresses": ["10.0.0.1"] }]));
        let expected = [("10.0.0.1:8080", false), ("10.0.0.2:8080", false), ("[fd00::1]:8080", false)];
        check(&[one.clone(), two, again], "http", None, &expected);
        check(std::slice::from_ref(&one), "9090", None, &[("10.0.0.1:9090", false), ("10.0.0.2:9090", false)]);
        check(std::slice::from_ref(&one), "grpc", None, &[]);
        check(&[one], "7", None, &[]);
    }

    #[test]
    fn where_none_is_ready_those_that_still_serve_are_taken() {
        let ending = json!({ "addresses": ["10.0.0.3"], "conditions": { "ready": false, "serving": true } });
        let dead = json!({ "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": false } });
        check(&[slice(json!([ending, dead]))], "http", None, &[("10.0.0.3:8080", false)]);
    }

    #[test]
    fn another_zone_is_far_unless_the_cluster_hints_otherwise() {
        let endpoint = |address: &str, zone: Value, hints: Value| json!({ "addresses": [address], "zone": zone, "hints": { "forZones": hints } });
        let slices = [slice(json!([
            endpoint("10.0.0.1", json!("a"), json!(null)),
            endpoint("10.0.0.2", json!("b"), json!([])),
            endpoint("10.0.0.3", json!("b"), json!([{ "name": "a" }])),
            endpoint("10.0.0.4", json!("a"), json!([{ "name": "b" }])),
            endpoint("10.0.0.5", json!(null), json!(null)),
        ]))];
        let expected = [
            ("10.0.0.1:8080", false),
            ("10.0.0.2:8080", true),
            ("10.0.0.3:8080", false),
            ("10.0.0.4:8080", true),
            ("10.0.0.5:8080", false),
        ];
        check(&slices, "http", Some("a"), &expected);
        check(&slices, "http", None, &expected.map(|(address, _)| (address, false)));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let odd =
            [json!(7), json!({ "endpoints": 7 }), slice(json!([{ "addresses": ["no address"] }, { "addresses": [] }]))];
        check(&odd, "http", None, &[]);
        let mut named = slice(json!([{ "addresses": ["goods.example"] }]));
        named["addressType"] = json!("FQDN");
        check(&[named], "http", None, &[]);
    }
}
