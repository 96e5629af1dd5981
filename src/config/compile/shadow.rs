//! Warnings of routes that no request ever reaches, since another one takes all of theirs first.

use super::route::Compiled;
use crate::config::problem::Findings;
use crate::decide::{HeaderMatch, HeaderPattern, RouteSpec};

/// Warns of each route whose every request goes to another one of the same hosts and path.
///
/// Among routes of one path those that ask more of a request come first, and of equal ones the earlier. So a route is
/// shadowed by one that is tried before it and asks nothing that it does not ask itself.
pub(super) fn warn(routes: &[Compiled<'_>], findings: &mut Findings) {
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|at| (shape(&routes[*at].spec), *at));
    for same in order.chunk_by(|one, other| shape(&routes[*one].spec) == shape(&routes[*other].spec)) {
        for (place, at) in same.iter().enumerate() {
            let hidden = &routes[*at];
            let earlier = same.iter().enumerate().find(|(other_place, other)| {
                *other_place != place
                    && is_before(**other, *at, routes)
                    && takes_all_of(&routes[**other].spec, &hidden.spec)
            });
            if let Some((_, by)) = earlier {
                let by = &routes[*by];
                let message =
                    format!("no request reaches route `{}`: `{}` takes all of them", hidden.spec.name, by.spec.name);
                findings.warn(hidden.written.at, message).also(by.written.at, "that route");
            }
        }
    }
}

/// Hosts and path, names of parameters aside.
fn shape(route: &RouteSpec) -> (Vec<String>, String) {
    let mut hosts: Vec<String> = route.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    hosts.sort_unstable();
    let segment = |segment: &str| match segment {
        rest if rest.starts_with("{*") => String::from("{*}"),
        parameter if parameter.starts_with('{') => String::from("{}"),
        fixed => fixed.to_owned(),
    };
    (hosts, route.path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// Whether the first one is tried before the second.
fn is_before(one: usize, other: usize, routes: &[Compiled<'_>]) -> bool {
    let demands = |at: usize| (routes[at].spec.headers.len(), !routes[at].spec.methods.is_empty());
    match demands(one).cmp(&demands(other)) {
        std::cmp::Ordering::Equal => one < other,
        order => order.is_gt(),
    }
}

/// Whether the outer route accepts everything that the inner one does, as far as method and headers can tell.
fn takes_all_of(outer: &RouteSpec, inner: &RouteSpec) -> bool {
    let methods = outer.methods.is_empty()
        || (!inner.methods.is_empty() && inner.methods.iter().all(|method| outer.methods.contains(method)));
    methods && outer.headers.iter().all(|wanted| inner.headers.iter().any(|given| implies(given, wanted)))
}

/// Whether a header that is as `given` always is as `wanted`.
fn implies(given: &HeaderMatch, wanted: &HeaderMatch) -> bool {
    given.name.eq_ignore_ascii_case(&wanted.name)
        && match (&given.value, &wanted.value) {
            (_, None) => true,
            (Some(HeaderPattern::Exact(text)), Some(HeaderPattern::Prefix(prefix))) => {
                text.starts_with(prefix.as_str())
            }
            (Some(HeaderPattern::Exact(text)), Some(HeaderPattern::Regex(regex))) => regex.is_match(text),
            (Some(HeaderPattern::Prefix(text)), Some(HeaderPattern::Prefix(prefix))) => {
                text.starts_with(prefix.as_str())
            }
            (Some(given), Some(wanted)) => given == wanted,
            (None, Some(_)) => false,
        }
}
