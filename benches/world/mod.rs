//! What is decided in benches: routes, releases and a request that all of them take.

use std::path::Path;
use std::sync::Arc;

use graylane::config::{KeyFiles, load_text};
use graylane::decide::{
    Condition, FactId, FactTable, LaneId, Lanes, Level, Operator, Permille, Program, Release, ReleaseId, RequestParts,
    RouteSpec, Scalar,
};
use graylane::extract::{Extractor, Source, Sources, Trust};

pub(crate) struct Request {
    pub(crate) path: String,
    headers: Vec<(&'static str, &'static str)>,
}

impl RequestParts for Request {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> Option<&str> {
        Some("goods.shop.svc.cluster.local:8080")
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes())
    }

    fn for_each_header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.headers.iter().filter(|(known, _)| *known == name).for_each(|(_, value)| each(value.as_bytes()));
    }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

/// Routes `/api/v1/p0/{sku_id}` to `/api/v1/pN/{sku_id}`, all of one release with five conditions at 50 permille.
pub(crate) fn world(routes: usize) -> (Program, Extractor) {
    let mut table = FactTable::new();
    let skus = (0..1000).map(|sku| text(&format!("sku-{sku}"))).collect();
    let conditions = [
        ("category_id", Operator::In, vec![text("1001"), text("1002")]),
        ("stock_level", Operator::Gt, vec![text("500")]),
        ("sku_id", Operator::In, skus),
        ("header:x-app-version", Operator::Semver, vec![text(">=2.4.0")]),
        ("tag", Operator::AnyOf, vec![text("vip"), text("staff")]),
    ];
    let conditions = conditions.into_iter().map(|(key, operator, values)| {
        Condition::test(&mut table, key, operator, values).expect("a condition of this file is valid")
    });
    let release = ramp("pricing-v2", conditions.collect());
    built(table, vec![release], routes, |_| 0)
}

/// The same routes with a release of its own for each, of five conditions without a long list.
pub(crate) fn world_of_releases(routes: usize) -> (Program, Extractor) {
    let mut table = FactTable::new();
    let releases = (0..routes).map(|number| {
        let conditions = [
            ("category_id", Operator::In, vec![text("1001"), text("1002")]),
            ("stock_level", Operator::Gt, vec![text("500")]),
            ("sku_id", Operator::Prefix, vec![text("sku-")]),
            ("header:x-app-version", Operator::Semver, vec![text(">=2.4.0")]),
            ("tag", Operator::AnyOf, vec![text("vip"), text("staff")]),
        ];
        let conditions = conditions.into_iter().map(|(key, operator, values)| {
            Condition::test(&mut table, key, operator, values).expect("a condition of this file is valid")
        });
        ramp(&format!("pricing-{number}"), conditions.collect())
    });
    let releases = releases.collect();
    built(table, releases, routes, |route| route)
}

/// A release for a twentieth of those who meet the conditions.
fn ramp(name: &str, conditions: Vec<Condition>) -> Release {
    let permille = Permille::new(50).expect("50 is within 1000");
    Release { level: Level::Permille, permille, conditions, ..Release::closed(name) }
}

fn built(
    table: FactTable,
    releases: Vec<Release>,
    routes: usize,
    release_of: fn(usize) -> usize,
) -> (Program, Extractor) {
    let routes = (0..routes).map(|number| RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(release_of(number)),
        ..RouteSpec::on_path(format!("r{number}"), format!("/api/v1/p{number}/{{sku_id}}"))
    });
    let header = |fact, name: &str| (fact, vec![Source::header(name)]);
    let sources = Sources::new(
        &table,
        [
            header(FactId::USER_ID, "x-user-id"),
            header(FactId::CATEGORY_ID, "x-category-id"),
            header(FactId::STOCK_LEVEL, "x-stock-level"),
            header(FactId::TAGS, "x-user-tags"),
            (FactId::SKU_ID, vec![Source::Path("sku_id".into())]),
        ],
    );
    let program =
        Program::new(Lanes::new(), table, releases, routes.collect()).expect("the routes of this file are valid");
    let extractor = Extractor::new(&program, sources, Trust::default());
    (program, extractor)
}

pub(crate) fn request(routes: usize) -> Request {
    let headers = vec![
        ("host", "goods.shop.svc.cluster.local:8080"),
        ("accept", "*/*"),
        ("user-agent", "okhttp/4.12.0"),
        ("x-user-id", "u1234567"),
        ("x-category-id", "1001"),
        ("x-stock-level", "501"),
        ("x-app-version", "2.4.1"),
        ("x-user-tags", "new, vip"),
    ];
    Request { path: format!("/api/v1/p{}/sku-7", routes - 1), headers }
}

/// One route whose rule is the text, as a configuration has it.
fn written(rules: &str) -> (Arc<Program>, Extractor) {
    let text = format!(
        "version: 1\nservice: goods\ntrust: [127.0.0.0/8]\nupstreams: {{ a: {{ endpoints: [127.0.0.1:1] }} }}\nfacts:\n  \
         user_id: [{{ header: x-user-id }}]\n  category_id: [{{ header: x-category-id }}]\n  stock_level: [{{ header: \
         x-stock-level }}]\n  tags: [{{ header: x-user-tags }}]\n  sku_id: [{{ path: sku_id }}]\n{rules}"
    );
    let loaded = load_text(Path::new("bench.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent);
    let settings = loaded.expect("the configurations of this file are valid").settings;
    let extractor = Extractor::of(&settings);
    (settings.program, extractor)
}

const ROUTE: &str =
    "routes: [{ name: r, match: { path: '/api/v1/p0/{sku_id}' }, lanes: { stable: a, gray: a, gold: a }";

/// A release that an expression decides.
pub(crate) fn by_expression() -> (Arc<Program>, Extractor) {
    written(&format!(
        "releases: {{ r: {{ level: full, expression: 'category_id in [\"1001\", \"1002\"] && stock_level > 500 && \
         sku_id.startsWith(\"sku-\") && \"vip\" in tags && stock_level * (1 - 0.2) > 100' }} }}\n{ROUTE}, release: r }}]"
    ))
}

/// Lanes that scores choose among.
pub(crate) fn by_score() -> (Arc<Program>, Extractor) {
    written(&format!(
        "{ROUTE}, strategies: {{ list: [{{ name: a, lane: gold, tags: [vip, x], threshold: 0.9 }}, \
         {{ name: b, lane: gold, tags: [new], threshold: 0.5 }}] }} }}]"
    ))
}
