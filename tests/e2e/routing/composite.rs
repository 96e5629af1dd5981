//! Composite routing: lane, class of service and rate limit, as requests meet them.

use crate::harness::{Origin, Plan, Sidecar};

fn plan(stable: &Origin, hot: &Origin, gold: &Origin) -> Plan {
    let keys = "limits: { hot: { rate: 1, burst: 2 } }\n\
                strategies: { whitelist: [{ skus: [SKU-HOT], lane: hot, qos: silver }], \
                list: [{ name: vip, lane: gold, qos: gold, tags: [vip], threshold: 0.5 }] }";
    Plan::new()
        .upstream("stable", stable.address())
        .upstream("hot", hot.address())
        .upstream("gold", gold.address())
        .route("sku", "/sku/{sku_id}", "stable: stable, hot: hot, gold: gold", keys)
}

#[test]
fn the_best_strategy_gives_lane_and_class_and_a_forged_class_never_passes() {
    let (stable, hot, gold) = (Origin::lane("stable"), Origin::lane("hot"), Origin::lane("gold"));
    let sidecar = Sidecar::start(&plan(&stable, &hot, &gold));
    for (fields, lane, origin, qos) in [
        ("x-user-tags: vip\r\nx-gray-qos: bronze\r\n", "gold", &gold, Some("gold")),
        ("x-gray-qos: gold\r\n", "stable", &stable, None),
    ] {
        assert_eq!(sidecar.get("/sku/SKU-1", fields).get("x-lane").as_deref(), Some(lane));
        let head = origin.only().head;
        assert_eq!(head.get("x-gray-lane").as_deref(), Some(lane));
        assert_eq!(head.get("x-gray-qos").as_deref(), qos);
    }
    assert_eq!(sidecar.metric("graylane_decisions_total", &[("reason", "score")]), 1.0);
}

#[test]
fn a_dedicated_lane_has_a_rate_of_its_own() {
    let (stable, hot, gold) = (Origin::lane("stable"), Origin::lane("hot"), Origin::lane("gold"));
    let sidecar = Sidecar::start(&plan(&stable, &hot, &gold));
    let statuses: Vec<u16> = (0..12).map(|_| sidecar.get("/sku/SKU-HOT", "x-user-tags: vip\r\n").status()).collect();
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(hot.requests()[0].head.get("x-gray-qos").as_deref(), Some("silver"));
    assert_eq!(sidecar.get("/sku/SKU-1", "").status(), 200, "other lanes have room");
    assert!(gold.requests().is_empty());
}

#[test]
fn an_expression_that_cannot_be_computed_is_counted() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let release = "level: full\nexpression: 'header(\"x-build\") > 70'";
    let sidecar = Sidecar::start(&Plan::gray(stable.address(), gray.address(), release));
    for (fields, lane) in
        [("x-build: 71\r\n", "gray"), ("x-build: new\r\n", "stable"), ("x-build: \u{e9}\r\n", "stable"), ("", "stable")]
    {
        assert_eq!(sidecar.get("/", fields).get("x-lane").as_deref(), Some(lane), "{fields:?}");
    }
    // The text and the letter beyond ASCII are no numbers; what is absent is no error.
    assert_eq!(sidecar.metric("graylane_expression_errors_total", &[]), 2.0);
}
