//! Which route a request takes.
//!
//! A tree of segments per host: fixed segments hashed, then a parameter, then the rest of the path. It is walked in
//! that order and back again where a route refuses the method or the headers, so that the next best route gets the
//! request; a router that knows one best path only (matchit) would stop there. No node is visited that does not match
//! the path so far, so routes that do not match cost nothing.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::FixedMap;
use super::pattern::{HostPattern, Pattern, Segment, host_name};
use super::request::RequestParts;
use super::route::{RouteError, RouteId, RouteSpec};

/// The route of a request, with the path's parameters.
#[derive(Debug, Clone)]
pub struct Found<'p> {
    /// The route.
    pub route: RouteId,
    names: &'p [Box<str>],
    path: &'p str,
    /// Where in the path each parameter stands. Not slices: `SmallVec` is invariant, and a borrower of this would
    /// have to live as long as the path.
    values: SmallVec<[Range<usize>; 4]>,
}

impl<'p> Found<'p> {
    /// A parameter of the path, still percent-encoded.
    pub fn parameter(&self, name: &str) -> Option<&'p str> {
        self.parameters().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Every parameter of the path, in order, still percent-encoded.
    pub fn parameters(&self) -> impl Iterator<Item = (&'p str, &'p str)> {
        let path = self.path;
        self.places().filter_map(move |(name, range)| Some((name, path.get(range)?)))
    }

    /// Where each parameter stands in the path, in order.
    pub fn places(&self) -> impl Iterator<Item = (&'p str, Range<usize>)> {
        self.names.iter().map(|name| &**name).zip(self.values.iter().cloned())
    }
}

/// The index of all routes.
#[derive(Debug, Default)]
pub(super) struct RouteIndex {
    exact: FixedMap<Box<str>, Tree>,
    below: FixedMap<Box<str>, Tree>,
    any: Tree,
    /// The names of every route's parameters; neighbours that have the same ones share them.
    names: Vec<Arc<[Box<str>]>>,
}

impl RouteIndex {
    /// Indexes the routes, or says everything that is wrong with them.
    pub(super) fn new(routes: &[RouteSpec]) -> Result<RouteIndex, Vec<RouteError>> {
        if routes.len() > usize::from(u16::MAX) {
            return Err(vec![RouteError::TooMany]);
        }
        let mut index = RouteIndex { names: Vec::with_capacity(routes.len()), ..RouteIndex::default() };
        let mut errors = Vec::new();
        for (place, route) in routes.iter().enumerate() {
            let names = index.insert(place, routes, &mut errors);
            let known = index.names.last().filter(|known| ***known == *names).cloned();
            index.names.push(known.unwrap_or_else(|| names.into()));
            check_methods(place, route, &mut errors);
        }
        if !errors.is_empty() {
            errors.dedup();
            return Err(errors);
        }
        let trees = index.exact.values_mut().chain(index.below.values_mut()).chain([&mut index.any]);
        trees.for_each(|tree| tree.sort(routes));
        Ok(index)
    }

    fn insert(&mut self, place: usize, routes: &[RouteSpec], errors: &mut Vec<RouteError>) -> Vec<Box<str>> {
        let route = &routes[place];
        let pattern = match Pattern::parse(&route.path) {
            Ok(pattern) => pattern,
            Err(why) => {
                let (name, path) = (route.name.clone(), route.path.clone());
                errors.push(RouteError::Path { route: place, name, path, why });
                return Vec::new();
            }
        };
        let mut hosts = Vec::new();
        for host in &route.hosts {
            match HostPattern::parse(host) {
                Ok(host) if !hosts.contains(&host) => hosts.push(host),
                Ok(_) => {}
                Err(why) => {
                    let name = route.name.clone();
                    errors.push(RouteError::Host { route: place, name, host: host.clone(), why });
                }
            }
        }
        if route.hosts.is_empty() {
            hosts.push(HostPattern::Any);
        }
        for host in hosts {
            let tree = match host {
                HostPattern::Any => &mut self.any,
                HostPattern::Exact(name) => self.exact.entry(name).or_default(),
                HostPattern::Below(name) => self.below.entry(name).or_default(),
            };
            let candidates = tree.candidates(&pattern.segments);
            let known = candidates.iter().find(|known| routes[known.index()].collides_with(route));
            if let Some(known) = known {
                errors.push(RouteError::Duplicate {
                    first: known.index(),
                    second: place,
                    first_name: routes[known.index()].name.clone(),
                    second_name: route.name.clone(),
                });
            }
            candidates.push(RouteId(place as u16));
        }
        pattern.names
    }

