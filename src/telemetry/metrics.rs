//! The one list of metrics: name, kind, labels, help. Nothing is exposed that does not stand here.

/// How a metric behaves, which decides its form in the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per upper bound, with sum and count.
    Histogram,
}

/// One metric of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// Defines the metrics, and [`ALL`] in the same order.
macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every metric, in the order of the exposition.
        pub const ALL: &[&Metric] = &[$(&$id),+];
    };
}

metrics! {
    REQUESTS = Counter "graylane_requests_total" ["route", "lane", "level", "code_class"]
        "Requests answered, by the lane that served them, the level that decided and the class of the status code (none: the client left first).";
    REQUEST_DURATION = Histogram "graylane_request_duration_seconds" ["route", "lane"]
        "Time from the request's head to the last byte of its answer, in seconds.";
    INFLIGHT = Gauge "graylane_inflight_requests" ["route"]
        "Requests that are being served now.";
    CLIENT_DISCONNECTS = Counter "graylane_client_disconnects_total" ["route"]
        "Requests whose client left before its answer was complete.";
    SHIELDED = Counter "graylane_shielded_total" ["route"]
        "Requests whose gray attempt failed and that stable answered instead.";
    REPLAYS = Counter "graylane_replays_total" ["route"]
        "Requests sent once more because a kept connection was closed under them.";
    EXPIRED_DEADLINES = Counter "graylane_expired_deadlines_total" ["route"]
        "Requests that were not done when the deadline of their caller passed.";
    GRAY_DRAINED = Counter "graylane_gray_drained_total" ["route"]
        "Streams and tunnels on gray that were ended some time after their release was taken back.";
    FAULTS = Counter "graylane_faults_total" ["fault", "kind"]
        "Requests that met a fault on purpose, by its name and what it does.";
    BREAKER_STATE = Gauge "graylane_breaker_state" ["route", "lane"]
        "State of the breaker: 0 closed, 1 half-open, 2 open.";
    BREAKER_TRANSITIONS = Counter "graylane_breaker_transitions_total" ["route", "lane", "to", "cause"]
        "Changes of the breaker's state, by the new state and what caused it.";
    LIMITED = Counter "graylane_limited_total" ["route", "lane", "limit"]
        "Requests that a limit of the lane had no room for: answered with 429, or by stable where that is set.";
    DECISIONS = Counter "graylane_decisions_total" ["release", "level", "reason"]
        "Decisions made, by release, level and reason.";
    RELEASE_PERMILLE = Gauge "graylane_release_permille" ["release"]
        "Share of users that the release is open for, in permille.";
    RELEASE_LATCHED = Gauge "graylane_release_latched" ["release"]
        "1 while the release is rolled back and stays closed, else 0.";
    RELEASE_PAUSED = Gauge "graylane_release_paused" ["release"]
        "1 while nothing may open the release, else 0.";
    RELEASE_VERDICT = Gauge "graylane_release_verdict" ["release"]
        "Gray against stable: 0 no data, 1 not worse so far, 2 worse.";
    UPSTREAM_CONNECTIONS = Gauge "graylane_upstream_connections" ["upstream", "state"]
        "Connections to the upstream: active ones carry a request, idle ones wait for the next.";
    UPSTREAM_CONNECTS = Counter "graylane_upstream_connects_total" ["upstream", "result"]
        "Attempts to connect to the upstream, by how they ended.";
    UPSTREAM_PANIC = Gauge "graylane_upstream_panic" ["upstream"]
        "1 while all endpoints are used because too few are fit, else 0.";
    ENDPOINT_ADDRESSES = Gauge "graylane_endpoint_addresses" ["upstream", "endpoint", "state"]
        "Addresses of the endpoint, by how they stand: usable and unchecked ones are sent to, unhealthy and ejected ones passed over.";
    ENDPOINT_CHECKS = Counter "graylane_endpoint_checks_total" ["upstream", "endpoint", "result"]
        "Health checks of the endpoint, by how they ended.";
    ENDPOINT_EJECTIONS = Counter "graylane_endpoint_ejections_total" ["upstream", "endpoint", "result"]
        "Times that failing requests took an address of the endpoint out, or would have if not so many were out (capped).";
    CLIENT_CONNECTIONS = Gauge "graylane_client_connections" ["state"]
        "Connections from clients: active ones carry a request, idle ones wait for the next.";
    CONNECTIONS_CLOSED = Counter "graylane_connections_closed_total" ["reason"]
        "Connections of clients that the sidecar ended of its own accord, by reason; a drain is none.";
    SLOW_CLIENTS = Counter "graylane_slow_clients_total" ["reason"]
        "Requests that were given up because their client was too slow, by what it was slow in.";
    TLS_HANDSHAKES = Counter "graylane_tls_handshakes_total" ["result"]
        "TLS handshakes with clients, by how they ended.";
    TLS_EXPIRY = Gauge "graylane_tls_certificate_expiry_seconds" ["owner", "file"]
        "When the certificate of a file ends, in seconds since the epoch, by the listener or upstream that uses it.";
    PROXY_HEADERS = Counter "graylane_proxy_protocol_total" ["result"]
        "Connections that began with the PROXY protocol or should have, by what became of them.";
    REFUSED_REQUESTS = Counter "graylane_refused_requests_total" ["reason"]
        "Requests that the sidecar refused before it chose a lane, by reason.";
    STRIPPED_HEADERS = Counter "graylane_stripped_headers_total" []
        "Identity, lane-mark and forwarding headers removed because the peer is not trusted.";
    IGNORED_DEADLINES = Counter "graylane_ignored_deadlines_total" ["header"]
        "Deadlines of trusted callers that were ignored because they are none, by the header they stood in.";
    OVERRIDES_REJECTED = Counter "graylane_overrides_rejected_total" ["reason"]
        "Developer overrides that were ignored, by reason.";
    FACTS_REJECTED = Counter "graylane_facts_rejected_total" ["fact"]
        "Values of facts that did not fit and count as absent.";
    TOKENS_REJECTED = Counter "graylane_jwt_rejected_total" ["reason"]
        "Tokens that a fact asked for and that were not believed, by reason.";
    LOOKUPS = Counter "graylane_lookups_total" ["lookup", "result"]
        "Look-ups of product facts, by how they ended for the request that wanted them.";
    EXPRESSIONS_FAILED = Counter "graylane_expression_errors_total" []
        "Expressions that could not be computed for a request and count as false.";
    CONFIG_VERSION = Gauge "graylane_config_version" []
        "Number of configurations applied since the start.";
    CONFIG_INFO = Gauge "graylane_config_info" ["version"]
        "1 for the version of the configuration in use.";
    CONFIG_RELOADS = Counter "graylane_config_reloads_total" ["result"]
        "Configurations offered, by what became of them.";
    SOURCE_UP = Gauge "graylane_source_up" ["source"]
        "1 while the source of configuration answers, else 0.";
    SOURCE_LAST_CONTACT = Gauge "graylane_source_last_contact_seconds" ["source"]
        "When the source answered last, in seconds since the epoch; 0 if it never did.";
    SOURCE_STALE = Gauge "graylane_source_stale" ["source"]
        "1 while the source did not answer for longer than its time to live; what it said stays in force.";
    SOURCE_DOCUMENTS = Gauge "graylane_source_documents" ["source"]
        "Documents that the source holds.";
    SOURCE_BYTES = Gauge "graylane_source_bytes" ["source"]
        "Bytes of these documents.";
    SOURCE_CHANGES = Counter "graylane_source_changes_total" ["source"]
        "Times that other documents were taken from the source.";
    SOURCE_ERRORS = Counter "graylane_source_errors_total" ["source", "kind"]
        "What went wrong with the source, by kind.";
    INVALIDATIONS = Counter "graylane_invalidations_total" ["target", "result"]
        "Events about products that a change concerns, by target: sent, tried again, or dropped.";
    STATE_KEPT = Gauge "graylane_state_kept" []
        "1 while the state directory holds every latch, 0 while it cannot be written or there is none.";
    LAST_GOOD_KEPT = Gauge "graylane_last_good_kept" []
        "1 while the state directory holds what the sources held last, 0 while it cannot be written or there is nothing to hold.";
    WRONG_ADMIN_TOKENS = Counter "graylane_admin_wrong_tokens_total" []
        "Calls to the admin port with a token that is none, or may not do what was asked.";
    ACCESS_LOG_LINES = Counter "graylane_access_log_lines_total" ["result"]
        "Lines of the access log: written, or dropped because they could not be written or came too fast.";
    OTLP_ITEMS = Counter "graylane_otlp_items_total" ["signal", "result"]
        "Spans and evaluation events: exported to the collector, dropped because too many waited (queue_full) or it could not be told (failed), or rejected by it.";
    BUILD_INFO = Gauge "graylane_build_info" ["version"]
        "1 for the version of the program.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Resident memory, in bytes.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Virtual memory, in bytes.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "File descriptors that are open.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "Most file descriptors that may be open.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the process.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "CPU time used, user and system, in seconds.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "Start of the process, in seconds since the epoch.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_prefixed_and_helped() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            let prefixed = metric.name.starts_with("graylane_") || metric.name.starts_with("process_");
            assert!(prefixed, "{}", metric.name);
            assert!(metric.help.ends_with('.') && metric.help.len() > 15, "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{}: counters and only they end with _total",
                metric.name
            );
        }
    }

    #[test]
    fn the_surface_is_kept() {
        let of = |name: &str| {
            let found = ALL.iter().find(|metric| metric.name == format!("graylane_{name}"));
            found.unwrap_or_else(|| panic!("{name} is missing")).labels
        };
        assert_eq!(of("requests_total"), ["route", "lane", "level", "code_class"]);
        assert_eq!(of("request_duration_seconds"), ["route", "lane"]);
        assert_eq!(of("decisions_total"), ["release", "level", "reason"]);
        assert_eq!(of("breaker_state"), ["route", "lane"]);
        assert_eq!(of("breaker_transitions_total"), ["route", "lane", "to", "cause"]);
        assert_eq!(of("shielded_total"), ["route"]);
        assert_eq!(of("config_version"), [""; 0]);
        assert_eq!(of("config_reloads_total"), ["result"]);
        assert_eq!(of("release_permille"), ["release"]);
        assert_eq!(of("release_latched"), ["release"]);
        assert_eq!(of("upstream_connections"), ["upstream", "state"]);
        assert_eq!(of("inflight_requests"), ["route"]);
    }
}
