//! Routes: what they match, where they send, and every name they use.

use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use super::address::is_token;
use super::fact::regex;
use super::fault::RouteLanes;
use super::limit;
use super::process::positive;
use crate::config::file::{FileHeaderMatch, FileMatch, FileRoute, FileShield, FileTimeouts, ShieldWord};
use crate::config::problem::Findings;
use crate::config::read::Table;
use crate::config::settings::{RoutePlan, Shield, Timeouts, UpstreamIndex};
use crate::config::text::{At, Span};
use crate::config::units::{NAME_HELP, is_name};
use crate::decide::{HeaderMatch, HeaderPattern, LaneId, Lanes, Permille, ReleaseId, RouteError, RouteSpec};

/// The path of a route that names none.
const EVERY_PATH: &str = "/{*rest}";

/// The names that routes may use.
pub(super) struct Names<'c> {
    pub(super) upstreams: Places<'c>,
    pub(super) releases: Places<'c>,
    pub(super) breakers: Places<'c>,
}

/// Names with their places among what they name.
pub(super) struct Places<'c> {
    what: &'static str,
    list: Vec<&'c str>,
    places: HashMap<&'c str, usize>,
    /// The table could not be read, so any name may be in it.
    unread: bool,
}

impl<'c> Places<'c> {
    pub(super) fn new<T>(what: &'static str, table: Option<&'c Table<T>>) -> Self {
        let list: Vec<&str> = table.iter().flat_map(|table| table.names()).collect();
        let places = list.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        Places { what, places, list, unread: table.is_some_and(|table| table.unread) }
    }

    /// The place of a name, or a problem with the nearest one that exists.
    fn of(&self, name: &At<String>, findings: &mut Findings) -> Option<usize> {
        let place = self.places.get(name.value.as_str()).copied();
        if place.is_none() && !self.unread {
            let finding = findings.error(name.at, format!("there is no {} `{}`", self.what, name.value));
            finding.suggest_or_list(name, self.list.iter().copied());
            if self.list.is_empty() {
                finding.help(format!("no {} is defined at all", self.what));
            }
        }
        place
    }
}

/// One route, and where in the file its parts are.
pub(super) struct Compiled<'c> {
    pub(super) spec: RouteSpec,
    pub(super) plan: RoutePlan,
    pub(super) written: &'c FileRoute,
}

impl Compiled<'_> {
    /// Its name with those of its lanes.
    pub(super) fn known<'n>(&'n self, lanes: &'n Lanes) -> RouteLanes<'n> {
        (&self.spec.name, self.spec.lanes.iter().map(|lane| lanes.name(*lane)).collect())
    }
}

/// Every route in the order written: the place is its `RouteId`.
pub(super) fn routes<'c>(
    written: &'c [FileRoute],
    names: &Names<'_>,
    lanes: &mut Lanes,
    context: &mut Context<'_>,
) -> Vec<Compiled<'c>> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut compiled = Vec::with_capacity(written.len());
    for (place, route) in written.iter().enumerate() {
        if let Some(name) = &route.name {
            match seen.get(name.value.0.as_str()) {
                Some(first) => {
                    context
                        .findings
                        .error(name.at, format!("route `{}` is defined twice", name.value.0))
                        .also(*first, "first");
                }
                None => {
                    seen.insert(&name.value.0, name.at);
                }
            }
        }
        compiled.push(one(place, route, names, lanes, context.findings));
    }
    compiled
}

