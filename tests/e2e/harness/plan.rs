//! The configuration of one test, as text: what the test does not care about has a default here.

use std::fmt::{Display, Write};
use std::net::SocketAddr;

/// Builds a configuration file. Everything ends up as YAML that a user could have written.
pub(crate) struct Plan {
    environment: &'static str,
    trust: String,
    upstreams: String,
    routes: String,
    more: String,
    admin: String,
    listener: String,
    facts: String,
    files: Vec<(String, Vec<u8>)>,
    variables: Vec<(String, String)>,
}

impl Plan {
    /// No upstream and no route yet; loopback is trusted.
    pub(crate) fn new() -> Self {
        Self {
            environment: "prod",
            trust: "127.0.0.0/8".to_owned(),
            upstreams: String::new(),
            routes: String::new(),
            more: String::new(),
            admin: String::new(),
            listener: String::new(),
            facts: FACTS.to_owned(),
            files: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Everything to one upstream of one endpoint: the plan of most protocol tests.
    pub(crate) fn to(origin: SocketAddr) -> Self {
        Self::new().upstream("stable", origin).rest()
    }

    /// Stable and gray with one release `r` on every path; `release` holds the release's keys, one a line.
    pub(crate) fn gray(stable: SocketAddr, gray: SocketAddr, release: &str) -> Self {
        Self::new().upstream("stable", stable).upstream("gray", gray).release("r", release).route(
            "all",
            "/{*rest}",
            "stable: stable, gray: gray",
            "release: r",
        )
    }

    pub(crate) fn environment(mut self, environment: &'static str) -> Self {
        self.environment = environment;
        self
    }

    /// Which peers are trusted, as a comma separated list of networks.
    pub(crate) fn trust(mut self, networks: &str) -> Self {
        networks.clone_into(&mut self.trust);
        self
    }

    /// An HTTP/1.1 upstream of one endpoint.
    pub(crate) fn upstream(self, name: &str, endpoint: impl Display) -> Self {
        self.upstream_of(name, &format!("endpoints: [\"{endpoint}\"]"))
    }

    /// An upstream spoken to in HTTP/2 with prior knowledge.
    pub(crate) fn upstream_h2(self, name: &str, endpoint: impl Display) -> Self {
        self.upstream_of(name, &format!("endpoints: [\"{endpoint}\"], protocol: h2"))
    }

    /// An upstream by its keys in flow style.
    pub(crate) fn upstream_of(mut self, name: &str, keys: &str) -> Self {
        writeln!(self.upstreams, "  {name}: {{ {keys} }}").expect("a string takes text");
        self
    }

    /// A release of the given name; `keys` one a line.
    pub(crate) fn release(self, name: &str, keys: &str) -> Self {
        let keys: Vec<String> = keys.lines().map(|line| format!("    {}", line.trim_end())).collect();
        self.more(&format!("releases:\n  {name}:\n{}\n", keys.join("\n")))
    }

    /// A route for all methods; `keys` are further keys, one a line.
    pub(crate) fn route(self, name: &str, path: &str, lanes: &str, keys: &str) -> Self {
        self.route_matching(name, &format!("path: \"{path}\""), lanes, keys)
    }

    /// A route by its match in flow style.
    pub(crate) fn route_matching(mut self, name: &str, matching: &str, lanes: &str, keys: &str) -> Self {
        let text = &mut self.routes;
        writeln!(text, "  - name: {name}\n    match: {{ {matching} }}\n    lanes: {{ {lanes} }}")
            .expect("a string takes text");
        for key in keys.lines().map(str::trim).filter(|key| !key.is_empty()) {
            writeln!(text, "    {key}").expect("a string takes text");
        }
        self
    }

    /// The route that sends everything to the upstream `stable`.
    pub(crate) fn rest(self) -> Self {
        self.route("rest", "/{*rest}", "stable: stable", "")
    }

    /// Top-level text, as it is.
    pub(crate) fn more(mut self, text: &str) -> Self {
        self.more.push_str(text);
        if !text.ends_with('\n') {
            self.more.push('\n');
        }
        self
    }

    /// The sources of facts, one a line, in place of the usual ones.
    pub(crate) fn facts(mut self, lines: &str) -> Self {
        let lines: Vec<String> = lines.lines().map(|line| format!("  {}\n", line.trim())).collect();
        self.facts = format!("facts:\n{}", lines.concat());
        self
    }

    /// Further keys of `admin`, in flow style.
    pub(crate) fn admin(mut self, keys: &str) -> Self {
        self.admin = format!(", {keys}");
        self
    }

    /// Further keys of the listener, each line `key: value`.
    pub(crate) fn listener(mut self, lines: &str) -> Self {
        self.listener = lines.lines().map(|line| format!("\n    {}", line.trim())).collect();
        self
    }

    /// A file beside the configuration.
    pub(crate) fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// A variable in the environment of the process.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(super) fn files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    /// The file for a process that is not to run.
    pub(crate) fn render_at(&self, address: SocketAddr) -> String {
        self.render(address, SocketAddr::from(([127, 0, 0, 1], 2)))
    }

    /// The file, given the sidecar's own addresses; `@traffic` in a text stands for the first of them.
    pub(crate) fn render(&self, traffic: SocketAddr, admin: SocketAddr) -> String {
        let Self { environment, trust, upstreams, routes, more, admin: more_admin, listener, facts, .. } = self;
        let section = |name: &str, text: &str| match text {
            "" => String::new(),
            _ => format!("{name}:\n{text}"),
        };
        let lane = if more.lines().any(|line| line.starts_with("lane:")) { "" } else { "lane: stable\n" };
        format!(
            "version: 1\nenvironment: {environment}\nservice: goods-core\n{lane}workers: 1\n\
             listeners:\n  - bind: {traffic}{listener}\nadmin: {{ bind: {admin}{more_admin} }}\ntrust: [{trust}]\n\
             {facts}{}{more}{}",
            section("upstreams", upstreams),
            section("routes", routes),
        )
        .replace("@traffic", &traffic.to_string())
    }
}

const FACTS: &str = "\
facts:
  user_id:       [{ header: x-user-id }, { cookie: uid }]
  device_id:     [{ header: x-device-id }]
  sku_id:        [{ path: sku_id }, { query: sku_id }]
  category_id:   [{ header: x-category-id }]
  user_tier:     [{ header: x-user-tier }]
  tags:          [{ header: x-user-tags }]
  order_amount:  [{ header: x-order-amount }]
  stock_level:   [{ header: x-stock-level }]
  province_code: [{ header: x-province-code }]
  city_id:       [{ header: x-city-id }]
";
