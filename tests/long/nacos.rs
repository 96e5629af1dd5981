//! Nacos itself, as far as Maven Central carries it (`scripts/nacos-server`): what the stand-in of the ordinary tests is held
//! against.

use std::time::{Duration, Instant};

use bytes::Bytes;
use graylane::outbound::{Bounds, Caller, Roots};
use http::Request;

use crate::harness::Port;
use crate::source_stage::{Loader, Server, measure};

/// Maven may have to fetch it first.
const PATIENCE: Duration = Duration::from_secs(300);

struct Nacos {
    server: Server,
    url: String,
    caller: Caller,
    _port: Port,
    _folder: tempfile::TempDir,
}

impl Nacos {
    async fn start() -> Self {
        let (port, folder) = (Port::reserve(), tempfile::tempdir().unwrap());
        let number = port.address().port().to_string();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/nacos-server");
        let server = Server::start(script, vec![number, folder.path().display().to_string()]);
        let url = format!("http://{}/nacos", port.address());
        let caller = Caller::new(&Roots::default()).unwrap();
        let nacos = Self { server, url, caller, _port: port, _folder: folder };
        nacos.until_it_answers().await;
        nacos
    }

    async fn until_it_answers(&self) {
        let begun = Instant::now();
        while self.call("GET", "dataId=nothing&group=DEFAULT_GROUP").await != Some(404) {
            assert!(begun.elapsed() < PATIENCE, "Nacos does not answer");
            // The pause between two looks.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn call(&self, method: &str, query: &str) -> Option<u16> {
        let target = format!("{}/v1/cs/configs?{query}", self.url);
        let request = Request::builder().method(method).uri(target).body(Bytes::new()).unwrap();
        let bounds = Bounds { within: Duration::from_secs(5), bytes: 1 << 20 };
        self.caller.call(request, bounds).await.ok().map(|answer| answer.status)
    }

    async fn publish(&self, data_id: &str, tenant: &str, text: &str) {
        let text = text.replace(' ', "%20").replace('#', "%23").replace(':', "%3A");
        let query = format!("dataId={data_id}&group=DEFAULT_GROUP&tenant={tenant}&content={text}");
        assert_eq!(self.call("POST", &query).await, Some(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_nacos_is_heard_and_found_again() {
    let mut nacos = Nacos::start().await;
    nacos.publish("a.yaml", "", "a: 1").await;
    nacos.publish("b.yaml", "", "b: 1").await;
    nacos.publish("a.yaml", "other", "a: 9").await;
    let mut loader = Loader::start(&format!(
        "sources: [{{ name: shop, backoff: {{ first: 100ms, most: 1s }}, \
            nacos: {{ url: '{}', tenant: public, data_ids: [a.yaml, b.yaml], wait: 10s }} }}, \
            {{ name: other, nacos: {{ url: '{}', tenant: other, data_ids: a.yaml, wait: 10s }} }}]",
        nacos.url, nacos.url
    ));
    loader.until("all three", |texts| texts.len() == 3 && texts["other:a.yaml"] == "a: 9").await;
    nacos.publish("a.yaml", "", "a: 2").await;
    loader.until_text("shop:a.yaml", "a: 2").await;
    nacos.publish("a.yaml", "other", "a: 10").await;
    loader.until_text("other:a.yaml", "a: 10").await;
    // A poll in which nothing happens ends, and is no error.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let status = loader.status();
    assert!(status.up && status.errors == 0 && status.changes == 2, "{status:?}");

    nacos.server.kill();
    loader.until_status("the loss", |status| !status.up).await;
    assert_eq!(loader.texts()["shop:a.yaml"], "a: 2");
    nacos.server.again();
    nacos.until_it_answers().await;
    nacos.publish("a.yaml", "", "a: 3").await;
    loader.until_text("shop:a.yaml", "a: 3").await;
    measure("nacos 0.8.0", &mut loader, "shop:a.yaml", async |text| nacos.publish("a.yaml", "", text).await).await;
}
