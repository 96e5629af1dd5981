//! What loads, what it means, and what is warned of.

use std::time::Duration;

use super::super::{
    AccessLog, AdminChanges, Endpoint, Environment, FactSource, Listener, Loaded, MarkCache, Normalize, Protocol,
    ResponseMark, ShieldWord,
};
use serde_json::json;

use super::{GOODS, goods, lines, load, same};
use crate::decide::{FactId, LaneId, Level};

#[track_caller]
fn loads(text: &str) -> Loaded {
    match load(text) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

/// The smallest configuration that serves something.
const LEAST: &str = "
service: goods
upstreams: { up: { endpoints: [goods:80] } }
routes: [{ name: all, match: {}, lanes: { stable: up } }]
";

#[test]
fn the_example_means_what_it_says() {
    let settings = loads(GOODS).settings;
    assert_eq!(
        (settings.environment, settings.service.as_str(), settings.lane),
        (Environment::Prod, "goods-core", LaneId::STABLE)
    );
    assert_eq!(settings.listeners, [Listener::plain("127.0.0.1:15080".parse().unwrap())]);
    assert_eq!(settings.trust, ["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(settings.upstreams[1].endpoints, [Endpoint::Host { host: "127.0.0.1".into(), port: 9002 }]);
    let release = &settings.program.releases()[0];
    assert_eq!(
        (release.name.as_str(), release.salt.as_str(), release.level),
        ("pricing-v2", "pricing-v2", Level::Permille)
    );
    assert_eq!((release.permille.get(), release.conditions.len()), (50, 2));
    assert!(release.developer.as_ref().is_some_and(|developer| !developer.unsigned));
    let route = &settings.routes[0];
    assert_eq!(
        route.lanes.iter().map(|(lane, upstream)| (*lane, upstream.0)).collect::<Vec<_>>(),
        [(LaneId::STABLE, 0), (LaneId::GRAY, 1)]
    );
    assert_eq!(
        (route.timeouts.connect, route.timeouts.request),
        (Duration::from_millis(250), Some(Duration::from_secs(10)))
    );
    assert_eq!(
        route.shield.as_ref().map(|shield| (shield.on[2], shield.max_body, shield.budget.get())),
        Some((ShieldWord::Status(500), 65_536, 200))
    );
    assert_eq!((settings.breakers[0].p99, settings.breakers[0].error_rate.get()), (Duration::from_millis(1200), 50));
    assert_eq!(settings.rollbacks[0].openings, Some((3, Duration::from_secs(600))));
    let user =
        settings.facts.lists.iter().find(|(fact, _)| *fact == FactId::USER_ID).map(|(_, sources)| sources.as_slice());
    assert_eq!(user, Some([FactSource::Header("x-user-id".into()), FactSource::Cookie("uid".into())].as_slice()));
}

#[test]
fn what_is_left_out_has_its_default() {
    let Loaded { settings, warnings, .. } = loads(LEAST);
    assert_eq!(lines(warnings.iter()), "");
    assert_eq!((settings.environment, settings.workers, settings.local.clone()), (Environment::Prod, None, None));
    assert_eq!(settings.listeners, [Listener::plain("127.0.0.1:15080".parse().unwrap())]);
    assert_eq!(
        (settings.admin, settings.admin_changes.clone()),
        ("127.0.0.1:15090".parse().unwrap(), AdminChanges::Refused)
    );
    assert_eq!(
        (settings.access_log, settings.response_mark, settings.normalize),
        (AccessLog::Off, ResponseMark::Off, Normalize::Match)
    );
    assert_eq!(
        (settings.limits.header_bytes, settings.limits.header_count, settings.limits.uri_bytes),
        (65_536, 128, 8192)
    );
    assert_eq!((settings.drain, settings.upstreams[0].idle), (Duration::from_secs(30), Duration::from_secs(4)));
    assert_eq!((settings.upstreams[0].protocol, settings.routes[0].timeouts.request), (Protocol::Http1, None));
    assert!(settings.trust.is_empty() && settings.allow_encoded.is_empty() && settings.facts.lists.is_empty());
}

#[test]
fn every_form_of_a_value_loads() {
    let text = format!(
        "{LEAST}
environment: dev
workers: 2
local: \"[::1]:8080\"
access_log: 1%
response_mark: header
response_mark_cache: vary
normalize: forward
allow_encoded: [slash, nul]
state: {{ dir: /var/lib/graylane }}
limits: {{ header_bytes: 16KiB, idle: 5m }}
facts: {{ region: {{ header: x-region }}, user_id: [{{ header: X-User }}] }}
releases:
  r: &base
    level: full
    developer: {{ cookie: gray }}
    hash_key: device_id
    salt: 盐
    regions: {{ province_code: 33, city_id: [4403, \"330100\"] }}
    conditions:
      - not: {{ any: [{{ key: region, operator: EQ, value: cn-east }}, {{ all: [{{ key: tag, operator: ANY_OF, values: [a] }}] }}] }}
      - {{ key: 'header:X-App', operator: SEMVER, value: '>=2.1' }}
      - {{ key: user_id, operator: EXISTS }}
  s:
    <<: *base
    permille: 0050
    level: permille
"
    );
    let settings = loads(&text).settings;
    assert_eq!(settings.local, Some(Endpoint::Host { host: "::1".into(), port: 8080 }));
    assert_eq!(settings.access_log, AccessLog::Share(crate::decide::Permille::new(10).unwrap()));
    assert_eq!(
        (settings.response_mark, settings.normalize),
        (ResponseMark::Header(MarkCache::Vary), Normalize::Forward)
    );
    assert_eq!(settings.limits.idle, Duration::from_secs(300));
    let [first, second] = settings.program.releases() else { panic!("two releases") };
    assert_eq!((first.level, first.salt.as_str(), first.conditions.len()), (Level::Full, "盐", 3));
    assert!(first.developer.as_ref().is_some_and(|developer| developer.unsigned && developer.keys.is_empty()));
    assert_eq!((second.level, second.permille.get(), second.salt.as_str()), (Level::Permille, 50, "盐"));
    let names: Vec<&str> = settings.facts.lists.iter().map(|(fact, _)| settings.program.facts().name(*fact)).collect();
    assert_eq!(names, ["region", "user_id"]);
}

#[test]
fn what_the_example_lacks_is_a_warning() {
    same(
        &lines(loads(GOODS).warnings.iter()),
        "24:57: no `geoip` database is named, so a `geoip` source gives nothing
         39:53: key file `override.key` is not here; `run` needs it
         45:17: without `state` a rolled-back release stays so for the process only: a restart opens it",
    );
}

#[test]
fn worse_rolls_back_in_place_of_openings_or_beside_them() {
    let plan = |rollback: &str| {
        let text = goods("rollback: { openings: 3, within: 10m }", &format!("rollback: {rollback}"));
        let plan = loads(&text).settings.rollbacks[0].clone();
        (plan.openings.map(|(openings, _)| openings), plan.worse.is_some(), plan.both)
    };
    assert_eq!(plan("{}"), (Some(3), false, false));
    assert_eq!(plan("{ worse: false }"), (Some(3), false, false));
    assert_eq!(plan("{ worse: true }"), (None, true, false));
    assert_eq!(plan("{ worse: {}, require: any }"), (None, true, false));
    assert_eq!(plan("{ openings: 2, worse: true }"), (Some(2), true, false));
    assert_eq!(plan("{ within: 5m, worse: true, require: all }"), (Some(3), true, true));
}

#[test]
fn the_rules_of_worse_are_numbers_or_shares() {
    let rules = "{ alpha: 5%, min_effect_errors: 0.02, min_effect_slow: 0.05%, min_calls: 40 }";
    let text = goods("rollback: { openings: 3, within: 10m }", &format!("rollback: {{ worse: {rules} }}"));
    let shown = loads(&text).settings.rollbacks[0].thresholds();
    let worse = json!({ "alpha": 0.05, "min_effect_errors": 0.02, "min_effect_slow": 0.0005, "min_calls": 40 });
    let rest = json!({ "openings": null, "within_seconds": null, "require": "any", "figures": [] });
    let mut expected = rest.as_object().cloned().expect("a map");
    expected.insert("worse".to_owned(), worse);
    assert_eq!(shown.as_object(), Some(&expected));
}

#[test]
fn a_rollback_that_a_restart_forgets_is_a_warning() {
    let told = |text: String| lines(loads(&text).warnings.iter()).contains("a restart opens it");
    let without = || goods("    rollback: { openings: 3, within: 10m }\n", "");
    assert!(told(GOODS.to_owned()));
    assert!(!told(format!("{GOODS}state: {{ dir: state }}\n")));
    assert!(!told(without()), "nothing can roll back");
    let changes = "admin: { bind: 127.0.0.1:15090, insecure_changes: true }";
    assert!(told(without().replace("admin: { bind: 127.0.0.1:15090 }", changes)), "a person can");
}

/// The warnings that `from` does not have and the change brings.
#[track_caller]
fn warns(from: &str, to: &str, expected: &str) {
    let before = loads(GOODS).warnings;
    let new = |message: &str| before.iter().all(|warning| warning.message != message);
    same(&lines(loads(&goods(from, to)).warnings.iter().filter(|warning| new(&warning.message))), expected);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    warns(
        "lanes: { stable: goods-stable }\n",
        "lanes: { stable: goods-stable }\n    release: pricing-v2\n",
        "76:14: route `rest` has a release but no lane `gray`: who is admitted goes to stable (`no_lane`)",
    );
    warns(
        "lanes: { stable: goods-stable }\n",
        "lanes: { stable: goods-stable, gray: goods-gray }\n",
        "73:5: route `rest` has a gray lane but no release: every request goes to stable",
    );
    warns("lane: stable", "lane: grey", "5:7: no route has the lane `grey` (did you mean `gray`?)");
    warns(
        "  goods-gray: ",
        "  spare: { endpoints: [a:80] }\n  goods-gray: ",
        "30:3: nothing uses the upstream `spare`",
    );
    warns(
        "  stock_level:   [{ header: x-stock-level }]\n",
        "",
        "43:16: fact `stock_level` has no source, so this condition never holds",
    );
    warns(
        "{ path: sku_id }",
        "{ path: sku }",
        "18:27: no route has the path parameter `{sku}` (did you mean `sku_id`?)",
    );
    warns("service: goods-core\n", "", "1:1: no `service` is named: the loop guard and BusinessRules go by it");
    warns("127.0.0.0/8", "127.0.0.1/8", "13:9: `127.0.0.1/8` has bits beyond its prefix; it is taken as `127.0.0.0/8`");
    warns("trust: [127.0.0.0/8]", "trust: []", "16:29: no peer is trusted, so a fact from a header is never believed");
    warns(
        "  user_id:       [{ header: x-user-id }, { cookie: uid }]\n  device_id:     [{ header: x-device-id }]\n",
        "",
        "34:3: neither `user_id` nor `device_id` has a source, so `ab` and `permille` of release `pricing-v2` admit nobody",
    );
    warns("level: permille ", "level: full ", "37:12: at level `full` the field `permille` means nothing");
}
