//! A Redis server or an HTTP server, asked for one record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::{Answer, NOT_THERE, Record};
use crate::config::{LookupPlan, LookupStore};
use crate::outbound::{Bounds, Caller, Roots};

/// Most bytes of a record.
const MOST_BYTES: usize = 64 << 10;
/// Most bytes of a field.
const MOST_FIELD_BYTES: usize = 4096;

/// Where records are.
pub(super) enum Store {
    /// The connection carries many look-ups at once; it is made when it is first wanted.
    Redis {
        client: redis::Client,
        connection: Mutex<Option<MultiplexedConnection>>,
    },
    Http(Caller),
}

impl Store {
    pub(super) fn new(plan: &LookupPlan) -> Result<Store, String> {
        match &plan.store {
            LookupStore::Redis(url) => {
                let client = redis::Client::open(url.as_str()).map_err(|error| error.to_string())?;
                Ok(Store::Redis { client, connection: Mutex::default() })
            }
            LookupStore::Http => Caller::new(&Roots::default()).map(Store::Http).map_err(|error| error.to_string()),
        }
    }

    /// The record under `key`; an error where the store cannot say.
    pub(super) async fn fetch(&self, key: &str, plan: &LookupPlan, within: Duration) -> Result<Answer, String> {
        match self {
            Store::Redis { client, connection } => {
                let mut connection = connected(client, connection, within).await?;
                let mut command = redis::cmd("HMGET");
                command.arg(key).arg(&plan.fields);
                let values: Vec<Option<Vec<u8>>> =
                    command.query_async(&mut connection).await.map_err(|error| error.to_string())?;
                let fields = plan.fields.iter().zip(values).filter_map(|(name, value)| {
                    let value = String::from_utf8(value?).ok()?;
                    Some((name.as_str().into(), value.into()))
                });
                Ok(answer(fields))
            }
            Store::Http(caller) => by_http(caller, key, plan, within).await,
        }
    }

    /// After a failure: the connection is not used again, as it may be dead without saying so.
    pub(super) async fn give_up(&self) {
        if let Store::Redis { connection, .. } = self {
            connection.lock().await.take();
        }
    }
}

async fn connected(
    client: &redis::Client,
    kept: &Mutex<Option<MultiplexedConnection>>,
    within: Duration,
) -> Result<MultiplexedConnection, String> {
    let mut kept = kept.lock().await;
    if let Some(connection) = &*kept {
        return Ok(connection.clone());
    }
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(Some(within));
    let made = client.get_multiplexed_async_connection_with_config(&config).await;
    let connection = made.map_err(|error| error.to_string())?;
    *kept = Some(connection.clone());
    Ok(connection)
}

async fn by_http(caller: &Caller, url: &str, plan: &LookupPlan, within: Duration) -> Result<Answer, String> {
    let request = Request::get(url).header("accept", "application/json").body(Bytes::new());
    let request = request.map_err(|error| error.to_string())?;
    let bounds = Bounds { within, bytes: MOST_BYTES };
    let answered = caller.call(request, bounds).await.map_err(|error| error.to_string())?;
    match answered.status {
        200 => {}
        404 | 410 => return Ok(Answer::Nothing(NOT_THERE)),
        status => return Err(format!("it answered {status}")),
    }
    let object: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&answered.body).map_err(|error| format!("its answer is no JSON object: {error}"))?;
    let fields = plan.fields.iter().filter_map(|name| {
        let raw = object.get(name)?.get();
        let value = match raw.as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(raw).ok()?,
            b'{' | b'[' | b'n' => return None,
            _ => raw.to_owned(),
        };
        Some((name.as_str().into(), value.into()))
    });
    Ok(answer(fields))
}

fn answer(fields: impl Iterator<Item = (Box<str>, Box<str>)>) -> Answer {
    let record = Record::new(fields.filter(|(_, value)| value.len() <= MOST_FIELD_BYTES));
    if record == Record::default() { Answer::Nothing(NOT_THERE) } else { Answer::Found(Arc::new(record)) }
}