fn one<'c>(
    place: usize,
    written: &'c FileRoute,
    names: &Names<'_>,
    lanes: &mut Lanes,
    findings: &mut Findings,
) -> Compiled<'c> {
    let name = written.name.as_ref().map_or_else(|| format!("route {place}"), |name| name.value.0.clone());
    let to = targets(&name, written, names, lanes, findings);
    let unread = FileMatch::default();
    let matched = written.r#match.as_ref().unwrap_or(&unread);
    let path = match &matched.path {
        Some(path) => path.value.clone(),
        // A path that could not be read must not collide with a good one.
        None if matched.flawed || written.flawed => format!("/unread/{place}"),
        None => EVERY_PATH.to_owned(),
    };
    let release = written.release.as_ref().and_then(|name| names.releases.of(name, findings));
    let spec = RouteSpec {
        name: name.clone(),
        hosts: matched.host.iter().chain(matched.hosts.iter().flatten()).map(|host| host.value.clone()).collect(),
        path,
        methods: methods(matched, findings),
        headers: headers(matched, findings),
        lanes: to.iter().map(|(lane, _)| *lane).collect(),
        release: release.and_then(ReleaseId::from_index),
        composite: None,
    };
    let limits = limit::lanes(written, &name, &to, lanes, findings);
    let plan = RoutePlan {
        name: Arc::from(name),
        lanes: to.into_boxed_slice(),
        timeouts: timeouts(written.timeouts.as_ref(), findings),
        shield: written.shield.as_ref().map(shield),
        breaker: written.breaker.as_ref().and_then(|name| names.breakers.of(name, findings)),
        limits,
    };
    Compiled { spec, plan, written }
}

/// The upstream of each lane, stable first.
fn targets(
    route: &str,
    written: &FileRoute,
    names: &Names<'_>,
    lanes: &mut Lanes,
    findings: &mut Findings,
) -> Vec<(LaneId, UpstreamIndex)> {
    let Some(table) = &written.lanes else { return Vec::new() };
    if table.lacks("stable") {
        let place = table.entries.first().map_or(written.at, |(name, _)| name.at);
        let finding =
            findings.error(place, format!("route `{route}` has no lane `stable`, where everything falls back to"));
        finding.help("write `lanes: { stable: UPSTREAM }`");
    }
    let mut found = Vec::new();
    for (lane, upstream) in &table.entries {
        if !is_name(&lane.value) {
            findings.error(lane.at, format!("`{}` is no name for a lane", lane.value)).help(NAME_HELP);
        }
        let place = upstream.as_ref().and_then(|upstream| names.upstreams.of(upstream, findings));
        match lanes.intern(&lane.value) {
            Some(id) => found.push((id, UpstreamIndex(place.unwrap_or(0)))),
            None => {
                findings.error(lane.at, format!("more than {} lanes", Lanes::MAX));
            }
        }
    }
    found.sort_by_key(|(lane, _)| *lane);
    found
}

fn methods(matched: &FileMatch, findings: &mut Findings) -> Vec<String> {
    let written: &[At<String>] = matched.methods.as_ref().map(|methods| methods.0.as_slice()).unwrap_or_default();
    let mut kept: Vec<String> = Vec::new();
    for method in written {
        let upper = method.value.to_ascii_uppercase();
        if !is_token(method) {
            findings.error(method.at, format!("`{}` is no method", method.value));
        } else if upper != method.value {
            findings
                .error(method.at, format!("`{}`: methods are case-sensitive", method.value))
                .suggest(method, [upper.as_str()]);
        } else if !kept.contains(&upper) {
            kept.push(upper);
        }
    }
    kept
}

fn headers(matched: &FileMatch, findings: &mut Findings) -> Vec<HeaderMatch> {
    let Some(table) = &matched.headers else { return Vec::new() };
    let mut kept = Vec::new();
    for (name, written) in table.iter() {
        if !is_token(name) {
            findings.error(name.at, format!("`{}` is no name of a header", name.value));
        }
        kept.extend(header(name, written, findings));
    }
    kept
}

fn header(name: &At<String>, written: &FileHeaderMatch, findings: &mut Findings) -> Option<HeaderMatch> {
    let form = &written.0;
    let value = match (&form.exact, &form.prefix, &form.regex, &form.present) {
        (Some(text), None, None, None) => Some(HeaderPattern::Exact(text.value.clone())),
        (None, Some(text), None, None) => Some(HeaderPattern::Prefix(text.value.clone())),
        (None, None, Some(text), None) => Some(HeaderPattern::Regex(regex(text, &text.value, findings)?)),
        (None, None, None, Some(flag)) => {
            if !flag.value {
                findings
                    .error(flag.at, "only `present: true` can be matched")
                    .help("put the route without the header after it");
            }
            None
        }
        _ if form.flawed => return None,
        _ => {
            findings.error(
                form.at,
                format!("header `{}` is matched by one of `exact`, `prefix`, `regex`, `present`", name.value),
            );
            return None;
        }
    };
    Some(HeaderMatch { name: name.value.to_ascii_lowercase(), value })
}

