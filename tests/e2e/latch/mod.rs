//! Releases that are taken back: what stays so, what opens them again, and who may do either.

mod authority;
mod draining;
mod figures;
mod keeping;
mod roles;
mod rollback;

use crate::harness::{Origin, Plan, Response, Sidecar};

/// Everybody with a city of Shenzhen sees gray; developers may override without a signature.
const OPEN: &str = "level: region\nregions: { city_id: [\"440300\"] }\ndeveloper: { header: x-gray-override }";
const GRAY_USER: &str = "x-city-id: 440300\r\nx-user-id: u1\r\n";

struct Scene {
    sidecar: Sidecar,
    stable: Origin,
    gray: Origin,
}

impl Scene {
    /// A sidecar with the release `r` on every path, its state in the folder `state`, and changes without a token.
    fn open() -> Self {
        Self::with(|plan| plan.admin("insecure_changes: true").more("state: { dir: state }"))
    }

    fn with(finish: impl FnOnce(Plan) -> Plan) -> Self {
        let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
        let plan = finish(Self::plan(&stable, &gray, OPEN));
        Self { sidecar: Sidecar::start(&plan), stable, gray }
    }

    fn plan(stable: &Origin, gray: &Origin, release: &str) -> Plan {
        Plan::gray(stable.address(), gray.address(), release).environment("dev")
    }

    /// Starts anew with these keys added to the release.
    fn restart(&mut self, keys: &str) {
        let plan = Self::plan(&self.stable, &self.gray, &format!("{OPEN}\n{keys}"));
        self.sidecar.restart(&plan.admin("insecure_changes: true").more("state: { dir: state }"));
    }

    fn post(&self, action: &str) -> Response {
        self.sidecar.admin_post(&format!("/api/v1/releases/r/{action}"), "", "")
    }

    /// Does it, which has to work.
    fn does(&self, action: &str) -> serde_json::Value {
        let response = self.post(action);
        assert_eq!(response.status(), 200, "{}", response.text());
        response.json()
    }

    /// The lane that a user of the open region gets.
    fn lane(&self) -> String {
        self.lane_with("")
    }

    fn lane_with(&self, fields: &str) -> String {
        let response = self.sidecar.get("/", &format!("{GRAY_USER}{fields}"));
        assert_eq!(response.status(), 200, "{response:?}");
        response.get("x-lane").expect("the origin names its lane")
    }

    /// The release as the admin port shows it.
    fn release(&self) -> serde_json::Value {
        self.sidecar.admin_get("/api/v1/releases").json()["releases"][0].clone()
    }

    fn incidents(&self) -> Vec<serde_json::Value> {
        let shown = self.sidecar.admin_get("/api/v1/incidents").json();
        shown["incidents"].as_array().expect("a list").clone()
    }

    /// The action of every audit record, oldest first.
    fn audit(&self) -> Vec<String> {
        let shown = self.sidecar.admin_get("/api/v1/audit").json();
        let records = shown["audit"].as_array().expect("a list");
        records.iter().map(|record| record["action"].as_str().expect("a word").to_owned()).collect()
    }
}
