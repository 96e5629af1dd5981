//! What stands behind sources that are not in a request itself: databases, keys, stores.

use super::{folder, goods, lines, load};
use crate::config::{AmountUnit, FactSource, KeyFiles, LookupStore, TokenPlace, load as run, load_with};

/// What a text is refused for holds these words, at this line.
#[track_caller]
fn refused(text: &str, line: &str, words: &str) {
    let told = match load(text) {
        Ok(loaded) => panic!("loads, with warnings:\n{}", lines(loaded.warnings.iter())),
        Err(problems) => lines(problems.iter()),
    };
    assert!(told.lines().any(|problem| problem.starts_with(line) && problem.contains(words)), "{told}");
}

#[test]
fn lookups_are_a_store_a_key_and_bounds() {
    let store = "lookups:\n  product: { redis: \"redis://127.0.0.1:6379/1\", key: \"p:{sku_id}\", deadline: 5ms, entries: 7 }\n";
    let text =
        format!("{store}facts: {{ sku_id: [{{ path: a }}], stock_level: [{{ lookup: product, field: stock }}] }}\n");
    let settings = load(&text).unwrap().settings;
    let [plan] = settings.lookups.as_slice() else { panic!("one") };
    assert_eq!(plan.store, LookupStore::Redis("redis://127.0.0.1:6379/1".into()));
    assert_eq!((plan.deadline.as_millis(), plan.entries, plan.fields.as_slice()), (5, 7, &["stock".to_owned()][..]));
    let source = &settings.facts.lists[1].1[0];
    assert!(matches!(source, FactSource::Lookup { lookup: 0, field, .. } if field == "stock"), "{source:?}");

    for (keys, words) in [
        ("redis: \"redis://h\"", "a lookup is `redis` with `key`, or `http`"),
        ("http: \"http://h/{sku_id}\", key: a", "a lookup is `redis` with `key`, or `http`"),
        ("redis: \"h:6379\", key: \"{sku_id}\"", "`redis` is no URL"),
        ("http: \"h/{sku_id}\"", "is no URL"),
        ("http: \"http://h/\"", "names no fact"),
        ("http: \"http://h/{sku}\"", "unknown fact `sku`"),
        ("http: \"http://h/{sku_id}\", deadline: 0s", "`deadline` cannot be 0"),
        ("http: \"http://h/{sku_id}\", entries: 0", "`entries` is a number from 1"),
        ("http: \"http://h/{stock_level}\"", "`stock_level` is looked up itself"),
    ] {
        refused(&text.replace(store, &format!("lookups:\n  product: {{ {keys} }}\n")), "2:", words);
    }
    let by_city = text.replace("{sku_id}", "{province_code}").replace("stock_level", "city_id");
    refused(&by_city, "2:", "`province_code` follows from `city_id`, which is looked up");
    refused(
        &text.replace("lookup: product", "lookup: prodct"),
        "3:",
        "unknown lookup `prodct` (did you mean `product`?)",
    );
    refused(&text.replace(", field: stock", ""), "3:", "names the field");
    refused(&text.replace("{ path: a }", "{ path: a, field: b }"), "3:", "`field` belongs to a `lookup` source");
}

#[test]
fn tokens_need_keys_and_known_algorithms() {
    let keys = r#"{"keys":[{"kty":"oct","k":"YSBzZWNyZXQgb2YgbW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXM"}]}"#;
    let text = "jwt: { jwks: keys.json, cookie: session, algorithms: [ES256], issuer: shop, audience: [a, b] }\n";
    let (_folder, paths) = folder(&[("a.yaml", text), ("keys.json", keys)]);
    let plan = run(&paths).unwrap().settings.jwt.unwrap();
    assert_eq!(plan.place, TokenPlace::Cookie("session".into()));
    assert_eq!((plan.algorithms.len(), plan.issuers.len(), plan.audiences.len(), plan.leeway), (1, 1, 2, 60));

    refused("jwt: { jwks: k, algorithms: [HS512] }", "1:", "`HS512` is not an algorithm");
    refused("jwt: { jwks: k, algorithms: [none] }", "1:", "`none` is not an algorithm");
    refused("jwt: { jwks: k, header: a, cookie: b }", "1:", "not in both");
    refused("jwt: { header: a }", "1:", "missing field `jwks`");
    let (_folder, paths) = folder(&[("a.yaml", "jwt: { jwks: keys.json }\n")]);
    assert!(lines(run(&paths).unwrap_err().iter()).contains("cannot use the keys"));
    assert!(lines(load_with(&paths, KeyFiles::MayBeAbsent).unwrap().warnings.iter()).contains("`run` needs it"));
    let (_folder, paths) = folder(&[("a.yaml", "jwt: { jwks: keys.json }\n"), ("keys.json", "{}")]);
    assert!(lines(load_with(&paths, KeyFiles::MayBeAbsent).unwrap_err().iter()).contains("no JWKS"));
}

#[test]
fn a_database_has_to_be_there() {
    refused("geoip: { database: missing.mmdb }", "1:", "the GeoIP database cannot be used");
    refused("geoip: { database: missing.mmdb, city: \"a//b\" }", "1:", "`a//b` is no way into a record");
    let told = lines(load("facts: { user_tier: [{ jwt: tier }], city_id: { geoip: city } }").unwrap().warnings.iter());
    assert!(told.contains("a `jwt` source gives nothing") && told.contains("a `geoip` source gives nothing"), "{told}");
}

#[test]
fn amounts_have_a_unit_and_bodies_a_limit() {
    let settings = load("order_amount_unit: fen\njson_body: { max: 1KiB }\n").unwrap().settings;
    assert_eq!((settings.facts.amount_unit, settings.facts.json_body_max), (Some(AmountUnit::Fen), 1024));
    assert_eq!(load("service: a\n").unwrap().settings.facts.json_body_max, 64 << 10);
    refused("order_amount_unit: cent", "1:", "`cent` is not a unit of money");
    refused("json_body: { max: 2MiB }", "1:", "`json_body.max` is from 1B to 1MiB");
    refused(&goods("{ json: /amount }", "{ jwt: /a~b }"), "22:", "is no JSON pointer");
}
