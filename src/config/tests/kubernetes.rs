//! Access to an API server, resources as a source, releases as documents.

use super::{lines, load};
use crate::config::{Endpoint, SourceKind};

/// The problems of a text, a line each.
fn problems(text: &str) -> String {
    lines(load(text).expect_err("something is wrong").iter())
}

const ROUTES: &str = "service: goods\n\
    upstreams: { s: { endpoints: ['k8s:goods.shop:http'] }, g: { endpoints: ['127.0.0.1:2'] } }\n\
    routes: [{ name: all, match: { path: '/{*rest}' }, lanes: { stable: s, gray: g }, release: r }]\n";

fn release(name: &str, service: &str) -> String {
    format!(
        "---\napiVersion: graylane.io/v1alpha1\nkind: GrayRelease\nmetadata: {{ name: {name} }}\nspec: {{ service: {service}, \
         permille: 5 }}\n"
    )
}

#[test]
fn resources_are_read_with_the_access_that_is_written_or_the_pods_own() {
    let text = "service: goods\nkubernetes: { url: 'https://10.0.0.1:443/', zone: a }\n\
                sources: [{ name: c, kubernetes: { namespace: shop, write_status: true } }, { name: d, kubernetes: {} }]\n";
    let loaded = load(text).unwrap();
    let plans: Vec<_> = loaded.settings.sources.iter().map(|source| source.kind.clone()).collect();
    let [SourceKind::Kubernetes(one), SourceKind::Kubernetes(two)] = &plans[..] else { panic!("{plans:?}") };
    assert_eq!((one.namespace.as_deref(), one.service.as_str(), one.write_status), (Some("shop"), "goods", true));
    assert_eq!((&two.namespace, two.write_status, &two.access), (&None, false, &loaded.settings.kubernetes));
    assert_eq!(one.access.url.as_deref(), Some("https://10.0.0.1:443"));
    assert_eq!((&one.access.token, one.access.zone.as_deref()), (&None, Some("a")));
}

#[test]
fn a_wrong_place_or_name_is_told() {
    let told = problems("service: goods\nkubernetes: { url: 'api:443' }\n");
    assert!(told.starts_with("2:20: `api:443` is no URL of an API server"), "{told}");
    let told = problems("sources: [{ name: c, kubernetes: {} }]\n");
    assert!(told.contains("resources are taken by their service"), "{told}");
    let told = problems("service: goods\nsources: [{ name: c, kubernetes: { namespace: Shop_1 } }]\n");
    assert!(told.contains("`Shop_1` is no name of a namespace"), "{told}");
    let told = problems("local: 'k8s:goods.shop:http'\n");
    assert!(told.contains("`local` is one address, not a service"), "{told}");
    let told = problems("sources: [{ name: c, redis: { address: 'k8s:goods.shop:http' } }]\n");
    assert!(told.contains("a service is no Redis server"), "{told}");
}

#[test]
fn a_release_of_this_service_is_one_of_its_releases() {
    let loaded = load(format!("{ROUTES}{}{}", release("r", "goods"), release("x", "price"))).unwrap();
    let names: Vec<_> = loaded.settings.program.releases().iter().map(|release| release.name.to_string()).collect();
    assert_eq!(names, ["r"]);
    let told = lines(loaded.warnings.iter());
    assert!(told.contains("nothing uses the GrayRelease `x`: this sidecar's service is `goods`"), "{told}");
    let service = Endpoint::Service { service: "goods".into(), namespace: "shop".into(), port: "http".into() };
    assert_eq!(loaded.settings.upstreams[0].endpoints, [service]);
}

#[test]
fn a_release_is_defined_once_whatever_its_form() {
    let told = problems(&format!("{ROUTES}releases: {{ r: {{ level: full }} }}\n{}", release("r", "goods")));
    assert!(told.contains("release `r` is defined twice"), "{told}");
    let told = problems(&format!("{ROUTES}{}{}", release("r", "goods"), release("r", "goods")));
    assert!(told.contains("release `r` is defined twice"), "{told}");
    let told = problems(&format!("{ROUTES}{}", release("r", "goods").replace("v1alpha1", "v1alpha2")));
    assert!(told.contains("did you mean `graylane.io/v1alpha1`"), "{told}");
}
