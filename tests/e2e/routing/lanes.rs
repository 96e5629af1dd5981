//! The levels, as requests meet them, and `explain` saying the same.

use crate::harness::{Origin, Plan, Sidecar, bucket, graylane};

struct Scene {
    sidecar: Sidecar,
    _origins: (Origin, Origin),
}

fn scene(release: &str, more: &str) -> Scene {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = Plan::gray(stable.address(), gray.address(), release).more(more);
    Scene { sidecar: Sidecar::start(&plan), _origins: (stable, gray) }
}

impl Scene {
    /// The proxy's lane must be `lane`, and `explain` must say so, with this level and reason.
    fn check(&self, fields: &[&str], lane: &str, level: &str, reason: &str) {
        let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let response = self.sidecar.get("/api/v1/sku/7", &lines);
        assert_eq!(response.get("x-lane").as_deref(), Some(lane), "{fields:?}");
        let config = self.sidecar.config();
        let mut arguments = vec!["explain", "--config"];
        arguments.push(config.to_str().expect("a plain path"));
        arguments.extend(["GET", "/api/v1/sku/7", "--json"]);
        for field in fields {
            arguments.extend(["-H", field]);
        }
        let output = graylane(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let explained: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(explained["lane"], lane, "{fields:?}: {text}");
        assert_eq!(explained["level"], level, "{fields:?}: {text}");
        assert_eq!(explained["reason"], reason, "{fields:?}: {text}");
        assert_eq!(explained["release"], "r", "{fields:?}: {text}");
        assert_eq!(explained["route"], "all", "{fields:?}: {text}");
        assert!(explained.get("facts").is_some(), "{text}");
    }
}

/// A user of the release `r` whose bucket is below (or not below) the permille, found by the public formula.
fn user(below: u16, inside: bool) -> String {
    (0..)
        .map(|number| format!("visitor-{number}"))
        .find(|key| (bucket("r", key) < below) == inside)
        .expect("both kinds are frequent")
}

#[test]
fn a_user_stays_in_her_lane_over_connections_and_requests() {
    let scene = scene("level: permille\npermille: 500", "");
    for (inside, lane) in [(true, "gray"), (false, "stable")] {
        let field = format!("x-user-id: {}\r\n", user(500, inside));
        for _ in 0..5 {
            let mut client = scene.sidecar.client();
            for path in ["/", "/api/v1/sku/1", "/cart?x=1"] {
                let response = client.get(path, &field);
                assert_eq!(response.get("x-lane").as_deref(), Some(lane), "{path}");
            }
        }
    }
}

#[test]
fn permille_admits_by_bucket_and_never_without_a_key() {
    let scene = scene("level: permille\npermille: 300", "");
    let (inside, outside) = (user(300, true), user(300, false));
    let inside_field = format!("x-user-id: {inside}");
    let outside_field = format!("x-user-id: {outside}");
    scene.check(&[&inside_field], "gray", "permille", "bucket");
    scene.check(&[&outside_field], "stable", "none", "bucket_out");
    scene.check(&[], "stable", "none", "no_key");
    // The device stands in only where there is no user.
    let device = format!("x-device-id: {inside}");
    scene.check(&[&device], "gray", "permille", "bucket");
    scene.check(&[&device, &outside_field], "stable", "none", "bucket_out");
    // The second source of the fact.
    let cookie = format!("cookie: theme=dark; uid={inside}");
    scene.check(&[&cookie], "gray", "permille", "bucket");
    scene.check(&[&cookie, &outside_field], "stable", "none", "bucket_out");
}

#[test]
fn region_admits_listed_codes_without_a_key() {
    let scene = scene("level: region\nregions: { province_code: [\"330000\"], city_id: [\"440300\"] }", "");
    scene.check(&["x-province-code: 330000"], "gray", "region", "region");
    scene.check(&["x-province-code: 33"], "gray", "region", "region");
    scene.check(&["x-city-id: 440300"], "gray", "region", "region");
    // The province follows from the city.
    scene.check(&["x-city-id: 330100"], "gray", "region", "region");
    scene.check(&["x-city-id: 440100"], "stable", "none", "level_closed");
    scene.check(&["x-city-id: 440100", "x-user-id: u1"], "stable", "none", "level_closed");
}

#[test]
fn full_admits_everyone_the_conditions_admit() {
    let scene = scene(
        "level: full\nconditions:\n  - { key: category_id, operator: IN, values: [\"1001\", \"1002\"] }\n  \
         - { key: stock_level, operator: GT, value: 500 }",
        "",
    );
    let good = ["x-category-id: 1001", "x-stock-level: 501"];
    scene.check(&good, "gray", "full", "full");
    scene.check(&["x-category-id: 1001"], "stable", "none", "conditions");
    scene.check(&["x-category-id: 1001", "x-stock-level: 500"], "stable", "none", "conditions");
    scene.check(&["x-category-id: 1003", "x-stock-level: 501"], "stable", "none", "conditions");
}

#[test]
fn ab_admits_the_named_groups_of_the_experiment() {
    let scene = scene(
        "level: ab\nab: { experiment: page, groups: [b] }",
        "experiments:\n  page: { salt: page-2026, groups: { a: 500, b: 500 } }\n",
    );
    let of_group = |second: bool| {
        (0..)
            .map(|number| format!("visitor-{number}"))
            .find(|key| (bucket("page-2026", key) >= 500) == second)
            .expect("both groups are frequent")
    };
    let (a, b) = (of_group(false), of_group(true));
    scene.check(&[&format!("x-user-id: {b}")], "gray", "ab", "ab_group");
    scene.check(&[&format!("x-user-id: {a}")], "stable", "none", "level_closed");
    scene.check(&[], "stable", "none", "no_key");
}

#[test]
fn a_route_without_a_release_is_stable() {
    let origin = Origin::lane("stable");
    let sidecar = Sidecar::start(&Plan::to(origin.address()));
    sidecar.get("/x", "x-user-id: u1\r\n");
    let head = origin.only().head;
    assert_eq!(head.get("x-gray-lane").as_deref(), Some("stable"));
    assert_eq!(head.get("x-gray-release"), None);
}
