//! Configuration centres as sources.

use super::FileTls;
use crate::config::read::{OneOrMany, mirror};
use crate::config::text::At;
use crate::config::units::Time;

mirror! {
    /// A configuration centre that speaks graylane's own protocol over HTTP.
    #[schemars(rename = "Centre")]
    struct FileCentre("`centre`") {
        /// Where `/v1/config/NAMESPACE` begins.
        #[schemars(extend("examples" = ["https://config.example:8443"]))]
        [required] url: At<String>,
        /// The file with the bearer token.
        token_file: At<String>,
        /// Whom an `https` URL believes.
        tls: FileTls,
        /// How long the centre is asked to hold a poll.
        #[schemars(extend("default" = "30s"))]
        wait: At<Time>,
        /// How long it may take over a whole set.
        #[schemars(extend("default" = "30s"))]
        answer: At<Time>,
        /// What this process calls itself to the centre; default the name of the host.
        instance: At<String>,
    }
}

mirror! {
    /// Configurations in Nacos 1 or 2, each one document: those of the data ids listed.
    #[schemars(rename = "Nacos")]
    struct FileNacos("`nacos`") {
        /// The server; without a path, that is `/nacos`.
        #[schemars(extend("examples" = ["http://127.0.0.1:8848/nacos"]))]
        [required] url: At<String>,
        /// The id of the Nacos namespace; default the source's `namespace`, and `public` or nothing is the public one.
        tenant: At<String>,
        /// The group.
        #[schemars(extend("default" = "DEFAULT_GROUP"))]
        group: At<String>,
        /// The configurations. Each of them has to be there.
        [required] data_ids: OneOrMany<At<String>>,
        /// The user.
        user: At<String>,
        /// The file with the password.
        password_file: At<String>,
        /// Whom an `https` URL believes.
        tls: FileTls,
        /// How long the server is asked to hold a poll. Nacos holds it for 10 s at least.
        #[schemars(extend("default" = "30s"))]
        wait: At<Time>,
    }
}

mirror! {
    /// Namespaces in Apollo in the format YAML, each one document.
    #[schemars(rename = "Apollo")]
    struct FileApollo("`apollo`") {
        /// The config service (not the meta server, not the portal).
        #[schemars(extend("examples" = ["http://127.0.0.1:8080"]))]
        [required] url: At<String>,
        /// The application.
        [required] app_id: At<String>,
        /// The cluster.
        #[schemars(extend("default" = "default"))]
        cluster: At<String>,
        /// The namespaces, with their suffix `.yaml` or `.yml`. Each of them has to have a release.
        #[schemars(extend("examples" = [["graylane.yaml"]]))]
        [required] namespaces: OneOrMany<At<String>>,
        /// The file with the secret of an access key; then requests are signed.
        secret_file: At<String>,
        /// What this process says its address is, for Apollo's own gray releases.
        ip: At<String>,
        /// Whom an `https` URL believes.
        tls: FileTls,
    }
}
