//! Product facts from a real Redis server, killed and silenced on the way: no request fails, none waits for long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Scene, lane, scene};
use crate::harness::{Client, Origin, Redis, answer, eventually};

const FACTS: &str = "sku_id: [{ query: sku }]\n\
                     stock_level: [{ header: x-stock }, { lookup: product, field: stock_level }]\n\
                     snapshot: [{ lookup: product, field: version }]";
const RULE: &str = "{ key: stock_level, operator: GT, value: 500 }";
/// Longer than any wait for the store, shorter than what would be felt as a hang; the machine may be busy.
const SOON: Duration = Duration::from_secs(2);

fn shop(redis: &Redis, keys: &str) -> Scene {
    let address = redis.address();
    let lookup =
        format!("lookups:\n  product: {{ redis: \"redis://{address}\", key: \"product:{{sku_id}}\", {keys} }}");
    scene(FACTS, RULE, |plan| plan.more(&lookup))
}

impl Scene {
    fn lane_of_sku(&self, sku: &str) -> String {
        lane(&self.sidecar.get(&format!("/?sku={sku}"), ""))
    }

    fn looked_up(&self, result: &str) -> f64 {
        self.sidecar.metric("graylane_lookups_total", &[("lookup", "product"), ("result", result)])
    }
}

/// Requests of many SKUs, none of which may fail or wait.
fn bear(scene: &Scene, prefix: &str) {
    let mut client = scene.sidecar.client();
    for number in 0..40 {
        let begun = Instant::now();
        let response = client.get(&format!("/?sku={prefix}{number}"), "");
        assert_eq!((response.status(), lane(&response)), (200, "stable".to_owned()));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[test]
fn records_decide_and_are_kept_for_a_while() {
    let redis = Redis::start();
    redis.say("HSET product:7 stock_level 501 category_id 1001 conversion_rate 0.05 version 42");
    redis.say("HSET product:8 stock_level 500");
    redis.say("SET product:odd text");
    let scene = shop(&redis, "deadline: 2s, ttl: 60s, negative_ttl: 60s");
    assert_eq!(scene.lane_of_sku("7"), "gray");
    assert_eq!(scene.lane_of_sku("8"), "stable");
    assert_eq!(scene.lane_of_sku("9"), "stable");
    assert_eq!(scene.lane_of_sku("odd"), "stable");
    // Kept: what changes in the store is not seen before its time.
    redis.say("HSET product:8 stock_level 501");
    redis.say("HSET product:9 stock_level 501");
    assert_eq!((scene.lane_of_sku("7"), scene.lane_of_sku("8"), scene.lane_of_sku("9")).1, "stable");
    assert_eq!(scene.lane_of_sku("9"), "stable");
    assert_eq!((scene.looked_up("miss"), scene.looked_up("unusable"), scene.looked_up("failed")), (3.0, 1.0, 0.0));
    assert!(scene.looked_up("hit") >= 4.0);
    // An earlier source makes the look-up needless, and a request without a key asks for nothing.
    let before = scene.looked_up("hit") + scene.looked_up("miss");
    assert_eq!(lane(&scene.sidecar.get("/?sku=7", "x-stock: 1\r\n")), "stable");
    assert_eq!(scene.lane(""), "stable");
    assert_eq!(scene.looked_up("hit") + scene.looked_up("miss"), before);

    let ask = |fact: &str| scene.explained(json!({ "url": "/?sku=7" }), fact);
    assert_eq!(ask("snapshot"), json!({ "value": "42", "source": "lookup product version" }));
    let stock = ask("stock_level");
    assert_eq!((&stock["value"], &stock["source"]), (&json!("501"), &json!("lookup product stock_level")));
    assert_eq!(stock["tried"][0]["source"], "header x-stock");
}

#[test]
fn the_province_of_a_key_is_that_of_the_city_in_the_body() {
    let redis = Redis::start();
    redis.say("HSET stock:330000 stock_level 501");
    let address = redis.address();
    let lookup = format!(
        "lookups:\n  product: {{ redis: \"redis://{address}\", key: \"stock:{{province_code}}\", deadline: 2s }}"
    );
    let facts = "province_code: [{ header: x-province }]\ncity_id: [{ json: /city }]\n\
                 stock_level: [{ lookup: product, field: stock_level }]";
    let scene = scene(facts, RULE, |plan| plan.more(&lookup));
    let lane_of = |body: &str| {
        let length = body.len();
        let fields = format!("X-Province: 44\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
        lane(&scene.post(&fields, body.as_bytes()))
    };
    assert_eq!(lane_of("{\"city\":\"330100\"}"), "gray");
    assert_eq!(lane_of("{}"), "stable");
}

#[test]
fn records_that_are_none_take_no_facts_of_others_away() {
    let redis = Redis::start();
    let odd = ["a", "b", "c", "d", "e"];
    for sku in odd {
        redis.say(&format!("SET product:{sku} text"));
    }
    redis.say("HSET product:good stock_level 501");
    let scene = shop(&redis, "deadline: 2s, negative_ttl: 60s");
    odd.iter().for_each(|sku| assert_eq!(scene.lane_of_sku(sku), "stable"));
    assert_eq!(scene.lane_of_sku("good"), "gray", "the store is up");
    // Kept, like a record that is not there.
    odd.iter().for_each(|sku| assert_eq!(scene.lane_of_sku(sku), "stable"));
    let told = (scene.looked_up("unusable"), scene.looked_up("hit"), scene.looked_up("failed"));
    assert_eq!(told, (5.0, 5.0, 0.0));
    let stock = scene.explained(json!({ "url": "/?sku=a" }), "stock_level");
    assert_eq!(stock["tried"][1]["why"], "what the store has is no hash");
}

#[test]
fn a_stale_record_serves_until_the_new_one_is_there() {
    let redis = Redis::start();
    redis.say("HSET product:7 stock_level 501");
    let scene = shop(&redis, "deadline: 2s, ttl: 50ms, stale: 60s");
    assert_eq!(scene.lane_of_sku("7"), "gray");
    redis.say("HSET product:7 stock_level 1");
    eventually("the new stock to count", || (scene.lane_of_sku("7") == "stable").then_some(()));
    assert!(scene.looked_up("stale") >= 1.0);
}

#[test]
fn a_killed_store_fails_no_request_and_is_used_again_when_it_is_back() {
    let mut redis = Redis::start();
    redis.say("HSET product:7 stock_level 501");
    let scene = shop(&redis, "deadline: 500ms, ttl: 60s");
    assert_eq!(scene.lane_of_sku("7"), "gray");
    redis.kill();
    bear(&scene, "a");
    assert_eq!(scene.lane_of_sku("7"), "gray", "what is known stays known");
    assert!(scene.looked_up("failed") >= 1.0 && scene.looked_up("refused") >= 1.0);
    redis.again();
    redis.say("HSET product:new stock_level 501");
    eventually("the store to be used again", || (scene.lane_of_sku("new") == "gray").then_some(()));
}

#[test]
fn a_silent_store_is_not_waited_for_again_and_again() {
    let redis = Redis::start();
    redis.say("HSET product:7 stock_level 501");
    let scene = shop(&redis, "deadline: 100ms, ttl: 60s");
    assert_eq!(scene.lane_of_sku("7"), "gray");
    redis.signal("STOP");
    bear(&scene, "a");
    assert!(scene.looked_up("late") >= 1.0 && scene.looked_up("refused") >= 10.0);
    assert_eq!(scene.lane_of_sku("7"), "gray");
    redis.signal("CONT");
    redis.say("HSET product:new stock_level 501");
    eventually("the store to be used again", || (scene.lane_of_sku("new") == "gray").then_some(()));
}

#[test]
fn a_store_may_speak_http() {
    let store = Origin::answering(|received| match received.head.target() {
        "/p/7" => answer("200 OK", "", b"{\"stock_level\":501,\"version\":\"v1\"}"),
        "/p/a%2Fb" => answer("200 OK", "", b"{\"stock_level\":502}"),
        "/p/broken" => answer("200 OK", "", b"<html>"),
        _ => answer("404 Not Found", "", b""),
    });
    let address = store.address();
    let lookup = format!("lookups:\n  product: {{ http: \"http://{address}/p/{{sku_id}}\", deadline: 2s }}");
    let scene = scene(FACTS, RULE, |plan| plan.more(&lookup).more("sku_format: \".*\""));
    assert_eq!(scene.lane_of_sku("7"), "gray");
    assert_eq!(scene.lane_of_sku("a%2Fb"), "gray");
    assert_eq!(scene.lane_of_sku("broken"), "stable");
    assert_eq!(scene.lane_of_sku("9"), "stable");
    // Many at once for one SKU are one look-up.
    let before = store.requests().len();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let traffic = scene.sidecar.traffic();
            std::thread::spawn(move || Client::connect(traffic).get("/?sku=5", "").status())
        })
        .collect();
    clients.into_iter().for_each(|client| assert_eq!(client.join().expect("a client"), 200));
    assert_eq!(store.requests().len(), before + 1);
}
