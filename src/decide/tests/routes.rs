//! Which route a request takes.

use proptest::prelude::*;

use super::*;

fn route(name: &str, path: &str) -> RouteSpec {
    RouteSpec::on_path(name, path)
}

fn methods(spec: RouteSpec, methods: &[&str]) -> RouteSpec {
    RouteSpec { methods: methods.iter().map(|method| (*method).to_owned()).collect(), ..spec }
}

fn hosts(spec: RouteSpec, hosts: &[&str]) -> RouteSpec {
    RouteSpec { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..spec }
}

fn header(spec: RouteSpec, name: &str, value: Option<HeaderPattern>) -> RouteSpec {
    RouteSpec { headers: vec![HeaderMatch { name: name.to_owned(), value }], ..spec }
}

fn compiled(routes: Vec<RouteSpec>) -> Result<Program, Vec<RouteError>> {
    Program::new(Lanes::new(), FactTable::new(), vec![], routes)
}

fn get() -> Request {
    Request { method: "GET", ..Request::default() }
}

#[track_caller]
fn check(program: &Program, request: &Request, path: &str, expected: &str) {
    let found = program.find(request, path);
    assert_eq!(found.map_or("-", |found| &program.route(found.route).name), expected, "{request:?} {path}");
}

#[test]
fn exact_segments_go_before_parameters_before_the_rest() {
    let program = compiled(vec![
        route("rest", "/{*rest}"),
        route("sku", "/sku/{id}"),
        route("hot", "/sku/hot"),
        route("price", "/sku/{id}/price"),
        route("hot-rest", "/sku/hot/{*rest}"),
        route("root", "/"),
    ])
    .unwrap();
    check(&program, &get(), "/", "root");
    check(&program, &get(), "/sku/hot", "hot");
    check(&program, &get(), "/sku/7", "sku");
    check(&program, &get(), "/sku/", "rest");
    check(&program, &get(), "/sku/7/", "rest");
    check(&program, &get(), "/sku/7/price", "price");
    check(&program, &get(), "/sku/hot/price", "hot-rest");
    check(&program, &get(), "/sku/hot/", "hot-rest");
    check(&program, &get(), "/other/x", "rest");
    check(&program, &get(), "*", "-");
}

#[test]
fn the_rest_may_be_empty() {
    let program = compiled(vec![route("rest", "/{*rest}")]).unwrap();
    check(&program, &get(), "/", "rest");
    let program = compiled(vec![route("static", "/static/{*rest}")]).unwrap();
    check(&program, &get(), "/static/", "static");
    check(&program, &get(), "/static", "-");
}

#[test]
fn a_refused_route_gives_way_to_the_next_best() {
    let program = compiled(vec![
        methods(route("orders", "/api/v1/orders"), &["GET"]),
        methods(route("any", "/api/v1/{what}"), &["GET", "PUT"]),
        methods(route("api", "/api/{*rest}"), &["DELETE"]),
        route("rest", "/{*rest}"),
    ])
    .unwrap();
    let with = |method| Request { method, ..Request::default() };
    check(&program, &with("GET"), "/api/v1/orders", "orders");
    check(&program, &with("PUT"), "/api/v1/orders", "any");
    check(&program, &with("DELETE"), "/api/v1/orders", "api");
    check(&program, &with("POST"), "/api/v1/orders", "rest");
    check(&program, &with("HEAD"), "/api/v1/orders", "rest");
}

