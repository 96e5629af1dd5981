//! Where traffic comes in, and who is believed there.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::tls::ServerTls;

/// An address that takes traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// As configured; port 0 stands for any.
    pub bind: SocketAddr,
    /// What a connection begins with, where that is TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// Where connections begin with the PROXY protocol, the networks that may connect.
    pub proxies: Option<Arc<[IpNet]>>,
}

impl Listener {
    /// An address that takes traffic as it comes.
    pub fn plain(bind: SocketAddr) -> Self {
        Self { bind, tls: None, proxies: None }
    }

    /// Whether connections begin with their first request.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none() && self.proxies.is_none()
    }
}

/// A name of verified certificates whose bearers are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustName {
    /// This SPIFFE ID.
    Spiffe(String),
    /// Every SPIFFE ID below this one; the text ends with `/`.
    SpiffeBelow(String),
    /// This DNS name, in lower case.
    Dns(String),
}

impl TrustName {
    /// From `spiffe://domain/path`, `spiffe://domain/path/*` or `dns:name`; the error says what to write.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(name) = text.strip_prefix("dns:") {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            return match !name.is_empty() && name.bytes().all(is_name) {
                true => Ok(Self::Dns(name.to_ascii_lowercase())),
                false => Err("write `dns:gateway.shop.internal`"),
            };
        }
        let (whole, below) = match text.strip_suffix('*') {
            Some(below) => (below, true),
            None => (text, false),
        };
        let Some(rest) = whole.strip_prefix("spiffe://") else { return Err("write `spiffe://domain/path`") };
        let has_domain = rest.split('/').next().is_some_and(|domain| !domain.is_empty());
        if !has_domain || whole.contains('*') || below && !whole.ends_with('/') {
            return Err("write `spiffe://domain/path`, or `spiffe://domain/path/*` for all below it");
        }
        if rest.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("write the SPIFFE ID without the segments `.` and `..`, which no ID has");
        }
        Ok(if below { Self::SpiffeBelow(whole.to_owned()) } else { Self::Spiffe(whole.to_owned()) })
    }

    /// Whether a certificate of these URIs and DNS names bears it. One that names several URIs is nobody's (X509-SVID section 2).
    pub fn is_among(&self, uris: &[String], dns: &[String]) -> bool {
        let id = match uris {
            [id] => Some(id),
            _ => None,
        };
        match self {
            Self::Spiffe(known) => id == Some(known),
            Self::SpiffeBelow(start) => id.and_then(|id| id.strip_prefix(start.as_str())).is_some_and(is_path),
            Self::Dns(name) => dns.contains(name),
        }
    }
}

/// Whether this is the end of a SPIFFE ID's path: segments of letters, digits, `.`, `-` and `_`, none of them empty, `.` or `..`
/// (SPIFFE-ID section 2.2). Anything else may mean another place to somebody who resolves it.
fn is_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(fits)
    };
    path.split('/').all(is_segment)
}

impl std::fmt::Display for TrustName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spiffe(id) => f.write_str(id),
            Self::SpiffeBelow(start) => write!(f, "{start}*"),
            Self::Dns(name) => write!(f, "dns:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spiffe_ids_or_dns() {
        for good in ["spiffe://shop/ns/edge/sa/gateway", "spiffe://shop/ns/*", "spiffe://shop/*", "dns:gw.shop"] {
            assert_eq!(TrustName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        assert!(
            TrustName::parse("spiffe://shop/ns/../ops/*").is_err() && TrustName::parse("spiffe://shop/./a").is_err()
        );
        for bad in ["spiffe://", "spiffe:///x", "spiffe://shop/n*", "spiffe://*/x", "spiffe://*", "dns:", "dns:*.shop"]
        {
            assert!(TrustName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_what_is_below_and_nothing_else() {
        let bears = |name: &str, uri: &str| TrustName::parse(name).unwrap().is_among(&[uri.to_owned()], &[]);
        assert!(bears("spiffe://shop/ns/*", "spiffe://shop/ns/a"));
        assert!(!bears("spiffe://shop/ns/*", "spiffe://shop/ns/"));
        assert!(!bears("spiffe://shop/ns/*", "spiffe://shop/nsx/a"));
        assert!(!bears("spiffe://shop/ns", "spiffe://shop/ns/a"));
        for other in ["../ops/sa/gateway", "./a", "a//b", "a/", "a/..", "%2e%2e/ops", "a?b", "a#b", "a\\b", "a b"] {
            assert!(!bears("spiffe://shop/ns/*", &format!("spiffe://shop/ns/{other}")), "{other}");
        }
        assert!(!bears("dns:shop", "shop"), "a URI is no DNS name");
        let two = ["spiffe://evil/x".to_owned(), "spiffe://shop/ns/a".to_owned()];
        for name in ["spiffe://shop/ns/*", "spiffe://shop/ns/a"] {
            assert!(!TrustName::parse(name).unwrap().is_among(&two, &[]), "a certificate of two URIs is nobody's");
        }
        assert!(TrustName::parse("dns:GW.shop").unwrap().is_among(&[], &["gw.shop".to_owned()]));
    }
}
