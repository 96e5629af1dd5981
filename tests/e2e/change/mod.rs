//! Changes that are planned, guarded, recorded and taken back.

mod back;
mod guarded;
mod recorded;
mod tools;

use crate::harness::{Origin, Plan, Response, Sidecar};

struct Scene {
    sidecar: Sidecar,
    stable: Origin,
    gray: Origin,
    more: &'static str,
}

impl Scene {
    /// A sidecar with the release `r` on every path at so many permille; `more` is top-level text.
    fn at(permille: u16, more: &'static str) -> Self {
        let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
        let plan = Self::plan_of(&stable, &gray, permille, more);
        Self { sidecar: Sidecar::start(&plan), stable, gray, more }
    }

    fn plan_of(stable: &Origin, gray: &Origin, permille: u16, more: &str) -> Plan {
        let plan = Plan::gray(stable.address(), gray.address(), &format!("permille: {permille}"));
        plan.admin("insecure_changes: true").more(more)
    }

    /// Writes the file anew at another share with further text, and has it read.
    fn change(&self, permille: u16, more: &str) -> Response {
        self.rewrite(permille, more);
        self.sidecar.sync()
    }

    fn rewrite(&self, permille: u16, more: &str) {
        let more = format!("{}\n{more}", self.more);
        self.sidecar.rewrite(&Self::plan_of(&self.stable, &self.gray, permille, &more));
    }

    fn get(&self, path: &str) -> serde_json::Value {
        self.sidecar.admin_get(path).json()
    }

    /// The share of the release in force.
    fn permille(&self) -> u64 {
        self.get("/api/v1/releases")["releases"][0]["permille"].as_u64().expect("a number")
    }

    fn version(&self) -> String {
        self.get("/api/v1/config")["version"].as_str().expect("a text").to_owned()
    }

    fn audit(&self) -> Vec<serde_json::Value> {
        self.get("/api/v1/audit")["audit"].as_array().expect("a list").clone()
    }

    fn roll_back(&self, version: &str, more: &str) -> Response {
        let body = format!("{{\"version\": \"{version}\"{more}}}");
        self.sidecar.admin_post("/api/v1/config/rollback", "Content-Type: application/json\r\n", &body)
    }
}

/// The digest that a refusal names.
fn digest(refusal: &Response) -> String {
    assert_eq!(refusal.status(), 409, "{}", refusal.text());
    let detail = refusal.json()["detail"].as_str().expect("a sentence").to_owned();
    let (_, rest) = detail.split_once("`confirm: ").unwrap_or_else(|| panic!("no digest: {detail}"));
    rest.trim_end_matches('`').to_owned()
}
