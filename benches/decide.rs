//! What finding a route and deciding cost: `cargo bench --bench decide`.
//!
//! Finding must not cost more with 10,000 routes than with one, as only those that match the path so far are looked
//! at.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use graylane::decide::{AllowEncoded, Inputs, NormalPath, bucket};
use graylane::extract::Peer;

#[allow(dead_code, reason = "it is shared with another bench, which uses more of it")]
mod world;

use world::{by_expression, by_score, request, world, world_of_releases};

fn ruling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for (name, world) in
        [("find and decide on an expression", by_expression()), ("find and decide by score", by_score())]
    {
        let ((program, extractor), request) = (world, request(1));
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
    for routes in [1, 100, 10_000] {
        let ((program, extractor), request) = (world_of_releases(routes), request(routes));
        group.bench_function(
            BenchmarkId::new("find and decide, each route with a release of its own", routes),
            |bench| {
                bench.iter(|| {
                    let path = NormalPath::new(black_box(&request.path), AllowEncoded::default()).ok()?;
                    let found = program.find(&request, path.as_str())?;
                    let facts = extractor.facts(&request, &found, Peer::local());
                    Some(program.decide(found.route, &Inputs::of(&facts)))
                });
            },
        );
    }
    group.bench_function("bucket", |bench| bench.iter(|| bucket(black_box("pricing-v2"), black_box("u1234567"))));
    group.finish();
}

criterion_group!(benches, deciding, ruling);
criterion_main!(benches);
