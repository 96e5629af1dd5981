//! The file mirror: the configuration exactly as users write it, every value with its place, nothing checked beyond
//! its form. `graylane schema` is derived from these structs, and so is their reader.

mod access_log;
mod business_rule;
mod composite;
mod condition;
mod fact;
mod fault;
mod gray_release;
mod guard;
mod kubernetes;
mod limit;
mod process;
mod products;
mod release;
mod remote;
mod route;
mod schema;
mod sidecar;
mod tls;
mod tracing;
mod upstream;

pub(super) use access_log::FileAccessLogFile;
pub(super) use business_rule::{API_VERSION, FileBusinessRule, FileRollbackOn, FileRuleSpec, KIND};
pub(super) use composite::{FileFunctions, FilePromotion, FileStrategies, FileStrategy, FileWeights, Number};
pub(super) use condition::{FileCondition, FileScalar, OperatorWord};
pub(super) use fact::{FileGeoip, FileJsonBody, FileJwt, FileLookup, FileSource};
pub(super) use fault::{FileDelay, FileFault};
pub(super) use gray_release::{FileGrayRelease, FileGrayReleaseSpec, GRAY_RELEASE, GRAY_RELEASE_VERSION};
pub(super) use guard::{FileGuard, OnOff};
pub(super) use kubernetes::{FileKubernetes, FileKubernetesSource};
pub(super) use limit::{FileAdaptive, FileLaneLimits, FileOverload};
pub(super) use process::{
    AccessLogWord, AdminReadsWord, AdminRole, FileAdmin, FileLimits, FileListener, FileState, RegionCodes,
    ResponseMarkWord,
};
pub(super) use products::{FileInvalidate, FileProducts};
pub(super) use release::{
    FileAb, FileDeveloper, FileExperiment, FileRegions, FileRelease, FileWorse, FileWorseRules, HashKeyWord, Require,
};
pub(super) use remote::{
    FileApollo, FileBackoff, FileCentre, FileEtcd, FileNacos, FileRedis, FileRemote, FileSourceBounds, FileTls,
};
pub(super) use route::{FileBreaker, FileHeaderMatch, FileMatch, FileRoute, FileShield, FileTimeouts};
pub(super) use sidecar::{FileSidecar, SIDECAR_API_VERSION, SIDECAR_KIND};
pub(super) use tls::{ClientAuthWord, FileListenerTls, FileProxyProtocol, FileUpstreamTls, MinVersionWord};
pub(super) use tracing::FileTracing;
pub(super) use upstream::{FileEjection, FileHealth, FileUpstream};

pub use fact::AmountUnit;
pub use limit::OverLimit;
pub use process::{EncodedWord, Environment, MarkCache, Normalize};
pub use remote::RedisPush;
pub use route::{ShieldWord, StableOpen};
pub(super) use schema::WithoutNull;
pub use schema::schema;
pub use tracing::{ContextIdWord, OtlpProtocol, UntrustedTrace};
pub use upstream::{Balance, Protocol};

use super::read::{OneOrMany, Table, mirror};
use super::text::At;
use super::units::{Name, Time};

