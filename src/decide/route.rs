//! Routes as the configuration gives them.

use std::sync::Arc;

use regex::Regex;

use super::composite::Composite;
use super::lane::LaneId;
use super::release::ReleaseId;
use super::request::RequestParts;

/// The place of a route in a [`Program`](super::Program), in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub(super) u16);

impl RouteId {
    /// The route at this place, unless there cannot be so many.
    pub fn from_index(index: usize) -> Option<RouteId> {
        u16::try_from(index).ok().map(RouteId)
    }

    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a header of the request has to be.
#[derive(Debug, Clone)]
pub struct HeaderMatch {
    /// The name of the header.
    pub name: String,
    /// What its value has to be; `None`: that it is there.
    pub value: Option<HeaderPattern>,
}

/// What the value of a header has to be.
#[derive(Debug, Clone)]
pub enum HeaderPattern {
    /// This.
    Exact(String),
    /// Something that begins with this.
    Prefix(String),
    /// Something that matches, anywhere unless anchored.
    Regex(Regex),
}

impl PartialEq for HeaderPattern {
    fn eq(&self, other: &HeaderPattern) -> bool {
        match (self, other) {
            (HeaderPattern::Exact(one), HeaderPattern::Exact(two)) => one == two,
            (HeaderPattern::Prefix(one), HeaderPattern::Prefix(two)) => one == two,
            (HeaderPattern::Regex(one), HeaderPattern::Regex(two)) => one.as_str() == two.as_str(),
            _ => false,
        }
    }
}

impl HeaderMatch {
    /// Whether one of the header's values is as wanted.
    pub(super) fn matches(&self, request: &impl RequestParts) -> bool {
        let Some(pattern) = &self.value else {
            return request.header(&self.name).is_some();
        };
        let mut found = false;
        request.for_each_header(&self.name, &mut |value| {
            found |= match pattern {
                HeaderPattern::Exact(wanted) => value == wanted.as_bytes(),
                HeaderPattern::Prefix(wanted) => value.starts_with(wanted.as_bytes()),
                HeaderPattern::Regex(regex) => std::str::from_utf8(value).is_ok_and(|value| regex.is_match(value)),
            };
        });
        found
    }

    fn same(&self, other: &HeaderMatch) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.value == other.value
    }
}

/// A route: what it matches, the lanes it has, the release it follows.
#[derive(Debug, Clone)]
pub struct RouteSpec {
    /// Its name.
    pub name: String,
    /// Hosts, exact or `*.example.com`; none: every host.
    pub hosts: Vec<String>,
    /// The path: fixed segments, `{name}` for one segment, `{*name}` at the end for the rest.
    pub path: String,
    /// Methods; none: every method.
    pub methods: Vec<String>,
    /// Headers, all of which have to match.
    pub headers: Vec<HeaderMatch>,
    /// The lanes it can send requests to, `stable` among them.
    pub lanes: Vec<LaneId>,
    /// The release that decides between them.
    pub release: Option<ReleaseId>,
    /// How requests that no release takes are spread over further lanes.
    pub composite: Option<Arc<Composite>>,
}

impl RouteSpec {
    /// A route on every host for `path`, with the stable lane alone.
    pub fn on_path(name: impl Into<String>, path: impl Into<String>) -> RouteSpec {
        RouteSpec {
            name: name.into(),
            hosts: Vec::new(),
            path: path.into(),
            methods: Vec::new(),
            headers: Vec::new(),
            lanes: vec![LaneId::STABLE],
            release: None,
            composite: None,
        }
    }

    /// Whether method and headers of the request are as wanted.
    pub(super) fn accepts(&self, request: &impl RequestParts) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == request.method()))
            && self.headers.iter().all(|header| header.matches(request))
    }

    /// Whether both can match one request and neither is the more specific one, their paths and hosts being the same.
    pub(super) fn collides_with(&self, other: &RouteSpec) -> bool {
        let methods = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, true) => true,
            (false, false) => self.methods.iter().any(|method| other.methods.contains(method)),
            _ => false,
        };
        methods
            && self.headers.len() == other.headers.len()
            && self.headers.iter().all(|header| other.headers.iter().any(|known| known.same(header)))
    }

    /// The more a route asks of a request, the earlier it is tried among those of one path.
    pub(super) fn demands(&self) -> (usize, bool) {
        (self.headers.len(), !self.methods.is_empty())
    }
}

/// Why routes do not make an index. `route` is the place among the routes given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path is no pattern.
    #[error("route `{name}`: path `{path}`: {why}")]
    Path {
        /// The route.
        route: usize,
        /// Its name.
        name: String,
        /// The path as written.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The host is no host.
    #[error("route `{name}`: host `{host}`: {why}")]
    Host {
        /// The route.
        route: usize,
        /// Its name.
        name: String,
        /// The host as written.
        host: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The method is no method.
    #[error("route `{name}`: `{method}` is no method; methods are written like GET")]
    Method {
        /// The route.
        route: usize,
        /// Its name.
        name: String,
        /// The method as written.
        method: String,
    },
    /// Two routes match the same requests.
    #[error("routes `{first_name}` and `{second_name}` match the same requests: same host, path, method and headers")]
    Duplicate {
        /// The earlier route.
        first: usize,
        /// The later route.
        second: usize,
        /// The name of the earlier.
        first_name: String,
        /// The name of the later.
        second_name: String,
    },
    /// Nothing to fall back to.
    #[error("route `{name}` has no lane `stable`")]
    NoStable {
        /// The route.
        route: usize,
        /// Its name.
        name: String,
    },
    /// The release is none of the program's.
    #[error("route `{name}` follows a release that does not exist")]
    NoRelease {
        /// The route.
        route: usize,
        /// Its name.
        name: String,
    },
    /// More than can be told apart.
    #[error("more than {} routes", u16::MAX)]
    TooMany,
}