    /// The best route for the request: host before path, and the next best where a route does not accept it.
    pub(super) fn find<'p>(
        &'p self,
        routes: &[RouteSpec],
        request: &impl RequestParts,
        path: &'p str,
    ) -> Option<Found<'p>> {
        let segments = path.strip_prefix('/')?;
        let mut walk = Walk { routes, request, path, values: SmallVec::new() };
        let names_hosts = !(self.exact.is_empty() && self.below.is_empty());
        let host = if names_hosts { request.host() } else { None };
        let route = self.trees_for(host, |tree| walk.node(tree, 0, Some(segments)))?;
        Some(Found { route, path, names: &self.names[route.index()], values: walk.values })
    }

    /// Tries the trees of a host: its own, those of the wildcards above it from the nearest, and that of every host.
    fn trees_for<'i>(
        &'i self,
        host: Option<&str>,
        mut attempt: impl FnMut(&'i Tree) -> Option<RouteId>,
    ) -> Option<RouteId> {
        if let Some(host) = host {
            let host = lowered(host_name(host));
            let exact = self.exact.get(&*host);
            if let Some(route) = exact.and_then(&mut attempt) {
                return Some(route);
            }
            let mut above = &*host;
            while let (false, Some((_, parent))) = (self.below.is_empty(), above.split_once('.')) {
                if let Some(route) = self.below.get(parent).and_then(&mut attempt) {
                    return Some(route);
                }
                above = parent;
            }
        }
        attempt(&self.any)
    }
}

fn lowered(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn check_methods(place: usize, route: &RouteSpec, errors: &mut Vec<RouteError>) {
    for method in &route.methods {
        let plain = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
        if method.is_empty() || !plain {
            let (name, method) = (route.name.clone(), method.clone());
            errors.push(RouteError::Method { route: place, name, method });
        }
    }
}

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    fixed: FixedMap<Box<str>, u32>,
    parameter: Option<u32>,
    /// Routes whose path ends here, the most demanding first.
    ends: SmallVec<[RouteId; 4]>,
    /// Routes that take the rest of the path from here.
    rest: SmallVec<[RouteId; 4]>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// The routes of one pattern, added where it is new.
    fn candidates(&mut self, segments: &[Segment]) -> &mut SmallVec<[RouteId; 4]> {
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len() as u32;
            let child = match segment {
                Segment::Fixed(text) => *self.nodes[at].fixed.entry(text.clone()).or_insert(next),
                Segment::Parameter => *self.nodes[at].parameter.get_or_insert(next),
                Segment::Rest => return &mut self.nodes[at].rest,
            };
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child as usize;
        }
        &mut self.nodes[at].ends
    }

    /// Puts the most demanding routes first, once all are there.
    fn sort(&mut self, routes: &[RouteSpec]) {
        self.nodes.shrink_to_fit();
        for node in &mut self.nodes {
            for list in [&mut node.ends, &mut node.rest] {
                list.sort_by_key(|route| std::cmp::Reverse(routes[route.index()].demands()));
            }
        }
    }
}

/// One search: the request, and the parameters met on the way to the node looked at.
struct Walk<'w, R> {
    routes: &'w [RouteSpec],
    request: &'w R,
    path: &'w str,
    values: SmallVec<[Range<usize>; 4]>,
}

impl<'w, R: RequestParts> Walk<'w, R> {
    /// `remaining` is what follows the next slash; `None` where the path is at its end.
    fn node(&mut self, tree: &Tree, at: usize, remaining: Option<&'w str>) -> Option<RouteId> {
        let node = &tree.nodes[at];
        let Some(remaining) = remaining else {
            return self.accepting(&node.ends);
        };
        let (segment, after) = match remaining.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (remaining, None),
        };
        if let Some(&child) = node.fixed.get(segment)
            && let Some(route) = self.node(tree, child as usize, after)
        {
            return Some(route);
        }
        if let (Some(child), false) = (node.parameter, segment.is_empty()) {
            let start = self.start_of(remaining);
            self.values.push(start..start + segment.len());
            if let Some(route) = self.node(tree, child as usize, after) {
                return Some(route);
            }
            self.values.pop();
        }
        let route = self.accepting(&node.rest)?;
        self.values.push(self.start_of(remaining)..self.path.len());
        Some(route)
    }

    /// Where in the path a rest of it begins.
    fn start_of(&self, remaining: &str) -> usize {
        self.path.len() - remaining.len()
    }

    fn accepting(&self, candidates: &[RouteId]) -> Option<RouteId> {
        candidates.iter().copied().find(|route| self.routes[route.index()].accepts(self.request))
    }
}
