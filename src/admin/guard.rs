//! What stands before every path: who may ask, how much, and what every answer says to a browser.
//!
//! Against DNS rebinding: a page of `evil.example` can point its own name at 127.0.0.1 and then read this port as its
//! own origin, but its requests still carry `Host: evil.example`. So the `Host` has to be a loopback name, the bound
//! address, or a name that was allowed. Where the port is bound to all addresses, any IP address will do: a browser
//! sends an IP address as `Host` only to what really is at that address.
//!
//! Against requests across sites: a browser adds `Origin` to whatever could change something. One that is not this
//! port's own is refused.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The longest time an answer may take to make.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The longest request head, in bytes of names and values.
const HEAD_LIMIT: usize = 16 * 1024;

/// Health is asked by load balancers with whatever `Host` they like, and says nothing that is worth guarding.
pub(super) const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Which names mean this port.
pub(super) struct Guard {
    bound: IpAddr,
    names: Vec<String>,
}

impl Guard {
    pub(super) fn new(bound: SocketAddr, names: &[String]) -> Self {
        let names = names.iter().map(|name| canonical(name)).collect();
        Self { bound: bound.ip().to_canonical(), names }
    }

    /// Whether a browser that was sent here under this host can only have meant this port.
    fn knows(&self, host: &str) -> bool {
        let host = canonical(host);
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return ip.is_loopback() || ip == self.bound || self.bound.is_unspecified();
        }
        host == "localhost" || self.names.contains(&host)
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head > HEAD_LIMIT {
            let detail = format!("the headers are longer than {HEAD_LIMIT} bytes");
            return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
        }
        if OPEN_PATHS.contains(&request.uri().path()) {
            return Ok(());
        }
        let host = single(headers, header::HOST)?.ok_or_else(|| bad("Host is missing"))?;
        let host: Authority = host.parse().map_err(|_| bad("Host is not a host"))?;
        let target = request.uri().authority().unwrap_or(&host);
        if [&host, target].iter().any(|name| !self.knows(name.host())) {
            let detail = "this port is asked by another name than its own; use its address, or allow the name";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        match single(headers, header::ORIGIN)? {
            Some(origin) if !same_origin(origin, target) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "pages of another origin may not ask here"))
            }
            _ => Ok(()),
        }
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The only value of a header that may stand once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    match (first.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        _ => Err(bad(&format!("{name} stands twice or is not text"))),
    }
}

/// Names have no case, and a dot at the end changes nothing.
fn canonical(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.to_ascii_lowercase()
}

/// Whether the origin is `http` or `https` at the authority that was asked; `null` is nobody's own.
fn same_origin(origin: &str, asked: &Authority) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(origin) = rest.parse::<Authority>() else { return false };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    canonical(origin.host()) == canonical(asked.host()) && port(&origin) == port(asked)
}

/// Puts the guard before every path.
pub(super) fn protect(routes: Router, guard: Guard) -> Router {
    routes.layer(from_fn_with_state(Arc::new(guard), pass))
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long").into_response()
        }),
        Err(problem) => problem.into_response(),
    };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(bound: &str, names: &[&str]) -> Guard {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Guard::new(bound.parse().unwrap(), &names)
    }

    #[test]
    fn on_loopback_only_loopback_is_known() {
        let guard = guard("127.0.0.1:15090", &[]);
        for host in ["127.0.0.1", "127.9.9.9", "localhost", "LocalHost.", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(guard.knows(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.7", "127.0.0.1.nip.io", "0.0.0.0", "2130706433"]
        {
            assert!(!guard.knows(host), "{host}");
        }
    }

    #[test]
    fn a_bound_address_is_known_and_its_neighbour_is_not() {
        let guard = guard("10.0.0.7:15090", &[]);
        assert!(guard.knows("10.0.0.7") && guard.knows("localhost"));
        assert!(!guard.knows("10.0.0.8"));
    }

    #[test]
    fn bound_to_all_any_address_is_known_and_no_name() {
        for bound in ["0.0.0.0:15090", "[::]:15090"] {
            let guard = guard(bound, &["Graylane.shop.svc"]);
            assert!(guard.knows("10.0.0.7") && guard.knows("[fd00::7]") && guard.knows("graylane.shop.svc."));
            assert!(!guard.knows("evil.example"));
        }
    }

    #[test]
    fn only_the_own_origin_is_the_same() {
        let check = |origin: &str, asked: &str| same_origin(origin, &asked.parse().unwrap());
        assert!(check("http://127.0.0.1:15090", "127.0.0.1:15090"));
        assert!(check("http://localhost", "LOCALHOST:80"));
        assert!(check("https://localhost", "localhost:443"));
        for origin in [
            "null",
            "http://127.0.0.1:8080",
            "http://localhost:15090",
            "http://evil.example:15090",
            "file://127.0.0.1:15090",
            "http://",
            "",
        ] {
            assert!(!check(origin, "127.0.0.1:15090"), "{origin}");
        }
    }
}
