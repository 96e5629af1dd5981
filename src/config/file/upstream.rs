//! Upstreams and how their endpoints are watched.

use crate::config::file::tls::FileUpstreamTls;
use crate::config::read::{OneOrMany, mirror, words};
use crate::config::text::At;
use crate::config::units::{Share, Time};

mirror! {
    /// A set of endpoints with their connections.
    #[schemars(rename = "Upstream")]
    struct FileUpstream("an upstream") {
        /// `HOST:PORT`, `k8s:SERVICE.NAMESPACE:PORT` for the endpoints of a service of Kubernetes (the port by the name that
        /// the service gives it, or by the number that its pods listen on), `unix:/path`, or `local` for the pod's own service.
        #[schemars(extend("examples" = [["10.0.0.7:8080"], ["goods.svc:8080"], ["k8s:goods.shop:http"], ["unix:/run/goods.sock"], ["local"]]))]
        [required] endpoints: OneOrMany<At<String>>,
        /// What is spoken to the endpoints.
        #[schemars(extend("default" = "http1"))]
        protocol: At<Protocol>,
        /// TLS to the endpoints. Default: none.
        tls: FileUpstreamTls,
        /// How long a connection is kept without a request. The default is shorter than the keep-alive of common servers
        /// (Node.js 5 s), so that it is us who close it and no request meets a closing connection.
        #[schemars(extend("default" = "4s"))]
        idle: At<Time>,
        /// Most connections kept without a request, per worker and endpoint; those beyond it close after a second or two.
        #[schemars(extend("default" = 128))]
        max_idle: At<u32>,
        /// Which of several endpoints takes a request.
        #[schemars(extend("default" = "p2c"))]
        balance: At<Balance>,
        /// Checks of every endpoint that are made without a request. Default: none.
        health: FileHealth,
        /// When requests that fail take an endpoint out for a while; `{}` for the defaults. Default: never.
        ejection: FileEjection,
        /// How long an endpoint that comes in, or back, takes to get its whole share. Default: it has it at once.
        slow_start: At<Time>,
        /// While less than this share of the endpoints is fit, all are used; `0%`: only when none is.
        #[schemars(extend("default" = "30%"))]
        panic: At<Share>,
    }
}

words! {
    /// What is spoken to an upstream.
    pub enum Protocol("a protocol") {
        /// HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2: by ALPN with `tls`, else with prior knowledge.
        H2 = "h2",
        /// What the client spoke.
        Same = "same",
    }
}

words! {
    /// Which of several endpoints takes a request: of two drawn at random, the better one.
    pub enum Balance("a balance") {
        /// The one with fewer requests under way.
        P2c = "p2c",
        /// The one with less latency times requests under way; failures count as latency.
        LeastLatency = "least_latency",
    }
}

mirror! {
    /// Checks of every endpoint that are made without a request: one of `http`, `grpc`, `tcp`.
    #[schemars(rename = "Health")]
    struct FileHealth("`health`") {
        /// `GET` of this path; a 2xx passes.
        #[schemars(extend("examples" = ["/healthz"]))]
        http: At<String>,
        /// The gRPC health protocol for this service; `""` asks for the server as a whole. `SERVING` passes.
        #[schemars(extend("examples" = ["", "goods.Prices"]))]
        grpc: At<String>,
        /// A connection; whoever accepts it passes.
        tcp: At<bool>,
        /// The host that is asked for. Default: the endpoint as written.
        #[schemars(extend("examples" = ["goods.internal"]))]
        host: At<String>,
        /// From one check to the next, give or take a tenth.
        #[schemars(extend("default" = "5s"))]
        interval: At<Time>,
        /// How long a check may take. Default 1s, or the interval where that is shorter.
        #[schemars(extend("default" = "1s"))]
        timeout: At<Time>,
        /// Passes in a row that bring an endpoint back.
        #[schemars(extend("default" = 2))]
        healthy_after: At<u32>,
        /// Failures in a row that take an endpoint out.
        #[schemars(extend("default" = 3))]
        unhealthy_after: At<u32>,
    }
}

mirror! {
    /// When requests that fail take an endpoint out for a while.
    #[schemars(rename = "Ejection")]
    struct FileEjection("`ejection`") {
        /// Failures in a row: 502, 503, 504, gRPC UNAVAILABLE, no connection, reset, no answer in time.
        #[schemars(extend("default" = 5))]
        failures: At<u32>,
        /// How long it is out the first time; doubled each time after.
        #[schemars(extend("default" = "10s"))]
        base: At<Time>,
        /// The longest it is out; after so long without a failure it starts at `base` again.
        #[schemars(extend("default" = "5m"))]
        max: At<Time>,
        /// Most endpoints that are out at once; one of two or more always may be.
        #[schemars(extend("default" = "50%"))]
        share: At<Share>,
    }
}