mirror! {
    /// The configuration of a graylane sidecar. Everything with a default may be left out.
    #[schemars(title = "graylane", rename = "Config")]
    struct FileConfig("the configuration") {
        /// The version of this form.
        #[schemars(extend("default" = 1, "enum" = [1]))]
        version: At<u32>,
        /// The environment; `dev` alone accepts unsigned overrides.
        #[schemars(extend("default" = "prod"))]
        environment: At<Environment>,
        /// The service this sidecar sits beside. The loop guard and `BusinessRule` documents go by it.
        service: At<Name>,
        /// The lane of the pod this sidecar sits beside.
        #[schemars(extend("default" = "stable"))]
        lane: At<Name>,
        /// The pod's own service, `HOST:PORT` or `unix:/path`: where requests for this lane end (endpoint `local`).
        #[schemars(extend("examples" = ["127.0.0.1:8080", "unix:/run/goods.sock"]))]
        local: At<String>,
        /// Worker threads; default the cores the process may use.
        #[schemars(extend("minimum" = 1, "maximum" = 1024))]
        workers: At<u32>,
        /// Addresses that take traffic; default `127.0.0.1:15080`.
        listeners: Vec<FileListener>,
        /// The port for people and tools.
        admin: FileAdmin,
        /// Peers that may set identity, forwarding and lane-mark headers: networks, and names of verified certificates
        /// (`spiffe://domain/path`, `spiffe://domain/path/*`, `dns:name`). Default: none.
        #[schemars(extend("examples" = [["127.0.0.0/8", "spiffe://shop/ns/edge/*", "dns:gateway.shop"]]))]
        trust: Vec<At<String>>,
        /// What is written to the access log: `off`, `all`, or a share such as `1%`.
        #[schemars(extend("default" = "off"))]
        access_log: At<AccessLogWord>,
        /// Facts that the access log holds beside its own, by name: what `replay` is to decide by. User and device are only
        /// ever logged as keyed hashes.
        #[schemars(extend("examples" = [["stock_level", "user_tier", "city_id"]]))]
        access_log_facts: Vec<At<String>>,
        /// What is told to OpenTelemetry: traces and evaluation events. Default: nothing.
        tracing: FileTracing,
        /// The file that the access log is written to. Default: standard output.
        access_log_file: FileAccessLogFile,
        /// What the access log does not show: fields such as `client` and `path`, facts of `access_log_facts`, and
        /// `path:NAME` for a parameter of the path. Their values become `…`. Parameters that users or devices are known by are
        /// never shown.
        #[schemars(extend("examples" = [["client", "path:order_id"]]))]
        access_log_redact: Vec<At<String>>,
        /// What survives the process.
        state: FileState,
        /// Whether the client sees the lane, in the response header `x-gray-lane`.
        #[schemars(extend("default" = "off"))]
        response_mark: At<ResponseMarkWord>,
        /// With `response_mark: header`, what keeps shared caches from mixing lanes: `vary` adds `Vary` over the headers
        /// that decide, `private` adds `Cache-Control: private`.
        #[schemars(extend("default" = "private"))]
        response_mark_cache: At<MarkCache>,
        /// Who sees the normalised path: `match` only the routes, `forward` the upstream too.
        #[schemars(extend("default" = "match"))]
        normalize: At<Normalize>,
        /// Encoded characters that a path may hold; any other of them is answered with 400.
        #[schemars(extend("default" = []))]
        allow_encoded: Vec<At<EncodedWord>>,
        /// Which codes `province_code` and `city_id` hold.
        #[schemars(extend("default" = "gbt2260"))]
        region_codes: At<RegionCodes>,
        /// The form of a SKU code, a regular expression over the whole value. A `sku_id` of another form is as if absent.
        #[schemars(extend("examples" = ["[A-Z0-9-]{4,32}"]))]
        sku_format: At<String>,
        /// The known categories. A `category_id` that is none of them is as if absent. Default: all are known.
        categories: Vec<At<String>>,
        /// The sources of each fact, in order: the first that yields a valid value wins. Built-in facts are `user_id`,
        /// `device_id`, `sku_id`, `category_id`, `user_tier`, `tags`, `order_amount`, `stock_level`, `province_code` and
        /// `city_id`; any other name declares a fact.
        facts: Table<OneOrMany<FileSource>>,
        /// What a number of `order_amount` counts; conditions always speak of yuan.
        #[schemars(extend("default" = "yuan"))]
        order_amount_unit: At<AmountUnit>,
        /// What is read of JSON bodies.
        json_body: FileJsonBody,
        /// The tables of the functions that expressions call.
        functions: FileFunctions,
        /// Numbers by name, each an expression in CEL; further expressions use them, and explanations show them.
        #[schemars(extend("examples" = [{ "price": "basePrice * (1 - discountByTier(userTier))" }]))]
        values: Table<At<String>>,
        /// The database behind `geoip` sources.
        geoip: FileGeoip,
        /// Which tokens `jwt` sources believe.
        jwt: FileJwt,
        /// Stores of product facts behind `lookup` sources, by name.
        lookups: Table<FileLookup>,
        /// Where requests go, by name.
        upstreams: Table<FileUpstream>,
        /// Experiments, by name: users in groups, independent of the releases that use them.
        experiments: Table<FileExperiment>,
        /// Gray releases, by name.
        releases: Table<FileRelease>,
        /// Breakers, by name.
        breakers: Table<FileBreaker>,
        /// Which requests go where. Host before path; an exact segment before a parameter before a wildcard.
        routes: Vec<FileRoute>,
        /// Faults on purpose, for drills. Those that meet on one lane of a route add up to 100% at most.
        faults: Vec<FileFault>,
        /// Shared stores and configuration centres that hold more of this, in the order in which they are merged.
        sources: Vec<FileRemote>,
        /// The API server of Kubernetes.
        kubernetes: FileKubernetes,
        /// The product data that the configuration was made for.
        products: FileProducts,
        /// How long a start waits for the first answer of every source. Where one never came, that ends the start, unless an
        /// earlier process kept what the source held.
        #[schemars(extend("default" = "10s"))]
        sources_wait: At<Time>,
        /// Bounds on what a client may send, and how slowly.
        limits: FileLimits,
        /// When the process has so much to do that it refuses further requests.
        overload: FileOverload,
        /// Which changes of the running configuration need a confirmation.
        guard: FileGuard,
        /// Confirms one change: the digest of its plan. Left behind, it confirms nothing else.
        confirm: OneOrMany<At<String>>,
        /// How long requests in flight may take once the process was told to end.
        #[schemars(extend("default" = "30s"))]
        drain: At<Time>,
        /// How long the process goes on as before once it was told to end and says that it is not ready: so long others may
        /// take to notice. `5s` in Kubernetes (where `KUBERNETES_SERVICE_HOST` is set), else `0s`.
        #[schemars(extend("examples" = ["5s"]))]
        drain_wait: At<Time>,
    }
}