#[test]
fn parameters_of_abandoned_routes_are_forgotten() {
    let program = compiled(vec![methods(route("one", "/{a}/{b}/x"), &["GET"]), route("two", "/{*all}")]).unwrap();
    let request = Request { method: "POST", ..Request::default() };
    let found = program.find(&request, "/1/2/x").unwrap();
    assert_eq!(found.parameters().collect::<Vec<_>>(), [("all", "1/2/x")]);
    let found = program.find(&get(), "/1/2/x").unwrap();
    assert_eq!(found.parameters().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!((found.parameter("b"), found.parameter("all")), (Some("2"), None));
}

#[test]
fn the_more_demanding_route_of_one_path_goes_first() {
    let exact = |value: &str| Some(HeaderPattern::Exact(value.to_owned()));
    let program = compiled(vec![
        route("plain", "/x"),
        methods(route("get", "/x"), &["GET"]),
        header(route("beta", "/x"), "X-Env", exact("beta")),
        header(route("env", "/x"), "x-env", None),
    ])
    .unwrap();
    let with = |value| Request { method: "GET", headers: vec![("x-env", value)], ..Request::default() };
    check(&program, &with("beta"), "/x", "beta");
    check(&program, &with("prod"), "/x", "env");
    check(&program, &get(), "/x", "get");
    check(&program, &Request { method: "PUT", ..Request::default() }, "/x", "plain");
}

#[test]
fn header_patterns_look_at_every_value() {
    let regex = HeaderPattern::Regex(regex::Regex::new("^v[0-9]+$").unwrap());
    let program = compiled(vec![
        header(route("regex", "/"), "x-a", Some(regex)),
        header(route("prefix", "/"), "x-a", Some(HeaderPattern::Prefix("be".into()))),
    ])
    .unwrap();
    let with = |headers| Request { method: "GET", headers, ..Request::default() };
    check(&program, &with(vec![("x-a", "none"), ("x-a", "v2")]), "/", "regex");
    check(&program, &with(vec![("x-a", "beta")]), "/", "prefix");
    check(&program, &with(vec![("x-b", "beta")]), "/", "-");
}

#[test]
fn hosts_go_before_paths() {
    let program = compiled(vec![
        hosts(route("shop", "/{*rest}"), &["shop.example"]),
        hosts(route("below", "/{*rest}"), &["*.shop.example"]),
        methods(hosts(route("deep", "/{*rest}"), &["*.a.shop.example"]), &["GET"]),
        route("exact-path", "/x"),
        hosts(route("v6", "/"), &["[::1]"]),
    ])
    .unwrap();
    let at = |host| Request { method: "GET", host: Some(host), ..Request::default() };
    check(&program, &at("shop.example"), "/x", "shop");
    check(&program, &at("Shop.Example:8080"), "/x", "shop");
    check(&program, &at("shop.example."), "/x", "shop");
    check(&program, &at("m.shop.example"), "/x", "below");
    check(&program, &at("b.a.shop.example"), "/x", "deep");
    check(&program, &Request { method: "PUT", ..at("b.a.shop.example") }, "/x", "below");
    check(&program, &at("notshop.example"), "/x", "exact-path");
    check(&program, &at("[::1]:8080"), "/", "v6");
    check(&program, &at(""), "/x", "exact-path");
    check(&program, &get(), "/x", "exact-path");
}

#[test]
fn a_host_without_a_route_for_it_gives_way_too() {
    let program = compiled(vec![
        methods(hosts(route("shop", "/x"), &["shop.example"]), &["GET"]),
        route("everywhere", "/{*rest}"),
    ])
    .unwrap();
    let request = Request { method: "POST", host: Some("shop.example"), ..Request::default() };
    check(&program, &request, "/x", "everywhere");
    check(&program, &request, "/y", "everywhere");
}

#[test]
fn patterns_are_compared_in_normal_form() {
    let program = compiled(vec![route("goods", "/商品/{id}"), route("tilde", "/%7euser")]).unwrap();
    let path = NormalPath::new("/%e5%95%86%e5%93%81/7", AllowEncoded::default()).unwrap();
    check(&program, &get(), path.as_str(), "goods");
    check(&program, &get(), "/~user", "tilde");
}

#[test]
fn duplicates_name_both_routes() {
    let errors = compiled(vec![
        methods(route("one", "/a/{x}"), &["GET", "HEAD"]),
        methods(route("two", "/a/{y}"), &["HEAD"]),
        route("three", "/a/{z}"),
    ])
    .unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].to_string(),
        "routes `one` and `two` match the same requests: same host, path, method and headers"
    );
    let on = |name, list: &[&str]| hosts(route(name, "/"), list);
    assert!(compiled(vec![on("a", &["x.example", "y.example"]), on("b", &["Y.example."])]).is_err());
    assert!(compiled(vec![on("a", &["x.example"]), on("b", &["*.x.example"]), on("c", &[])]).is_ok());
}

