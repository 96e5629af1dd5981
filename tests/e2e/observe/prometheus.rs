//! A real Prometheus that scrapes a real sidecar: what the dashboard and the rules ask for is there.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use serde_json::Value;

use super::rules::{Rule, folder, rules};
use crate::harness::{Client, Origin, Plan, Port, Sidecar, eventually};

/// A Prometheus server on a port and in a folder of its own; killed with the test.
struct Prometheus {
    child: Child,
    port: Port,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes the sidecar as job `graylane`, with the rules of `k8s/observability`.
    fn start(sidecar: &Sidecar) -> Self {
        let (port, data) = (Port::reserve(), tempfile::tempdir().unwrap());
        let config = data.path().join("prometheus.yaml");
        let rules = folder();
        let text = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [\"{0}/alerts.yaml\", \"{0}/recording-rules.yaml\"]\n\
             scrape_configs: [{{ job_name: graylane, static_configs: [{{ targets: [\"{1}\"] }}] }}]\n",
            rules.display(),
            sidecar.admin()
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={}", port.address()))
            .args(["--enable-feature=exemplar-storage", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus cannot be started ({error}): scripts/setup-test-env installs it")
            });
        let prometheus = Self { child, port, _folder: data };
        eventually("Prometheus to be ready", || prometheus.get("/-/ready").filter(|(status, _)| *status == 200));
        prometheus
    }

    fn get(&self, target: &str) -> Option<(u16, String)> {
        let mut client = Client::try_connect(self.port.address()).ok()?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client.try_send(request.as_bytes()).ok()?;
        let answer = client.try_answer("GET").ok()?;
        Some((answer.status(), answer.text()))
    }

    /// The data of an answer of its API; an expression that cannot be read ends the test.
    fn ask(&self, call: &str) -> Value {
        let (status, text) = self.get(&format!("/api/v1/{call}")).expect("Prometheus answers");
        assert_eq!(status, 200, "{call}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["data"].take()
    }

    /// How many series an expression has now.
    fn series(&self, expression: &str) -> usize {
        let query = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        self.ask(&format!("query?query={query}"))["result"].as_array().expect("a vector").len()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Scene {
    sidecar: Sidecar,
    prometheus: Prometheus,
    _origins: (Origin, Origin),
}

impl Scene {
    fn new() -> Self {
        let (stable, gray) = (Origin::lane("stable"), Origin::lane("gray"));
        let plan =
            Plan::gray(stable.address(), gray.address(), "level: permille\npermille: 500").more("access_log: all");
        let sidecar = Sidecar::start(&plan);
        let prometheus = Prometheus::start(&sidecar);
        Self { sidecar, prometheus, _origins: (stable, gray) }
    }

    /// Visitors of both lanes, whose traces are kept.
    fn visit(&self) {
        let mut client = self.sidecar.client();
        for user in 0..10 {
            client.get("/", &format!("x-user-id: u{user}\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"));
        }
    }

    /// The names of the metrics that this sidecar has series of.
    fn present(&self) -> BTreeSet<String> {
        let text = self.sidecar.admin_get("/metrics").text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut names: BTreeSet<String> =
            types.filter_map(|line| line.split_once(' ')).map(|(name, _)| name.to_owned()).collect();
        names.insert("up".to_owned());
        names
    }

    /// Waits for data of every expression, while visitors come.
    fn wait_for_data(&self, expressions: &[String]) {
        for expression in expressions {
            eventually(&format!("data of {expression}"), || {
                self.visit();
                (self.prometheus.series(expression) > 0).then_some(())
            });
        }
    }
}

/// The names of the metrics in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let pattern = Regex::new(r"\b(graylane_\w+|process_\w+|up)\b").unwrap();
    let names = pattern.find_iter(expression).map(|found| found.as_str());
    let suffix = Regex::new(r"_(bucket|sum|count)$").unwrap();
    names.map(|name| suffix.replace(name, "").into_owned()).collect()
}

/// Every query of the dashboard, as Grafana would send it.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(folder().join("dashboard.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let mut queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let marks = board["annotations"]["list"].as_array().unwrap().iter();
    queries.extend(marks.map(|mark| mark["expr"].as_str().unwrap().to_owned()));
    // `label_values(SELECTOR, LABEL)` is Grafana's; behind it is this.
    let label_values = Regex::new(r"^label_values\((.+), (\w+)\)$").unwrap();
    for variable in board["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let definition = variable["definition"].as_str().unwrap();
            let found = label_values.captures(definition).unwrap_or_else(|| panic!("{definition}"));
            queries.push(format!("group by ({}) ({})", &found[2], &found[1]));
        }
    }
    let plain = |query: String| {
        let query = query.replace("$__rate_interval", "1m").replace("$job", "graylane");
        query.replace("$route", ".*").replace("$release", ".*")
    };
    queries.into_iter().map(plain).collect()
}

#[test]
fn every_query_of_the_dashboard_has_data_where_the_sidecar_has_it() {
    let (scene, queries) = (Scene::new(), queries());
    assert!(queries.len() > 40 && queries.iter().all(|query| !query.contains('$')), "{queries:?}");
    scene.visit();
    let present = scene.present();
    let (answered, rest): (Vec<String>, Vec<String>) = queries.into_iter().partition(|query| {
        let names = names(query);
        !names.is_empty() && names.is_subset(&present)
    });
    scene.wait_for_data(&answered);
    // What this sidecar has no source, certificate or alert for: the query has to be one, and to name what exists.
    for query in &rest {
        scene.prometheus.series(query);
        let known = |name: &String| graylane::telemetry::METRICS.iter().any(|metric| metric.name == name);
        assert!(names(query).iter().all(known), "{query}");
    }
    let asked: Vec<&String> = rest.iter().filter(|query| !query.starts_with("ALERTS")).collect();
    assert!(asked.len() <= 2, "too many queries without data: {asked:?}");
    println!("{} queries with data, {} that need more than this sidecar has", answered.len(), rest.len());
}

#[test]
fn every_rule_is_evaluated_and_every_figure_recorded() {
    let scene = Scene::new();
    let all: Vec<Rule> = [rules("alerts.yaml"), rules("recording-rules.yaml")].concat();
    let recorded: Vec<String> = all.iter().filter_map(|rule| rule.record.clone()).collect();
    assert!(recorded.len() >= 5);
    scene.wait_for_data(&recorded);
    let present = scene.present();
    let mut checked = 0;
    for rule in &all {
        // As a whole it has data where something is wrong; the series it looks at have to be there always.
        scene.prometheus.series(&rule.expr);
        for name in names(&rule.expr) {
            let known = graylane::telemetry::METRICS.iter().any(|metric| metric.name == name) || name == "up";
            assert!(known || recorded.iter().any(|record| record.contains(&name)), "{name} in {}", rule.expr);
            if present.contains(&name) && name != "graylane_request_duration_seconds" {
                assert!(scene.prometheus.series(&name) > 0, "{name}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 25, "{checked}");
    let told = eventually("every rule to be evaluated", || {
        let told = scene.prometheus.ask("rules");
        let groups = told["groups"].as_array().unwrap().iter();
        let rules: Vec<Value> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    assert_eq!(told.len(), all.len());
    let firing = |rule: &&Value| rule["state"] == "firing";
    for rule in &told {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let firing: Vec<&Value> = told.iter().filter(firing).map(|rule| &rule["name"]).collect();
    assert!(firing.is_empty(), "nothing is wrong here: {firing:?}");
}

#[test]
fn prometheus_keeps_the_traces_of_slow_requests() {
    let scene = Scene::new();
    let query = utf8_percent_encode("graylane_request_duration_seconds_bucket", NON_ALPHANUMERIC);
    eventually("an exemplar", || {
        scene.visit();
        let found = scene.prometheus.ask(&format!("query_exemplars?query={query}&start=0&end=9999999999"));
        found.to_string().contains(TRACE).then_some(())
    });
}
