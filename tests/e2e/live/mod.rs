//! A running sidecar whose configuration lives in shared sources: at its start, while it changes, and when everything that
//! can be wrong with a source is wrong.

mod guarded;
mod products;
mod starting;
mod taken;
mod wrong;

use std::path::{Path, PathBuf};

use crate::harness::{Origin, Plan, Port, Process, Sidecar, eventually};
use crate::source::stage::RedisServer;

/// Notifications for everything that changes a text.
const PUSHED: &[&str] = &["--notify-keyspace-events", "K$gx"];

/// A Redis server with documents, and two lanes; the file of the sidecar says nothing of routes.
struct Scene {
    redis: RedisServer,
    stable: Origin,
    gray: Origin,
}

impl Scene {
    /// With a release at so many permille, and the route that follows it, as two documents.
    fn at(permille: u16) -> Self {
        Self::on(RedisServer::start(PUSHED), permille)
    }

    fn on(redis: RedisServer, permille: u16) -> Self {
        let scene = Self { redis, stable: Origin::lane("stable"), gray: Origin::lane("gray") };
        scene.release(permille, "");
        scene.set("routes", ROUTE);
        scene
    }

    /// The file of the sidecar; `more` is top-level text.
    fn plan(&self, more: &str) -> Plan {
        let plan = Plan::new().upstream("stable", self.stable.address()).upstream("gray", self.gray.address());
        let address = self.redis.address();
        let sources = format!(
            "sources: [{{ name: shop, redis: {{ address: '{address}', poll: 1s }}, backoff: {{ first: 50ms, most: 200ms }} }}]"
        );
        plan.admin("insecure_changes: true").more("state: { dir: state }").more(&sources).more(more)
    }

    fn start(&self) -> Sidecar {
        Sidecar::start(&self.plan(""))
    }

    /// Writes a document.
    fn set(&self, name: &str, text: &str) {
        self.redis.set(&format!("graylane/prod/{name}"), text);
    }

    /// Writes the release, with further top-level text.
    fn release(&self, permille: u16, more: &str) {
        self.set("release", &format!("releases: {{ r: {{ permille: {permille} }} }}\n{more}"));
    }
}

const ROUTE: &str =
    "routes: [{ name: all, match: { path: '/{*rest}' }, lanes: { stable: stable, gray: gray }, release: r }]\n";

/// The lane that a user's request goes to.
fn lane(sidecar: &Sidecar) -> String {
    sidecar.get("/a", "X-User-Id: u\r\n").get("x-lane").expect("an origin answers")
}

fn permille(sidecar: &Sidecar) -> u64 {
    sidecar.admin_get("/api/v1/releases").json()["releases"][0]["permille"].as_u64().expect("a number")
}

fn wait_for_permille(sidecar: &Sidecar, wanted: u64) {
    eventually(&format!("permille {wanted}"), || (permille(sidecar) == wanted).then_some(()));
}

fn config(sidecar: &Sidecar) -> serde_json::Value {
    sidecar.admin_get("/api/v1/config").json()
}

fn version(sidecar: &Sidecar) -> String {
    config(sidecar)["version"].as_str().expect("a text").to_owned()
}

/// The status of the only source.
fn status(sidecar: &Sidecar) -> serde_json::Value {
    sidecar.admin_get("/api/v1/sources").json()["sources"][0].clone()
}

/// Waits until a configuration is refused for a reason with these words; gives the whole reason.
fn refused(sidecar: &Sidecar, words: &str) -> String {
    eventually(&format!("a refusal for `{words}`"), || {
        let refused = config(sidecar)["refused"].clone();
        let problems = refused["problems"].as_array()?.iter().filter_map(|problem| problem.as_str());
        let told = problems.collect::<Vec<_>>().join("\n");
        told.contains(words).then_some(told)
    })
}

/// How often these words stand in the log.
fn told(sidecar: &Sidecar, words: &str) -> usize {
    sidecar.stderr().matches(words).count()
}
