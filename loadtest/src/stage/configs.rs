//! What the programs read: templates of `loadtest/peers/` with the ports, paths and sizes of a run.

use std::fs;
use std::path::{Path, PathBuf};

use super::StageError;
use crate::scenario::{Client, SMALL_BODY, Shape, Upstream};
use crate::visitors::{PERMILLE, SALT};

/// Where the origins of both lanes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The port of stable, on every loopback address there is an endpoint at.
    pub stable: u16,
    /// That of gray.
    pub gray: u16,
    /// The Unix socket of stable.
    pub stable_socket: PathBuf,
    /// That of gray.
    pub gray_socket: PathBuf,
}

/// What a proxy's configuration is made of.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The folder of templates.
    pub templates: &'a Path,
    /// Where to write.
    pub folder: &'a Path,
    /// The port that takes traffic.
    pub port: u16,
    /// A port for people, where the program has one.
    pub admin: u16,
    /// Protocols and sizes.
    pub shape: &'a Shape,
    /// Where requests end.
    pub origins: &'a Origins,
}

/// How many releases and routes stand in one document of graylane's.
const RULES_A_DOCUMENT: usize = 1000;

type Values = Vec<(&'static str, String)>;

impl Plan<'_> {
    /// Writes nginx's; the path.
    ///
    /// # Errors
    /// Where a file cannot be read or written, or a place has no value.
    pub fn nginx(&self) -> Result<PathBuf, StageError> {
        let shape = self.shape;
        let listen = format!("{}{}", on(shape.tls, " ssl"), on(shape.client != Client::Http1, " http2"));
        let tls = format!(
            "ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem; ssl_protocols TLSv1.3;",
            self.folder.display()
        );
        let servers = |lane| lines(&self.addresses(lane, "unix:"), |address| format!("server {address}; "));
        let pass = match shape.client {
            Client::Grpc => "grpc_set_header X-Gray-Lane $lane; grpc_pass grpc://$lane;",
            _ => {
                "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header X-Gray-Lane $lane; \
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_pass http://$lane;"
            }
        };
        let paths = self.prefixes();
        let locations = lines(&paths, |prefix| format!("location {prefix} {{ {pass} }}\n    "));
        self.write(
            "nginx.conf",
            vec![
                ("LISTEN", listen),
                ("TLS", on(shape.tls, &tls).to_owned()),
                ("STABLES", servers(Side::Stable)),
                ("GRAYS", servers(Side::Gray)),
                ("LOCATIONS", locations),
            ],
        )
    }

    /// Writes HAProxy's; the path.
    ///
    /// # Errors
    /// As [`Self::nginx`].
    pub fn haproxy(&self) -> Result<PathBuf, StageError> {
        let shape = self.shape;
        let alpn = if shape.client == Client::Http1 { "http/1.1" } else { "h2" };
        let pem = self.folder.join("both.pem");
        let bind = match (shape.tls, shape.client) {
            (true, _) => format!(" ssl crt {} alpn {alpn} ssl-min-ver TLSv1.3", pem.display()),
            (false, Client::Http1) => String::new(),
            (false, _) => " proto h2".to_owned(),
        };
        let protocol = on(shape.client == Client::Grpc, " proto h2");
        let pool = self.pool();
        let servers = |lane| {
            let addresses = self.addresses(lane, "unix@");
            let numbered: Vec<_> = addresses.iter().enumerate().collect();
            lines(&numbered, |(at, address)| format!("server s{at} {address}{protocol} pool-max-conn {pool}\n  "))
        };
        self.write(
            "haproxy.cfg",
            vec![
                ("BIND", bind),
                ("TENTH", self.haproxy_tenth()?),
                ("STABLES", servers(Side::Stable)),
                ("GRAYS", servers(Side::Gray)),
            ],
        )
    }

    /// One route needs no more than a comparison; the shares of many stand in a map, which HAProxy looks up as a tree.
    fn haproxy_tenth(&self) -> Result<String, StageError> {
        if self.shape.routes == 1 {
            return Ok(format!("use_backend gray if {{ var(txn.bucket) -m int lt {PERMILLE} }}"));
        }
        let map = self.folder.join("routes.map");
        let text = lines(&self.prefixes(), |prefix| format!("{prefix} {PERMILLE}\n"));
        fs::write(&map, text).map_err(StageError::system(format!("write {}", map.display())))?;
        Ok(format!(
            "http-request set-var(txn.share) path,map_beg_int({},0)\n  use_backend gray if {{ \
             var(txn.bucket),sub(txn.share) -m int lt 0 }}",
            map.display()
        ))
    }

    /// Writes Envoy's; the path.
    ///
    /// # Errors
    /// As [`Self::nginx`].
    pub fn envoy(&self) -> Result<PathBuf, StageError> {
        let shape = self.shape;
        let tls = format!(
            "transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": \
             type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, common_tls_context: {{ \
             alpn_protocols: [{1}], tls_params: {{ tls_minimum_protocol_version: TLSv1_3 }}, tls_certificates: [{{ \
             certificate_chain: {{ filename: {0}/cert.pem }}, private_key: {{ filename: {0}/key.pem }} }}] }} }} }}",
            self.folder.display(),
            if shape.client == Client::Http1 { "http/1.1" } else { "h2" },
        );
        let h2 = "typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { \"@type\": \
                  type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { \
                  http2_protocol_options: {} } } }";
        let endpoints = |side| {
            let address = |text: &String| match (shape.upstream, text.rsplit_once(':')) {
                (Upstream::Tcp, Some((host, port))) => {
                    format!("{{ socket_address: {{ address: {host}, port_value: {port} }} }}")
                }
                _ => format!("{{ pipe: {{ path: {text} }} }}"),
            };
            lines(&self.addresses(side, ""), |text| format!("{{ endpoint: {{ address: {} }} }}, ", address(text)))
        };
        let routes = lines(&self.prefixes(), |prefix| {
            format!(
                "- match: {{ prefix: \"{prefix}\", headers: [ {{ name: x-gray-lane, string_match: {{ exact: gray }} }} ] }}
                route: {{ cluster: gray }}
              - match: {{ prefix: \"{prefix}\", headers: [ {{ name: x-region, string_match: {{ exact: cn-hz }} }} ] }}
                route: {{ cluster: gray }}
              - match: {{ prefix: \"{prefix}\" }}
                route:
                  hash_policy: [ {{ header: {{ header_name: x-user-id }} }} ]
                  weighted_clusters:
                    use_hash_policy: true
                    clusters: [ {{ name: gray, weight: {PERMILLE} }}, {{ name: stable, weight: {} }} ]
              ",
                1000 - PERMILLE
            )
        });
        self.write(
            "envoy.yaml",
            vec![
                ("TLS", on(shape.tls, &tls).to_owned()),
                ("ROUTES", routes),
                ("UPSTREAM", on(shape.client == Client::Grpc, h2).to_owned()),
                ("STABLES", endpoints(Side::Stable)),
                ("GRAYS", endpoints(Side::Gray)),
            ],
        )
    }

    /// Writes graylane's, several documents; their folder.
    ///
    /// # Errors
    /// As [`Self::nginx`].
    pub fn graylane(&self) -> Result<PathBuf, StageError> {
        let shape = self.shape;
        let listen = format!(
            ", tls: {{ certificates: [{{ cert: {0}/cert.pem, key: {0}/key.pem }}], min_version: 1.3 }}",
            self.folder.display()
        );
        let endpoints = |side| self.addresses(side, "unix:").join("\", \"");
        let conditions = lines(&(0..shape.rules).collect::<Vec<_>>(), |number| {
            format!("{{ key: 'header:x-user-id', operator: NE, value: nobody-{number} }}, ")
        });
        let extra = lines(&(2..shape.lanes).collect::<Vec<_>>(), |number| format!(", lane{number}: stable"));
        let mut rules = Vec::new();
        for (number, prefix) in self.prefixes().iter().enumerate() {
            let path = format!("{}/{{*rest}}", prefix.trim_end_matches('/'));
            let release = format!(
                "  r{number}: {{ level: permille, permille: {PERMILLE}, salt: {SALT}, regions: {{ province_code: [cn-hz] }}, \
                 conditions: [{conditions}] }}\n"
            );
            let route = format!(
                "  - {{ name: r{number}, match: {{ path: '{path}' }}, lanes: {{ stable: stable, gray: gray{extra} }}, \
                 release: r{number}, breaker: default }}\n"
            );
            rules.push((release, route));
        }
        self.write_rules(&rules)?;
        self.write(
            "graylane.yaml",
            vec![
                ("LISTEN", on(shape.tls, &listen).to_owned()),
                ("PROTOCOL", if shape.client == Client::Grpc { "h2" } else { "http1" }.to_owned()),
                ("STABLES", endpoints(Side::Stable)),
                ("GRAYS", endpoints(Side::Gray)),
            ],
        )?;
        Ok(self.folder.to_owned())
    }

    /// Releases and routes in documents of their own, because one document has a bound.
    fn write_rules(&self, rules: &[(String, String)]) -> Result<(), StageError> {
        for (number, some) in rules.chunks(RULES_A_DOCUMENT).enumerate() {
            let releases = lines(some, |(release, _)| release.clone());
            let routes = lines(some, |(_, route)| route.clone());
            let path = self.folder.join(format!("rules-{number}.yaml"));
            fs::write(&path, format!("releases:\n{releases}routes:\n{routes}"))
                .map_err(StageError::system(format!("write {}", path.display())))?;
        }
        Ok(())
    }

    /// How many connections to an origin are kept: one for each client, within reason.
    fn pool(&self) -> usize {
        self.shape.connections.clamp(128, 1024)
    }

    /// The addresses of a lane's endpoints; a Unix socket has one.
    fn addresses(&self, side: Side, unix: &str) -> Vec<String> {
        let (port, socket) = match side {
            Side::Stable => (self.origins.stable, &self.origins.stable_socket),
            Side::Gray => (self.origins.gray, &self.origins.gray_socket),
        };
        match self.shape.upstream {
            Upstream::Unix => vec![format!("{unix}{}", socket.display())],
            Upstream::Tcp => loopbacks(self.shape.endpoints).map(|host| format!("{host}:{port}")).collect(),
        }
    }

    /// The path of each route, with a slash at its end.
    fn prefixes(&self) -> Vec<String> {
        match self.shape.routes {
            1 => vec!["/".to_owned()],
            routes => (0..routes).map(|number| format!("/api/v1/p{number}/")).collect(),
        }
    }

    fn write(&self, name: &'static str, mut values: Values) -> Result<PathBuf, StageError> {
        values.push(("DIR", self.folder.display().to_string()));
        values.push(("PORT", self.port.to_string()));
        values.push(("ADMIN", self.admin.to_string()));
        values.push(("WORKERS", self.shape.workers.to_string()));
        values.push(("POOL", self.pool().to_string()));
        // Both ends of each; nginx makes room for all of them at once, so no more than it takes.
        values.push(("CLIENTS", (self.shape.connections * 2 + 200).max(4096).to_string()));
        written(&self.templates.join(name), self.folder, &values)
    }
}

/// A lane, where only its addresses matter.
#[derive(Debug, Clone, Copy)]
enum Side {
    Stable,
    Gray,
}

/// Writes the origin's: nginx, which answers at once with [`SMALL_BODY`] bytes. The path.
///
/// # Errors
/// As [`Plan::nginx`].
pub fn origin(templates: &Path, folder: &Path, origins: &Origins, endpoints: usize) -> Result<PathBuf, StageError> {
    let hosts: Vec<_> = loopbacks(endpoints).collect();
    let listen = |port| lines(&hosts, |host| format!("listen {host}:{port} backlog=4096; "));
    let start = "{\"sku\":\"10086\",\"name\":\"phone\",\"price\":29900,\"stock\":12,\"pad\":\"";
    let body = format!("{start}{}\"}}", "a".repeat(SMALL_BODY - start.len() - 2));
    written(
        &templates.join("origin.nginx.conf"),
        folder,
        &[
            ("DIR", folder.display().to_string()),
            ("STABLE", listen(origins.stable)),
            ("GRAY", listen(origins.gray)),
            ("STABLESOCKET", origins.stable_socket.display().to_string()),
            ("GRAYSOCKET", origins.gray_socket.display().to_string()),
            ("BODY", body),
        ],
    )
}

/// `127.0.0.1`, `127.0.0.2`, and so on.
pub fn loopbacks(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|host| format!("127.0.{}.{}", host / 250, host % 250))
}

fn on(condition: bool, text: &str) -> &str {
    if condition { text } else { "" }
}

fn lines<T>(list: &[T], each: impl Fn(&T) -> String) -> String {
    list.iter().map(each).collect()
}

/// A template with its places, such as `@PORT@`, filled.
fn written(template: &Path, folder: &Path, values: &[(&'static str, String)]) -> Result<PathBuf, StageError> {
    let mut text = fs::read_to_string(template).map_err(StageError::system(format!("read {}", template.display())))?;
    for (place, value) in values {
        text = text.replace(&format!("@{place}@"), value);
    }
    if let Some(place) = unfilled(&text) {
        return Err(StageError::Template { path: template.to_owned(), place: place.to_owned() });
    }
    let path = folder.join(template.file_name().expect("a template is a file"));
    fs::write(&path, text).map_err(StageError::system(format!("write {}", path.display())))?;
    Ok(path)
}

/// The first `@WORD@` that is left; Envoy's own `@type` is in small letters.
fn unfilled(text: &str) -> Option<&str> {
    text.match_indices('@').find_map(|(start, _)| {
        let end = start + 1 + text[start + 1..].find(|c: char| !c.is_ascii_uppercase())?;
        (end > start + 1 && text[end..].starts_with('@')).then(|| &text[start..=end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_a_value_is_found_and_envoys_types_are_none() {
        assert_eq!(unfilled("listen @PORT@;"), Some("@PORT@"));
        assert_eq!(unfilled("\"@type\": a@b.c, unix@/a"), None);
    }

    #[test]
    fn addresses_of_endpoints_stay_on_loopback() {
        let hosts: Vec<_> = loopbacks(251).collect();
        assert_eq!((&hosts[0][..], &hosts[248][..], &hosts[250][..]), ("127.0.0.1", "127.0.0.249", "127.0.1.1"));
    }
}
