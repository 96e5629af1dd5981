//! Configuration centres.

use super::{check, load};
use crate::config::SourceKind;

#[test]
fn what_is_left_out_of_a_centre_has_a_default() {
    let loaded = load(
        "sources:\n\
         - { name: one, centre: { url: 'https://config.example:8443/' } }\n\
         - { name: two, namespace: blue, nacos: { url: 'http://nacos:8848', data_ids: a.yaml } }\n\
         - { name: three, nacos: { url: 'http://nacos:8848/other/', tenant: public, data_ids: [a, b] } }\n\
         - { name: four, apollo: { url: 'http://apollo:8080/base', app_id: goods, namespaces: [a.yaml, b.yml] } }\n",
    )
    .unwrap();
    assert_eq!(loaded.settings.sources_wait.as_secs(), 10);
    let [one, two, three, four] = loaded.settings.sources.iter().map(|plan| &plan.kind).collect::<Vec<_>>()[..] else {
        panic!("four sources")
    };
    let SourceKind::Centre(centre) = one else { panic!("a centre") };
    assert_eq!((&*centre.url, centre.wait.as_secs(), centre.answer.as_secs()), ("https://config.example:8443", 30, 30));
    assert!(centre.token.is_none() && !centre.instance.is_empty());
    let SourceKind::Nacos(nacos) = two else { panic!("Nacos") };
    assert_eq!((&*nacos.url, &*nacos.tenant, &*nacos.group), ("http://nacos:8848/nacos", "blue", "DEFAULT_GROUP"));
    let SourceKind::Nacos(nacos) = three else { panic!("Nacos") };
    assert_eq!((&*nacos.url, &*nacos.tenant), ("http://nacos:8848/other", ""));
    let SourceKind::Apollo(apollo) = four else { panic!("Apollo") };
    assert_eq!((apollo.path(), &*apollo.cluster, apollo.namespaces.len()), ("/base", "default", 2));
}

#[test]
fn what_is_no_centre_is_told() {
    check(
        "sources_wait: 0s\n\
         sources:\n\
         - { name: a, centre: { url: 'config.example', wait: 10m } }\n\
         - { name: b, centre: { url: 'http://me@config.example', tls: {} } }\n\
         - { name: c, nacos: { url: 'http://a', data_ids: [], user: me } }\n\
         - { name: d, nacos: { url: 'http://a', data_ids: [x, y, x] } }\n\
         - { name: e, apollo: { url: 'http://a', app_id: g, namespaces: [application] } }\n",
        "1:15: `sources_wait` cannot be 0
         3:29: `config.example` is no URL of a configuration centre
         3:53: `wait` is at most 5m
         4:29: `http://me@config.example` is no URL of a configuration centre
         5:23: `user` and `password_file` belong together
         5:23: a source has from 1 to 1000 data ids, not 0
         6:57: data id `x` is listed twice; first at t.yaml:6:51
         7:65: namespace `application` is not of the format YAML",
    );
}
