//! How long it takes from a write to its effect on a request, for each source, through a whole sidecar.

use std::time::{Duration, Instant};

use crate::harness::{Origin, Plan, Sidecar, eventually};
use crate::source_stage::{ApolloStandIn, CentreServer, EtcdServer, NacosStandIn, RedisServer};

const WRITES: usize = 100;

fn document(permille: u16) -> String {
    format!("releases: {{ r: {{ permille: {permille} }} }}\n")
}

fn lane(sidecar: &Sidecar, user: u32) -> String {
    let answer = sidecar.get("/a", &format!("X-User-Id: {user}\r\n"));
    answer.get("x-lane").expect("an origin answers")
}

/// Writes a release of a tenth and of nobody by turns, and asks as one of that tenth until the answer is the other lane's.
async fn measure(name: &str, sidecar: &Sidecar, mut write: impl AsyncFnMut(u16)) {
    let user = (0..200).find(|user| lane(sidecar, *user) == "gray").expect("one of two hundred is in a tenth");
    let mut times = Vec::new();
    for turn in 0..WRITES {
        let (permille, wanted) = if turn % 2 == 0 { (0, "stable") } else { (100, "gray") };
        let begun = Instant::now();
        write(permille).await;
        eventually("the effect", || (lane(sidecar, user) == wanted).then_some(()));
        times.push(begun.elapsed());
        // A writer by hand is slower than the pause that follows a change.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    times.sort();
    let (median, p99) = (times[WRITES / 2], times[(WRITES * 99).div_ceil(100) - 1]);
    println!("{name}: from write to effect: median {median:?}, P99 {p99:?} of {WRITES} writes");
    assert!(median < Duration::from_secs(1), "{name}: {median:?}");
}

/// The same, of a release that is a document of a source.
async fn measure_source(name: &str, sources: &str, mut write: impl AsyncFnMut(String)) {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    write(document(100)).await;
    let route =
        "routes: [{ name: all, match: { path: '/{*rest}' }, lanes: { stable: stable, gray: gray }, release: r }]";
    let plan = Plan::new().upstream("stable", stable.address()).upstream("gray", gray.address());
    let sidecar = Sidecar::start(&plan.more(route).more("state: { dir: state }").more(sources));
    measure(name, &sidecar, async |permille| write(document(permille)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_takes_effect() {
    let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
    let plan = |permille: u16| Plan::gray(stable.address(), gray.address(), &format!("permille: {permille}"));
    let sidecar = Sidecar::start(&plan(100));
    measure("file", &sidecar, async |permille| sidecar.rewrite(&plan(permille))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_redis_takes_effect() {
    let server = RedisServer::start(&["--notify-keyspace-events", "K$gx"]);
    let sources = format!("sources: [{{ name: shop, redis: {{ address: '{}' }} }}]", server.address());
    measure_source("redis", &sources, async |text| server.set("graylane/prod/release", text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_etcd_takes_effect() {
    let server = EtcdServer::start().await;
    let sources = format!("sources: [{{ name: shop, etcd: {{ endpoints: ['{}'] }} }}]", server.url());
    measure_source("etcd", &sources, async |text| server.put("/graylane/prod/release", text).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_centre_takes_effect() {
    let server = CentreServer::start().await;
    let sources = format!("sources: [{{ name: shop, centre: {{ url: 'http://{}' }} }}]", server.host.address);
    measure_source("centre", &sources, async |text| server.put("release", &text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_stand_in_of_nacos_takes_effect() {
    let server = NacosStandIn::start().await;
    let url = format!("http://{}", server.host.address);
    let sources = format!("sources: [{{ name: shop, nacos: {{ url: '{url}', data_ids: [release.yaml] }} }}]");
    measure_source("nacos (stand-in)", &sources, async |text| server.publish("release.yaml", "prod", &text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_stand_in_of_apollo_takes_effect() {
    let server = ApolloStandIn::start().await;
    let url = format!("http://{}", server.host.address);
    let sources =
        format!("sources: [{{ name: shop, apollo: {{ url: '{url}', app_id: goods, namespaces: [release.yaml] }} }}]");
    measure_source("apollo (stand-in)", &sources, async |text| server.release("release.yaml", &text)).await;
}
