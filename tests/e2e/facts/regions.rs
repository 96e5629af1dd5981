//! Regions by the client's address.

use graylane::config::KeyFiles;
use graylane::extract::{ExplainRequest, Extractor, Surroundings, explain};
use serde_json::json;

use super::{Scene, scene};
use crate::harness::{Geo, Plan, Process, eventually};

const FACTS: &str = "province_code: [{ header: x-province }, { geoip: province }]\ncity_id: [{ geoip: city }]";
const GEOIP: &str = "geoip: { database: geo.mmdb, cities: cities.txt }";
const HANGZHOU: u32 = 1_808_926;

fn database() -> Geo {
    Geo::new()
        .place("203.0.113.0/24", "CN", "ZJ", HANGZHOU)
        .place("198.51.100.0/25", "CN", "33", 7)
        .place("198.51.100.128/25", "HK", "HCW", 8)
        .place("192.0.2.0/24", "DE", "HE", 9)
}

fn placed(conditions: &str) -> Scene {
    scene(FACTS, conditions, |plan| {
        let plan = plan.more(GEOIP).file("geo.mmdb", database().bytes());
        plan.file("cities.txt", format!("{HANGZHOU}: \"330100\"  # Hangzhou\n"))
    })
}

#[test]
fn provinces_and_cities_follow_from_the_address() {
    let scene = placed("{ key: province_code, operator: EQ, value: \"330000\" }");
    for (address, lane) in
        [("203.0.113.7", "gray"), ("198.51.100.7", "gray"), ("198.51.100.200", "stable"), ("192.0.2.1", "stable")]
    {
        assert_eq!(scene.lane(&format!("X-Forwarded-For: {address}\r\n")), lane, "{address}");
    }
    // Nobody knows loopback, and a stranger speaks for itself alone.
    assert_eq!(scene.lane(""), "stable");
    assert_eq!(scene.lane_from("127.0.0.9", "X-Forwarded-For: 203.0.113.7\r\n"), "stable");
    let ask = |address: &str, fact: &str| scene.explained(json!({ "url": "/", "client_ip": address }), fact);
    assert_eq!(ask("203.0.113.7", "city_id"), json!({ "value": "330100", "source": "geoip city" }));
    let hong_kong = ask("198.51.100.200", "province_code");
    assert_eq!((&hong_kong["value"], &hong_kong["source"]), (&json!("810000"), &json!("geoip province")));
    let unmapped = ask("198.51.100.7", "city_id");
    assert_eq!(unmapped["tried"][0]["why"], "198.51.100.7 lies in `7`, which `cities` does not map");
    let hessen = ask("192.0.2.1", "province_code");
    assert_eq!(hessen["value"], json!(null), "Hessen is not Hebei");
    assert_eq!(hessen["tried"][1]["why"], "192.0.2.1 lies in `DE`, of which no province is mapped");
    assert_eq!(ask("203.0.114.1", "city_id")["tried"][0]["why"], "203.0.114.1 is not in the database");
}

#[test]
fn a_province_that_is_not_the_citys_admits_nobody() {
    let scene = placed("{ key: province_code, operator: EQ, value: \"440000\" }");
    let fields = "X-Forwarded-For: 203.0.113.7\r\nX-Province: 44\r\n";
    assert_eq!(scene.lane(fields), "stable", "the address lies in Hangzhou");
    assert_eq!(scene.lane("X-Forwarded-For: 198.51.100.7\r\nX-Province: 44\r\n"), "gray", "no city is known");
    let question = json!({ "url": "/", "client_ip": "203.0.113.7", "headers": { "x-province": "44" } });
    assert_eq!(scene.explained(question, "province_code")["value"], "330000");
}

#[test]
fn the_database_is_read_again_when_it_is_replaced() {
    let scene = placed("{ key: province_code, operator: EQ, value: \"440000\" }");
    let fields = "X-Forwarded-For: 203.0.113.7\r\n";
    assert_eq!(scene.lane(fields), "stable");
    let (file, beside) = (scene.sidecar.directory().join("geo.mmdb"), scene.sidecar.directory().join("next"));
    std::fs::write(&beside, Geo::new().place("203.0.113.0/24", "CN", "GD", 1).bytes()).expect("a writable directory");
    std::fs::rename(&beside, &file).expect("a writable directory");
    eventually("the new database to count", || (scene.lane(fields) == "gray").then_some(()));
    std::fs::write(&beside, "not a database").expect("a writable directory");
    std::fs::rename(&beside, &file).expect("a writable directory");
    eventually("the fault to be told", || scene.sidecar.stderr().contains("cannot be used").then_some(()));
    assert_eq!(scene.lane(fields), "gray");
    // A span in which nothing may happen: the file is looked at every second.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_eq!(scene.sidecar.stderr().matches("cannot be used").count(), 1, "told once");
}

#[test]
fn a_database_that_is_missing_or_broken_refuses_to_load() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let config = folder.path().join("graylane.yaml");
    let address = "127.0.0.1:1".parse().expect("an address");
    let text = Plan::to(address).facts(FACTS).more("geoip: { database: geo.mmdb }").render_at(address);
    std::fs::write(&config, text).expect("a writable directory");
    for content in [None, Some("not a database")] {
        if let Some(content) = content {
            std::fs::write(folder.path().join("geo.mmdb"), content).expect("a writable directory");
        }
        let mut process = Process::start(["check", config.to_str().expect("UTF-8")]);
        assert_eq!(process.wait().code(), Some(2));
        assert!(process.stdout().contains("the GeoIP database cannot be used"), "{}", process.stdout());
    }
}

#[test]
fn a_damaged_database_is_refused_or_knows_less_and_never_ends_the_process() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (config, file) = (folder.path().join("graylane.yaml"), folder.path().join("geo.mmdb"));
    let address = "127.0.0.1:1".parse().expect("an address");
    let text = Plan::to(address).facts(FACTS).more("geoip: { database: geo.mmdb }").render_at(address);
    std::fs::write(&config, text).expect("a writable directory");
    let whole = database().bytes();
    let mut bits = 1_u64;
    let mut random = || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (bits >> 33) as usize
    };
    let (mut refused, mut opened) = (0, 0);
    for turn in 0..400 {
        let mut bytes = whole.clone();
        match turn % 4 {
            0 => bytes.truncate(random() % whole.len()),
            several => (0..=3 * several).for_each(|_| bytes[random() % whole.len()] = random() as u8),
        }
        std::fs::write(&file, &bytes).expect("a writable directory");
        match graylane::config::load_with(std::slice::from_ref(&config), KeyFiles::MayBeAbsent) {
            Err(problems) => {
                let told = problems.iter().map(ToString::to_string).collect::<String>();
                assert!(told.contains("geo.mmdb"), "{told}");
                refused += 1;
            }
            Ok(loaded) => {
                let extractor = Extractor::of(&loaded.settings);
                for client in ["203.0.113.7", "198.51.100.7", "198.51.100.200", "192.0.2.1", "0.0.0.0", "2001:db8::1"] {
                    let request = ExplainRequest::new("GET", "/").and_then(|sent| sent.with_client_ip(client));
                    let around = Surroundings { allow: Default::default(), latched: &|_| false, now_unix: 0 };
                    let request = request.expect("a request");
                    explain(&loaded.settings.program, &extractor, &request, around).expect("a route");
                }
                opened += 1;
            }
        }
    }
    assert!(refused > 50 && opened > 50, "{refused} refused, {opened} opened");
}
