//! etcd as a source.

use super::FileTls;
use crate::config::read::{OneOrMany, mirror};
use crate::config::text::At;
use crate::config::units::Time;

mirror! {
    /// Documents in etcd: one key holds one YAML document. They are read from the keys that begin with
    /// `PREFIX NAMESPACE /`.
    #[schemars(rename = "Etcd")]
    struct FileEtcd("`etcd`") {
        /// The members' client URLs, tried in turn.
        #[schemars(extend("examples" = [["http://127.0.0.1:2379"]]))]
        [required] endpoints: OneOrMany<At<String>>,
        /// How the keys begin.
        #[schemars(extend("default" = "/graylane/"))]
        prefix: At<String>,
        /// The user.
        user: At<String>,
        /// The file with the password.
        password_file: At<String>,
        /// Whom `https` URLs believe.
        tls: FileTls,
        /// How often is asked whether the watch missed anything.
        #[schemars(extend("default" = "10s"))]
        check: At<Time>,
    }
}