#[test]
fn everything_wrong_with_routes_is_told_at_once() {
    let lanes = vec![LaneId::GRAY];
    let errors = compiled(vec![
        route("relative", "api"),
        route("part", "/sku-{id}"),
        route("middle", "/{*all}/x"),
        route("twice", "/{a}/{a}"),
        route("dots", "/a/../b"),
        route("query", "/a?b=1"),
        hosts(route("port", "/p"), &["a:80"]),
        hosts(route("star", "/p"), &["a.*.b"]),
        methods(route("method", "/m"), &["get"]),
        RouteSpec { lanes, ..route("no-stable", "/n") },
        RouteSpec { release: ReleaseId::from_index(3), ..route("no-release", "/r") },
    ])
    .unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    route `no-stable` has no lane `stable`
    route `no-release` follows a release that does not exist
    route `relative`: path `api`: a path begins with `/`
    route `part`: path `/sku-{id}`: `sku-{id}`: a parameter takes a whole segment, as in /sku/{sku_id}
    route `middle`: path `/{*all}/x`: `{*all}` takes the rest of the path, so it stands at the end
    route `twice`: path `/{a}/{a}`: parameter `a` stands twice
    route `dots`: path `/a/../b`: `..` never matches: dot segments are resolved before
    route `query`: path `/a?b=1`: a path has no query; match it by a condition on `query:NAME`
    route `port`: host `a:80`: a host is written without a port
    route `star`: host `a.*.b`: a wildcard stands alone at the front, as in `*.example.com`
    route `method`: `get` is no method; methods are written like GET
    "#);
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let mut routes: Vec<RouteSpec> =
        (0..10_000).map(|n| route(&format!("r{n}"), &format!("/api/v1/p{n}/{{id}}"))).collect();
    routes.push(route("rest", "/{*rest}"));
    let program = compiled(routes).unwrap();
    check(&program, &get(), "/api/v1/p9999/7", "r9999");
    check(&program, &get(), "/api/v1/p10000/7", "rest");
}

proptest! {
    /// Against the plain reading of the rule: of all matching patterns the one whose segments are, from the left, the
    /// most exact.
    #[test]
    fn the_tree_finds_what_trying_all_finds(
        patterns in proptest::collection::hash_set("(/(a|b|\\{p[0-9]\\})){1,3}(/\\{\\*r\\})?", 1..12),
        path in "(/[ab]){1,4}/?",
    ) {
        let shape = |pattern: &str| pattern.split('/').skip(1).map(|part| match part.as_bytes() {
            [b'{', b'*', ..] => 2,
            [b'{', ..] => 1,
            _ => 0,
        }).collect::<Vec<u8>>();
        let text_of = |pattern: &str| pattern.split('/').skip(1).map(|part| if part.starts_with('{') { "" } else { part }.to_owned()).collect::<Vec<_>>();
        let mut kept: Vec<String> = Vec::new();
        for pattern in patterns {
            let names: Vec<&str> = pattern.split('/').filter(|part| part.starts_with('{')).collect();
            let unique = names.iter().collect::<std::collections::HashSet<_>>().len() == names.len();
            let new = kept.iter().all(|known| (shape(known), text_of(known)) != (shape(&pattern), text_of(&pattern)));
            if unique && new {
                kept.push(pattern);
            }
        }
        let matches = |pattern: &str| {
            let segments: Vec<&str> = path[1..].split('/').collect();
            let parts: Vec<&str> = pattern[1..].split('/').collect();
            let open = parts.last().is_some_and(|part| part.starts_with("{*"));
            let fixed = if open { parts.len() - 1 } else { parts.len() };
            let long_enough = if open { segments.len() > fixed } else { segments.len() == fixed };
            long_enough && parts[..fixed].iter().zip(&segments).all(|(part, segment)| {
                if part.starts_with('{') { !segment.is_empty() } else { part == segment }
            })
        };
        let expected = kept.iter().filter(|pattern| matches(pattern)).min_by_key(|pattern| shape(pattern));
        let program = compiled(kept.iter().map(|pattern| route(pattern, pattern)).collect()).unwrap();
        let request = get();
        let found = program.find(&request, &path).map(|found| program.route(found.route).name.clone());
        prop_assert_eq!(found.as_ref(), expected);
    }
}

#[test]
fn of_two_releases_of_one_name_the_first_is_found() {
    let names = ["b", "a", "c", "a", "b"];
    let releases = names.iter().map(|name| Release::closed(*name)).collect();
    let program = Program::new(Lanes::new(), FactTable::new(), releases, vec![]).unwrap();
    let places = ["a", "b", "c", "d"].map(|name| program.release_named(name).map(ReleaseId::index));
    assert_eq!(places, [Some(1), Some(0), Some(2), None]);
}
