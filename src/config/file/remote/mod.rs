//! Where more of the configuration comes from: shared stores and configuration centres.

mod centres;
mod etcd;
mod redis;

pub(in crate::config) use centres::{FileApollo, FileCentre, FileNacos};
pub(in crate::config) use etcd::FileEtcd;
pub(in crate::config) use redis::FileRedis;
pub use redis::RedisPush;

use super::FileKubernetesSource;
use crate::config::read::mirror;
use crate::config::text::At;
use crate::config::units::{Name, Size, Time};

mirror! {
    /// A shared store or configuration centre that holds a part of the configuration. Exactly one of its kinds is
    /// given (`redis`, `etcd`, `centre`, `nacos`, `apollo`, `kubernetes`).
    #[schemars(rename = "RemoteSource")]
    struct FileRemote("a source") {
        /// What it is called in logs, metrics and problems.
        [required] name: At<Name>,
        /// The part of the store that is read; default the environment.
        #[schemars(extend("examples" = ["prod"]))]
        namespace: At<Name>,
        /// How long what was read counts as fresh without contact. Then it is told as stale, and stays in force.
        #[schemars(extend("default" = "5m"))]
        ttl: At<Time>,
        /// The pauses between attempts to reach the server.
        backoff: FileBackoff,
        /// How much the server may say.
        bounds: FileSourceBounds,
        /// Documents under a prefix in Redis.
        redis: FileRedis,
        /// Documents under a prefix in etcd.
        etcd: FileEtcd,
        /// A configuration centre that speaks graylane's own protocol.
        centre: FileCentre,
        /// Configurations in Nacos.
        nacos: FileNacos,
        /// Namespaces in Apollo.
        apollo: FileApollo,
        /// Resources of Kubernetes.
        kubernetes: FileKubernetesSource,
    }
}

mirror! {
    /// The pauses between attempts: each about twice the one before, with some chance in it.
    #[schemars(rename = "Backoff")]
    struct FileBackoff("`backoff`") {
        /// The first pause.
        #[schemars(extend("default" = "250ms"))]
        first: At<Time>,
        /// The longest pause.
        #[schemars(extend("default" = "30s"))]
        most: At<Time>,
    }
}

mirror! {
    /// How much a server may say; more is refused, and what is in force stays.
    #[schemars(rename = "SourceBounds")]
    struct FileSourceBounds("`bounds`") {
        /// Most documents.
        #[schemars(extend("default" = 20000))]
        documents: At<u32>,
        /// Most bytes of one document.
        #[schemars(extend("default" = "1MiB"))]
        document: At<Size>,
        /// Most bytes of all documents together.
        #[schemars(extend("default" = "64MiB"))]
        total: At<Size>,
    }
}

mirror! {
    /// Whom a TLS connection believes, and who we are to it. `{}` believes the authorities of the system.
    #[schemars(rename = "SourceTls")]
    struct FileTls("`tls`") {
        /// A PEM file of certificate authorities.
        ca_file: At<String>,
        /// A PEM file of our own certificate chain, for servers that ask who calls.
        certificate_file: At<String>,
        /// The PEM file of its key.
        key_file: At<String>,
    }
}
