//! Shared stores and configuration centres.

use super::{check, load};
use crate::config::{RedisAddress, RedisPush, SourceKind};

#[test]
fn what_is_left_out_has_a_default() {
    let loaded = load(
        "environment: staging\nsources:\n\
         - { name: one, redis: { address: 'redis.example:6379' } }\n\
         - { name: two, namespace: blue, ttl: 1m, etcd: { endpoints: ['https://a:2379/', 'http://b:2379'] } }\n",
    )
    .unwrap();
    let [one, two] = &loaded.settings.sources[..] else { panic!("two sources") };
    assert_eq!((&*one.name, &*one.namespace, one.ttl.as_secs()), ("one", "staging", 300));
    assert_eq!((one.bounds.documents, one.bounds.document_bytes, one.bounds.total_bytes), (20_000, 1 << 20, 64 << 20));
    let SourceKind::Redis(redis) = &one.kind else { panic!("Redis") };
    assert_eq!(redis.address, RedisAddress::Host("redis.example".to_owned(), 6379));
    assert_eq!((&*redis.prefix, redis.push, redis.poll.as_secs()), ("graylane/staging/", RedisPush::Notifications, 5));
    assert!(redis.tls.is_none());
    let SourceKind::Etcd(etcd) = &two.kind else { panic!("etcd") };
    assert_eq!((&*etcd.prefix, etcd.check.as_secs()), ("/graylane/blue/", 10));
    assert_eq!(etcd.endpoints, ["https://a:2379", "http://b:2379"]);
}

#[test]
fn a_source_is_one_place_with_a_name_of_its_own() {
    check(
        "sources:\n\
         - { name: a, redis: { address: 'a:1' } }\n\
         - { name: a, etcd: { endpoints: ['http://a:1'] } }\n\
         - { name: b }\n\
         - { name: c, redis: { address: 'a:1' }, etcd: { endpoints: ['http://a:1'] } }\n",
        "3:11: source `a` is defined twice; first at t.yaml:2:11
         4:5: this source does not say where it is
         5:49: a source is one place, and this one is `redis` and `etcd`",
    );
}

#[test]
fn wrong_places_and_credentials_are_told() {
    check(
        "sources:\n\
         - { name: a, redis: { address: local, user: me } }\n\
         - { name: b, redis: { address: 'unix:/a', tls: {}, push: notification, poll: 0s } }\n\
         - { name: c, etcd: { endpoints: ['etcd:2379', 'http://me@etcd:2379'], user: me } }\n\
         - { name: d, etcd: { endpoints: ['http://a:1'], tls: { key_file: k } } }\n\
         - { name: e, bounds: { documents: 0, total: 2GiB }, backoff: { first: 1m }, redis: { address: 'a:1' } }\n\
         - { name: f, backoff: { first: 2s, most: 1s }, redis: { address: 'a:1' } }\n",
        "2:32: `local` is no Redis server
         2:45: a user needs a password
         3:48: a Unix socket speaks no TLS
         3:58: `notification` is not a way to be told of changes (did you mean `notifications`?)
         3:78: `poll` cannot be 0
         4:22: `user` and `password_file` belong together
         4:34: `etcd:2379` is no URL of an etcd member
         4:47: `http://me@etcd:2379` is no URL of an etcd member
         5:56: `tls` means nothing without an `https://` endpoint
         5:66: `certificate_file` and `key_file` belong together
         6:35: `documents` is a number from 1 to 1000000, not 0
         6:45: `total` is from 1B to 1GiB
         7:25: the longest pause is shorter than the first one",
    );
}
