//! Redis as a source.

use std::time::Duration;

use super::{Scope, login, tls};
use crate::config::compile::address;
use crate::config::compile::process::positive;
use crate::config::file::{FileRedis, RedisPush};
use crate::config::remote::{RedisAddress, RedisPlan};
use crate::config::settings::Endpoint;

const PREFIX: &str = "graylane/";
const POLL: Duration = Duration::from_secs(5);

pub(super) fn plan(written: &FileRedis, scope: &mut Scope<'_>) -> Option<RedisPlan> {
    let poll = positive(written.poll.as_ref(), POLL, "poll", scope.findings);
    let login = login(written.user.as_ref(), written.password_file.as_ref(), scope);
    if let Some(user) = written.user.as_ref().filter(|_| login.password.is_none()) {
        scope.findings.error(user.at, "a user needs a password").help("set `password_file`");
    }
    let tls = written.tls.as_ref().map(|written| tls(Some(written), scope));
    let at = written.address.as_ref()?;
    let address = match address::endpoint(at, scope.texts, scope.findings)? {
        Endpoint::Host { host, port } => RedisAddress::Host(host, port),
        Endpoint::Unix(path) => RedisAddress::Unix(path),
        Endpoint::Service { .. } => {
            scope.findings.error(at.at, "a service is no Redis server").help("write `HOST:PORT` or `unix:/path`");
            return None;
        }
        Endpoint::Local => {
            scope.findings.error(at.at, "`local` is no Redis server").help("write `HOST:PORT` or `unix:/path`");
            return None;
        }
    };
    if let (RedisAddress::Unix(_), Some(tls)) = (&address, &written.tls) {
        scope.findings.error(tls.at, "a Unix socket speaks no TLS");
    }
    let prefix = written.prefix.as_ref().map_or(PREFIX, |prefix| &prefix.value);
    Some(RedisPlan {
        address,
        prefix: format!("{prefix}{}/", scope.namespace),
        database: written.database.as_ref().map_or(0, |number| number.value),
        login,
        tls,
        push: written.push.as_ref().map_or(RedisPush::Notifications, |push| push.value),
        channel: written.channel.as_ref().map(|channel| channel.value.clone()),
        poll,
    })
}