fn timeouts(written: Option<&FileTimeouts>, findings: &mut Findings) -> Timeouts {
    let default = Timeouts::default();
    let Some(written) = written else { return default };
    let timeouts = Timeouts {
        connect: positive(written.connect.as_ref(), default.connect, "connect", findings),
        first_byte: positive(written.first_byte.as_ref(), default.first_byte, "first_byte", findings),
        request: written.request.as_ref().map(|time| positive(Some(time), default.idle, "request", findings)),
        idle: positive(written.idle.as_ref(), default.idle, "idle", findings),
        pass_on: written.pass_on.as_ref().is_some_and(|flag| flag.value),
    };
    if let (Some(flag), None) = (written.pass_on.as_ref().filter(|flag| flag.value), timeouts.request) {
        findings
            .warn(flag.at, "`pass_on` means nothing without `request`: a caller's own deadline is passed on anyway");
    }
    if let (Some(first), Some(whole)) = (&written.first_byte, timeouts.request)
        && timeouts.first_byte > whole
    {
        findings.warn(first.at, "`first_byte` is longer than `request`, which ends the wait before");
    }
    timeouts
}

fn shield(written: &FileShield) -> Shield {
    use ShieldWord::{Connect, Reset, Status};
    const MAX_BODY: u64 = 64 << 10;
    const BUDGET: u16 = 200;
    let default = || vec![Connect, Reset, Status(500), Status(502), Status(503), Status(504)];
    Shield {
        on: written.on.as_ref().map_or_else(default, |on| on.iter().map(|word| word.value).collect()),
        max_body: written.max_body.as_ref().map_or(MAX_BODY, |size| size.value.0),
        budget: Permille::new(written.budget.as_ref().map_or(BUDGET, |share| share.value.0)).unwrap_or(Permille::ALL),
        shared_idempotency: written.shared_idempotency.as_ref().is_some_and(|flag| flag.value),
    }
}

/// Tells what `decide` found wrong with the routes together, at the places of the file.
pub(super) fn tell(errors: &[RouteError], routes: &[FileRoute], findings: &mut Findings) {
    let place = |route: usize| routes.get(route).map_or(Span::default(), |route| route.at);
    let matched = |route: usize| routes.get(route).and_then(|route| route.r#match.as_ref());
    for error in errors {
        match error {
            RouteError::Path { route, path, why, .. } => {
                let at =
                    matched(*route).and_then(|matched| matched.path.as_ref()).map_or(place(*route), |path| path.at);
                findings.error(at, format!("`{path}` is no path of a route: {why}"));
            }
            RouteError::Host { route, host, why, .. } => {
                let mut written = matched(*route)
                    .into_iter()
                    .flat_map(|matched| matched.host.iter().chain(matched.hosts.iter().flatten()));
                let at = written.find(|there| there.value == *host).map_or(place(*route), |host| host.at);
                findings.error(at, format!("`{host}` is no host of a route: {why}"));
            }
            RouteError::Duplicate { first, second, .. } => {
                let at = matched(*second).map_or(place(*second), |matched| matched.at);
                let other = matched(*first).map_or(place(*first), |matched| matched.at);
                findings.error(at, error.to_string()).also(other, "the other");
            }
            RouteError::Method { route, method, .. } => {
                let mut written =
                    matched(*route).into_iter().flat_map(|matched| &matched.methods).flat_map(|methods| &methods.0);
                // One in lower case was told before, with its upper case.
                if is_token(method) && method.to_ascii_uppercase() == *method {
                    let at = written.find(|there| there.value == *method).map_or(place(*route), |method| method.at);
                    findings.error(at, format!("`{method}` is no method; methods are written like GET"));
                }
            }
            // These were told where the route was read, at the very word.
            RouteError::NoStable { .. } | RouteError::NoRelease { .. } if findings.refused() => {}
            other => {
                findings.error(Span::default(), other.to_string());
            }
        }
    }
}
