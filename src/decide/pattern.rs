//! A route's path and hosts as they are indexed.

use super::path::{AllowEncoded, NormalPath};

/// A pattern may have so many segments; finding a route recurses that far.
const MOST_SEGMENTS: usize = 64;

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Fixed(Box<str>),
    Parameter,
    Rest,
}

/// A path pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    /// The names of its parameters, in order, the rest included.
    pub(super) names: Vec<Box<str>>,
}

impl Pattern {
    pub(super) fn parse(path: &str) -> Result<Pattern, String> {
        let rest = path.strip_prefix('/').ok_or("a path begins with `/`")?;
        if path.contains(['?', '#']) {
            return Err(String::from("a path has no query; match it by a condition on `query:NAME`"));
        }
        let mut pattern = Pattern { segments: Vec::new(), names: Vec::new() };
        let parts: Vec<&str> = rest.split('/').collect();
        if parts.len() > MOST_SEGMENTS {
            return Err(format!("more than {MOST_SEGMENTS} segments"));
        }
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let segment = pattern.segment(part, is_last)?;
            pattern.segments.push(segment);
        }
        Ok(pattern)
    }

    fn segment(&mut self, part: &str, is_last: bool) -> Result<Segment, String> {
        let Some(inside) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            return fixed(part).map(Segment::Fixed);
        };
        let (name, segment) = match inside.strip_prefix('*') {
            Some(name) => (name, Segment::Rest),
            None => (inside, Segment::Parameter),
        };
        if segment == Segment::Rest && !is_last {
            return Err(format!("`{part}` takes the rest of the path, so it stands at the end"));
        }
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if name.is_empty() || !is_name {
            return Err(format!("`{part}`: a parameter is written {{name}}, of letters, digits, `_` and `-`"));
        }
        if self.names.iter().any(|known| **known == *name) {
            return Err(format!("parameter `{name}` stands twice"));
        }
        self.names.push(name.into());
        Ok(segment)
    }
}

fn fixed(part: &str) -> Result<Box<str>, String> {
    if part.contains(['{', '}']) {
        return Err(format!("`{part}`: a parameter takes a whole segment, as in /sku/{{sku_id}}"));
    }
    let rooted = format!("/{part}");
    let allow = AllowEncoded { slash: true, backslash: true, nul: true };
    let normal = NormalPath::new(&rooted, allow).map_err(|error| error.to_string())?;
    if normal.as_str() == "/" && !part.is_empty() {
        return Err(format!("`{part}` never matches: dot segments are resolved before"));
    }
    Ok(normal.as_str()[1..].into())
}

/// A host of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    Any,
    Exact(Box<str>),
    /// Every host below this one.
    Below(Box<str>),
}

impl HostPattern {
    pub(super) fn parse(host: &str) -> Result<HostPattern, &'static str> {
        if host == "*" {
            return Ok(HostPattern::Any);
        }
        let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let (name, below) = match lower.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (&*lower, false),
        };
        if name.contains('*') {
            return Err("a wildcard stands alone at the front, as in `*.example.com`");
        }
        let is_v6 = name.starts_with('[') && name.ends_with(']');
        if !is_v6 && name.contains(':') {
            return Err("a host is written without a port");
        }
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || (is_v6 && b"[]:".contains(&byte));
        if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
            return Err("a host is written in ASCII (punycode), like shop.example.com");
        }
        Ok(if below { HostPattern::Below(name.into()) } else { HostPattern::Exact(name.into()) })
    }
}

/// The host of a request as it is looked up: without port and trailing dot. Letters are lowered by the caller.
pub(super) fn host_name(host: &str) -> &str {
    let name = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}
