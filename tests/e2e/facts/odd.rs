//! Values that are none, as bytes on the wire: the request is served all the same, and the upstream gets what was sent.

use super::{lane, scene};

const FACTS: &str =
    "user_tier: [{ header: x-user-tier }]\norder_amount: [{ header: x-amount }]\nsku_id: [{ query: sku }]";
const RULE: &str = "{ any: [{ key: user_tier, operator: EXISTS }, { key: sku_id, operator: EXISTS }, \
                    { not: { not: { key: order_amount, operator: NE, value: 0 } } }, { expression: order_amount >= 0 || order_amount < 0 }] }";

#[test]
fn values_that_are_none_are_absent_facts_and_pass_as_they_came() {
    let scene = scene(FACTS, RULE, |plan| plan);
    let ask = |target: &str, field: &[u8]| {
        let head = format!("GET /{target} HTTP/1.1\r\nHost: shop.test\r\n");
        lane(&scene.sidecar.client().exchange(&[head.as_bytes(), field, b"\r\n\r\n"].concat()))
    };
    let rejected = |fact: &str| scene.sidecar.metric("graylane_facts_rejected_total", &[("fact", fact)]);
    // What fits makes the rule hold, so that it is the value that decides below.
    assert_eq!(ask("", b"X-User-Tier: Andr\xc3\xa9"), "gray");
    assert_eq!(ask("", b"X-Amount: -12.50"), "gray");
    assert_eq!(ask("?sku=A-1", b"X-A: b"), "gray");
    let digits = [b"X-Amount: ".to_vec(), b"9".repeat(400)].concat();
    let long = [b"X-User-Tier: ".to_vec(), b"V".repeat(257)].concat();
    let amounts: [&[u8]; 13] = [
        &digits,
        b"X-Amount: NaN",
        b"X-Amount: -Infinity",
        b"X-Amount: 1e999",
        b"X-Amount: 1e5",
        b"X-Amount: 0x10",
        b"X-Amount: 1,000",
        b"X-Amount: 1_000",
        b"X-Amount: 12 50",
        b"X-Amount: --1",
        b"X-Amount: .",
        b"X-Amount: \xef\xbc\x91\xef\xbc\x92",
        b"X-Amount: 12\xe9",
    ];
    let tiers: [&[u8]; 4] = [b"X-User-Tier: Andr\xe9", b"X-User-Tier: \xff\xfe", b"X-User-Tier:", &long];
    for (fact, fields) in [("order_amount", &amounts[..]), ("user_tier", &tiers[..])] {
        for field in fields {
            let (before, shown) = (rejected(fact), String::from_utf8_lossy(field));
            assert_eq!(ask("", field), "stable", "{shown}");
            assert_eq!(rejected(fact), before + 1.0, "{shown}");
            let name = if fact == "user_tier" { "x-user-tier" } else { "x-amount" };
            let value = field.iter().position(|byte| *byte == b':').map(|colon| field[colon + 1..].trim_ascii());
            let passed =
                scene.stable.last().head.fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            assert_eq!(passed.map(|(_, bytes)| bytes).as_deref(), value, "{shown}");
        }
    }
    for sku in ["%ff", "a%00b", "A%201", "..%2f..", "%E5%95%86", &"x".repeat(65)] {
        let before = rejected("sku_id");
        assert_eq!(ask(&format!("?sku={sku}"), b"X-A: b"), "stable", "{sku}");
        assert_eq!(rejected("sku_id"), before + 1.0, "{sku}");
    }
}
