//! Several files as one: maps merge, lists follow one another, and what is said twice must not differ.

use std::collections::HashMap;

use super::file::{
    FileAccessLogFile, FileAdmin, FileConfig, FileFunctions, FileGeoip, FileGuard, FileInvalidate, FileJsonBody,
    FileKubernetes, FileLimits, FileOverload, FileProducts, FileState, FileTracing,
};
use super::problem::Findings;
use super::read::{OneOrMany, Table};
use super::text::{At, Span};

/// Adds the next document to what was read before.
pub(super) fn merge(into: &mut FileConfig, next: FileConfig, findings: &mut Findings) {
    let f = findings;
    one(&mut into.version, next.version, "version", f);
    one(&mut into.environment, next.environment, "environment", f);
    one(&mut into.service, next.service, "service", f);
    one(&mut into.lane, next.lane, "lane", f);
    one(&mut into.local, next.local, "local", f);
    one(&mut into.workers, next.workers, "workers", f);
    one(&mut into.access_log, next.access_log, "access_log", f);
    one(&mut into.response_mark, next.response_mark, "response_mark", f);
    one(&mut into.response_mark_cache, next.response_mark_cache, "response_mark_cache", f);
    one(&mut into.normalize, next.normalize, "normalize", f);
    one(&mut into.region_codes, next.region_codes, "region_codes", f);
    one(&mut into.sku_format, next.sku_format, "sku_format", f);
    one(&mut into.order_amount_unit, next.order_amount_unit, "order_amount_unit", f);
    one(&mut into.drain, next.drain, "drain", f);
    one(&mut into.drain_wait, next.drain_wait, "drain_wait", f);
    one(&mut into.sources_wait, next.sources_wait, "sources_wait", f);

    section(&mut into.admin, next.admin, |into: &mut FileAdmin, next| {
        one(&mut into.bind, next.bind, "admin.bind", f);
        one(&mut into.insecure_changes, next.insecure_changes, "admin.insecure_changes", f);
        one(&mut into.token_file, next.token_file, "admin.token_file", f);
        one(&mut into.reads, next.reads, "admin.reads", f);
        list(&mut into.tokens, next.tokens);
    });
    section(&mut into.access_log_file, next.access_log_file, |into: &mut FileAccessLogFile, next| {
        one(&mut into.path, next.path, "access_log_file.path", f);
        one(&mut into.size, next.size, "access_log_file.size", f);
        one(&mut into.keep, next.keep, "access_log_file.keep", f);
    });
    section(&mut into.state, next.state, |into: &mut FileState, next| one(&mut into.dir, next.dir, "state.dir", f));
    section(&mut into.geoip, next.geoip, |into: &mut FileGeoip, next| {
        one(&mut into.database, next.database, "geoip.database", f);
        one(&mut into.province, next.province, "geoip.province", f);
        one(&mut into.city, next.city, "geoip.city", f);
        one(&mut into.country, next.country, "geoip.country", f);
        one(&mut into.cities, next.cities, "geoip.cities", f);
    });
    section(&mut into.kubernetes, next.kubernetes, |into: &mut FileKubernetes, next| {
        one(&mut into.url, next.url, "kubernetes.url", f);
        one(&mut into.token_file, next.token_file, "kubernetes.token_file", f);
        one(&mut into.ca_file, next.ca_file, "kubernetes.ca_file", f);
        one(&mut into.zone, next.zone, "kubernetes.zone", f);
    });
    section(&mut into.json_body, next.json_body, |into: &mut FileJsonBody, next| {
        one(&mut into.max, next.max, "json_body.max", f)
    });
    match (&mut into.jwt, next.jwt) {
        (into @ None, next) => *into = next,
        (Some(first), Some(next)) => {
            // Which tokens are believed is said in one place, so that nobody widens it from another.
            f.error(next.at, "`jwt` stands in another place already").also(first.at, "first");
        }
        (Some(_), None) => {}
    }
    section(&mut into.limits, next.limits, |into: &mut FileLimits, next| {
        one(&mut into.header_bytes, next.header_bytes, "limits.header_bytes", f);
        one(&mut into.header_count, next.header_count, "limits.header_count", f);
        one(&mut into.uri_bytes, next.uri_bytes, "limits.uri_bytes", f);
        one(&mut into.header_time, next.header_time, "limits.header_time", f);
        one(&mut into.body_idle, next.body_idle, "limits.body_idle", f);
        one(&mut into.body_bytes_per_second, next.body_bytes_per_second, "limits.body_bytes_per_second", f);
        one(&mut into.idle, next.idle, "limits.idle", f);
        one(&mut into.connections, next.connections, "limits.connections", f);
        one(&mut into.connections_per_peer, next.connections_per_peer, "limits.connections_per_peer", f);
        one(&mut into.h2_streams, next.h2_streams, "limits.h2_streams", f);
        one(&mut into.h2_resets, next.h2_resets, "limits.h2_resets", f);
        one(&mut into.h2_resets_per_second, next.h2_resets_per_second, "limits.h2_resets_per_second", f);
        one(
            &mut into.h2_control_frames_per_second,
            next.h2_control_frames_per_second,
            "limits.h2_control_frames_per_second",
            f,
        );
        one(&mut into.handshake_time, next.handshake_time, "limits.handshake_time", f);
        one(&mut into.handshakes, next.handshakes, "limits.handshakes", f);
    });

    section(&mut into.overload, next.overload, |into: &mut FileOverload, next| {
        one(&mut into.inflight, next.inflight, "overload.inflight", f);
        one(&mut into.memory, next.memory, "overload.memory", f);
        one(&mut into.delay, next.delay, "overload.delay", f);
    });

    section(&mut into.products, next.products, |into: &mut FileProducts, next| {
        one(&mut into.version, next.version, "products.version", f);
        section(&mut into.invalidate, next.invalidate, |into: &mut FileInvalidate, next| {
            section(&mut into.redis, next.redis, |into, next| {
                one(&mut into.url, next.url, "products.invalidate.redis.url", f);
                one(&mut into.channel, next.channel, "products.invalidate.redis.channel", f);
            });
            section(&mut into.webhook, next.webhook, |into, next| {
                one(&mut into.url, next.url, "products.invalidate.webhook.url", f);
            });
        });
    });
    section(&mut into.tracing, next.tracing, |into: &mut FileTracing, next| {
        one(&mut into.otlp, next.otlp, "tracing.otlp", f);
        one(&mut into.protocol, next.protocol, "tracing.protocol", f);
        one(&mut into.sample, next.sample, "tracing.sample", f);
        one(&mut into.untrusted, next.untrusted, "tracing.untrusted", f);
        one(&mut into.evaluations, next.evaluations, "tracing.evaluations", f);
        one(&mut into.context_id, next.context_id, "tracing.context_id", f);
        one(&mut into.headers_file, next.headers_file, "tracing.headers_file", f);
        one(&mut into.answer, next.answer, "tracing.answer", f);
        section(&mut into.tls, next.tls, |into, next| {
            one(&mut into.ca_file, next.ca_file, "tracing.tls.ca_file", f);
            one(&mut into.certificate_file, next.certificate_file, "tracing.tls.certificate_file", f);
            one(&mut into.key_file, next.key_file, "tracing.tls.key_file", f);
        });
    });
    section(&mut into.guard, next.guard, |into: &mut FileGuard, next| {
        one(&mut into.r#move, next.r#move, "guard.move", f);
        one(&mut into.files, next.files, "guard.files", f);
        one(&mut into.sources, next.sources, "guard.sources", f);
    });
    // Documents of several hands may each have one; each counts for its own change.
    if let Some(next) = next.confirm {
        into.confirm.get_or_insert_with(|| OneOrMany(Vec::new())).0.extend(next.0);
    }
    section(&mut into.functions, next.functions, |into: &mut FileFunctions, next| {
        one(&mut into.in_stock, next.in_stock, "functions.in_stock", f);
        table(&mut into.discount_by_tier, next.discount_by_tier, "tier", f);
        table(&mut into.tag_score, next.tag_score, "tag", f);
        table(&mut into.promotions, next.promotions, "promotion", f);
    });

    list(&mut into.listeners, next.listeners);
    list(&mut into.trust, next.trust);
    list(&mut into.allow_encoded, next.allow_encoded);
    list(&mut into.categories, next.categories);
    list(&mut into.access_log_facts, next.access_log_facts);
    list(&mut into.access_log_redact, next.access_log_redact);
    list(&mut into.routes, next.routes);
    list(&mut into.faults, next.faults);
    list(&mut into.sources, next.sources);

    table(&mut into.facts, next.facts, "fact", f);
    table(&mut into.lookups, next.lookups, "lookup", f);
    table(&mut into.values, next.values, "value", f);
    table(&mut into.upstreams, next.upstreams, "upstream", f);
    table(&mut into.experiments, next.experiments, "experiment", f);
    table(&mut into.releases, next.releases, "release", f);
    table(&mut into.breakers, next.breakers, "breaker", f);
}

fn one<T: PartialEq>(into: &mut Option<At<T>>, next: Option<At<T>>, name: &str, findings: &mut Findings) {
    match (&into, next) {
        (None, next) => *into = next,
        (Some(first), Some(next)) if first.value != next.value => {
            findings.error(next.at, format!("`{name}` has another value in another place")).also(first.at, "first");
        }
        _ => {}
    }
}

fn section<T>(into: &mut Option<T>, next: Option<T>, mut fields: impl FnMut(&mut T, T)) {
    match (into, next) {
        (into @ None, next) => *into = next,
        (Some(first), Some(next)) => fields(first, next),
        (Some(_), None) => {}
    }
}

fn list<T>(into: &mut Option<Vec<T>>, next: Option<Vec<T>>) {
    if let Some(next) = next {
        into.get_or_insert_default().extend(next);
    }
}

fn table<T>(into: &mut Option<Table<T>>, next: Option<Table<T>>, what: &str, findings: &mut Findings) {
    let Some(next) = next else { return };
    let into = into.get_or_insert_default();
    into.unread |= next.unread;
    let mut known: HashMap<String, Span> = into.entries.iter().map(|(name, _)| (name.value.clone(), name.at)).collect();
    for (name, value) in next.entries {
        match known.get(&name.value) {
            Some(first) => {
                findings.error(name.at, format!("{what} `{}` is defined twice", name.value)).also(*first, "first");
            }
            None => {
                known.insert(name.value.clone(), name.at);
                into.entries.push((name, value));
            }
        }
    }
}
