//! Documents under a prefix in Redis, one key a document.
//!
//! Redis has no revision of a part of its keys, so everything is read again when it tells of a change, and at every
//! poll. It tells by keyspace notifications where the operator switched them on, or on a pub/sub channel; both come over
//! the same connection (RESP3), so a poll that is answered also proves that nothing was lost on the way.

mod connect;
mod read;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pace::Pace;
use super::{Link, Source, SourceError};
use crate::config::{RedisPlan, RedisPush};

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// What the server has to be set to so that it tells of writes, deletions and expiries.
const WANTED: &str = "K$gx";

/// Redis as a source.
pub(super) struct Redis {
    plan: RedisPlan,
}

impl Redis {
    pub(super) fn new(plan: RedisPlan) -> Self {
        Self { plan }
    }

    async fn talk(&self, link: &mut Link) -> Result<Infallible, SourceError> {
        let changes = Arc::new(Notify::new());
        let login = connect::login(&self.plan)?;
        let connecting = connect::connect(&self.plan, &login, changes.clone());
        let connected = tokio::time::timeout(ANSWER, connecting).await;
        let (connection, driver) = connected.map_err(|_| SourceError::Late(format!("waited {ANSWER:?}")))??;
        tokio::select! {
            () = driver => Err(SourceError::Unreachable("the server closed the connection".to_owned())),
            ended = self.follow(connection, &changes, link) => ended,
        }
    }

    async fn follow(
        &self,
        mut connection: MultiplexedConnection,
        changes: &Notify,
        link: &mut Link,
    ) -> Result<Infallible, SourceError> {
        // Before the first read, so that nothing falls between the two.
        let is_subscribed = self.subscribe(&mut connection, link).await?;
        let mut pace = Pace::default();
        loop {
            let begun = Instant::now();
            match read::documents(&mut connection, &self.plan.prefix, link).await {
                Ok(documents) => {
                    link.post(documents);
                }
                // The connection is good; the next change may make the documents so too.
                Err(error @ (SourceError::TooLarge(_) | SourceError::Garbled(_))) => {
                    link.contact();
                    link.complain(&error);
                }
                Err(error) => return Err(error),
            }
            pace.done(begun, Instant::now());
            tokio::select! {
                () = changes.notified() => tokio::time::sleep_until(pace.due(Instant::now())).await,
                () = tokio::time::sleep(self.plan.poll) => {
                    if is_subscribed {
                        self.look_at_notifications(&mut connection, link).await;
                    }
                }
            }
        }
    }

    /// Asks to be told of changes. Returns whether keyspace notifications were asked for.
    async fn subscribe(&self, connection: &mut MultiplexedConnection, link: &mut Link) -> Result<bool, SourceError> {
        link.note(None);
        if let Some(channel) = &self.plan.channel {
            let asked = connection.subscribe(channel).await;
            self.allowed(asked, link)?;
        }
        if self.plan.push == RedisPush::Off {
            return Ok(false);
        }
        let pattern = format!("__keyspace@{}__:{}*", self.plan.database, read::escape(&self.plan.prefix));
        let asked = connection.psubscribe(pattern).await;
        let is_allowed = self.allowed(asked, link)?;
        if is_allowed {
            self.look_at_notifications(connection, link).await;
        }
        Ok(is_allowed)
    }

    /// A user who may not subscribe still has the poll.
    fn allowed(&self, asked: Result<(), RedisError>, link: &mut Link) -> Result<bool, SourceError> {
        match asked.map_err(failure) {
            Ok(()) => Ok(true),
            Err(SourceError::Refused(why)) => {
                let poll = self.plan.poll;
                link.note(Some(format!("may not subscribe ({why}); changes are seen every {poll:?}")));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Says so when the server does not tell of changes; switching that on is its operator's business.
    async fn look_at_notifications(&self, connection: &mut MultiplexedConnection, link: &mut Link) {
        let mut asked = redis::cmd("CONFIG");
        asked.arg("GET").arg("notify-keyspace-events");
        let answer: Result<HashMap<String, String>, RedisError> = asked.query_async(connection).await;
        let poll = self.plan.poll;
        let note = match answer.map(|all| all.into_values().next().unwrap_or_default()) {
            Ok(flags) if tells(&flags) => None,
            Ok(flags) => Some(format!(
                "keyspace notifications are off on the server (`notify-keyspace-events` is `{flags}`, `{WANTED}` is \
                 needed); changes are seen every {poll:?}"
            )),
            Err(error) => Some(format!(
                "cannot see whether keyspace notifications are on ({error}); if not, changes are seen every {poll:?}"
            )),
        };
        link.note(note);
    }
}

impl Source for Redis {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.talk(link).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

/// Whether writes and deletions are told by key.
fn tells(flags: &str) -> bool {
    flags.contains('K') && (flags.contains('A') || (flags.contains('$') && flags.contains('g')))
}

fn failure(error: RedisError) -> SourceError {
    let text = error.to_string();
    if error.is_timeout() {
        return SourceError::Late(text);
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => SourceError::Refused(text),
        ErrorKind::Io | ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => {
            SourceError::Unreachable(text)
        }
        _ if ["NOAUTH", "WRONGPASS", "NOPERM"].iter().any(|code| text.contains(code)) => SourceError::Refused(text),
        _ => SourceError::Garbled(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_need_the_keyspace_and_what_changes_a_text() {
        for good in ["AK", "K$g", "gxK$", "AKE"] {
            assert!(tells(good), "{good}");
        }
        for bad in ["", "AE", "K", "K$", "Kg"] {
            assert!(!tells(bad), "{bad}");
        }
        assert!(tells(WANTED));
    }
}
