//! Redis as a source.

use super::FileTls;
use crate::config::read::{mirror, words};
use crate::config::text::At;
use crate::config::units::Time;

words! {
    /// How Redis tells of changes.
    pub enum RedisPush("a way to be told of changes") {
        /// By keyspace notifications, which the server sends where `notify-keyspace-events` says so.
        Notifications = "notifications",
        /// Only the poll.
        Off = "off",
    }
}

mirror! {
    /// Documents in Redis: one key holds one YAML document. They are read from the keys that begin with
    /// `PREFIX NAMESPACE /`.
    #[schemars(rename = "Redis")]
    struct FileRedis("`redis`") {
        /// `HOST:PORT` or `unix:/path`.
        #[schemars(extend("examples" = ["127.0.0.1:6379"]))]
        [required] address: At<String>,
        /// How the keys begin.
        #[schemars(extend("default" = "graylane/"))]
        prefix: At<String>,
        /// The number of the database.
        #[schemars(extend("default" = 0))]
        database: At<u32>,
        /// The user; without one the server's default user.
        user: At<String>,
        /// The file with the password.
        password_file: At<String>,
        /// Speaks TLS.
        tls: FileTls,
        /// How changes are told; the poll goes on beside it.
        #[schemars(extend("default" = "notifications"))]
        push: At<RedisPush>,
        /// A pub/sub channel; any message on it asks to read now.
        channel: At<String>,
        /// How often everything is read in any case.
        #[schemars(extend("default" = "5s"))]
        poll: At<Time>,
    }
}
