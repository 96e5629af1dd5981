//! Addresses, networks and paths of files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use super::kubernetes::is_label;
use crate::config::problem::Findings;
use crate::config::settings::Endpoint;
use crate::config::text::{At, Texts};

/// Longest path of a Unix socket on Linux.
const LONGEST_SOCKET_PATH: usize = 107;

/// IP address and port of a listener.
pub(super) fn bind(written: &At<String>, findings: &mut Findings) -> Option<SocketAddr> {
    let text = written.value.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let finding = findings.error(written.at, format!("`{text}` is no address to listen on"));
    if text.parse::<IpAddr>().is_ok() || text.parse::<u16>().is_ok() {
        finding.help("write IP address and port: `127.0.0.1:15080`, `[::1]:15080`");
    } else if let Some(port) = text.strip_prefix(':') {
        finding.help(format!("for every address write `0.0.0.0:{port}` or `[::]:{port}`"));
    } else if let Some(port) = text.strip_prefix("localhost:") {
        finding.help(format!("write `127.0.0.1:{port}`"));
    } else {
        finding.help("write IP address and port: `127.0.0.1:15080`, `[::1]:15080`; a port is at most 65535");
    }
    None
}

/// A network such as `10.0.0.0/8`, or one address.
pub(super) fn network(written: &At<String>, findings: &mut Findings) -> Option<IpNet> {
    let text = written.value.trim();
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => {
            if network.trunc() != network {
                findings.warn(
                    written.at,
                    format!("`{network}` has bits beyond its prefix; it is taken as `{}`", network.trunc()),
                );
            }
            Some(network.trunc())
        }
        (_, Ok(address)) => Some(IpNet::from(address)),
        _ => {
            findings
                .error(written.at, format!("`{text}` is no network"))
                .help("write `10.0.0.0/8`, `fd00::/8` or one address");
            None
        }
    }
}

/// `HOST:PORT`, `k8s:SERVICE.NAMESPACE:PORT`, `unix:/path` or `local`.
pub(super) fn endpoint(written: &At<String>, texts: &Texts, findings: &mut Findings) -> Option<Endpoint> {
    let folder = texts.folder(written.at.source());
    match parse_endpoint(written.value.trim(), folder) {
        Ok(endpoint) => Some(endpoint),
        Err(message) => {
            findings.error(written.at, message);
            None
        }
    }
}

fn parse_endpoint(text: &str, folder: &Path) -> Result<Endpoint, String> {
    if text == "local" {
        return Ok(Endpoint::Local);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = folder.join(path);
        return match path.as_os_str().len() {
            _ if text == "unix:" => Err("`unix:` is followed by the path of a socket".into()),
            length if length > LONGEST_SOCKET_PATH => {
                Err(format!("the path of a Unix socket has at most {LONGEST_SOCKET_PATH} bytes, this one has {length}"))
            }
            _ => Ok(Endpoint::Unix(path)),
        };
    }
    if let Some(rest) = text.strip_prefix("k8s:") {
        return parse_service(rest);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!("an endpoint is written without `{scheme}://`: `{}`", rest.trim_end_matches('/')));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("`{text}` has no port: write `HOST:PORT`, `unix:/path` or `local`"));
    };
    let port: u16 = match port.parse() {
        Ok(port) if port > 0 => port,
        _ => return Err(format!("`{port}` is no port: a number from 1 to 65535")),
    };
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Endpoint::Host { host: address.to_string(), port }),
            Err(_) => Err(format!("`{address}` is no IPv6 address")),
        };
    }
    if host.contains(':') {
        return Err(format!("an IPv6 address stands in brackets: `[{host}]:{port}`"));
    }
    if host.parse::<Ipv4Addr>().is_ok() || is_host_name(host) {
        return Ok(Endpoint::Host { host: host.to_ascii_lowercase(), port });
    }
    Err(format!("`{host}` is neither an IP address nor a host name"))
}

fn parse_service(text: &str) -> Result<Endpoint, String> {
    const FORM: &str = "write `k8s:SERVICE.NAMESPACE:PORT`";
    let Some((name, port)) = text.split_once(':') else { return Err(format!("`k8s:{text}` has no port: {FORM}")) };
    let Some((service, namespace)) = name.split_once('.') else {
        return Err(format!("`{name}` has no namespace: {FORM}"));
    };
    if let Some(wrong) = [service, namespace].into_iter().find(|name| !is_label(name)) {
        return Err(format!("`{wrong}` is no name in Kubernetes: {FORM}"));
    }
    let is_number = port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_name = is_label(port) && port.len() <= 15 && port.bytes().any(|b| b.is_ascii_lowercase());
    if !is_number && !is_name {
        return Err(format!(
            "`{port}` is no port: the name of the service's port, or the number that its pods listen on"
        ));
    }
    let (service, namespace, port) = (service.to_owned(), namespace.to_owned(), port.to_owned());
    Ok(Endpoint::Service { service, namespace, port })
}

/// A DNS name, with `_` as clusters use it. Digits and dots alone would be a broken IPv4 address.
pub(super) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// An HTTP token: the form of header, cookie and method names.
pub(super) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Endpoint, &str>) {
        let found = parse_endpoint(text, Path::new("/etc/graylane"));
        assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|message| *message));
    }

    fn host(host: &str, port: u16) -> Result<Endpoint, &'static str> {
        Ok(Endpoint::Host { host: host.into(), port })
    }

    #[test]
    fn endpoints_are_hosts_sockets_or_local() {
        check("127.0.0.1:9001", host("127.0.0.1", 9001));
        check("Goods.svc.cluster.local:80", host("goods.svc.cluster.local", 80));
        check("[::1]:80", host("::1", 80));
        check("local", Ok(Endpoint::Local));
        check("unix:/run/goods.sock", Ok(Endpoint::Unix("/run/goods.sock".into())));
        check("unix:goods.sock", Ok(Endpoint::Unix("/etc/graylane/goods.sock".into())));
        let service =
            |port: &str| Endpoint::Service { service: "goods".into(), namespace: "shop".into(), port: port.into() };
        check("k8s:goods.shop:http", Ok(service("http")));
        check("k8s:goods.shop:8080", Ok(service("8080")));
        check("k8s:goods:http", Err("`goods` has no namespace: write `k8s:SERVICE.NAMESPACE:PORT`"));
        check("k8s:goods.shop", Err("`k8s:goods.shop` has no port: write `k8s:SERVICE.NAMESPACE:PORT`"));
        check("k8s:goods.shop.svc:80", Err("`shop.svc` is no name in Kubernetes: write `k8s:SERVICE.NAMESPACE:PORT`"));
        check(
            "k8s:goods.shop:0",
            Err("`0` is no port: the name of the service's port, or the number that its pods listen on"),
        );
        check("goods", Err("`goods` has no port: write `HOST:PORT`, `unix:/path` or `local`"));
        check("goods:0", Err("`0` is no port: a number from 1 to 65535"));
        check("goods:65536", Err("`65536` is no port: a number from 1 to 65535"));
        check("http://goods:80/", Err("an endpoint is written without `http://`: `goods:80`"));
        check("::1:80", Err("an IPv6 address stands in brackets: `[::1]:80`"));
        check("256.0.0.1:80", Err("`256.0.0.1` is neither an IP address nor a host name"));
        check("a b:80", Err("`a b` is neither an IP address nor a host name"));
        check(":80", Err("`` is neither an IP address nor a host name"));
    }
}
