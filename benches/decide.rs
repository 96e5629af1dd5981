//! What finding a route and deciding cost: `cargo bench --bench decide`.
//!
//! Finding must not cost more with 10,000 routes than with one, as only those that match the path so far are looked
//! at.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use graylane::config::{KeyFiles, load_text};
use graylane::decide::{
    AllowEncoded, Condition, FactId, FactTable, Inputs, LaneId, Lanes, Level, NormalPath, Operator, Permille, Program,
    Release, ReleaseId, RequestParts, RouteSpec, Scalar, bucket,
};
use graylane::extract::{Extractor, Peer, Source, Sources, Trust};

struct Request {
    path: String,
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
fn world(routes: usize) -> (Program, Extractor) {
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
    let conditions = conditions.collect();
    let permille = Permille::new(50).expect("50 is within 1000");
    let release = Release { level: Level::Permille, permille, conditions, ..Release::closed("pricing-v2") };
    let routes = (0..routes).map(|number| RouteSpec {
        lanes: vec![LaneId::STABLE, LaneId::GRAY],
        release: ReleaseId::from_index(0),
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
        Program::new(Lanes::new(), table, vec![release], routes.collect()).expect("the routes of this file are valid");
    let extractor = Extractor::new(&program, sources, Trust::default());
    (program, extractor)
}

fn request(routes: usize) -> Request {
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

fn ruling(criterion: &mut Criterion) {
    let route = "routes: [{ name: r, match: { path: '/api/v1/p0/{sku_id}' }, lanes: { stable: a, gray: a, gold: a }";
    let cel = format!(
        "releases: {{ r: {{ level: full, expression: 'category_id in [\"1001\", \"1002\"] && stock_level > 500 && \
         sku_id.startsWith(\"sku-\") && \"vip\" in tags && stock_level * (1 - 0.2) > 100' }} }}\n{route}, release: r }}]"
    );
    let score = format!(
        "{route}, strategies: {{ list: [{{ name: a, lane: gold, tags: [vip, x], threshold: 0.9 }}, \
         {{ name: b, lane: gold, tags: [new], threshold: 0.5 }}] }} }}]"
    );
    let mut group = criterion.benchmark_group("decide");
    for (name, rules) in [("find and decide on an expression", cel), ("find and decide by score", score)] {
        let ((program, extractor), request) = (written(&rules), request(1));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let path = NormalPath::new(black_box(&request.path), AllowEncoded::default()).ok()?;
                let found = program.find(&request, path.as_str())?;
                let facts = extractor.facts(&request, &found, Peer::local());
                Some(program.decide(found.route, &Inputs::of(&facts)))
            });
        });
    }
    group.finish();
}

fn deciding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for routes in [1, 100, 10_000] {
        let ((program, extractor), request) = (world(routes), request(routes));
        group.bench_function(BenchmarkId::new("find", routes), |bench| {
            bench.iter(|| program.find(&request, black_box(&request.path)).map(|found| found.route));
        });
        group.bench_function(BenchmarkId::new("find and decide on five conditions", routes), |bench| {
            bench.iter(|| {
                let path = NormalPath::new(black_box(&request.path), AllowEncoded::default()).ok()?;
                let found = program.find(&request, path.as_str())?;
                let facts = extractor.facts(&request, &found, Peer::local());
                Some(program.decide(found.route, &Inputs::of(&facts)))
            });
        });
    }
    group.bench_function("bucket", |bench| bench.iter(|| bucket(black_box("pricing-v2"), black_box("u1234567"))));
    group.finish();
}

criterion_group!(benches, deciding, ruling);
criterion_main!(benches);
